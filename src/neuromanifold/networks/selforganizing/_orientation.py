"""What orientation cells prefer, how much, and how their preferences are laid out.

With responses r_k(theta) to bars at angles theta that cover a half turn,

    z = sum_theta r e^{2 i theta} / sum_theta r,    preference = arg(z)/2,    selectivity = |z|,

|z| being one minus the circular variance. Correlation at a distance d is the mean of cos 2(p_k - p_l) over
pairs of cells that far apart: 1 where preferences agree, 0 where they are unrelated. A pinwheel is a triangle
of neighbouring cells around which the preference turns by half a turn, one way or the other.

What chance alone would show is exact. A cell's n responses dealt out over the angles at random have the mean
square selectivity

    E |z|^2 = n/(n - 1) sum (r - mean r)^2 / (sum r)^2,

and n preferences dealt out over the cells at random the correlation (|sum_k e^{2 i p_k}|^2 - n)/(n (n - 1))
at every distance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import Delaunay

from neuromanifold._base import check_finite, require


class OrientationMap(NamedTuple):
    """Preferences of some cells.

    Args:
        preference: in [0, pi), shape (n_cells,); of no meaning where a cell is silent.
        selectivity: in [0, 1], shape (n_cells,); 0 where silent.
        active: whether a cell responds to any bar, shape (n_cells,).
    """

    preference: np.ndarray
    selectivity: np.ndarray
    active: np.ndarray


class Pinwheels(NamedTuple):
    """Triangles of cells around which the preference turns.

    Args:
        positions: their centres, shape (n, 2).
        signs: +1 or -1 for the way it turns, shape (n,).
        n_triangles: triangles of active cells in all. Unrelated preferences turn around one in four of them.
    """

    positions: np.ndarray
    signs: np.ndarray
    n_triangles: int


def orientation_map(responses: Any, angles: Any) -> OrientationMap:
    """Preferences and selectivities.

    Args:
        responses: >= 0, shape (n_angles, n_cells).
        angles: evenly spaced over a half turn, in radians, shape (n_angles,), n_angles >= 3.

    Raises:
        ValueError: another shape, negative responses, or angles that are not even over a half turn.
    """
    r = check_finite("responses", responses).astype(np.float64)
    theta = check_finite("angles", angles).astype(np.float64)
    fits = theta.ndim == 1 and r.ndim == 2 and len(theta) == len(r) and len(theta) >= 3
    require(fits, "responses", "have shape (n_angles, n_cells) with three angles or more", r.shape)
    require((r >= 0).all(), "responses", "be >= 0", float(r.min()))
    even = np.abs(np.exp(2j * theta).sum()) < 1e-6 * len(theta)
    require(even, "angles", "be evenly spaced over a half turn", theta.tolist())
    total = r.sum(axis=0)
    active = total > 1e-6 * max(float(total.max()), 1e-12)
    z = (r * np.exp(2j * theta)[:, None]).sum(axis=0) / np.where(active, total, 1.0)
    z = np.where(active, z, 0.0)
    return OrientationMap(np.angle(z) / 2 % np.pi, np.abs(z), active)


def preference_correlation(
    found: OrientationMap, positions: np.ndarray, edges: Any, order: np.ndarray | None = None
) -> np.ndarray:
    """Mean of cos 2(p_k - p_l) over pairs of active cells in bins of their distance, shape (n_bins,).

    Args:
        found: the preferences.
        positions: of the cells, shape (n_cells, 2).
        edges: of the bins, ascending, shape (n_bins + 1,).
        order: a permutation of the active cells that is applied first, as a control.

    Raises:
        ValueError: a bin without any pair.
    """
    places, preference = positions[found.active], found.preference[found.active]
    if order is not None:
        preference = preference[order]
    i, j = np.triu_indices(len(places), 1)
    apart = np.linalg.norm(places[i] - places[j], axis=1)
    alike = np.cos(2 * (preference[i] - preference[j]))
    which = np.digitize(apart, np.asarray(edges)) - 1
    n_bins = len(edges) - 1
    inside = (which >= 0) & (which < n_bins)
    counts = np.bincount(which[inside], minlength=n_bins)
    require((counts > 0).all(), "edges", "leave a pair of active cells in each bin", counts.tolist())
    return np.bincount(which[inside], alike[inside], minlength=n_bins) / counts


def chance_selectivity(responses: Any) -> np.ndarray:
    """Mean square selectivity of each cell's responses dealt out over the angles at random, shape (n_cells,).

    Args:
        responses: >= 0, shape (n_angles, n_cells); 0 where a cell is silent.

    Raises:
        ValueError: another shape, or negative responses.
    """
    r = check_finite("responses", responses).astype(np.float64)
    require(r.ndim == 2 and len(r) >= 3, "responses", "have shape (n_angles, n_cells)", r.shape)
    require((r >= 0).all(), "responses", "be >= 0", float(r.min()))
    total = r.sum(axis=0)
    spread = len(r) / (len(r) - 1) * ((r - r.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(total > 0, spread / np.where(total > 0, total, 1.0) ** 2, 0.0)


def chance_correlation(found: OrientationMap) -> float:
    """Correlation at any distance of the preferences of active cells, dealt out over them at random.

    Args:
        found: the preferences, of two active cells or more.

    Raises:
        ValueError: fewer active cells.
    """
    preference = found.preference[found.active]
    n = len(preference)
    require(n >= 2, "found", "have two active cells", n)
    return float((np.abs(np.exp(2j * preference).sum()) ** 2 - n) / (n * (n - 1)))


def pinwheels(found: OrientationMap, positions: np.ndarray) -> Pinwheels:
    """The pinwheels of a map.

    Args:
        found: the preferences.
        positions: of the cells, shape (n_cells, 2).
    """
    triangles = Delaunay(positions).simplices
    corners = positions[triangles]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    triangles = np.where((area > 0)[:, None], triangles, triangles[:, ::-1])
    # Thin triangles along the border are no cells of the lattice.
    whole = (np.abs(area) > 0.5 * np.median(np.abs(area))) & found.active[triangles].all(axis=1)
    p = found.preference[triangles]
    steps = np.roll(p, -1, axis=1) - p
    turned = ((steps + np.pi / 2) % np.pi - np.pi / 2).sum(axis=1) / np.pi
    signs = np.rint(turned).astype(int)
    chosen = whole & (signs != 0)
    return Pinwheels(corners[chosen].mean(axis=1), signs[chosen], int(whole.sum()))
