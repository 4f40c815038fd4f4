"""The blocks of the Fisher information that belong to single units: their incoming weights and bias.

    F_i = (1/T) sum_t R_ti^T R_ti,   R_ti: columns of S^T J_t that belong to unit i

Blocks between units of a layer, and between layers, are left out: for wide layers they are small against
these, entry by entry, though not as matrices. A unit costs the square of its own parameters in place of all.

Source: Amari, Karakida and Oizumi (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.geometry.fisher._family import root_transposed
from neuromanifold.geometry.fisher._information import FisherInformation


def unit_blocks(information: FisherInformation, where: Callable[[Any], Any]) -> Float[Array, "units d d"]:
    """The diagonal blocks of a layer's units.

    Args:
        information: of the network.
        where: `where(params) -> leaves`, one leaf or a tuple, such as (weight, bias); the first axis of each
            leaf is that of units, all other axes belong to the unit.

    Returns:
        One block a unit, its parameters in the order of the leaves.

    Raises:
        ValueError: leaves without an axis of units, or of different numbers of units.
    """
    chosen = where(information.params)
    leaves = chosen if isinstance(chosen, tuple) else (chosen,)
    shapes = [jnp.shape(leaf) for leaf in leaves]
    n_units = {shape[0] if shape else 0 for shape in shapes}
    require(len(n_units) == 1 and n_units != {0}, "where", "choose leaves with one number of units", shapes)
    return _blocks(information, where, tuple(leaves))


@eqx.filter_jit
def _blocks(information: FisherInformation, where: Callable[[Any], Any], leaves: tuple[Array, ...]) -> Array:
    units = len(leaves[0])

    def outputs(given: tuple[Array, ...], x: Array) -> Array:
        put = given if isinstance(where(information.params), tuple) else given[0]
        return jnp.atleast_1d(information.function(eqx.tree_at(where, information.params, put), x))

    def one(x: Array) -> Array:
        parts = jax.jacrev(outputs)(leaves, x)
        rows = jnp.concatenate([part.reshape(len(part), units, -1) for part in parts], axis=-1)
        flat = root_transposed(information.family, outputs(leaves, x), rows.reshape(len(rows), -1))
        own = flat.reshape(rows.shape)
        return jnp.einsum("cua,cub->uab", own, own)

    return jax.lax.map(one, information.inputs).mean(0)
