"""What contrastive rules ask of the parameters they change, and the difference they all take.

For a law p(v) = exp(log_weight(v))/Z, d log Z = <d log_weight> under the law itself, so that

    -d <log p>_data = -<d log_weight>_data + <d log_weight>_model.

The rules differ in where the second average comes from: an exact sum (`likelihood`), a few steps of sampling
from the data (`contrastive_divergence`), or chains that go on from step to step (`persistent_divergence`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from neuromanifold.learning._minibatches import Batch


class EnergyModel(Protocol):
    """Parameters with a law of visible states that is known up to its constant, and a chain that keeps it."""

    def log_weight(self, v: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        """The logarithm of the law up to a constant."""
        ...

    def sweep(self, key: Key[Array, ""], v: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """One step of a chain that keeps the law."""
        ...


class ContrastiveInfo(NamedTuple):
    """Diagnostics of a step.

    Args:
        gap: mean log weight of the data minus that of the samples; near zero where the law fits, and no
            measure of the likelihood.
    """

    gap: Array


def contrast(
    log_weight: Callable[[PyTree, Any], Array], params: PyTree, batch: Batch, samples: PyTree
) -> tuple[PyTree, ContrastiveInfo]:
    """Gradient of -(mean log weight of data - mean log weight of samples), and the gap itself.

    Each mean is over its own count, so a short batch is not weighed against more samples.

    Args:
        log_weight: `log_weight(params, states)` -> one number a state.
        params: a pytree; its real arrays get a gradient.
        batch: data with weights.
        samples: states of the model, held fixed.
    """
    real, rest = eqx.partition(params, eqx.is_inexact_array)
    fixed = jax.lax.stop_gradient(samples)

    def minus_gap(part: PyTree) -> Array:
        model = eqx.combine(part, rest)
        data = jnp.sum(batch.weights * log_weight(model, batch.data)) / jnp.sum(batch.weights)
        return jnp.mean(log_weight(model, fixed)) - data

    value, gradient = jax.value_and_grad(minus_gap)(real)
    return gradient, ContrastiveInfo(-value)
