"""Sparse codes of natural images."""

from neuromanifold.experiments.codes._inference import SparseInference as SparseInference
from neuromanifold.experiments.codes._natural import NaturalCodes as NaturalCodes
