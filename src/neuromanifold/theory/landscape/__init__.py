"""Landscapes: critical points, and which of them are minima."""

from neuromanifold.theory.landscape._deep_linear import CriticalPoint as CriticalPoint
from neuromanifold.theory.landscape._deep_linear import LowRank as LowRank
from neuromanifold.theory.landscape._deep_linear import critical_point_type as critical_point_type
from neuromanifold.theory.landscape._deep_linear import critical_points as critical_points
from neuromanifold.theory.landscape._deep_linear import global_optimum_low_rank as global_optimum_low_rank
