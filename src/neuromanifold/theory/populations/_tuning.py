"""Information of cells tuned at random, averaged over all tunings: category first, detail later, as built in.

A cell fires at the rate

    r_d(t) = b exp( g(t - t_c) A_g(d) + g(t - t_d) D_d ),      g(t) = min(max(t / rise, 0), 1),

d the detail that is shown, g(d) its category; log b, A and D are independent and Gaussian. Its count in a
window is Poisson with the integral of the rate as mean, so that its information is exact given the tuning
(see `_poisson`). The average over the tunings, a Gaussian integral in 1 + n_categories + n_details
dimensions, is by scrambled Sobol points; the spread over independent scrambles is its error.

Units: rates in spikes a second, times in milliseconds.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, qmc

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.theory.populations._poisson import CountInformation, count_information

# The integral of a rate is by the midpoint rule on pieces of this length, in milliseconds.
_PIECE = 0.5


class TunedInformation(NamedTuple):
    """Averages over tunings, shape (n_windows,).

    Args:
        mean: of each quantity of `CountInformation`.
        error: standard errors of these averages.
    """

    mean: CountInformation
    error: CountInformation


def tuned_information(
    starts: ArrayLike,
    width: float,
    n_samples: ArrayLike,
    groups: ArrayLike,
    *,
    n_levels: int,
    baseline: float,
    baseline_spread: float,
    category_strength: float,
    detail_strength: float,
    category_latency: float,
    detail_latency: float,
    rise: float,
    log2_points: int = 8,
    n_scrambles: int = 8,
) -> TunedInformation:
    """Mean information of a cell in windows, over cells with random tuning.

    Args:
        starts: beginnings of the windows, in milliseconds, >= 0, shape (n_windows,).
        width: of the windows, in milliseconds, > 0.
        n_samples: samples of each detail, > 0, shape (n_details,).
        groups: category of each detail, integers from 0, shape (n_details,).
        n_levels: see `count_information`.
        baseline: median of b in spikes a second, > 0.
        baseline_spread: standard deviation of log b, >= 0.
        category_strength: standard deviation of A, >= 0.
        detail_strength: standard deviation of D, >= 0.
        category_latency: t_c in milliseconds, >= 0.
        detail_latency: t_d in milliseconds, >= 0.
        rise: in milliseconds, > 0.
        log2_points: logarithm of the points of a scramble, in [1, 20].
        n_scrambles: >= 2.

    Raises:
        ValueError: an argument outside its range.
    """
    first = check_finite("starts", starts).astype(np.float64)
    require(first.ndim == 1 and (first >= 0).all(), "starts", "have shape (n_windows,), >= 0", starts)
    width = check_real("width", width, 0, open_low=True)
    owner = np.asarray(groups)
    require(owner.dtype.kind in "iu" and (owner >= 0).all(), "groups", "be integers >= 0", groups)
    baseline = check_real("baseline", baseline, 0, open_low=True)
    rise = check_real("rise", rise, 0, open_low=True)
    category_latency = check_real("category_latency", category_latency, 0)
    detail_latency = check_real("detail_latency", detail_latency, 0)
    strengths = [
        check_real(name, value, 0)
        for name, value in (
            ("baseline_spread", baseline_spread),
            ("category_strength", category_strength),
            ("detail_strength", detail_strength),
        )
    ]
    check_integer("log2_points", log2_points, 1, 20)
    n_scrambles = check_integer("n_scrambles", n_scrambles, 2)

    n_categories, n_details = int(owner.max()) + 1, len(owner)
    edges = np.unique(np.concatenate([first, first + width]))
    pieces = [np.linspace(a, b, 1 + max(1, round((b - a) / _PIECE))) for a, b in itertools.pairwise(edges)]
    grid = np.unique(np.concatenate(pieces))
    middle, length = (grid[1:] + grid[:-1]) / 2, np.diff(grid) / 1000.0
    grown = [np.clip((middle - latency) / rise, 0.0, 1.0) for latency in (category_latency, detail_latency)]
    where = np.searchsorted(grid, first), np.searchsorted(grid, first + width)

    def information(normal: NDArray[np.float64]) -> CountInformation:
        b = baseline * np.exp(strengths[0] * normal[:, 0])
        a = strengths[1] * normal[:, 1 : 1 + n_categories][:, owner]
        d = strengths[2] * normal[:, 1 + n_categories :]
        total = np.zeros((len(grid), *a.shape))
        exponent = grown[0][:, None, None] * a[None] + grown[1][:, None, None] * d[None]
        np.cumsum(np.exp(exponent) * length[:, None, None], axis=0, out=total[1:])
        means = b[None, :, None] * (total[where[1]] - total[where[0]])
        return count_information(means, n_samples, owner, n_levels)

    averages = []
    for scramble in range(n_scrambles):
        sobol = qmc.Sobol(1 + n_categories + n_details, rng=np.random.default_rng(scramble))
        found = information(norm.ppf(np.clip(sobol.random_base2(log2_points), 1e-12, 1 - 1e-12)))
        averages.append([values.mean(-1) for values in found])
    samples = np.array(averages)
    error = samples.std(0, ddof=1) / np.sqrt(n_scrambles)
    return TunedInformation(CountInformation(*samples.mean(0)), CountInformation(*error))
