"""The first step of a sparse memory of finite size, by the exact law of a unit's field.

P patterns of exactly n ones among N units, f = n/N, J_ij = (1/(N f (1-f))) sum_mu (xi_i^mu - f)(xi_j^mu - f),
i != j. A cue has c ones, K of them ones of pattern 1 and F of them its zeros; a unit sees c' of them, c or,
in the cue itself, c - 1. Its field is N f (1-f) h = S + X_2 + ... + X_P with

    S = (xi - f) (K' (1-f) - F' f)                 the pattern's own share, without the unit itself
    X = (y - f)(k - f c'),   P(y = 1) = f          what each other pattern adds
    k | y ~ Hypergeometric(N - 1, n - y, c')       how many of its ones the cue has.

The X are independent and of one law. The law of their sum comes from its characteristic function
phi(t)^(P-1), without any limit: where a cue has few ones k is 0 or 1 as a rule, and the sum is far from
Gaussian unless P is large. A fixed threshold makes a unit fire with P(h > theta). With control of the
activity the n units of largest field fire; unit i does where fewer than n others lie above,

    P(i fires) = int dP(h_i = h) P(B(h) < n),   B(h) a sum of independent 0/1 of means P(h_j > h).

This takes the fields of two units for independent. They are so but for the cue's k^mu that they share: the
noise has the variance f (1-f) sum_mu (k^mu - f c)^2, which differs from cue to cue by the fraction
delta = sqrt((kurtosis(k) - 1)/(P-1)). `error` is what a change by +-delta makes of the overlap on average;
under a fixed threshold the mean is exact and the error 0.

Symbols: f activity; k common ones; S signal; B number of others above; delta spread of the noise.

Source: derived above. Infinite N: Tsodyks and Feigelman 1988, Europhys. Lett. 6:101; control of the activity
Amari 1989, Neural Networks 2:451.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.stats import hypergeom

from neuromanifold._base import check_integer, check_real, require

_HALF_WIDTH = 12.0  # of the law's support, in standard deviations
_SMOOTHING = 0.01  # of a lattice of fields, in standard deviations: equal fields fire by halves
_LEVELS = 64  # at which the number of others above is counted
_FINE = 4096  # of which they are chosen
_BLOCK = 1 << 21  # complex numbers held at a time


class SparseStep(NamedTuple):
    """One step of a cue, on average over patterns.

    Args:
        overlap: m = hits - false alarms.
        hits: fraction of the pattern's ones that fire.
        false_alarms: fraction of its zeros that fire.
        error: of the overlap, because units share the cue's noise.
    """

    overlap: float
    hits: float
    false_alarms: float
    error: float


class _Group(NamedTuple):
    """Units of one law: how many, whether ones of the pattern, and their fields' law."""

    size: int
    is_one: bool
    signal: float
    noise: NDArray[np.float64]
    above: NDArray[np.float64]

    def survival(self, level: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """P(h > level), the noise `scale` times as large."""
        return np.interp((level - self.signal) / scale, self.noise, self.above, left=1.0, right=0.0)


def sparse_finite_step(
    n_units: int,
    n_patterns: int,
    n_ones: int,
    n_hits: int,
    n_false: int = 0,
    threshold: float | None = None,
) -> SparseStep:
    """Overlap after one synchronous step, for a network of any size.

    Args:
        n_units: N.
        n_patterns: P >= 2.
        n_ones: ones of every pattern, in [1, N - 1].
        n_hits: K, ones of the pattern that the cue has, in [0, n_ones].
        n_false: F, ones of the cue that are zeros of the pattern, in [0, N - n_ones].
        threshold: theta; None: the n_ones units of largest field fire.

    Raises:
        ValueError: a number outside its range, or a cue with fewer than two ones.

    >>> from neuromanifold.theory.memory import sparse_finite_step, sparse_first_step
    >>> round(sparse_finite_step(2000, 1278, 40, 12).overlap, 4)
    0.9213
    >>> float(sparse_first_step(0.639, 0.02, 0.3, exact=True).overlap.round(4))  # N -> infinity
    0.9569
    """
    n_units = check_integer("n_units", n_units, 3)
    n_patterns = check_integer("n_patterns", n_patterns, 2)
    n_ones = check_integer("n_ones", n_ones, 1, n_units - 1)
    n_hits = check_integer("n_hits", n_hits, 0, n_ones)
    n_false = check_integer("n_false", n_false, 0, n_units - n_ones)
    require(n_hits + n_false >= 2, "n_hits", "leave a cue of two ones or more", n_hits)
    members = (
        (True, True, n_hits),
        (True, False, n_false),
        (False, True, n_ones - n_hits),
        (False, False, n_units - n_ones - n_false),
    )
    groups = [
        _group(n_units, n_patterns, n_ones, (n_hits, n_false), in_cue, is_one, count)
        for in_cue, is_one, count in members
        if count
    ]
    if threshold is not None:
        level = np.array([check_real("threshold", threshold)])
        hits, false = (
            sum(group.size * float(group.survival(level, 1.0)[0]) for group in groups if group.is_one == ones)
            for ones in (True, False)
        )
        hits, false = hits / n_ones, false / (n_units - n_ones)
        return SparseStep(hits - false, hits, false, 0.0)
    spread = _spread(n_units, n_patterns, n_ones, n_hits + n_false)
    hits, less, more = (_hits(groups, n_units, n_ones, np.exp(d / 2.0)) for d in (0.0, -spread, spread))
    gap = n_units - n_ones
    overlap, per_hit = hits - (1.0 - hits) * n_ones / gap, n_units / gap
    return SparseStep(
        overlap, hits, (1.0 - hits) * n_ones / gap, per_hit * abs(less + more - 2.0 * hits) / 2.0
    )


def _group(
    n_units: int, n_patterns: int, n_ones: int, cue: tuple[int, int], in_cue: bool, is_one: bool, size: int
) -> _Group:
    """Law of the field of units inside or outside the cue and the pattern."""
    f = n_ones / n_units
    scale = n_units * f * (1.0 - f)
    n_hits, n_false = cue[0] - (in_cue and is_one), cue[1] - (in_cue and not is_one)
    n_seen = n_hits + n_false
    signal = (is_one - f) * (n_hits * (1.0 - f) - n_false * f)
    # What a pattern without the unit adds, and one with it; (has, values at all k, their chances).
    k = np.arange(min(n_seen, n_ones) + 1)
    parts = [
        (has, (has - f) * (k - f * n_seen), chance * hypergeom.pmf(k, n_units - 1, n_ones - has, n_seen))
        for has, chance in ((0, 1.0 - f), (1, f))
    ]
    mean = sum(float(chance @ values) for _, values, chance in parts)
    variance = sum(float(chance @ (values - mean) ** 2) for _, values, chance in parts)
    deviation = float(np.sqrt(variance * (n_patterns - 1)))
    # Fourier inversion on a circle of length 2 * _HALF_WIDTH standard deviations.
    step = np.pi / _HALF_WIDTH
    t = step * np.arange(int(8.0 / _SMOOTHING / step))
    turned = t / deviation
    one = np.zeros(t.size, complex)
    for has, values, chance in parts:
        powers = polyval(np.exp(1j * (has - f) * turned), chance)
        one += powers * np.exp(1j * turned * (values[0] - mean))
    transform = one ** (n_patterns - 1) * np.exp(-((_SMOOTHING * t) ** 2) / 2.0)
    length = 1 << int(np.ceil(np.log2(2 * t.size)))
    padded = np.zeros(length // 2 + 1, complex)
    padded[: t.size] = np.conj(transform * np.exp(1j * _HALF_WIDTH * t))
    chance = np.maximum(np.fft.irfft(padded, length), 0.0)
    chance /= chance.sum()
    noise = deviation * _HALF_WIDTH * (2.0 * np.arange(length) / length - 1.0)
    above = np.clip(1.0 - np.cumsum(chance) + chance / 2.0, 0.0, 1.0)
    return _Group(size, is_one, (signal + mean * (n_patterns - 1)) / scale, noise / scale, above)


def _spread(n_units: int, n_patterns: int, n_ones: int, n_seen: int) -> float:
    """delta: relative standard deviation, over cues, of the variance of the noise."""
    k = np.arange(min(n_seen, n_ones) + 1)
    chance = hypergeom.pmf(k, n_units, n_ones, n_seen)
    second, fourth = (chance @ (k - n_ones * n_seen / n_units) ** power for power in (2, 4))
    if second == 0:  # a cue of all units
        return 0.0
    return float(np.sqrt((fourth / second**2 - 1.0) / (n_patterns - 1)))


def _hits(groups: list[_Group], n_units: int, n_ones: int, scale: float) -> float:
    """Fraction of the ones among the n_ones units of largest field."""
    low = min(group.signal + scale * group.noise[0] for group in groups)
    high = max(group.signal + scale * group.noise[-1] for group in groups)
    fine = np.linspace(low, high, _FINE)
    above = [group.survival(fine, scale) for group in groups]
    expected = sum(group.size * each for group, each in zip(groups, above, strict=True))
    # Levels evenly spaced in the number above that is expected, many of its standard deviations to both
    # sides, and as many evenly spaced in between: a gap between ones and zeros has no units, but has edges.
    reach = 9.0 * np.sqrt(n_ones) + 9.0
    wanted = np.linspace(min(n_ones + reach, n_units), max(n_ones - reach, 0.0), _LEVELS)
    by_number = np.interp(-wanted, -expected, fine)
    levels = np.union1d(by_number, np.linspace(by_number[0], by_number[-1], _LEVELS))
    at_levels = [group.survival(levels, scale) for group in groups]
    middle = np.clip((fine[1:] + fine[:-1]) / 2.0, levels[0], levels[-1])
    hits = 0.0
    for index, group in enumerate(groups):
        if group.is_one:
            others = [each.size - (each is group) for each in groups]
            fires = PchipInterpolator(levels, _fewer(others, at_levels, n_units - 1, n_ones))(middle)
            hits += group.size * float(-np.diff(above[index]) @ fires)
    return hits / n_ones


def _fewer(
    counts: list[int], means: list[NDArray[np.float64]], n_others: int, limit: int
) -> NDArray[np.float64]:
    """P(B < limit) at every level, B the sum of `counts` independent 0/1 of `means`."""
    size = 1 << int(np.ceil(np.log2(n_others + 1)))
    turned = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size) - 1.0
    made = []
    rows = max(1, _BLOCK // turned.size)
    for start in range(0, means[0].size, rows):
        generating = np.ones((1, 1), complex)
        for count, mean in zip(counts, means, strict=True):
            generating = generating * (1.0 + np.outer(mean[start : start + rows], turned)) ** count
        made.append(np.fft.irfft(generating, size, axis=1)[:, :limit].sum(1))
    return np.clip(np.concatenate(made), 0.0, 1.0)
