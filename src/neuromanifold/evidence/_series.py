"""Correlated series: how fast a chain forgets, whether it has mixed, and the mean it then allows.

The standard error of a mean of n samples of a stationary series with autocorrelation rho(t) is
sqrt(variance * tau / n), tau = 1 + 2 sum_{t>=1} rho(t). The sum is cut by Geyer's initial monotone sequence:
sums of neighbouring pairs rho(2k) + rho(2k+1), which are positive and falling for a reversible chain, are
taken while they are positive, none larger than the one before (Geyer 1992, section 3.3); rho is averaged over
chains.

Several chains tell more than one. Each is cut into halves of n' samples; with W the mean variance inside a
half and B/n' the variance of the means of halves,

    R-hat^2 = (n' - 1)/n' + B/(n' W),     about 1 + tau/n' for chains that have mixed,

so R-hat < 1.1 says that a chain holds ten correlation times, and one that is still where it began does not
pass. Many chains that all begin alike and drift together are told by the difference of the two halves' means,
whose standard error is twice that of the whole.

Source: Geyer 1992, Stat. Sci. 7:473; Gelman and Rubin 1992, Stat. Sci. 7:457; halves: Gelman et al. 2013,
Bayesian Data Analysis, section 11.4.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold.evidence._types import Estimate, EvidenceError, UndecidedError

# R-hat of chains of ten correlation times, five in each half: sqrt(1 + 1/5).
LARGEST_R_HAT = 1.1
# Standard errors by which the means of the two halves may differ.
_SIGMAS = 5.0


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


class Mixing(NamedTuple):
    """Whether chains have mixed.

    Args:
        correlation_time: integrated autocorrelation time, in samples.
        n_chains: chains.
        n_samples: samples of each.
        effective: effectively independent samples of all chains, n_chains * n_samples / correlation_time.
        r_hat: spread of all halves of chains over the spread inside them, 1 for a law that each has seen.
        drift: mean of the second halves less that of the first, in its standard errors.
    """

    correlation_time: float
    n_chains: int
    n_samples: int
    effective: float
    r_hat: float
    drift: float

    def complaint(self, least_effective: float = 10.0) -> str | None:
        """One sentence on why no statistics can be had from these chains yet; None where they can.

        Args:
            least_effective: fewest effectively independent samples wanted.
        """
        n, tau = self.n_chains * self.n_samples, self.correlation_time
        if self.effective < least_effective:
            return (
                f"chains must hold at least {least_effective:g} correlation times, got {self.effective:.3g} "
                f"(n = {n}, correlation time {tau:.3g})."
            )
        where = f"{self.n_chains} chains of {self.n_samples} samples, correlation time {tau:.3g}"
        if self.n_chains > 1 and self.r_hat > LARGEST_R_HAT:
            return (
                f"chains must have mixed, R-hat <= {LARGEST_R_HAT:g}, got R-hat {self.r_hat:.3g} ({where})."
            )
        if abs(self.drift) > _SIGMAS:
            return (
                f"chains must have left their beginning behind, got second halves {self.drift:+.3g} standard "
                f"errors from the first ({where})."
            )
        return None


def mixing(chains: ArrayLike) -> Mixing:
    """How far chains have mixed.

    Args:
        chains: shape (n,) for one series or (n_chains, n) for several, n >= 4, burn-in already removed.

    Raises:
        EvidenceError: a value is not finite, or the shape is another.

    >>> import numpy as np
    >>> from neuromanifold.evidence import mixing
    >>> stuck = np.random.default_rng(0).normal(size=(4, 200)) + [[0.0], [0.0], [3.0], [3.0]]
    >>> found = mixing(stuck)
    >>> bool(found.r_hat > 1.5), found.complaint() is None
    (True, False)
    """
    array = np.atleast_2d(np.asarray(chains, dtype=np.float64))
    if not np.all(np.isfinite(array)):
        raise EvidenceError("chains must be finite, got a value that is not.")
    if array.ndim != 2 or array.shape[1] < 4:
        raise EvidenceError(
            f"chains must have shape (n,) or (n_chains, n) with n >= 4, got {np.shape(chains)}."
        )
    n_chains, n = array.shape
    tau = correlation_time(array)
    half = n // 2
    halves = np.stack([array[:, :half], array[:, n - half :]])
    within = halves.var(-1, ddof=1).mean()
    between = halves.mean(-1).var(ddof=1)
    if within > 0:
        r_hat = math.sqrt((half - 1) / half + between / within)
    else:
        r_hat = 1.0 if between == 0 else math.inf
    first, second = halves.mean((1, 2))
    error = math.sqrt(_variance(array, tau) * tau / array.size)
    drift = 0.0 if second == first else float((second - first) / (2.0 * error)) if error > 0 else math.inf
    return Mixing(tau, n_chains, n, array.size / tau, r_hat, drift)


def _variance(array: NDArray[np.float64], tau: float) -> float:
    return float(array.var() / (1.0 - min(tau / array.size, 0.5)))


def estimate_series(chains: ArrayLike, least_effective: float = 10.0) -> Estimate:
    """Mean of stationary, autocorrelated series with the standard error sqrt(variance tau / n).

    Chains that have not mixed are refused; the message gives their correlation time. See `mixing`.

    Args:
        chains: shape (n,) for one series or (n_chains, n) for several, n >= 4, burn-in already removed.
        least_effective: fewest effectively independent samples n / tau that are taken for an estimate.

    Raises:
        UndecidedError: the series is too short for its own correlation time, the chains differ from each
            other (R-hat above 1.1), or they still drift.
        EvidenceError: a value is not finite or the shape is not (n,) or (n_chains, n).
    """
    found = mixing(chains)
    complaint = found.complaint(least_effective)
    if complaint is not None:
        raise UndecidedError(complaint)
    array = np.asarray(chains, dtype=np.float64)
    tau = found.correlation_time
    error = math.sqrt(_variance(array, tau) * tau / array.size)
    return Estimate(array.mean(), error, array.size, tau)
