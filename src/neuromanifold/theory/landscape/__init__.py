"""Landscapes of error and energy: random Hessians, saddles and minima."""

from neuromanifold.theory.landscape._deep_linear import CriticalPoint as CriticalPoint
from neuromanifold.theory.landscape._deep_linear import LowRank as LowRank
from neuromanifold.theory.landscape._deep_linear import critical_point_type as critical_point_type
from neuromanifold.theory.landscape._deep_linear import critical_points as critical_points
from neuromanifold.theory.landscape._deep_linear import global_optimum_low_rank as global_optimum_low_rank
from neuromanifold.theory.landscape._pspin import complexity_of_minima as complexity_of_minima
from neuromanifold.theory.landscape._pspin import ground_state_energy as ground_state_energy
from neuromanifold.theory.landscape._pspin import index_at_energy as index_at_energy
from neuromanifold.theory.landscape._pspin import threshold_energy as threshold_energy
from neuromanifold.theory.landscape._random_matrices import POSITIVE_RATE as POSITIVE_RATE
from neuromanifold.theory.landscape._random_matrices import goe_moments as goe_moments
from neuromanifold.theory.landscape._random_matrices import index_fraction as index_fraction
from neuromanifold.theory.landscape._random_matrices import index_variance_growth as index_variance_growth
from neuromanifold.theory.landscape._random_matrices import marchenko_pastur as marchenko_pastur
from neuromanifold.theory.landscape._random_matrices import marchenko_pastur_edges as marchenko_pastur_edges
from neuromanifold.theory.landscape._random_matrices import (
    positive_definite_probability as positive_definite_probability,
)
from neuromanifold.theory.landscape._random_matrices import semicircle as semicircle
