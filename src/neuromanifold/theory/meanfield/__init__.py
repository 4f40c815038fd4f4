"""Mean-field theory of wide random networks: order parameters of signals, layer by layer."""

from neuromanifold.theory.meanfield._activation import Activation as Activation
from neuromanifold.theory.meanfield._activation import activation as activation
from neuromanifold.theory.meanfield._boundary import critical_line as critical_line
from neuromanifold.theory.meanfield._boundary import critical_sigma_w as critical_sigma_w
from neuromanifold.theory.meanfield._finite_width import FiniteWidthLayer as FiniteWidthLayer
from neuromanifold.theory.meanfield._finite_width import Fluctuations as Fluctuations
from neuromanifold.theory.meanfield._finite_width import finite_width_process as finite_width_process
from neuromanifold.theory.meanfield._fixed_points import FixedPoint as FixedPoint
from neuromanifold.theory.meanfield._fixed_points import depth_scale as depth_scale
from neuromanifold.theory.meanfield._fixed_points import fixed_point as fixed_point
from neuromanifold.theory.meanfield._maps import activity_map as activity_map
from neuromanifold.theory.meanfield._maps import chi_1 as chi_1
from neuromanifold.theory.meanfield._maps import chi_c as chi_c
from neuromanifold.theory.meanfield._maps import chi_q as chi_q
from neuromanifold.theory.meanfield._maps import covariance_map as covariance_map
from neuromanifold.theory.meanfield._maps import distance_map as distance_map
from neuromanifold.theory.meanfield._maps import length_map as length_map
from neuromanifold.theory.meanfield._processes import LengthLayer as LengthLayer
from neuromanifold.theory.meanfield._processes import PairLayer as PairLayer
from neuromanifold.theory.meanfield._processes import PairState as PairState
from neuromanifold.theory.meanfield._processes import correlation_process as correlation_process
from neuromanifold.theory.meanfield._processes import length_process as length_process
from neuromanifold.theory.meanfield._quadrature import Expectation as Expectation
from neuromanifold.theory.meanfield._quadrature import gaussian_expectation as gaussian_expectation
from neuromanifold.theory.meanfield._quadrature import gaussian_pair_expectation as gaussian_pair_expectation
