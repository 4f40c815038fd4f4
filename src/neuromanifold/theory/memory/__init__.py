"""Associative memory: replica theory of its equilibrium and signal-to-noise theory of its recall."""

from neuromanifold.theory.memory._ags import Capacity as Capacity
from neuromanifold.theory.memory._ags import Retrieval as Retrieval
from neuromanifold.theory.memory._ags import capacity as capacity
from neuromanifold.theory.memory._ags import retrieval as retrieval
from neuromanifold.theory.memory._ags import retrieval_branch as retrieval_branch
from neuromanifold.theory.memory._ags import retrieval_overlap as retrieval_overlap
from neuromanifold.theory.memory._ags import spin_glass as spin_glass
from neuromanifold.theory.memory._exact_steps import first_step as first_step
from neuromanifold.theory.memory._exact_steps import second_step as second_step
from neuromanifold.theory.memory._signal_to_noise import MacroState as MacroState
from neuromanifold.theory.memory._signal_to_noise import SignalToNoise as SignalToNoise
from neuromanifold.theory.memory._signal_to_noise import critical_overlap as critical_overlap
from neuromanifold.theory.memory._signal_to_noise import dynamical_branch as dynamical_branch
from neuromanifold.theory.memory._signal_to_noise import dynamical_capacity as dynamical_capacity
from neuromanifold.theory.memory._signal_to_noise import recall_dynamics as recall_dynamics
