"""Verdicts. Every comparison says how large a difference it could have missed.

agrees      |measured - expected| <= sigmas * standard_error + error of the theory
at least    measured >= bound, decided at `sigmas` standard errors
at most     measured <= bound, decided at `sigmas` standard errors
scales      the exponent of a power law, fitted with weights, agrees
never       no event in n trials, n large enough to have shown events of a stated rate
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from neuromanifold.evidence._types import Claim, Estimate, EvidenceError, Prediction, UndecidedError


def _scalar(name: str, item: Estimate | Prediction) -> None:
    if item.shape:
        raise EvidenceError(f"{name} must be a single number, got shape {item.shape}; index it first.")


def compare(
    prediction: Prediction,
    measured: Estimate,
    *,
    statement: str,
    system: str,
    resolution: float,
    sigmas: float = 5.0,
) -> Claim:
    """Whether a measured number agrees with a predicted one.

    holds  <=>  |measured - expected| <= sigmas * standard_error + prediction.error

    Args:
        prediction: the number of the theory with its own error.
        measured: the number of the simulation with its standard error.
        statement: one sentence a reader can check.
        system: number of the system in the specification.
        resolution: the difference that this comparison must be able to see, > 0: the size by which a
            wrong formula would miss. A tolerance above it decides nothing.
        sigmas: standard errors allowed, > 0.

    Raises:
        UndecidedError: the tolerance exceeds the resolution.
        EvidenceError: an array where a number is needed; sigmas or resolution not positive.
    """
    _scalar("prediction", prediction)
    _scalar("measured", measured)
    if not resolution > 0:
        raise EvidenceError(f"resolution must be > 0, got {resolution!r}.")
    if not sigmas > 0:
        raise EvidenceError(f"sigmas must be > 0, got {sigmas!r}.")
    expected, error = float(prediction.value), float(prediction.error)
    spread = float(measured.standard_error)
    tolerance = sigmas * spread + error
    if tolerance > resolution:
        raise UndecidedError(
            f"too few samples to decide {statement!r}: the tolerance {tolerance:.3g} exceeds the resolution "
            f"{resolution:.3g} (standard error {spread:.3g}, n = {measured.n})."
        )
    parts = [f"{sigmas:g} standard errors of {spread:.2g}"] if spread > 0 else []
    if error > 0:
        parts.append(f"{error:.2g} for {prediction.reason}")
    value = float(measured.mean)
    return Claim(
        statement=statement,
        system=system,
        kind="agrees",
        expected=expected,
        measured=value,
        standard_error=spread,
        tolerance=tolerance,
        reason=" + ".join(parts) or "exact",
        holds=abs(value - expected) <= tolerance,
    )


def _bound(
    sign: int, bound: float, measured: Estimate, statement: str, system: str, sigmas: float, reason: str
) -> Claim:
    _scalar("measured", measured)
    if not math.isfinite(bound):
        raise EvidenceError(f"bound must be finite, got {bound!r}.")
    if sigmas < 0:
        raise EvidenceError(f"sigmas must be >= 0, got {sigmas!r}.")
    value, spread = float(measured.mean), float(measured.standard_error)
    margin, tolerance = sign * (value - bound), sigmas * spread
    if abs(margin) < tolerance:
        raise UndecidedError(
            f"too few samples to decide {statement!r}: {value:.4g} lies within {sigmas:g} standard errors of "
            f"{spread:.2g} from the bound {bound:.4g} (n = {measured.n})."
        )
    decided = f"decided at {sigmas:g} standard errors" if sigmas else "about this very sample"
    return Claim(
        statement=statement,
        system=system,
        kind="at least" if sign > 0 else "at most",
        expected=float(bound),
        measured=value,
        standard_error=spread,
        tolerance=tolerance,
        reason=f"{reason}; {decided}" if reason else decided,
        holds=margin >= 0,
    )


def at_least(
    bound: float, measured: Estimate, *, statement: str, system: str, sigmas: float = 5.0, reason: str = ""
) -> Claim:
    """Whether a measured number is at least a bound: measured - bound >= sigmas * standard_error.

    Args:
        bound: the bound.
        measured: the number with its standard error.
        statement: one sentence a reader can check.
        system: number of the system in the specification.
        sigmas: standard errors that the number must clear; 0 for a statement about this very sample.
        reason: where the bound comes from.

    Raises:
        UndecidedError: the number lies within `sigmas` standard errors of the bound.
    """
    return _bound(1, bound, measured, statement, system, sigmas, reason)


def at_most(
    bound: float, measured: Estimate, *, statement: str, system: str, sigmas: float = 5.0, reason: str = ""
) -> Claim:
    """Whether a measured number is at most a bound: bound - measured >= sigmas * standard_error.

    Arguments and errors as for `at_least`.
    """
    return _bound(-1, bound, measured, statement, system, sigmas, reason)


def fit_exponent(x: ArrayLike, y: Estimate) -> Estimate:
    """Exponent b of y = a x^b by weighted least squares in the logarithms.

    The error of log y is standard_error / y; it is widened by sqrt(chi2/dof) where the scatter about the
    line is larger than the errors allow, so that a crooked line does not claim a sharp exponent.

    Args:
        x: shape (n,), > 0, n >= 3.
        y: estimates of shape (n,), means > 0, standard errors > 0.

    Raises:
        UndecidedError: fewer than three points.
        EvidenceError: a value that has no logarithm or a standard error of zero.
    """
    positions = np.asarray(x, dtype=np.float64)
    if positions.ndim != 1 or positions.shape != y.shape:
        raise EvidenceError(f"x and y must both have shape (n,), got {positions.shape} and {y.shape}.")
    if len(positions) < 3:
        raise UndecidedError(f"x must hold at least 3 points to fit an exponent, got {len(positions)}.")
    if np.any(positions <= 0) or np.any(y.mean <= 0) or np.any(y.standard_error <= 0):
        raise EvidenceError("x, y and the standard errors of y must all be > 0 to fit an exponent.")
    u, v, s = np.log(positions), np.log(y.mean), y.standard_error / y.mean
    weight = 1.0 / s**2
    centre = np.sum(weight * u) / np.sum(weight)
    information = np.sum(weight * (u - centre) ** 2)
    slope = np.sum(weight * (u - centre) * v) / information
    residual = v - slope * (u - centre) - np.sum(weight * v) / np.sum(weight)
    inflation = max(1.0, float(np.sum(weight * residual**2) / (len(u) - 2)))
    return Estimate(slope, math.sqrt(inflation / information), len(u))


def scales(
    exponent: Prediction,
    x: ArrayLike,
    y: Estimate,
    *,
    statement: str,
    system: str,
    resolution: float,
    sigmas: float = 5.0,
) -> Claim:
    """Whether y grows as x to a predicted exponent; see `fit_exponent` and `compare`.

    Args:
        exponent: the predicted exponent, a number.
        x: sizes, shape (n,), > 0, at least three.
        y: what is measured at each, shape (n,), > 0.
        statement: what is claimed, in a sentence.
        system: the system of the specification.
        resolution: the largest tolerance of the exponent at which the claim is decided, > 0.
        sigmas: standard errors allowed, > 0.

    Raises:
        UndecidedError: too few samples to decide at this resolution.
        EvidenceError: shapes that do not fit, or a number that has no logarithm.
    """
    claim = compare(
        exponent,
        fit_exponent(x, y),
        statement=statement,
        system=system,
        resolution=resolution,
        sigmas=sigmas,
    )
    return Claim(**{**vars(claim), "kind": "scales"})


def never(
    events: int, trials: int, *, statement: str, system: str, rate: float = 0.01, confidence: float = 0.999
) -> Claim:
    """Whether something that must not happen did not happen, in enough trials to have seen it.

    Args:
        events: how often it happened.
        trials: how often it could have happened.
        statement: one sentence a reader can check.
        system: number of the system in the specification.
        rate: the rate of events, in (0, 1), that the trials must have been able to show.
        confidence: the probability, in (0, 1), with which they must have shown it.

    Raises:
        UndecidedError: (1 - rate)^trials > 1 - confidence and no event was seen.
        EvidenceError: counts or rates outside their range.
    """
    if not 0 < rate < 1 or not 0 < confidence < 1:
        raise EvidenceError(f"rate and confidence must lie in (0, 1), got {rate!r} and {confidence!r}.")
    if not 0 <= events <= trials:
        raise EvidenceError(f"events must lie in [0, trials] = [0, {trials}], got {events!r}.")
    needed = math.ceil(math.log(1.0 - confidence) / math.log(1.0 - rate))
    if events == 0 and trials < needed:
        raise UndecidedError(
            f"too few trials to decide {statement!r}: {needed} are needed to see a rate of {rate:g} with "
            f"probability {confidence:g}, got {trials}."
        )
    return Claim(
        statement=statement,
        system=system,
        kind="never",
        expected=0.0,
        measured=float(events),
        standard_error=0.0,
        tolerance=0.0,
        reason=f"{trials} trials would show a rate of {rate:g} with probability {confidence:g}",
        holds=events == 0,
    )
