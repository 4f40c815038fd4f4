"""What an output costs, example by example, and the mean over a batch.

    squared error       E = 1/2 sum_i (o_i - d_i)^2,  d_i = +1 for the class and -1 for the others
    cross entropy       E = - log softmax(o)_c
    maximum posterior   E = y_c + log(e^-j + sum_i e^-y_i)      (LeCun, Bottou, Bengio, Haffner 1998, eq. 9)

The last is for penalties y such as squared distances to codes: it pulls the penalty of the class down and
pushes the others up, less and less beyond j, the penalty of a class of rubbish.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from neuromanifold._base import check_real
from neuromanifold.learning._minibatches import Batch


def squared_error(output: Float[Array, " n_classes"], label: Int[Array, ""]) -> Float[Array, ""]:
    """Half the squared distance of the outputs to +1 for the class and -1 for the others."""
    target = 2.0 * jax.nn.one_hot(label, output.shape[0], dtype=output.dtype) - 1.0
    return 0.5 * jnp.sum((output - target) ** 2)


def cross_entropy(logits: Float[Array, " n_classes"], label: Int[Array, ""]) -> Float[Array, ""]:
    """Minus the logarithm of the softmax probability of the class, in nats."""
    return jax.nn.logsumexp(logits) - jnp.take(logits, label)


class MaximumPosterior(eqx.Module):
    """LeCun's discriminative criterion on penalties.

    Args:
        rubbish: j, the penalty of the class of rubbish, > 0.

    Raises:
        ValueError: j is not positive.
    """

    rubbish: float = eqx.field(static=True)

    def __init__(self, rubbish: float) -> None:
        self.rubbish = check_real("rubbish", rubbish, 0, open_low=True)

    def __call__(self, penalties: Float[Array, " n_classes"], label: Int[Array, ""]) -> Float[Array, ""]:
        """The cost of the penalties of all classes for an example of one class."""
        rubbish = jnp.full((1,), -self.rubbish, penalties.dtype)
        return jnp.take(penalties, label) + jax.nn.logsumexp(jnp.concatenate([-penalties, rubbish]))


class Supervised(eqx.Module):
    """Mean cost of a batch of labelled examples, a loss for `backpropagation`.

        loss = sum_i w_i E(f(x_i), c_i) / sum_i w_i

    Args:
        criterion: `criterion(output, label)` -> scalar, for one example.
        prepare: `prepare(key, inputs)` -> inputs of the network for a whole batch (scaling, distortions),
            or None.
        apply: `apply(params, inputs)` -> outputs for a whole batch; None: the parameters are a network on one
            example.
    """

    criterion: Callable[..., Any]
    prepare: Callable[..., Any] | None = None
    apply: Callable[..., Any] | None = None

    def __call__(self, params: PyTree, batch: Batch, key: Key[Array, ""]) -> Float[Array, ""]:
        """The loss of `params` on a batch whose data are (inputs, labels)."""
        inputs, labels = batch.data
        if self.prepare is not None:
            inputs = self.prepare(key, inputs)
        outputs = jax.vmap(params)(inputs) if self.apply is None else self.apply(params, inputs)
        costs = jax.vmap(self.criterion)(outputs, labels)
        weights = batch.weights.astype(costs.dtype)
        return jnp.sum(weights * costs) / jnp.sum(weights)


def n_wrong(decisions: Int[Array, " n"], labels: Int[Array, " n"]) -> Int[Array, ""]:
    """How many decisions differ from the labels; over n, the classification error."""
    return jnp.sum(decisions != labels, dtype=jnp.int32)
