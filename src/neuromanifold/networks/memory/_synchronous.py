"""Synchronous recall: all units at once, x(t+1) = sgn(h(x(t))).

With symmetric couplings it ends in a fixed point or a cycle of two states (Goles-Chacc, Fogelman-Soulie and
Pellegrin 1985). Time: one step is one update of every unit.

Source: Amari 1972, IEEE Trans. Comput. C-21:1197; Little 1974, Math. Biosci. 19:101.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuromanifold.dynamics import Process
from neuromanifold.networks.memory._network import RecallInfo, RecallNetwork


class _Synchronous(eqx.Module):
    network: RecallNetwork

    def init(self, key: Any, cue: Any) -> Float[Array, "*cues n_units"]:
        del key
        return self.network.start(cue)

    def step(
        self, key: Any, t: Any, state: Float[Array, "*cues n_units"]
    ) -> tuple[Float[Array, "*cues n_units"], RecallInfo]:
        del key, t
        after = self.network.respond(self.network.field(state), state)
        return after, RecallInfo(jnp.sum(after != state, -1))


def synchronous(network: RecallNetwork) -> Process:
    """The process of updating all units at once.

    It begins with a cue of shape (n_units,) or with cues of shape (..., n_units), which move together in one
    matrix product. The state is the units' values; the info a `RecallInfo`.

    Args:
        network: `Hopfield`, `DenseHopfield`, `ThresholdNetwork` or another `RecallNetwork`.
    """
    moved = _Synchronous(network)
    return Process(moved.init, moved.step)
