"""Centres of receptive fields that begin with noise and a rough order: how far they scatter.

A cell has an afferent from each of N inputs on the unit torus of D dimensions, uniform in [0, 1] plus a
Gaussian h exp(-|y - x|^2/(2 w^2)) in place. Its centre along an axis is the angle of the first Fourier
component

    z = sum_i s_i exp(2 pi i y_i) = exp(2 pi i x) (S + noise),     S = N h (sqrt(2 pi) w)^D exp(-2 pi^2 w^2),

whose noise has the variance N/24 along each of two directions, the mean of the uniform part dropping out. For
S far above the noise the centre is normal with the standard deviation

    sigma = sqrt(N/24)/(2 pi S)

in lengths of the torus, the next term of sigma^2 being smaller by (2 pi sigma)^2. Neighbouring cells, mu
apart, have centres that differ by a normal step of mean mu and variance 2 sigma^2.

Source: moments of the uniform law; the angle of a complex number with small noise.
"""

from __future__ import annotations

import math

from scipy.special import ndtr

from neuromanifold._base import check_integer, check_real


def rough_deviation(n_inputs: int, height: float, width: float, n_dims: int = 1) -> float:
    """Standard deviation sigma of the centre of a cell along one axis, in lengths of the torus.

    Args:
        n_inputs: N >= 3, in all.
        height: h > 0.
        width: w in (0, 1/2), wide against the distance of two inputs.
        n_dims: D >= 1.

    Raises:
        ValueError: an argument outside its range.
    """
    n = check_integer("n_inputs", n_inputs, 3)
    h = check_real("height", height, 0.0, open_low=True)
    w = check_real("width", width, 0.0, 0.5, open_low=True, open_high=True)
    d = check_integer("n_dims", n_dims, 1)
    signal = n * h * (math.sqrt(2 * math.pi) * w) ** d * math.exp(-2 * (math.pi * w) ** 2)
    return math.sqrt(n / 24) / (2 * math.pi * signal)


def mean_step(apart: float, deviation: float) -> float:
    """Mean length of a step between neighbours on a ring: E|mu + sqrt(2) sigma Z|, Z standard normal.

    Args:
        apart: mu >= 0.
        deviation: sigma > 0.

    Raises:
        ValueError: an argument outside its range.
    """
    mu = check_real("apart", apart, 0.0)
    spread = math.sqrt(2) * check_real("deviation", deviation, 0.0, open_low=True)
    bell = spread * math.sqrt(2 / math.pi) * math.exp(-((mu / spread) ** 2) / 2)
    return bell + mu * (1 - 2 * float(ndtr(-mu / spread)))
