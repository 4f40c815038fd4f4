"""Annealing schedules: the temperature, or any parameter, as a function of the step.

A schedule is a function `schedule(t) -> value` of the step number, as optax's are; theirs fit wherever one of
these does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from neuromanifold._base import check_choice, check_integer, check_real, require


class Schedule(eqx.Module):
    """A monotone change from `start` to `stop` over `n_steps` steps, constant afterwards.

    geometric    start (stop/start)^(t/n)
    linear       start + (stop - start) t/n
    logarithmic  start / (1 + (start/stop - 1) log(1 + t)/log(1 + n)),  the 1/log t of Geman and Geman (1984)

    Args:
        kind: "geometric", "linear" or "logarithmic".
        start: value at t = 0; > 0 for geometric and logarithmic.
        stop: value from t = n_steps on; > 0 for geometric and logarithmic.
        n_steps: >= 1.

    Raises:
        ValueError: an argument outside its range.
    """

    kind: str = eqx.field(static=True)
    start: float
    stop: float
    n_steps: int = eqx.field(static=True)

    def __init__(self, kind: str, start: float, stop: float, n_steps: int) -> None:
        self.kind = check_choice("kind", kind, ("geometric", "linear", "logarithmic"))
        positive = kind != "linear"
        self.start = check_real("start", start, 0 if positive else None, open_low=positive)
        self.stop = check_real("stop", stop, 0 if positive else None, open_low=positive)
        self.n_steps = check_integer("n_steps", n_steps, 1)

    def __call__(self, t: ArrayLike) -> Float[Array, ""]:
        """Value at step t."""
        step = jnp.minimum(jnp.asarray(t), self.n_steps).astype(float)
        if self.kind == "linear":
            return self.start + (self.stop - self.start) * step / self.n_steps
        if self.kind == "geometric":
            return self.start * (self.stop / self.start) ** (step / self.n_steps)
        share = jnp.log1p(step) / jnp.log1p(float(self.n_steps))
        return self.start / (1.0 + (self.start / self.stop - 1.0) * share)


def cooling(kind: str, start: float, stop: float, n_steps: int) -> Schedule:
    """A `Schedule` of temperatures that falls.

    Args:
        kind: as for `Schedule`.
        start: first temperature, >= stop.
        stop: last temperature, >= 0.
        n_steps: steps from the one to the other, >= 1.

    Raises:
        ValueError: the temperature would rise, or an argument lies outside its range.
    """
    schedule = Schedule(kind, start, stop, n_steps)
    check_real("stop", stop, 0)
    require(stop <= start, "stop", f"be <= start = {start!r} for a temperature that falls", stop)
    return schedule


class _Constant(eqx.Module):
    value: Array

    def __call__(self, t: ArrayLike) -> Array:
        return self.value


def as_schedule(name: str, value: Any) -> Callable[..., Any]:
    """A schedule as it is; a number >= 0 as a schedule that stays there.

    Args:
        name: what the number is, for the message.
        value: a number >= 0, or a schedule t -> number.

    Raises:
        ValueError: a number that is negative or not finite.
    """
    return value if callable(value) else _Constant(jnp.asarray(check_real(name, value, 0)))
