"""Energy machines: Ising and QUBO energies and their annealing, Boltzmann machines, restricted and not."""

from neuromanifold.networks.energy._annealing import Adaptive as Adaptive
from neuromanifold.networks.energy._annealing import Annealed as Annealed
from neuromanifold.networks.energy._annealing import AnnealingInfo as AnnealingInfo
from neuromanifold.networks.energy._annealing import AnnealingState as AnnealingState
from neuromanifold.networks.energy._annealing import Hajek as Hajek
from neuromanifold.networks.energy._annealing import ProposalInfo as ProposalInfo
from neuromanifold.networks.energy._annealing import ProposalState as ProposalState
from neuromanifold.networks.energy._annealing import anneal as anneal
from neuromanifold.networks.energy._annealing import annealing as annealing
from neuromanifold.networks.energy._annealing import annealing_of as annealing_of
from neuromanifold.networks.energy._annealing import temperature_range as temperature_range
from neuromanifold.networks.energy._ising import Ising as Ising
from neuromanifold.networks.energy._ising import IsingModel as IsingModel
from neuromanifold.networks.energy._ising import random_spins as random_spins
from neuromanifold.networks.energy._path_integral import PathInfo as PathInfo
from neuromanifold.networks.energy._path_integral import PathState as PathState
from neuromanifold.networks.energy._path_integral import path_integral_annealing as path_integral_annealing
from neuromanifold.networks.energy._qubo import Qubo as Qubo
from neuromanifold.networks.energy._qubo import boltzmann_energy as boltzmann_energy
from neuromanifold.networks.energy._replicas import TemperingInfo as TemperingInfo
from neuromanifold.networks.energy._replicas import TemperingState as TemperingState
from neuromanifold.networks.energy._replicas import parallel_tempering as parallel_tempering
from neuromanifold.networks.energy._sweeps import Sweeper as Sweeper
