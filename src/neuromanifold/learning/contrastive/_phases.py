"""Learning from two sampled phases: units clamped at the data, and units that run free.

    change ~ <d log_joint>_clamped - <d log_joint>_free

For couplings between units that is w_ij += rate (<u_i u_j>_clamped - <u_i u_j>_free)/T. Hidden states of the
clamped phase begin at random at every step; free chains go on from step to step.

Source: Ackley, Hinton and Sejnowski 1985, Cognit. Sci. 9:147.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from neuromanifold._base import check_integer
from neuromanifold.learning._minibatches import Batch
from neuromanifold.learning.contrastive._model import ContrastiveInfo, contrast


def _joint(model: Any, u: Any) -> Array:
    return model.log_joint(u)


class PhaseDifference(eqx.Module):
    """Clamped minus free averages as a signal; `phase_difference` makes one."""

    batches: Callable[..., Any]
    begin: Any
    n_sweeps: int = eqx.field(static=True)

    def aux(self, key: Key[Array, ""], params: Any) -> PyTree:
        """The free chains before the first step."""
        return params.process().init(key, self.begin)

    def __call__(
        self, key: Key[Array, ""], t: Any, params: Any, aux: PyTree
    ) -> tuple[PyTree, PyTree, ContrastiveInfo]:
        """The change, the free chains after their sweeps, the gap."""
        batch = self.batches(t)
        start, clamped, free = jax.random.split(key, 3)
        first = jnp.asarray(t) * self.n_sweeps
        held = self._sweeps(clamped, first, params.process(clamped=True), params.clamp(start, batch.data))
        running = self._sweeps(free, first, params.process(), aux)
        gradient, info = contrast(_joint, params, Batch(held, batch.weights), running)
        return gradient, running, info

    def _sweeps(self, key: Array, first: Array, process: Any, states: Array) -> Array:
        def sweep(i: Any, states: Array) -> Array:
            keys = jax.random.split(jax.random.fold_in(key, i), len(states))
            return jax.vmap(process.step, (0, None, 0))(keys, first + i, states)[0]

        return jax.lax.fori_loop(0, self.n_sweeps, sweep, states)


def phase_difference(batches: Callable[..., Any], begin: Any, n_sweeps: int = 10) -> PhaseDifference:
    """Clamped minus free averages as a signal, for `learner`.

    The parameters have `log_joint(u)`, `clamp(key, v)` and `process(clamped=...)`, as a Boltzmann machine.

    Args:
        batches: `batches(t)` -> the `Batch` of visible states of step t.
        begin: states of all units from which free chains begin, shape (n_chains, n_units).
        n_sweeps: sweeps of either phase for each change, >= 1.

    Raises:
        ValueError: n_sweeps below 1.
    """
    return PhaseDifference(batches, begin, check_integer("n_sweeps", n_sweeps, 1))
