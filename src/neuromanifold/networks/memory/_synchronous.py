"""Synchronous recall: all units at once, x(t+1) = sgn(h(x(t))).

With symmetric couplings it ends in a fixed point or a cycle of two states (Goles-Chacc, Fogelman-Soulie and
Pellegrin 1985). At a temperature T > 0 all units are drawn at once, P(x_i = +1) = 1/(1 + exp(-2 h_i/T)) for
units +-1 (Little's dynamics), whose stationary law is not exp(-E/T). Time: one step is one update of every
unit.

Source: Amari 1972, IEEE Trans. Comput. C-21:1197; Little 1974, Math. Biosci. 19:101.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuromanifold.dynamics import Process
from neuromanifold.networks.memory._network import RecallInfo, RecallNetwork
from neuromanifold.networks.memory._thermal import Temperature, field_noise, temperature_schedule


class _Synchronous(eqx.Module):
    network: RecallNetwork
    temperature: Callable[..., Any] | None

    def init(self, key: Any, cue: Any) -> Float[Array, "*cues n_units"]:
        del key
        return self.network.start(cue)

    def step(
        self, key: Any, t: Any, state: Float[Array, "*cues n_units"]
    ) -> tuple[Float[Array, "*cues n_units"], RecallInfo]:
        field = self.network.field(state)
        if self.temperature is not None:
            shape, n = state.shape[:-1], state.shape[-1]
            field += field_noise(self.network, self.temperature, key, t, shape, n).astype(field.dtype)
        after = self.network.respond(field, state)
        return after, RecallInfo(jnp.sum(after != state, -1))


def synchronous(network: RecallNetwork, *, temperature: Temperature = 0.0) -> Process:
    """The process of updating all units at once.

    It begins with a cue of shape (n_units,) or with cues of shape (..., n_units), which move together in one
    matrix product. The state is the units' values; the info a `RecallInfo`.

    Args:
        network: `Hopfield`, `DenseHopfield`, `ThresholdNetwork` or another `RecallNetwork`.
        temperature: see `asynchronous`.

    Raises:
        ValueError: a temperature below zero.
    """
    moved = _Synchronous(network, temperature_schedule(temperature))
    return Process(moved.init, moved.step)
