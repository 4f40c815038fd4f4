"""Boltzmann machines, restricted and Gaussian ones, and what they learn."""

from neuromanifold.experiments.energy._gaussian_machine import GaussianMachine as GaussianMachine
