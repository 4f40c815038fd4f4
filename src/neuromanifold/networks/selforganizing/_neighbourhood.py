"""Neighbourhoods: how much of the winner's learning reaches a unit at distance d on the lattice.

gaussian        exp(-d^2 / (2 s^2))
mexican-hat     (1 - d^2 / (D s^2)) exp(-d^2 / (2 s^2)),  D axes: on a large lattice it sums to zero
bubble          1 for d <= sigma, else 0

s = sigma by the standard convention, exp(-d^2 / (2 sigma^2)); s^2 = sigma^2 / 2 by the lecture's,
exp(-d^2 / sigma^2). Radii of the two differ by sqrt(2), and so does every result that is quoted with one.

Source: Kohonen 1982, Biol. Cybern. 43:59; Ritter and Schulten 1986, Biol. Cybern. 54:99 (Gaussian).
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from neuromanifold._base import check_choice, require
from neuromanifold.networks.selforganizing._lattice import Lattice

# Entries of a block of the matrix of neighbourhoods.
_BLOCK_ENTRIES = 2**22


class Neighbourhood(eqx.Module):
    """Shape of a neighbourhood; see the module's header.

    Args:
        kind: "gaussian", "bubble" or "mexican-hat".
        convention: what a radius sigma means: "standard", exp(-d^2/(2 sigma^2)), or "lecture",
            exp(-d^2/sigma^2). A bubble ends at sigma by both.

    Raises:
        ValueError: an unknown word.
    """

    kind: str = eqx.field(static=True)
    convention: str = eqx.field(static=True)

    def __init__(self, kind: str = "gaussian", *, convention: str = "standard") -> None:
        self.kind = check_choice("kind", kind, ("gaussian", "bubble", "mexican-hat"))
        self.convention = check_choice("convention", convention, ("standard", "lecture"))

    def variance(self, radius: ArrayLike) -> Array:
        """s^2 of a radius sigma."""
        return jnp.asarray(radius) ** 2 / (1.0 if self.convention == "standard" else 2.0)

    def __call__(
        self, squared_distance: Float[Array, "*shape"], radius: ArrayLike, n_dims: int = 1
    ) -> Float[Array, "*shape"]:
        """The neighbourhood at some squared distances.

        Args:
            squared_distance: d^2 >= 0.
            radius: sigma > 0.
            n_dims: axes D of the lattice; matters for the Mexican hat alone.
        """
        if self.kind == "bubble":
            # Squared distances on a lattice differ by far more than their rounding.
            return (squared_distance <= jnp.asarray(radius) ** 2 + 1e-3).astype(squared_distance.dtype)
        scaled = squared_distance / self.variance(radius).astype(squared_distance.dtype)
        bell = jnp.exp(-0.5 * scaled)
        return bell if self.kind == "gaussian" else (1.0 - scaled / n_dims) * bell

    def spread(
        self, lattice: Lattice, values: Float[Array, "n_units n_columns"], radius: ArrayLike
    ) -> Float[Array, "n_units n_columns"]:
        """sum_c h_ic v_c for every unit i.

        A Gaussian on a rectangular lattice is a product over the axes and is applied axis by axis; any other
        is a matrix, formed in blocks of rows and never as a whole where it is large.

        Raises:
            ValueError: a Mexican hat, over which no mean can be taken.
        """
        require(self.kind != "mexican-hat", "kind", "have no negative parts for a mean over it", self.kind)
        if self.kind == "gaussian" and lattice.kind == "rectangular":
            return self._along_axes(lattice, values, radius)
        n_units = lattice.n_units
        block = max(1, min(n_units, _BLOCK_ENTRIES // n_units))
        n_blocks = -(-n_units // block)
        units = jnp.minimum(jnp.arange(n_blocks * block), n_units - 1).reshape(n_blocks, block)

        def rows(some: Array) -> Array:
            distances = jax.vmap(lattice.squared_distances)(some).astype(values.dtype)
            return jnp.matmul(self(distances, radius, lattice.n_dims), values, precision="highest")

        return jax.lax.map(rows, units).reshape(-1, values.shape[1])[:n_units]

    def _along_axes(self, lattice: Lattice, values: Array, radius: ArrayLike) -> Array:
        shaped = values.reshape(*lattice.shape, -1)
        for axis, (n, period) in enumerate(zip(lattice.shape, lattice.periods, strict=True)):
            apart = np.abs(np.arange(n)[:, None] - np.arange(n)[None]).astype(np.float64)
            if period is not None:
                apart = np.minimum(apart, period - apart)
            kernel = self(jnp.asarray(apart**2, values.dtype), radius)
            moved = jnp.tensordot(kernel, shaped, axes=(1, axis), precision="highest")
            shaped = jnp.moveaxis(moved, 0, axis)
        return shaped.reshape(values.shape)
