"""Learner: a signal and an optax transformation make a process on parameters.

    (g, aux, info)  = signal(key, t, params, aux)
    (d, optimizer)  = transformation.update(g, optimizer, params)
    params          = params + d

Everything composes: any signal (gradients by back-propagation, Hebbian changes, contrastive divergence)
with any transformation (momentum, Adam, schedules, clipping, decay, line searches).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree

from neuromanifold.dynamics import Process
from neuromanifold.learning._signal import Signal


class LearnerState(NamedTuple):
    """What the next step needs.

    Args:
        params: the parameters, any pytree; a whole network with its fixed parts is one.
        aux: state of the signal.
        optimizer: state of the transformation.
    """

    params: PyTree
    aux: PyTree
    optimizer: PyTree


class Learner(eqx.Module):
    """Learning as a process; `learner` makes one.

    Args:
        signal: what the rule wants to change.
        transformation: what is done with it.
        trainable: what of the parameters may change: a function of a leaf, or a pytree prefix of bools.
            Leaves that are no real arrays never do.
    """

    signal: Signal
    transformation: optax.GradientTransformationExtraArgs
    trainable: PyTree

    def _split(self, params: PyTree) -> tuple[PyTree, PyTree]:
        chosen = eqx.filter(params, self.trainable)
        return eqx.partition(params, _mask(eqx.filter(chosen, eqx.is_inexact_array)))

    def init(self, key: Key[Array, ""], x0: PyTree) -> LearnerState:
        """The state before the first step; x0 is the parameters."""
        x0 = jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, float) else leaf, x0)
        begin = getattr(self.signal, "aux", None)
        trainable, _ = self._split(x0)
        return LearnerState(
            x0, None if begin is None else begin(key, x0), self.transformation.init(trainable)
        )

    def step(self, key: Key[Array, ""], t: Any, state: LearnerState) -> tuple[LearnerState, PyTree]:
        """One change of the parameters; the info is the signal's."""
        signal_key, transformation_key = jax.random.split(key)
        trainable, fixed = self._split(state.params)
        wanted, aux, info = self.signal(signal_key, t, state.params, state.aux)
        # Leaves that may not change are taken out of the signal too.
        wanted = jax.tree.map(lambda keep, change: change if keep else None, _mask(trainable), wanted)
        extra: dict[str, Any] = {"grad": wanted, "key": transformation_key}
        if hasattr(info, "loss"):
            extra["value"] = info.loss
        value = getattr(self.signal, "value", None)
        if value is not None:

            def value_fn(moved: PyTree, key: Any = None) -> Array:
                # Line searches hand on extra arguments and refuse functions that do not name them.
                del key
                return value(signal_key, t, eqx.combine(moved, fixed), state.aux)

            extra["value_fn"] = value_fn
        change, optimizer = self.transformation.update(wanted, state.optimizer, trainable, **extra)
        moved = optax.apply_updates(trainable, change)
        return LearnerState(eqx.combine(moved, fixed), aux, optimizer), info


def learner(
    signal: Signal,
    transformation: optax.GradientTransformation,
    *,
    trainable: PyTree | Callable[[Any], bool] = eqx.is_inexact_array,
) -> Process:
    """The process by which parameters learn: `run(learner(signal, optax.adam(1e-3)), key, params, n_steps)`.

    Args:
        signal: what the rule wants to change; see `Signal`.
        transformation: any optax transformation. Those that take extra arguments are given `value`, `grad`,
            `value_fn` where the signal has them, and a fresh `key` each step.
        trainable: what of the parameters may change: a function of a leaf, or a pytree prefix of bools.
            Leaves that are no real arrays never do.

    Returns:
        A process on `LearnerState`, begun with the parameters; its info is the signal's.

    >>> import jax, optax
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.learning import backpropagation, learner
    >>> signal = backpropagation(lambda x, batch, key: (x - 3.0) ** 2)
    >>> process = learner(signal, optax.sgd(0.25))
    >>> print(run(process, jax.random.key(0), 1.0, 2).state.params)
    2.5
    """
    moves = Learner(signal, optax.with_extra_args_support(transformation), trainable)
    return Process(moves.init, moves.step)


def _mask(tree: PyTree) -> PyTree:
    """True where a leaf is, False where None is."""
    return jax.tree.map(lambda leaf: leaf is not None, tree, is_leaf=lambda leaf: leaf is None)
