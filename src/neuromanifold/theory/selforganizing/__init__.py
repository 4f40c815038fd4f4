"""Theory of networks that organise themselves."""

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
