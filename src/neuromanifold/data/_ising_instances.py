"""Couplings of spin glasses drawn at random.

Sherrington-Kirkpatrick: all pairs of N units, J_ij = J_ji of mean 0 and variance 1/N, J_ii = 0, Gaussian or
+-1/sqrt(N). Both have the same limit of large N.

Source: Sherrington and Kirkpatrick 1975, Phys. Rev. Lett. 35:1792.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_choice, check_integer


def sherrington_kirkpatrick(
    key: Key[Array, ""], n_units: int, couplings: str = "gaussian"
) -> Float[Array, "n_units n_units"]:
    """Couplings of one Sherrington-Kirkpatrick instance; `jax.vmap` over keys makes many.

    Args:
        key: a typed key; the same key gives the same instance.
        n_units: number of units N, >= 2.
        couplings: "gaussian", or "signs" for +-1/sqrt(N).

    Raises:
        ValueError: fewer than two units, or an unknown law.

    >>> import jax
    >>> from neuromanifold.data import sherrington_kirkpatrick
    >>> couplings = sherrington_kirkpatrick(jax.random.key(0), 500, "signs")
    >>> bool((couplings == couplings.T).all()), f"{float((couplings**2).sum() / 500):.3f}"
    (True, '0.998')
    """
    n_units = check_integer("n_units", n_units, 2)
    check_choice("couplings", couplings, ("gaussian", "signs"))
    return _mirrored(_draw(key, n_units, couplings))


# Two programs: one that drew and mirrored at once might draw the halves apart, with other last digits.
@functools.partial(jax.jit, static_argnums=(1, 2))
def _draw(key: Array, n_units: int, couplings: str) -> Array:
    law = jax.random.normal if couplings == "gaussian" else jax.random.rademacher
    return law(key, (n_units, n_units), jnp.result_type(float)) / math.sqrt(n_units)


@jax.jit
def _mirrored(square: Array) -> Array:
    upper = jnp.triu(square, 1)
    return upper + upper.T
