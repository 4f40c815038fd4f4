"""Boltzmann machines, restricted and Gaussian ones, and what they learn."""
