"""Neuromanifold: the mathematics of neural networks, executable."""

from neuromanifold._version import __version__ as __version__
