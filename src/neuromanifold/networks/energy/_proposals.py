"""Simulated annealing of any energy on any states, one proposal a step.

    x' ~ q(x' | x),    taken with probability min(1, exp((E(x) - E(x'))/T) q(x | x')/q(x' | x))

The state carries the best one seen; each step says temperature, acceptance and energy. Time: proposals.

Source: Kirkpatrick, Gelatt and Vecchi 1983, Science 220:671; Hastings 1970, Biometrika 57:97
(proposals that are not symmetric).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.networks.energy._annealing import Adaptive, Temperature, check_temperature


class ProposalState(NamedTuple):
    """What the next proposal needs: the state, its energy, the best state so far and its energy."""

    state: PyTree
    energy: Float[Array, ""]
    best_state: PyTree
    best_energy: Float[Array, ""]


class ProposalInfo(NamedTuple):
    """What a proposal was: the temperature, whether it was taken, and the energy after it."""

    temperature: Float[Array, ""]
    accepted: Bool[Array, ""]
    energy: Float[Array, ""]


class _Proposals(eqx.Module):
    energy: Callable[..., Any]
    propose: Callable[..., Any]
    temperature: Callable[..., Any]

    def init(self, key: Any, x0: PyTree) -> ProposalState:
        del key
        state = jax.tree.map(jnp.asarray, x0)
        energy = jnp.asarray(self.energy(state))
        return ProposalState(state, energy, state, energy)

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], now: ProposalState
    ) -> tuple[ProposalState, ProposalInfo]:
        key_propose, key_accept = jax.random.split(key)
        proposal, log_forward, log_backward = self.propose(key_propose, now.state)
        energy, temperature = jnp.asarray(self.energy(proposal)), jnp.asarray(self.temperature(t))
        log_ratio = (now.energy - energy) / temperature + log_backward - log_forward
        accepted = jnp.log(jax.random.uniform(key_accept)) < log_ratio
        state = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), proposal, now.state)
        energy = jnp.where(accepted, energy, now.energy)
        better = energy < now.best_energy
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state, now.best_state)
        moved = ProposalState(state, energy, best, jnp.minimum(energy, now.best_energy))
        return moved, ProposalInfo(temperature, accepted, energy)


def annealing_of(
    energy: Callable[..., Any], propose: Callable[..., Any], temperature: Temperature
) -> Process:
    """Simulated annealing of any energy on any states, one proposal a step; walkers are replicas of a run.

    Args:
        energy: `energy(state)` -> E.
        propose: `propose(key, state)` -> (state', log q(state'|state), log q(state|state')); a proposal that
            is not symmetric is corrected by the two, which no temperature changes.
        temperature: a number > 0, or a schedule t -> T.

    Raises:
        ValueError: a temperature that is not positive, or a `Schedule` that rises or ends at zero.
    """
    require(
        not isinstance(temperature, Adaptive), "temperature", "not be Adaptive for one state", temperature
    )
    module = _Proposals(energy, propose, check_temperature(temperature))
    return Process(module.init, module.step)
