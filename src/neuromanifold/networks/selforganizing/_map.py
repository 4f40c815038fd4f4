"""The self-organising map: units on a lattice, each with a weight vector in the space of the data.

A row x belongs to its winner, the unit of nearest weights,

    c(x) = argmin_i |w_i - x|^2,        over the features that x has where some are missing,

and what the winner learns reaches the units around it by the neighbourhood h_ci. Rules that move the weights
are in `neuromanifold.learning.competitive`: `online_map`, w_i <- w_i + rate h_ci (x - w_i) row by row, and
`batch_map`, w_i = sum_x h_{c(x) i} x / sum_x h_{c(x) i}, all rows at once.

Winners of many rows come from one matrix product, x . w - |w|^2/2, taken about the mean of the weights so
that data far from the origin lose no digits. The index of the largest of a row is found in blocks of units,
because XLA's argmax is one scalar loop on the CPU.

Source: Kohonen 1982, Biol. Cybern. 43:59. Missing values: Samad and Harp 1992, Network 3:205.
"""

from __future__ import annotations

import math
import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Key

from neuromanifold._base import check_choice, check_finite, check_integer, check_real, require
from neuromanifold.networks.selforganizing._lattice import Lattice
from neuromanifold.networks.selforganizing._neighbourhood import Neighbourhood

# Weights, the sums of a pass, and the sums spread over the neighbourhood are held at once.
_COPIES = 3


class SelfOrganizingMap(eqx.Module):
    """Units on a lattice with weights in the space of the data; see the module's header.

    Args:
        weights: shape (n_units, n_features), finite.
        lattice: where the units are.
        neighbourhood: how learning spreads; a standard Gaussian where None.

    Raises:
        ValueError: weights of another shape, or not finite.

    >>> import jax
    >>> from neuromanifold.dynamics import cooling, run
    >>> from neuromanifold.learning.competitive import batch_map
    >>> from neuromanifold.networks.selforganizing import Lattice, quantisation_error, random_map
    >>> rows = jax.random.uniform(jax.random.key(0), (2000, 2))
    >>> begun = random_map(jax.random.key(1), Lattice((8, 8)), rows)
    >>> rule = batch_map(rows, cooling("geometric", 4.0, 0.5, 20), 20)
    >>> learnt = run(rule, jax.random.key(2), begun, 20).state
    >>> bool(quantisation_error(learnt, rows) < 0.06)
    True
    """

    weights: Float[Array, "n_units n_features"]
    lattice: Lattice
    neighbourhood: Neighbourhood

    def __init__(self, weights: Any, lattice: Lattice, neighbourhood: Neighbourhood | None = None) -> None:
        shape = np.shape(weights)
        rule = f"have shape ({lattice.n_units}, n_features)"
        require(len(shape) == 2 and shape[0] == lattice.n_units and shape[1] >= 1, "weights", rule, shape)
        if not isinstance(weights, Tracer):
            check_finite("weights", weights)
        made = jnp.asarray(weights)
        self.weights = made if jnp.issubdtype(made.dtype, jnp.inexact) else made.astype(float)
        self.lattice = lattice
        self.neighbourhood = Neighbourhood() if neighbourhood is None else neighbourhood

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.weights.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return self.weights.shape[1]

    def squared_distances(self, x: Float[Array, " n_features"]) -> Float[Array, " n_units"]:
        """|w_i - x|^2 over the features that x has; NaN is a feature that it has not."""
        x = jnp.asarray(x, self.weights.dtype)
        apart = jnp.where(jnp.isnan(x)[None], 0.0, self.weights - x[None])
        return (apart**2) @ jnp.ones_like(x)

    def winner(self, x: Float[Array, " n_features"]) -> Int[Array, ""]:
        """The unit of nearest weights, the first of equals."""
        return first_smallest(self.squared_distances(x)[None])[0]

    def winners(
        self, rows: Float[Array, "n_rows n_features"], *, missing: bool = False
    ) -> Int[Array, " n_rows"]:
        """The winner of each row, by one matrix product over all of them.

        Args:
            rows: the rows; all their scores are held at once, n_rows n_units numbers.
            missing: rows have NaN where a feature is missing.
        """
        return first_smallest(self.scores(rows, missing=missing))

    def scores(
        self, rows: Float[Array, "n_rows n_features"], *, missing: bool = False
    ) -> Float[Array, "n_rows n_units"]:
        """|w_i - x|^2 - |x|^2, about the mean of the weights: smallest for the winner."""
        centre = jnp.mean(self.weights, axis=0, keepdims=True)
        weights = self.weights - centre
        rows = jnp.asarray(rows, weights.dtype) - centre
        if missing:
            there = ~jnp.isnan(rows)
            rows = jnp.where(there, rows, 0.0)
            lengths = jnp.matmul(there.astype(weights.dtype), (weights**2).T, precision="highest")
        else:
            lengths = jnp.sum(weights**2, axis=1)[None]
        return lengths - 2.0 * jnp.matmul(rows, weights.T, precision="highest")

    def reach(self, unit: Int[Array, ""], radius: ArrayLike) -> Float[Array, " n_units"]:
        """The neighbourhood h_ci of a unit c on all units i."""
        distances = self.lattice.squared_distances(unit).astype(self.weights.dtype)
        return self.neighbourhood(distances, radius, self.lattice.n_dims)

    def spread(
        self, values: Float[Array, "n_units n_columns"], radius: ArrayLike
    ) -> Float[Array, "n_units n_columns"]:
        """sum_c h_ci v_c: values of the winners, spread over their neighbourhoods."""
        return self.neighbourhood.spread(self.lattice, values, radius)

    def component_planes(self) -> Float[Array, "..."]:
        """The weights laid out on the lattice, shape (*lattice.shape, n_features)."""
        return self.weights.reshape(*self.lattice.shape, -1)


def first_smallest(values: Float[Array, "n_rows n_units"]) -> Int[Array, " n_rows"]:
    """Index of the smallest number of each row, the first of equals, found in blocks."""
    n_rows, n = values.shape
    block = math.isqrt(n - 1) + 1
    n_blocks = -(-n // block)
    padded = jnp.pad(values, [(0, 0), (0, n_blocks * block - n)], constant_values=jnp.inf)
    blocks = padded.reshape(n_rows, n_blocks, block)
    which = jnp.argmin(jnp.min(blocks, axis=2), axis=1)
    inside = jnp.take_along_axis(blocks, which[:, None, None], axis=1)[:, 0]
    return (which * block + jnp.argmin(inside, axis=1)).astype(jnp.int32)


def random_map(
    key: Key[Array, ""],
    lattice: Lattice,
    rows: Any,
    neighbourhood: Neighbourhood | None = None,
    *,
    begin: str = "uniform",
    memory: float | None = None,
) -> SelfOrganizingMap:
    """A map that has learnt nothing yet.

    Args:
        key: of what is drawn.
        lattice: where the units are.
        rows: shape (n_rows, n_features), NaN where a value is missing; they give range or directions.
        neighbourhood: how learning spreads; a standard Gaussian where None.
        begin: "uniform": each weight anywhere in the range of its feature; "rows": the weights of each unit
            are a row drawn at random (rows without missing values); "principal": the lattice laid out flat
            along the leading principal components, two standard deviations to each side.
        memory: bytes that learning may take, > 0; None: those of the machine.

    Raises:
        ValueError: rows of another shape, infinite, or with a feature that no row has; a map that does not
            fit into memory, with the bytes it would need; an unknown word.
    """
    check_choice("begin", begin, ("uniform", "rows", "principal"))
    values = np.asarray(rows)
    rule = "have shape (n_rows, n_features)"
    require(values.ndim == 2 and min(values.shape) >= 1, "rows", rule, values.shape)
    values = values if values.dtype.kind == "f" else values.astype(np.float32)
    there = ~np.isnan(values)
    check_finite("rows", np.where(there, values, 0.0))
    require(there.any(axis=0).all(), "rows", "have each feature at least once", int(np.argmin(there.any(0))))
    n_features = values.shape[1]
    check_memory(lattice, n_features, values.dtype.itemsize, memory)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    if begin == "uniform":
        unit = jax.random.uniform(key, (lattice.n_units, n_features), jnp.asarray(values[:1]).dtype)
        return SelfOrganizingMap(
            jnp.asarray(low)[None] + unit * jnp.asarray(high - low)[None], lattice, neighbourhood
        )
    if begin == "rows":
        whole = np.flatnonzero(there.all(axis=1))
        require(len(whole) >= 1, "rows", "have one without missing values", 0)
        chosen = whole[np.asarray(jax.random.randint(key, (lattice.n_units,), 0, len(whole)))]
        return SelfOrganizingMap(values[chosen], lattice, neighbourhood)
    mean = np.nanmean(values, axis=0)
    filled = np.where(there, values - mean, 0.0)
    spread, directions = np.linalg.eigh(filled.T @ filled / len(filled))
    flat = lattice.positions - lattice.positions.mean(axis=0)
    flat = flat / np.maximum(np.abs(flat).max(axis=0), 1.0)
    # The longest axis of the lattice lies along the largest variance; axes past the features have no extent.
    order = np.argsort([-n for n in lattice.shape], kind="stable")[:n_features]
    weights = np.tile(mean, (lattice.n_units, 1))
    for place, axis in enumerate(order, start=1):
        weights = weights + 2.0 * np.sqrt(max(spread[-place], 0.0)) * flat[:, [axis]] * directions[:, -place]
    return SelfOrganizingMap(weights.astype(values.dtype), lattice, neighbourhood)


def check_memory(lattice: Lattice, n_features: int, itemsize: int = 4, memory: float | None = None) -> float:
    """Bytes that learning needs: the weights, the sums of a pass, and those spread over the neighbourhoods.

    Args:
        lattice: where the units are.
        n_features: features of a row, >= 1.
        itemsize: bytes of a number, >= 1.
        memory: bytes there are, > 0; None: those of the machine.

    Raises:
        ValueError: they need more, with how much.
    """
    check_integer("n_features", n_features, 1)
    check_integer("itemsize", itemsize, 1)
    if memory is None:
        # Not every system says how much memory it has; then nothing is refused.
        told = hasattr(os, "sysconf")
        memory = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES") if told else math.inf
    else:
        memory = check_real("memory", memory, 0, open_low=True)
    needed = float(_COPIES * itemsize * lattice.n_units * n_features)
    require(
        needed <= memory,
        "lattice",
        f"fit into {memory:.3g} bytes with its {n_features} features ({needed:.3g} bytes are needed)",
        lattice.shape,
    )
    return needed
