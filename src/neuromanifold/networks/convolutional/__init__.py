"""Convolutional networks: LeNet of 1989, LeNet-5, and LeNet-5 with today's parts."""

from neuromanifold.networks.convolutional._layers import Convolution as Convolution
from neuromanifold.networks.convolutional._layers import Dense as Dense
from neuromanifold.networks.convolutional._layers import RadialBasis as RadialBasis
from neuromanifold.networks.convolutional._layers import Subsampling as Subsampling
from neuromanifold.networks.convolutional._layers import n_parameters as n_parameters
from neuromanifold.networks.convolutional._layers import scaled_tanh as scaled_tanh
from neuromanifold.networks.convolutional._lenet5 import LENET5_TABLE as LENET5_TABLE
from neuromanifold.networks.convolutional._lenet5 import LeNet5 as LeNet5
from neuromanifold.networks.convolutional._lenet5 import lenet5_bitmaps as lenet5_bitmaps
from neuromanifold.networks.convolutional._lenet1989 import LENET1989_TABLE as LENET1989_TABLE
from neuromanifold.networks.convolutional._lenet1989 import LeNet1989 as LeNet1989
from neuromanifold.networks.convolutional._modern import ModernLeNet as ModernLeNet
