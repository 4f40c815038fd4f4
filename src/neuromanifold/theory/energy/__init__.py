"""Theory of energy machines: equilibria and stability, exact chains, barriers, quantum annealing."""

from neuromanifold.theory.energy._barriers import LocalMinimum as LocalMinimum
from neuromanifold.theory.energy._barriers import barrier_depth as barrier_depth
from neuromanifold.theory.energy._barriers import local_minima as local_minima
from neuromanifold.theory.energy._exact_chain import ExactChain as ExactChain
from neuromanifold.theory.energy._exact_chain import ScaledLogarithm as ScaledLogarithm
from neuromanifold.theory.energy._exact_chain import gibbs_law as gibbs_law
from neuromanifold.theory.energy._exact_chain import path_proposal as path_proposal
from neuromanifold.theory.energy._quantum import Crossing as Crossing
from neuromanifold.theory.energy._quantum import SlowLoss as SlowLoss
from neuromanifold.theory.energy._quantum import crossing as crossing
from neuromanifold.theory.energy._quantum import landau_zener as landau_zener
from neuromanifold.theory.energy._quantum import minimal_gap as minimal_gap
from neuromanifold.theory.energy._quantum import quantum_anneal as quantum_anneal
from neuromanifold.theory.energy._quantum import slow_loss as slow_loss
from neuromanifold.theory.energy._quantum import spin_energies as spin_energies
from neuromanifold.theory.energy._quantum import success_probability as success_probability
from neuromanifold.theory.energy._sherrington_kirkpatrick import PARISI_ENERGY as PARISI_ENERGY
from neuromanifold.theory.energy._sherrington_kirkpatrick import GroundState as GroundState
from neuromanifold.theory.energy._sherrington_kirkpatrick import energy_from_overlap as energy_from_overlap
from neuromanifold.theory.energy._sherrington_kirkpatrick import finite_size_energy as finite_size_energy
from neuromanifold.theory.energy._sherrington_kirkpatrick import ground_state as ground_state
from neuromanifold.theory.energy._sherrington_kirkpatrick import paramagnet_energy as paramagnet_energy
from neuromanifold.theory.energy._sherrington_kirkpatrick import parisi_functional as parisi_functional
