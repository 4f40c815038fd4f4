"""Estimates with honest standard errors, from independent samples, counts and correlated series.

The standard error of a mean of n samples of a stationary series with autocorrelation rho(t) is
sqrt(variance * tau / n), tau = 1 + 2 sum_{t>=1} rho(t). The sum is cut by Geyer's initial monotone sequence:
sums of neighbouring pairs rho(2k) + rho(2k+1), which are positive and falling for a reversible chain, are
taken while they are positive, none larger than the one before (Geyer 1992, section 3.3); rho is averaged over
chains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold.evidence._types import Estimate, EvidenceError, UndecidedError


def estimate(samples: ArrayLike, axis: int = 0) -> Estimate:
    """Mean and standard error s/sqrt(n) of independent samples along an axis.

    Args:
        samples: array with n >= 2 independent repetitions along `axis`; other axes are kept.
        axis: the axis of repetitions.

    Raises:
        UndecidedError: fewer than two samples.
        EvidenceError: a sample is not finite.
    """
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim and not -array.ndim <= axis < array.ndim:
        raise EvidenceError(f"axis must name one of the {array.ndim} axes of samples, got {axis!r}.")
    if not np.all(np.isfinite(array)):
        raise EvidenceError("samples must be finite, got one that is not.")
    n = array.shape[axis] if array.ndim else 1
    if n < 2:
        raise UndecidedError(f"samples must hold at least 2 repetitions to have a standard error, got {n}.")
    return Estimate(array.mean(axis), array.std(axis, ddof=1) / math.sqrt(n), n)


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


def autocorrelation(chains: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Normalised autocorrelation rho(0..n-1) of a stationary series, averaged over chains.

    Args:
        chains: shape (n_chains, n). One chain is centred by its own mean, several by their common mean.
    """
    chains = np.asarray(chains, dtype=np.float64)
    n = chains.shape[1]
    centred = chains - chains.mean()
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=1)[:, :n].mean(0) / n
    if covariance[0] <= 0:
        return np.eye(1, n)[0]
    return covariance / covariance[0]


def correlation_time(chains: NDArray[np.floating[Any]]) -> float:
    """Integrated autocorrelation time tau in samples, by Geyer's initial monotone sequence.

    Args:
        chains: shape (n_chains, n).
    """
    rho = autocorrelation(chains)
    even = len(rho) // 2 * 2
    pairs = rho[:even].reshape(-1, 2).sum(1)
    stop = int(np.argmax(pairs <= 0)) if np.any(pairs <= 0) else len(pairs)
    return float(max(2.0 * np.minimum.accumulate(pairs[:stop]).sum() - 1.0, 1.0 / np.size(chains)))


def estimate_series(chains: ArrayLike, least_effective: float = 10.0) -> Estimate:
    """Mean of stationary, autocorrelated series with the standard error sqrt(variance tau / n).

    Args:
        chains: shape (n,) for one series or (n_chains, n) for several, burn-in already removed.
        least_effective: fewest effectively independent samples n / tau that are taken for an estimate.

    Raises:
        UndecidedError: the series is too short for its own correlation time.
        EvidenceError: a value is not finite or the shape is not (n,) or (n_chains, n).
    """
    array = np.atleast_2d(np.asarray(chains, dtype=np.float64))
    if array.ndim != 2:
        raise EvidenceError(f"chains must have shape (n,) or (n_chains, n), got {np.shape(chains)}.")
    if not np.all(np.isfinite(array)):
        raise EvidenceError("chains must be finite, got a value that is not.")
    tau = correlation_time(array)
    n = array.size
    if n / tau < least_effective:
        raise UndecidedError(
            f"chains must hold at least {least_effective:g} correlation times, got {n / tau:.3g} "
            f"(n = {n}, correlation time {tau:.3g})."
        )
    variance = array.var() / (1.0 - min(tau / n, 0.5))
    return Estimate(array.mean(), math.sqrt(variance * tau / n), n, tau)
