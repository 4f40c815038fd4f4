"""Theory of self-organisation: equilibria of Hebbian neurons, bumps of fields, maps and their columns."""

from neuromanifold.theory.selforganizing._bumps import Bump as Bump
from neuromanifold.theory.selforganizing._bumps import bump_widths as bump_widths
from neuromanifold.theory.selforganizing._bumps import width_velocity as width_velocity
from neuromanifold.theory.selforganizing._clusters import TwoClusters as TwoClusters
from neuromanifold.theory.selforganizing._clusters import consistent_sets as consistent_sets
from neuromanifold.theory.selforganizing._clusters import merging_distance as merging_distance
from neuromanifold.theory.selforganizing._clusters import orthogonal_set_count as orthogonal_set_count
from neuromanifold.theory.selforganizing._clusters import two_cluster_phase as two_cluster_phase
from neuromanifold.theory.selforganizing._equilibria import CapEquilibrium as CapEquilibrium
from neuromanifold.theory.selforganizing._equilibria import cap_radius as cap_radius
from neuromanifold.theory.selforganizing._equilibria import fold_threshold as fold_threshold
from neuromanifold.theory.selforganizing._equilibria import gated_equilibrium as gated_equilibrium
from neuromanifold.theory.selforganizing._equilibria import inhibited_equilibrium as inhibited_equilibrium
from neuromanifold.theory.selforganizing._equilibria import mean_shift as mean_shift
from neuromanifold.theory.selforganizing._equilibria import online_shift as online_shift
from neuromanifold.theory.selforganizing._equilibria import oscillation_kappa as oscillation_kappa
from neuromanifold.theory.selforganizing._equilibria import plain_equilibrium as plain_equilibrium
from neuromanifold.theory.selforganizing._equilibria import two_point_descent as two_point_descent
from neuromanifold.theory.selforganizing._magnification import fitted_exponent as fitted_exponent
from neuromanifold.theory.selforganizing._magnification import gaussian_kernel as gaussian_kernel
from neuromanifold.theory.selforganizing._magnification import gaussian_moment as gaussian_moment
from neuromanifold.theory.selforganizing._magnification import gaussian_radius as gaussian_radius
from neuromanifold.theory.selforganizing._magnification import (
    magnification_exponent as magnification_exponent,
)
from neuromanifold.theory.selforganizing._magnification import second_moment as second_moment
from neuromanifold.theory.selforganizing._magnification import settled_map as settled_map
from neuromanifold.theory.selforganizing._quantisation import least_distortion as least_distortion
from neuromanifold.theory.selforganizing._quantisation import square_distortion as square_distortion
from neuromanifold.theory.selforganizing._rough_order import mean_step as mean_step
from neuromanifold.theory.selforganizing._rough_order import rough_deviation as rough_deviation
from neuromanifold.theory.selforganizing._topography import OrderedMap as OrderedMap
from neuromanifold.theory.selforganizing._topography import band_width as band_width
from neuromanifold.theory.selforganizing._topography import hat_kernel as hat_kernel
from neuromanifold.theory.selforganizing._topography import learning_kernel as learning_kernel
from neuromanifold.theory.selforganizing._topography import ordered_map as ordered_map
from neuromanifold.theory.selforganizing._topography import sharp_wave_rate as sharp_wave_rate
