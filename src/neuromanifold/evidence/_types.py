"""The nouns of a comparison: what was measured, what was expected, and what was concluded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


class EvidenceError(ValueError):
    """A comparison that cannot be made: unfit numbers."""


class UndecidedError(EvidenceError):
    """A claim that the samples at hand cannot decide; never a pass."""


def _real(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise EvidenceError(f"{name} must be finite, got {value!r}.")
    array = array.copy()
    array.setflags(write=False)
    return array


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Estimate:
    """A measured number (or an array of them) with its standard error and sample size.

    Args:
        mean: the measured value, any shape.
        standard_error: standard deviation of `mean` over repetitions of the whole measurement, >= 0,
            broadcastable to the shape of `mean`.
        n: number of samples behind it, >= 1.
        correlation_time: integrated autocorrelation time in samples, >= 1 for independent ones;
            `n / correlation_time` samples are effectively independent.

    Raises:
        EvidenceError: a value is not finite, a standard error is negative, or n < 1.
    """

    mean: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    n: int
    correlation_time: float

    def __init__(
        self, mean: ArrayLike, standard_error: ArrayLike, n: int, correlation_time: float = 1.0
    ) -> None:
        mean = _real("mean", mean)
        error = _real("standard_error", np.broadcast_to(np.asarray(standard_error), mean.shape))
        if np.any(error < 0):
            raise EvidenceError(f"standard_error must be >= 0, got {standard_error!r}.")
        if n < 1:
            raise EvidenceError(f"n must be >= 1, got {n!r}.")
        if not correlation_time > 0:
            raise EvidenceError(f"correlation_time must be > 0, got {correlation_time!r}.")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "standard_error", error)
        object.__setattr__(self, "n", int(n))
        object.__setattr__(self, "correlation_time", float(correlation_time))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the measured array; () for a number."""
        return self.mean.shape

    def __getitem__(self, index: object) -> Estimate:
        return Estimate(self.mean[index], self.standard_error[index], self.n, self.correlation_time)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def __iter__(self) -> Iterator[Estimate]:
        return (self[i] for i in range(len(self.mean)))

    def __str__(self) -> str:
        if self.shape:
            return f"Estimate of shape {self.shape}, n = {self.n}"
        return f"{format_with_error(float(self.mean), float(self.standard_error))} (n = {self.n})"


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Prediction:
    """A number of the theory (or an array of them) with the size of its own known error.

    Args:
        value: what the theory says.
        error: a bound on what the theory leaves out (finite size, truncation, quadrature), >= 0.
        reason: where `error` comes from; required when any error is above zero.

    Raises:
        EvidenceError: a value is not finite, an error is negative, or an error comes without a reason.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    reason: str

    def __init__(self, value: ArrayLike, error: ArrayLike = 0.0, reason: str = "") -> None:
        value = _real("value", value)
        bound = _real("error", np.broadcast_to(np.asarray(error), value.shape))
        if np.any(bound < 0):
            raise EvidenceError(f"error must be >= 0, got {error!r}.")
        if np.any(bound > 0) and not reason:
            raise EvidenceError("reason must say where a prediction's error comes from, got ''.")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "error", bound)
        object.__setattr__(self, "reason", reason)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the predicted array; () for a number."""
        return self.value.shape

    def __getitem__(self, index: object) -> Prediction:
        return Prediction(self.value[index], self.error[index], self.reason)  # pyright: ignore[reportCallIssue, reportArgumentType]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement with what was expected, what was measured, and the verdict.

    Args:
        statement: one sentence a reader can check.
        system: number of the system in the specification ("A25", "D7").
        kind: "agrees", "at least", "at most", "scales" or "never".
        expected: the number of the theory, or the bound.
        measured: the number of the simulation.
        standard_error: of `measured`.
        tolerance: the largest |measured - expected| (or the margin past the bound) that still holds.
        reason: how the tolerance was derived.
        holds: the verdict.
    """

    statement: str
    system: str
    kind: str
    expected: float
    measured: float
    standard_error: float
    tolerance: float
    reason: str
    holds: bool


def format_with_error(value: float, error: float) -> str:
    """Write a number with its standard error to two digits of the error: `0.9983 ± 0.0012`."""
    if error <= 0 or not math.isfinite(error):
        return f"{value:.6g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    if digits > 9 or abs(value) >= 1e7:
        return f"{value:.6g} ± {error:.2g}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"
