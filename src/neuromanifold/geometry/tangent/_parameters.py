"""Parameters as users give them: JAX or NumPy arrays, numbers, modules with anything else in them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_arrays(params: Any) -> Any:
    """NumPy arrays and numbers of floats as JAX arrays; all else as it is.

    Args:
        params: a pytree.
    """

    def one(leaf: Any) -> Any:
        given = isinstance(leaf, float | np.floating) or (
            isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        )
        return jnp.asarray(leaf) if given else leaf

    return jax.tree.map(one, params)
