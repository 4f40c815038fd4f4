"""Back-propagation as a signal: the gradient of a loss on the batch of the step.

    updates = d loss(params, batch(t), key) / d params

(Rumelhart, Hinton and Williams 1986, Nature 323:533; LeCun, Bottou, Bengio and Haffner 1998.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree


class BackpropagationInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        loss: the loss on the batch, before the step.
        gradient_norm: Euclidean length of the gradient.
    """

    loss: Array
    gradient_norm: Array


class Backpropagation(eqx.Module):
    """The gradient of a loss as a signal; `backpropagation` makes one.

    Args:
        loss: `loss(params, batch, key)` -> scalar.
        batches: `batches(t)` -> the batch of step t, or None for a loss that needs none.
    """

    loss: Callable[..., Any]
    batches: Callable[..., Any] | None

    def _batch(self, t: Any) -> PyTree:
        return None if self.batches is None else self.batches(t)

    def __call__(
        self, key: Key[Array, ""], t: Any, params: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, BackpropagationInfo]:
        """The gradient, the unchanged aux, and loss and length of the gradient."""
        real, rest = eqx.partition(params, eqx.is_inexact_array)
        batch = self._batch(t)
        loss, gradient = jax.value_and_grad(lambda p: self.loss(eqx.combine(p, rest), batch, key))(real)
        squares = [jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(gradient)]
        return gradient, aux, BackpropagationInfo(loss, jnp.sqrt(sum(squares, jnp.zeros((), loss.dtype))))

    def value(self, key: Key[Array, ""], t: Any, params: PyTree, aux: PyTree) -> Array:
        """The loss on the batch of step t."""
        return self.loss(params, self._batch(t), key)


def backpropagation(loss: Callable[..., Any], batches: Callable[..., Any] | None = None) -> Backpropagation:
    """The gradient of a loss as a signal, for `learner`.

    Args:
        loss: `loss(params, batch, key)` -> scalar; key is fresh each step, for distortions and dropout.
        batches: `batches(t)` -> the batch of step t, such as `Minibatches`; None gives the loss None.
    """
    return Backpropagation(loss, batches)
