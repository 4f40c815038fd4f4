"""Energy machines: networks whose states follow the law of an energy, and learn by changing it."""

from neuromanifold.networks.energy._boltzmann import BoltzmannMachine as BoltzmannMachine
from neuromanifold.networks.energy._gaussian import GaussianInfo as GaussianInfo
from neuromanifold.networks.energy._gaussian import GaussianLearning as GaussianLearning
from neuromanifold.networks.energy._ica import AveragedLearning as AveragedLearning
from neuromanifold.networks.energy._ica import interaction_matrix as interaction_matrix
from neuromanifold.networks.energy._ica import interaction_solution as interaction_solution
from neuromanifold.networks.energy._ica import unmixing_error as unmixing_error
from neuromanifold.networks.energy._ica import whitened as whitened
from neuromanifold.networks.energy._partition import AnnealedPartition as AnnealedPartition
from neuromanifold.networks.energy._partition import Annealing as Annealing
from neuromanifold.networks.energy._partition import annealed_partition as annealed_partition
from neuromanifold.networks.energy._recurrent_autoencoder import AutoencoderWeights as AutoencoderWeights
from neuromanifold.networks.energy._recurrent_autoencoder import (
    RecurrentAutoencoder as RecurrentAutoencoder,
)
from neuromanifold.networks.energy._recurrent_autoencoder import Settled as Settled
from neuromanifold.networks.energy._restricted import RestrictedBoltzmann as RestrictedBoltzmann
from neuromanifold.networks.energy._tempering import TemperingInfo as TemperingInfo
from neuromanifold.networks.energy._tempering import coldest as coldest
from neuromanifold.networks.energy._tempering import parallel_tempering as parallel_tempering
from neuromanifold.networks.energy._units import Bernoulli as Bernoulli
from neuromanifold.networks.energy._units import Gaussian as Gaussian
from neuromanifold.networks.energy._units import Softmax as Softmax
from neuromanifold.networks.energy._units import Spins as Spins
from neuromanifold.networks.energy._units import Units as Units
