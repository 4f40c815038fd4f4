"""What a map has learnt: errors of quantisation and topography, hits, distances between neighbours, folds.

Quantisation error     mean over rows of |x - w_c(x)|
Distortion             mean over rows of |x - w_c(x)|^2
Topographic error      share of rows whose two nearest units are not next to each other on the lattice
U-matrix               of each unit, mean of |w_i - w_j| over its neighbours j on the lattice
Folds                  cells of a two-dimensional map in the plane that are turned over against the others

With missing values distances are over the features a row has. Rows are handled in chunks, so that memory
does not grow with their number.

Source: Kiviluoto 1996, ICNN 1:294 (topographic error); Ultsch and Siemon 1990, INNC 305 (U-matrix).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from neuromanifold._base import check_rows, require
from neuromanifold.networks.selforganizing._map import SelfOrganizingMap, first_smallest

# Scores of the rows against all units that are held at once.
_SCORES = 2**22


class MapErrors(NamedTuple):
    """What rows say about a map, one number a row.

    Args:
        winner: nearest unit.
        second: second nearest unit (the nearest where there is but one).
        squared_distance: |x - w_winner|^2.
    """

    winner: np.ndarray
    second: np.ndarray
    squared_distance: np.ndarray


def map_errors(network: SelfOrganizingMap, rows: Any, *, missing: bool = False) -> MapErrors:
    """The two nearest units of each row and its squared distance to the nearer.

    Args:
        network: the map.
        rows: shape (n_rows, n_features).
        missing: NaN marks a missing value; without it NaN is refused.

    Raises:
        ValueError: rows of another shape, or not finite.
    """
    values = check_rows("rows", rows, network.n_features, missing=missing)
    values = values.astype(network.weights.dtype, copy=False)
    # A power of two, so that few programs are compiled for rows of many lengths.
    longest = 2 ** max(0, (max(1, _SCORES // network.n_units)).bit_length() - 1)
    length = min(longest, 2 ** (len(values) - 1).bit_length())
    parts = []
    for start in range(0, len(values), length):
        part = values[start : start + length]
        padded = np.concatenate([part, np.repeat(part[-1:], length - len(part), axis=0)])
        found = _two_nearest(network, padded, missing or bool(np.isnan(part).any()))
        parts.append([np.asarray(x)[: len(part)] for x in found])
    return MapErrors(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@eqx.filter_jit
def _two_nearest(network: SelfOrganizingMap, rows: Any, missing: bool) -> tuple[Array, Array, Array]:
    rows = jnp.asarray(rows)
    scores = network.scores(rows, missing=missing)
    first = first_smallest(scores)
    units = jnp.arange(network.n_units, dtype=jnp.int32)[None]
    second = first_smallest(jnp.where(units == first[:, None], jnp.inf, scores))
    apart = rows - network.weights[first]
    return first, second, jnp.sum(jnp.where(jnp.isnan(apart), 0.0, apart**2), axis=1)


def quantisation_error(network: SelfOrganizingMap, rows: Any, *, missing: bool = False) -> float:
    """Mean distance of the rows to the weights of their winners; arguments as for `map_errors`."""
    return float(
        np.sqrt(map_errors(network, rows, missing=missing).squared_distance, dtype=np.float64).mean()
    )


def topographic_error(
    network: SelfOrganizingMap, rows: Any, *, diagonal: bool = True, missing: bool = False
) -> float:
    """Share of rows whose two nearest units are not next to each other on the lattice.

    Args:
        network: the map.
        rows: shape (n_rows, n_features).
        diagonal: on a rectangular lattice, units that differ by 1 along several axes are next to each other.
        missing: NaN marks a missing value; without it NaN is refused.

    Raises:
        ValueError: rows of another shape, or not finite.
    """
    found = map_errors(network, rows, missing=missing)
    return float(np.mean(~network.lattice.adjacent(found.winner, found.second, diagonal=diagonal)))


def hit_map(network: SelfOrganizingMap, rows: Any, *, missing: bool = False) -> np.ndarray:
    """Rows that each unit wins, in the shape of the lattice; arguments as for `map_errors`."""
    winners = map_errors(network, rows, missing=missing).winner
    return np.bincount(winners, minlength=network.n_units).reshape(network.lattice.shape)


def u_matrix(network: SelfOrganizingMap) -> np.ndarray:
    """Mean distance of the weights of each unit to those of its neighbours, in the shape of the lattice."""
    weights = np.asarray(network.weights, np.float64)
    table = network.lattice.neighbours
    there = table >= 0
    apart = np.linalg.norm(weights[:, None] - weights[table], axis=-1)
    mean = np.where(there, apart, 0.0).sum(1) / np.maximum(there.sum(1), 1)
    return mean.reshape(network.lattice.shape)


def folded_cells(network: SelfOrganizingMap) -> tuple[int, int]:
    """Corners of lattice cells that are turned over against most others, and the number of corners.

    A cell is a square (rectangular lattice, four corners with the area of the triangle at each) or a triangle
    (hexagonal). A map without folds keeps the orientation of all of them, mirrored or not.

    Raises:
        ValueError: a map that is not two-dimensional in a plane, or a lattice that closes or has no cells.
    """
    lattice = network.lattice
    flat = lattice.n_dims == 2 and network.n_features == 2 and not any(lattice.periodic)
    require(flat, "network", "have two axes with borders and two features", (lattice, network.n_features))
    require(min(lattice.shape) >= 2, "shape", "be at least 2 along both axes", lattice.shape)
    points = np.asarray(network.weights, np.float64).reshape(*lattice.shape, 2)
    index = np.arange(lattice.n_units).reshape(lattice.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    if lattice.kind == "rectangular":
        corners = [(a, b, c), (b, d, a), (d, c, b), (c, a, d)]
    else:
        odd = np.broadcast_to(np.arange(lattice.shape[0] - 1)[:, None] % 2 == 1, a.shape)
        corners = [
            (a[~odd], b[~odd], c[~odd]),
            (b[~odd], d[~odd], c[~odd]),
            (a[odd], b[odd], d[odd]),
            (a[odd], d[odd], c[odd]),
        ]
    points = points.reshape(-1, 2)
    areas = []
    for i, j, k in corners:
        one, other = points[j] - points[i], points[k] - points[i]
        areas.append((one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]).ravel())
    signs = np.sign(np.concatenate(areas))
    most = 1.0 if (signs > 0).sum() >= (signs < 0).sum() else -1.0
    return int((signs != most).sum()), len(signs)
