"""Bad input refused where it enters: one sentence with the parameter, the rule and the offending value."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np


def require(condition: object, name: str, rule: str, value: object) -> None:
    """Raise ValueError "NAME must RULE, got VALUE." unless the condition holds."""
    if not condition:
        raise ValueError(f"{name} must {rule}, got {value!r}.")


def check_integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """An integer in [low, high], as a Python int.

    Raises:
        ValueError: the value is no integer or lies outside.
    """
    rule = "be an integer" + _range(low, high, "[", "]")
    require(isinstance(value, numbers.Integral) and not isinstance(value, bool), name, rule, value)
    number = int(value)
    require((low is None or number >= low) and (high is None or number <= high), name, rule, value)
    return number


def check_real(
    name: str,
    value: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite real number in [low, high] (an end may be excluded), as a Python float.

    Raises:
        ValueError: the value is no finite number or lies outside.
    """
    rule = "be a finite number" + _range(low, high, "(" if open_low else "[", ")" if open_high else "]")
    scalar = np.ndim(value) == 0 and not isinstance(value, bool | str | bytes)
    try:
        number = float(value) if scalar else math.nan
    except (TypeError, ValueError):
        number = math.nan
    inside = math.isfinite(number)
    if low is not None:
        inside = inside and (number > low if open_low else number >= low)
    if high is not None:
        inside = inside and (number < high if open_high else number <= high)
    require(inside, name, rule, value)
    return number


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words.

    Raises:
        ValueError: the value is none of them.
    """
    require(value in choices, name, f"be one of {', '.join(map(repr, choices))}", value)
    return value


def check_finite(name: str, array: Any) -> np.ndarray:
    """A concrete numeric array without NaN or infinity, as numpy.

    Raises:
        ValueError: an entry is not finite; the message gives its index.
    """
    values = np.asarray(array)
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, got {values[index].item()!r} at index {index}.")
    return values


def check_signs(name: str, array: Any) -> np.ndarray:
    """A concrete array of -1 and +1, as numpy.

    Raises:
        ValueError: another value occurs; the message gives it and its index.
    """
    values = np.asarray(array)
    bad = np.abs(values) != 1
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must hold only -1 and +1, got {values[index].item()!r} at index {index}.")
    return values


def check_rows(name: str, rows: Any, n_features: int | None = None, *, missing: bool = False) -> np.ndarray:
    """Rows as a float array.

    Args:
        name: what they are, for the message.
        rows: shape (n_rows, n_features), n_rows >= 1.
        n_features: features they must have; None: any number >= 1.
        missing: NaN marks a missing value; without it NaN is refused. No row may miss all.

    Raises:
        ValueError: another shape, infinite values, NaN where none was declared, a row without any value.
    """
    values = np.asarray(rows)
    wanted = "n_features" if n_features is None else n_features
    fits = values.ndim == 2 and min(values.shape) >= 1 and n_features in (None, values.shape[1])
    require(fits, name, f"have shape (n_rows, {wanted})", values.shape)
    if values.dtype.kind != "f":
        values = values.astype(np.float32)
    holes = np.isnan(values)
    bad = np.isinf(values) if missing else holes | np.isinf(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        rule = "be finite or NaN" if missing else "be finite (NaN marks a missing value where missing=True)"
        raise ValueError(f"{name} must {rule}, got {values[index].item()!r} at index {index}.")
    empty = holes.all(axis=1)
    require(not empty.any(), name, "have a value in each row", f"none in row {int(np.argmax(empty))}")
    return values


def _range(low: float | None, high: float | None, left: str, right: str) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f" {'>' if left == '(' else '>='} {low:g}"
    if low is None:
        return f" {'<' if right == ')' else '<='} {high:g}"
    return f" in {left}{low:g}, {high:g}{right}"
