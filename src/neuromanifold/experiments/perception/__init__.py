"""Experiments on perception: networks that learn to see digits."""

from neuromanifold.experiments.perception._lenet_1989_usps import LeNet1989USPS as LeNet1989USPS
from neuromanifold.experiments.perception._lenet_digits import LeNetDigits as LeNetDigits
from neuromanifold.experiments.perception._lenet_distortions import LeNetDistortions as LeNetDistortions
from neuromanifold.experiments.perception._lenet_gradients import LeNetGradients as LeNetGradients
