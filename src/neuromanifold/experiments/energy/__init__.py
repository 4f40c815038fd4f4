"""Boltzmann machines, restricted and Gaussian ones, and what they learn."""

from neuromanifold.experiments.energy._boltzmann_exact import BoltzmannExact as BoltzmannExact
from neuromanifold.experiments.energy._gaussian_machine import GaussianMachine as GaussianMachine
from neuromanifold.experiments.energy._ica_machine import IcaMachine as IcaMachine
from neuromanifold.experiments.energy._recurrent_autoencoder import (
    RecurrentAutoencoderLearning as RecurrentAutoencoderLearning,
)
from neuromanifold.experiments.energy._restricted_digits import RestrictedDigits as RestrictedDigits
from neuromanifold.experiments.energy._sparse_sources import SparseSources as SparseSources
