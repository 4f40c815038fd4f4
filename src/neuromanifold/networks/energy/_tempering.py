"""Parallel tempering of a restricted machine: chains from free units to the machine exchange states.

Chain i has the law p_i(v) ~ exp(-F_i(v)) of the machine tempered by beta_i, 0 <= beta_0 < ... < beta_m = 1.
A step is a sweep of every chain, then neighbours propose to exchange their states, pairs (0,1), (2,3) ... at
even steps and (1,2), (3,4) ... at odd ones, taken with probability

    min(1, exp(F_i(v_i) + F_j(v_j) - F_i(v_j) - F_j(v_i))).

Hidden units are drawn anew in every sweep, so exchanging visible states by their free energies keeps the
product of all laws. States that a cold chain would take long to reach come to it from the warm ones.

Source: Desjardins, Courville, Bengio, Vincent and Delalleau 2010, AISTATS 9:145; Swendsen and Wang 1986.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.energy._restricted import RestrictedBoltzmann


class ExchangeInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        exchanged: (n_betas - 1,), share of chains that exchanged beta_i with beta_{i+1}; zero where the pair
            did not propose.
    """

    exchanged: Float[Array, " pairs"]


def tempered_chains(machine: RestrictedBoltzmann, betas: Any) -> Process:
    """Chains at several betas that exchange states, as a process; see the module's header.

    Begun with visible states (n_chains, n), its state has shape (n_betas, n_chains, n); `coldest` takes the
    samples of the machine itself from it.

    Args:
        machine: what is sampled.
        betas: increasing, in [0, 1], the last of them 1; at least two.

    Raises:
        ValueError: betas outside their rule.
    """
    values = check_finite("betas", betas)
    rising = values.ndim == 1 and len(values) >= 2 and np.all(np.diff(values) > 0)
    require(rising and values[0] >= 0 and values[-1] == 1, "betas", "rise from >= 0 to 1", betas)
    moves = _Tempering(machine, jnp.asarray(values, machine.couplings.dtype))
    return Process(moves.init, moves.step, log_weight=moves.log_weight)


def coldest(state: Float[Array, "n_betas n_chains n"]) -> Float[Array, "n_chains n"]:
    """The samples at beta = 1."""
    return state[-1]


class _Tempering(eqx.Module):
    machine: RestrictedBoltzmann
    betas: Float[Array, " n_betas"]

    def init(self, key: Key[Array, ""], x0: Any) -> Array:
        """The same states at every beta."""
        states = self.machine.visible.check("x0", x0).astype(self.machine.couplings.dtype)
        return jnp.broadcast_to(states[None], (len(self.betas), *states.shape))

    def _weights(self, states: Array) -> Array:
        return jax.vmap(lambda beta, v: self.machine.tempered(beta).log_weight(v))(self.betas, states)

    def log_weight(self, states: Array) -> Array:
        """Of the product law, for every set of chains."""
        return self._weights(states).sum(0)

    def step(self, key: Key[Array, ""], t: Any, states: Array) -> tuple[Array, ExchangeInfo]:
        """A sweep at every beta, then exchanges between neighbours."""
        n = len(self.betas)
        sweep_key, swap_key = jax.random.split(key)
        states = jax.vmap(lambda key, beta, v: self.machine.tempered(beta).sweep(key, v))(
            jax.random.split(sweep_key, n), self.betas, states
        )
        place = jnp.arange(n)
        partner = jnp.where((place - jnp.asarray(t)) % 2 == 0, place + 1, place - 1)
        partner = jnp.where((partner < 0) | (partner >= n), place, partner)
        gain = self._weights(states[partner]) - self._weights(states)
        log_ratio = gain + gain[partner]
        # Both of a pair must decide alike: one draw, that of the lower.
        chance = jax.random.uniform(swap_key, log_ratio.shape, log_ratio.dtype)[jnp.minimum(place, partner)]
        taken = (jnp.log(chance) < log_ratio) & (partner != place)[:, None]
        moved = jnp.where(taken[..., None], states[partner], states)
        return moved, ExchangeInfo(jnp.mean(taken & (partner > place)[:, None], 1, dtype=moved.dtype)[:-1])
