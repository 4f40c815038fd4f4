"""Landscapes: random Hessians, saddles and minima of random functions."""

from neuromanifold.experiments.landscape._random_hessian import RandomHessian as RandomHessian
from neuromanifold.experiments.landscape._spherical_glass import SphericalGlass as SphericalGlass
