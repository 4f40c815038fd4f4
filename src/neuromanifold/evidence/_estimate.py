"""Estimates with honest standard errors, from independent samples and from counts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from neuromanifold.evidence._types import Estimate, EvidenceError, UndecidedError


def estimate(samples: ArrayLike, axis: int = 0, least: ArrayLike = 0.0) -> Estimate:
    """Mean and standard error s/sqrt(n) of independent samples along an axis.

    Args:
        samples: array with n >= 2 independent repetitions along `axis`; other axes are kept.
        axis: the axis of repetitions.
        least: smallest standard error to claim, >= 0, of a shape that broadcasts to what is kept. Samples
            that are all alike because no failure was seen among N trials do not rule one out in 1/N.

    Raises:
        UndecidedError: fewer than two samples.
        EvidenceError: a sample is not finite, or `least` is no number >= 0 or does not fit.
    """
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim and not -array.ndim <= axis < array.ndim:
        raise EvidenceError(f"axis must name one of the {array.ndim} axes of samples, got {axis!r}.")
    if not np.all(np.isfinite(array)):
        raise EvidenceError("samples must be finite, got one that is not.")
    n = array.shape[axis] if array.ndim else 1
    if n < 2:
        raise UndecidedError(f"samples must hold at least 2 repetitions to have a standard error, got {n}.")
    smallest, mean = np.asarray(least, dtype=np.float64), array.mean(axis)
    if not np.all(np.isfinite(smallest) & (smallest >= 0)):
        raise EvidenceError(f"least must be a number >= 0, got {least!r}.")
    lengths = zip(reversed(smallest.shape), reversed(mean.shape), strict=False)
    if smallest.ndim > mean.ndim or any(k not in (1, m) for k, m in lengths):
        raise EvidenceError(f"least must fit the shape {mean.shape} of what is kept, got {smallest.shape}.")
    return Estimate(mean, np.maximum(array.std(axis, ddof=1) / math.sqrt(n), smallest), n)


def proportion(successes: int, n: int) -> Estimate:
    """Fraction of successes in n independent trials, standard error by Agresti and Coull (1998).

    The centre stays successes/n; the error is that of (successes + 2)/(n + 4), so that 0 or n successes
    do not claim certainty.

    Args:
        successes: of the trials, in [0, n].
        n: independent trials, >= 1.

    Raises:
        UndecidedError: n < 1.
        EvidenceError: successes outside [0, n].
    """
    if n < 1:
        raise UndecidedError(f"n must be >= 1 to estimate a proportion, got {n!r}.")
    if not 0 <= successes <= n:
        raise EvidenceError(f"successes must lie in [0, n] = [0, {n}], got {successes!r}.")
    shifted = (successes + 2.0) / (n + 4.0)
    return Estimate(successes / n, math.sqrt(shifted * (1.0 - shifted) / (n + 4.0)), n)
