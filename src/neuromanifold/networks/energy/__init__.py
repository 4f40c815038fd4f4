"""Energy machines: Ising and QUBO energies and their annealing, Boltzmann machines, restricted and not."""

from neuromanifold.networks.energy._annealing import Adaptive as Adaptive
from neuromanifold.networks.energy._annealing import Annealed as Annealed
from neuromanifold.networks.energy._annealing import AnnealingInfo as AnnealingInfo
from neuromanifold.networks.energy._annealing import AnnealingState as AnnealingState
from neuromanifold.networks.energy._annealing import Hajek as Hajek
from neuromanifold.networks.energy._annealing import anneal as anneal
from neuromanifold.networks.energy._annealing import annealing as annealing
from neuromanifold.networks.energy._annealing import temperature_range as temperature_range
from neuromanifold.networks.energy._boltzmann import BoltzmannMachine as BoltzmannMachine
from neuromanifold.networks.energy._gaussian import GaussianInfo as GaussianInfo
from neuromanifold.networks.energy._gaussian import GaussianLearning as GaussianLearning
from neuromanifold.networks.energy._ica import AveragedLearning as AveragedLearning
from neuromanifold.networks.energy._ica import interaction_matrix as interaction_matrix
from neuromanifold.networks.energy._ica import interaction_solution as interaction_solution
from neuromanifold.networks.energy._ica import unmixing_error as unmixing_error
from neuromanifold.networks.energy._ica import whitened as whitened
from neuromanifold.networks.energy._ising import Ising as Ising
from neuromanifold.networks.energy._ising import IsingModel as IsingModel
from neuromanifold.networks.energy._ising import random_spins as random_spins
from neuromanifold.networks.energy._partition import AnnealedPartition as AnnealedPartition
from neuromanifold.networks.energy._partition import Annealing as Annealing
from neuromanifold.networks.energy._partition import annealed_partition as annealed_partition
from neuromanifold.networks.energy._path_integral import PathInfo as PathInfo
from neuromanifold.networks.energy._path_integral import PathState as PathState
from neuromanifold.networks.energy._path_integral import path_integral_annealing as path_integral_annealing
from neuromanifold.networks.energy._proposals import ProposalInfo as ProposalInfo
from neuromanifold.networks.energy._proposals import ProposalState as ProposalState
from neuromanifold.networks.energy._proposals import annealing_of as annealing_of
from neuromanifold.networks.energy._qubo import Qubo as Qubo
from neuromanifold.networks.energy._qubo import boltzmann_energy as boltzmann_energy
from neuromanifold.networks.energy._recurrent_autoencoder import AutoencoderWeights as AutoencoderWeights
from neuromanifold.networks.energy._recurrent_autoencoder import (
    RecurrentAutoencoder as RecurrentAutoencoder,
)
from neuromanifold.networks.energy._recurrent_autoencoder import Settled as Settled
from neuromanifold.networks.energy._replicas import TemperingInfo as TemperingInfo
from neuromanifold.networks.energy._replicas import TemperingState as TemperingState
from neuromanifold.networks.energy._replicas import parallel_tempering as parallel_tempering
from neuromanifold.networks.energy._restricted import RestrictedBoltzmann as RestrictedBoltzmann
from neuromanifold.networks.energy._sweeps import Sweeper as Sweeper
from neuromanifold.networks.energy._tempering import ExchangeInfo as ExchangeInfo
from neuromanifold.networks.energy._tempering import coldest as coldest
from neuromanifold.networks.energy._tempering import tempered_chains as tempered_chains
from neuromanifold.networks.energy._units import Bernoulli as Bernoulli
from neuromanifold.networks.energy._units import Gaussian as Gaussian
from neuromanifold.networks.energy._units import Softmax as Softmax
from neuromanifold.networks.energy._units import Spins as Spins
from neuromanifold.networks.energy._units import Units as Units
