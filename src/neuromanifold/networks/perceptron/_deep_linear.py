"""A deep linear network, W_L ... W_1 x: the map is linear, its landscape is not.

    E(W_1, ..., W_L) = 1/2 |W_L ... W_1 X - Y|^2        columns of X and Y are examples

Source: Baldi and Hornik 1989, Neural Networks 2:53; Kawaguchi 2016, NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_integer, check_real, require


class DeepLinear(eqx.Module):
    """The network; `deep_linear` draws one.

    Args:
        weights: W_1 ... W_L, each (n_out, n_in).
    """

    weights: list[Float[Array, "_ _"]]

    def matrix(self) -> Float[Array, "n_last n_first"]:
        """The product of all weights."""
        product = self.weights[0]
        for w in self.weights[1:]:
            product = w @ product
        return product

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Outputs for one example."""
        for w in self.weights:
            x = w @ x
        return x


def deep_linear(key: Key[Array, ""], sizes: Sequence[int], scale: float = 1.0) -> DeepLinear:
    """A random deep linear network, entries N(0, scale^2 / n_in).

    Args:
        key: of the weights.
        sizes: units of the inputs, of each hidden layer, of the outputs; all >= 1.
        scale: > 0; at zero the network would begin on a saddle and stay there.

    Raises:
        ValueError: a size below 1, fewer than two, or a scale that is not positive.
    """
    counts = [check_integer(f"sizes[{i}]", n, 1) for i, n in enumerate(sizes)]
    require(len(counts) >= 2, "sizes", "hold those of the inputs and of the outputs at least", sizes)
    scale = check_real("scale", scale, 0, open_low=True)
    pairs = list(zip(counts[1:], counts[:-1], strict=True))
    keys = jax.random.split(key, len(pairs))
    return DeepLinear(
        [
            scale / np.sqrt(m) * jax.random.normal(part, (n, m))
            for part, (n, m) in zip(keys, pairs, strict=True)
        ]
    )


def linear_loss(network: DeepLinear, x: ArrayLike, y: ArrayLike) -> Float[Array, ""]:
    """Half the sum of squares over examples, which are columns of x and y."""
    return 0.5 * jnp.sum((network.matrix() @ jnp.asarray(x) - jnp.asarray(y)) ** 2)
