"""Contrastive divergence: the model's average from chains of a few steps, begun at the data or kept running.

    CD-k   v_0 = data, v_k after k sweeps:   change ~ <d log_weight>_{v_0} - <d log_weight>_{v_k}
    PCD    the chains of the last step go on for k sweeps under the changed parameters

CD-k follows no gradient, but for the law it has fitted its change vanishes on average. PCD is stochastic
maximum likelihood as long as the parameters move slowly against the mixing of the chains; chains that mix
better (parallel tempering) serve it as well, since all it asks for is a process.

Source: Hinton 2002, Neural Comput. 14:1771; Tieleman 2008, ICML 25:1064; Desjardins et al. 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from neuromanifold._base import check_integer
from neuromanifold.dynamics import Process
from neuromanifold.learning.contrastive._model import ContrastiveInfo, contrast


def _weight(model: Any, v: Any) -> Array:
    return model.log_weight(v)


class ContrastiveDivergence(eqx.Module):
    """CD-k as a signal; `contrastive_divergence` makes one."""

    batches: Callable[..., Any]
    n_steps: int = eqx.field(static=True)

    def __call__(
        self, key: Key[Array, ""], t: Any, params: Any, aux: PyTree
    ) -> tuple[PyTree, PyTree, ContrastiveInfo]:
        """The change, no aux, the gap."""
        batch = self.batches(t)
        # The first sweep stands outside the loop: its first layer is also that of the data's log weight.
        v = params.sweep(jax.random.fold_in(key, 0), batch.data)
        if self.n_steps > 1:
            v = jax.lax.fori_loop(
                1, self.n_steps, lambda i, v: params.sweep(jax.random.fold_in(key, i), v), v
            )
        gradient, info = contrast(_weight, params, batch, v)
        return gradient, aux, info


def contrastive_divergence(batches: Callable[..., Any], n_steps: int = 1) -> ContrastiveDivergence:
    """CD-k as a signal, for `learner`; the parameters are an `EnergyModel`.

    Args:
        batches: `batches(t)` -> the `Batch` of step t, such as `Minibatches`.
        n_steps: k, sweeps from the data, >= 1.

    Raises:
        ValueError: n_steps below 1.
    """
    return ContrastiveDivergence(batches, check_integer("n_steps", n_steps, 1))


class PersistentDivergence(eqx.Module):
    """PCD as a signal; `persistent_divergence` makes one."""

    batches: Callable[..., Any]
    begin: Any
    n_steps: int = eqx.field(static=True)
    chain: Callable[[Any], Process]
    samples: Callable[[Any], Any]

    def aux(self, key: Key[Array, ""], params: Any) -> PyTree:
        """The chains before the first step."""
        return self.chain(params).init(key, self.begin)

    def __call__(
        self, key: Key[Array, ""], t: Any, params: Any, aux: PyTree
    ) -> tuple[PyTree, PyTree, ContrastiveInfo]:
        """The change, the chains after their steps, the gap."""
        process = self.chain(params)
        first = jnp.asarray(t) * self.n_steps

        def step(i: Any, state: PyTree) -> PyTree:
            return process.step(jax.random.fold_in(key, i), first + i, state)[0]

        state = step(0, aux) if self.n_steps == 1 else jax.lax.fori_loop(0, self.n_steps, step, aux)
        gradient, info = contrast(_weight, params, self.batches(t), self.samples(state))
        return gradient, state, info


def _own_chain(params: Any) -> Process:
    return params.process()


def _as_is(state: Any) -> Any:
    return state


def persistent_divergence(
    batches: Callable[..., Any],
    begin: Any,
    n_steps: int = 1,
    *,
    chain: Callable[[Any], Process] = _own_chain,
    samples: Callable[[Any], Any] = _as_is,
) -> PersistentDivergence:
    """PCD as a signal, for `learner`; its aux is the state of the chains.

    Args:
        batches: `batches(t)` -> the `Batch` of step t, such as `Minibatches`.
        begin: what the chains begin with, visible states (n_chains, n).
        n_steps: steps of the chains for each change, >= 1.
        chain: `chain(params)` -> the process that samples them; `params.process()` where not given. Define it
            once, at module level, so that compiled programs are shared.
        samples: visible states from the state of that process, shape (n_chains, n).

    Raises:
        ValueError: n_steps below 1.
    """
    return PersistentDivergence(batches, begin, check_integer("n_steps", n_steps, 1), chain, samples)
