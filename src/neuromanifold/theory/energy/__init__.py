"""Theory of energy machines: equilibria and stability, exact chains, barriers, quantum annealing."""

from neuromanifold.theory.energy._autoencoder import LinearAutoencoder as LinearAutoencoder
from neuromanifold.theory.energy._autoencoder import StepAutoencoder as StepAutoencoder
from neuromanifold.theory.energy._autoencoder import linear_autoencoder as linear_autoencoder
from neuromanifold.theory.energy._autoencoder import step_autoencoder as step_autoencoder
from neuromanifold.theory.energy._barriers import LocalMinimum as LocalMinimum
from neuromanifold.theory.energy._barriers import barrier_depth as barrier_depth
from neuromanifold.theory.energy._barriers import local_minima as local_minima
from neuromanifold.theory.energy._boltzmann import boltzmann_law as boltzmann_law
from neuromanifold.theory.energy._boltzmann import shared_code_levels as shared_code_levels
from neuromanifold.theory.energy._exact_chain import ExactChain as ExactChain
from neuromanifold.theory.energy._exact_chain import ScaledLogarithm as ScaledLogarithm
from neuromanifold.theory.energy._exact_chain import gibbs_law as gibbs_law
from neuromanifold.theory.energy._exact_chain import path_proposal as path_proposal
from neuromanifold.theory.energy._gaussian_machine import GaussianEquilibrium as GaussianEquilibrium
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibria as gaussian_equilibria
from neuromanifold.theory.energy._gaussian_machine import gaussian_equilibrium as gaussian_equilibrium
from neuromanifold.theory.energy._gaussian_machine import relaxation as relaxation
from neuromanifold.theory.energy._ica_machine import Separation as Separation
from neuromanifold.theory.energy._ica_machine import Source as Source
from neuromanifold.theory.energy._ica_machine import TwoGaussians as TwoGaussians
from neuromanifold.theory.energy._ica_machine import mixed_amplitude as mixed_amplitude
from neuromanifold.theory.energy._ica_machine import pair_interaction as pair_interaction
from neuromanifold.theory.energy._ica_machine import separation as separation
from neuromanifold.theory.energy._ica_machine import source as source
from neuromanifold.theory.energy._ica_machine import two_gaussians as two_gaussians
from neuromanifold.theory.energy._quantum import Crossing as Crossing
from neuromanifold.theory.energy._quantum import SlowLoss as SlowLoss
from neuromanifold.theory.energy._quantum import crossing as crossing
from neuromanifold.theory.energy._quantum import landau_zener as landau_zener
from neuromanifold.theory.energy._quantum import minimal_gap as minimal_gap
from neuromanifold.theory.energy._quantum import quantum_anneal as quantum_anneal
from neuromanifold.theory.energy._quantum import slow_loss as slow_loss
from neuromanifold.theory.energy._quantum import spin_energies as spin_energies
from neuromanifold.theory.energy._quantum import success_probability as success_probability
from neuromanifold.theory.energy._restricted import RestrictedLaw as RestrictedLaw
from neuromanifold.theory.energy._restricted import (
    independent_log_likelihood as independent_log_likelihood,
)
from neuromanifold.theory.energy._restricted import restricted_hidden as restricted_hidden
from neuromanifold.theory.energy._restricted import restricted_law as restricted_law
from neuromanifold.theory.energy._restricted import restricted_log_weight as restricted_log_weight
from neuromanifold.theory.energy._sherrington_kirkpatrick import PARISI_ENERGY as PARISI_ENERGY
from neuromanifold.theory.energy._sherrington_kirkpatrick import GroundState as GroundState
from neuromanifold.theory.energy._sherrington_kirkpatrick import energy_from_overlap as energy_from_overlap
from neuromanifold.theory.energy._sherrington_kirkpatrick import finite_size_energy as finite_size_energy
from neuromanifold.theory.energy._sherrington_kirkpatrick import ground_state as ground_state
from neuromanifold.theory.energy._sherrington_kirkpatrick import paramagnet_energy as paramagnet_energy
from neuromanifold.theory.energy._sherrington_kirkpatrick import parisi_functional as parisi_functional
from neuromanifold.theory.energy._sparse_optimum import SparseOptimum as SparseOptimum
from neuromanifold.theory.energy._sparse_optimum import first_order_bounds as first_order_bounds
from neuromanifold.theory.energy._sparse_optimum import sparse_optimum as sparse_optimum
from neuromanifold.theory.energy._transverse import TransverseAverages as TransverseAverages
from neuromanifold.theory.energy._transverse import transverse_averages as transverse_averages
