"""Noise of temperature T: heat-bath (Glauber) units as threshold units in a field with logistic noise.

    P(x_i = upper) = 1 / (1 + exp(-(upper - lower) h_i / T)),

which is 1/(1 + exp(-2 h_i/T)) for units +-1 and 1/(1 + exp(-h_i/T)) for units 0/1. With L of the standard
logistic law, P(L > -u) = 1/(1 + exp(-u)), and so this unit is the deterministic one in the field

    h_i + T L / (upper - lower).

At T = 0 nothing is left but the deterministic unit, ties included.

One unit at a time with symmetric couplings and zero diagonal, the law exp(-E/T) is stationary. All units at
once, it is prod_i sum_v exp(v h_i(x)/T) times exp(b x/T), v the two values and b the constant part of the
field (Little's dynamics): prod_i 2 cosh(h_i/T) for units +-1 without thresholds.

Source: Glauber 1963, J. Math. Phys. 4:294; Little 1974, Math. Biosci. 19:101; Peretto 1984, Biol. Cybern.
50:51.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Key

from neuromanifold._base import check_finite, require
from neuromanifold.dynamics import as_schedule
from neuromanifold.networks.memory._network import RecallNetwork

Temperature = ArrayLike | Callable[..., Any]


class _PerCue(eqx.Module):
    values: Array

    def __call__(self, t: ArrayLike) -> Array:
        return self.values


def temperature_schedule(temperature: Temperature) -> Callable[..., Any] | None:
    """A temperature as a schedule; None where it is the number zero, which needs no noise.

    Args:
        temperature: a number >= 0, an array of them that broadcasts against the shape of the cues, or a
            schedule t -> number.

    Raises:
        ValueError: a temperature that is negative or not finite.
    """
    if callable(temperature):
        return temperature
    if isinstance(temperature, Tracer):
        return _PerCue(jnp.asarray(temperature))
    if np.ndim(temperature) == 0:
        schedule = as_schedule("temperature", temperature)
        return None if float(np.asarray(temperature)) == 0 else schedule
    values = check_finite("temperature", temperature)
    require(np.all(values >= 0), "temperature", "be >= 0", temperature)
    return _PerCue(jnp.asarray(values, jnp.result_type(float)))


def field_noise(
    network: RecallNetwork,
    schedule: Callable[..., Any],
    key: Key[Array, ""],
    t: Int[Array, ""] | int,
    shape: tuple[int, ...],
    n_draws: int,
) -> Float[Array, "*cues n_draws"]:
    """T L / (upper - lower): what the temperature adds to fields, `n_draws` for each cue."""
    one = jnp.ones(())
    gap = network.respond(one, one) - network.respond(-one, one)
    scale = jnp.broadcast_to(schedule(t), shape)[..., None] / gap
    return scale * jax.random.logistic(key, (*shape, n_draws))


class GibbsWeight(eqx.Module):
    """The logarithm -E/T of the law that single-unit updates keep at a constant temperature."""

    network: RecallNetwork
    temperature: Array

    def __call__(self, state: Any) -> Array:
        return -self.network.energy(state) / self.temperature


def stationary_law(network: RecallNetwork, temperature: Temperature) -> GibbsWeight | None:
    """The law of single-unit updates where it is known: an energy, and one constant temperature above 0."""
    if callable(temperature) or isinstance(temperature, Tracer) or not network.has_energy:
        return None
    values = np.asarray(temperature, np.float64)
    if values.ndim or values == 0:
        return None
    return GibbsWeight(network, jnp.asarray(values, jnp.result_type(float)))
