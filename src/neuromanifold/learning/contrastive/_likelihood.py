"""Maximum likelihood with the partition function summed exactly, for machines small enough.

    loss = log Z - <log_weight>_data = -<log p>_data,     KL[data : p] = loss - entropy of the data

Source: Ackley, Hinton and Sejnowski 1985, Cognit. Sci. 9:147.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from neuromanifold.learning._backprop import Backpropagation, backpropagation


class _Loss(eqx.Module):
    def __call__(self, params: Any, batch: Any, key: Any) -> Array:
        weights = batch.weights
        return params.log_partition() - jnp.sum(weights * params.log_weight(batch.data)) / jnp.sum(weights)


def likelihood(batches: Callable[..., Any]) -> Backpropagation:
    """The exact gradient of the mean negative log likelihood as a signal, for `learner`.

    The parameters are an `EnergyModel` that also has `log_partition()`. The info's `loss` is the mean
    negative log likelihood of the batch in nats.

    Args:
        batches: `batches(t)` -> the `Batch` of step t; weights that sum to one are probabilities of states.
    """
    return backpropagation(_Loss(), batches)
