"""Connections from the inputs to the cells of sheets and rings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuromanifold._base import check_finite, require


def nonnegative(name: str, afferents: Any) -> Float[Array, "n_cells n_inputs"]:
    """Connections as an array; the values are checked where they come from outside of JAX.

    Args:
        name: what they are, for the message.
        afferents: shape (n_cells, n_inputs), >= 0.

    Raises:
        ValueError: a value that is negative or not finite.
    """
    if not isinstance(afferents, jax.Array):
        afferents = check_finite(name, afferents)
        require((afferents >= 0).all(), name, "be >= 0", float(afferents.min()))
    return jnp.asarray(afferents, float)
