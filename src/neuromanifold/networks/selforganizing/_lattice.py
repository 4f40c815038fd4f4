"""Lattices of units in any number of dimensions: rectangular or hexagonal, with borders or closed to a torus.

Units are numbered in C order of the shape. On a rectangular lattice unit (i_1, ..., i_D) lies at that point.
On a hexagonal one the last two axes are rows and columns of a triangular packing with all neighbours at
distance 1: row r lies at height r sqrt(3)/2 and odd rows are shifted by half a column; further axes stack
such layers at distance 1. A periodic axis of length n closes at n (rows of a hexagonal lattice at n
sqrt(3)/2, n even), and distances are the shortest around the torus.

Symbols: r_i position of unit i; d_ij = |r_i - r_j| distance on the lattice, in lattice constants.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from neuromanifold._base import check_choice, check_integer, require

_ROW = math.sqrt(3.0) / 2.0
# Squared distances between lattice points differ by more than this.
_ROUNDING = 0.01


class Lattice(eqx.Module):
    """Where the units of a map are; see the module's header.

    Args:
        shape: units along each axis, each >= 1; at least one axis, two for a hexagonal lattice.
        kind: "rectangular" or "hexagonal".
        periodic: whether the axes close; one bool for all, or one for each.

    Raises:
        ValueError: an argument outside its rule; an odd number of rows that should close hexagonally.

    >>> from neuromanifold.networks.selforganizing import Lattice
    >>> Lattice((4, 5), periodic=True).squared_distances(0).reshape(4, 5)[:, 4].tolist()
    [1.0, 2.0, 5.0, 2.0]
    >>> Lattice((4, 6), "hexagonal").neighbours[7].tolist()
    [1, 2, 6, 8, 13, 14]
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    def __init__(
        self, shape: Sequence[int], kind: str = "rectangular", *, periodic: bool | Sequence[bool] = False
    ) -> None:
        self.kind = check_choice("kind", kind, ("rectangular", "hexagonal"))
        least = 2 if kind == "hexagonal" else 1
        require(
            isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) >= least,
            "shape",
            f"have {least} or more axes for a {kind} lattice",
            shape,
        )
        self.shape = tuple(check_integer(f"shape[{k}]", n, 1) for k, n in enumerate(shape))
        closes = (periodic,) * len(self.shape) if isinstance(periodic, bool | np.bool_) else tuple(periodic)
        rule = f"be a bool or one for each of the {len(self.shape)} axes"
        fits = len(closes) == len(self.shape) and all(isinstance(c, bool | np.bool_) for c in closes)
        require(fits, "periodic", rule, periodic)
        self.periodic = tuple(bool(c) for c in closes)
        if kind == "hexagonal" and self.periodic[-2]:
            rule = "be even for rows that close hexagonally"
            require(self.shape[-2] % 2 == 0, f"shape[{len(self.shape) - 2}]", rule, self.shape[-2])

    @property
    def n_units(self) -> int:
        """Number of units."""
        return math.prod(self.shape)

    @property
    def n_dims(self) -> int:
        """Number of axes D."""
        return len(self.shape)

    @property
    def periods(self) -> tuple[float | None, ...]:
        """Length at which each axis closes; None for an axis with borders."""
        lengths = [float(n) for n in self.shape]
        if self.kind == "hexagonal":
            lengths[-2] *= _ROW
        return tuple(p if c else None for p, c in zip(lengths, self.periodic, strict=True))

    @property
    def positions(self) -> np.ndarray:
        """Positions r_i of the units, shape (n_units, n_dims), read-only."""
        return _positions(self)

    @property
    def neighbours(self) -> np.ndarray:
        """Units at distance 1 of each unit, ascending, filled up with -1; shape (n_units, most)."""
        return _neighbours(self)

    def squared_distances(self, unit: int | Int[Array, ""]) -> Float[Array, " n_units"]:
        """d_ij^2 from one unit to all."""
        positions = jnp.asarray(self.positions, float)
        squares = []
        for k, period in enumerate(self.periods):
            apart = positions[:, k] - positions[unit, k]
            squares.append((apart if period is None else apart - period * jnp.round(apart / period)) ** 2)
        return sum(squares[1:], squares[0])

    def offsets(self, i: Integer[np.ndarray, "..."], j: Integer[np.ndarray, "..."]) -> np.ndarray:
        """r_j - r_i, the shortest way around the axes that close, shape (..., n_dims)."""
        apart = self.positions[j] - self.positions[i]
        for k, period in enumerate(self.periods):
            if period is not None:
                apart[..., k] -= period * np.round(apart[..., k] / period)
        return apart

    def adjacent(
        self, i: Integer[np.ndarray, "..."], j: Integer[np.ndarray, "..."], *, diagonal: bool = True
    ) -> Bool[np.ndarray, "..."]:
        """Whether two units are next to each other (a unit is next to itself).

        Args:
            i: units.
            j: units, of the same shape.
            diagonal: units that differ by 1 along several axes count; a hexagonal layer has no diagonals.
        """
        steps = np.abs(self.offsets(i, j))
        if self.kind == "hexagonal":
            plane = np.linalg.norm(steps[..., -2:], axis=-1, keepdims=True)
            steps = np.concatenate([steps[..., :-2], plane], axis=-1)
        apart = steps.max(axis=-1) if diagonal else steps.sum(axis=-1)
        return apart <= 1 + _ROUNDING


@functools.lru_cache(maxsize=64)
def _positions(lattice: Lattice) -> np.ndarray:
    places = np.indices(lattice.shape).reshape(lattice.n_dims, -1).T.astype(np.float64)
    if lattice.kind == "hexagonal":
        places[:, -1] += 0.5 * (places[:, -2] % 2)
        places[:, -2] *= _ROW
    places.setflags(write=False)
    return places


@functools.lru_cache(maxsize=64)
def _neighbours(lattice: Lattice) -> np.ndarray:
    places = np.indices(lattice.shape).reshape(lattice.n_dims, -1).T
    unit_steps = [sign * row for row in np.eye(lattice.n_dims, dtype=int) for sign in (-1, 1)]
    found = []
    if lattice.kind == "hexagonal":
        # In rows that are not shifted the units above and below lie in this column and the one before.
        side = np.where(places[:, -2] % 2 == 1, 1, -1)
        for up in (-1, 1):
            step = np.zeros_like(places)
            step[:, -2], step[:, -1] = up, side
            found.append(_moved(lattice, places, step))
    found += [_moved(lattice, places, np.broadcast_to(step, places.shape)) for step in unit_steps]
    table = np.stack(found, axis=1)
    table[table == np.arange(lattice.n_units)[:, None]] = -1
    table = np.sort(table, axis=1)[:, ::-1]
    for left, right in itertools.pairwise(range(table.shape[1])):
        table[table[:, left] == table[:, right], left] = -1
    table = np.where(table < 0, lattice.n_units, table)
    table = np.sort(table, axis=1)
    table = np.where(table == lattice.n_units, -1, table)
    table = table[:, : max(1, int((table >= 0).sum(1).max()))]
    table.setflags(write=False)
    return table


def _moved(lattice: Lattice, places: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The unit one step away from each, -1 past a border."""
    there = places + step
    shape = np.array(lattice.shape)
    inside = ((there >= 0) & (there < shape)) | np.array(lattice.periodic)
    index = np.ravel_multi_index(tuple((there % shape).T), lattice.shape)
    return np.where(inside.all(axis=1), index, -1)
