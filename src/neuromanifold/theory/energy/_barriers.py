"""How deep local minima are: what decides whether a logarithmic schedule ends in the global minimum.

The depth of a local minimum is the least climb by which a lower state is reached,

    d(i) = min over paths from i to some j with E_j < E_i of  (the highest energy on the path) - E_i,

and d* is the largest depth of a local minimum that is not global. Simulated annealing at T(t) = c/log(t + 2)
ends in the global minima with probability one if and only if c >= d*.

All depths come from one flood: states are added in order of energy, and basins that meet are merged; where a
basin meets one with a lower bottom it ends, and its depth is the level of the meeting minus its bottom.

Source: Hajek 1988, Math. Oper. Res. 13:311, theorem 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_finite, require


class LocalMinimum(NamedTuple):
    """A bottom and what it takes to leave it.

    Args:
        states: the states of a connected bottom of one energy.
        energy: its energy.
        depth: d; infinite for a global minimum.
    """

    states: tuple[int, ...]
    energy: float
    depth: float


def local_minima(energies: ArrayLike, adjacency: ArrayLike) -> list[LocalMinimum]:
    """All local minima with their depths, in order of energy.

    Args:
        energies: E, shape (n_states,).
        adjacency: which states are neighbours, symmetric, shape (n_states, n_states); numbers count as yes
            where they are not zero, the diagonal is ignored.

    Raises:
        ValueError: shapes that do not fit, a matrix that is not symmetric, or states that no path connects.

    >>> from neuromanifold.theory.energy import local_minima, path_proposal
    >>> for minimum in local_minima([0, 1, 2, 1, 0.5, 1, 2.5], path_proposal(7)):
    ...     print(minimum)
    LocalMinimum(states=(0,), energy=0.0, depth=inf)
    LocalMinimum(states=(4,), energy=0.5, depth=1.5)
    """
    levels, near = _checked(energies, adjacency)
    n = levels.size
    owner = np.full(n, -1)
    bottoms: dict[int, list[tuple[int, ...]]] = {}
    found: list[LocalMinimum] = []

    def root(i: int) -> int:
        while owner[i] != i:
            owner[i] = owner[owner[i]]
            i = int(owner[i])
        return i

    for level in np.unique(levels):
        fresh = np.flatnonzero(levels == level)
        owner[fresh] = fresh
        for group in _connected(fresh, near):
            below = {
                root(int(j))
                for i in group
                for j in np.flatnonzero(near[i])
                if owner[j] >= 0 and levels[j] < level
            }
            here = root(group[0])
            for i in group:
                owner[root(i)] = here
            if not below:
                bottoms[here] = [tuple(group)]
                continue
            lowest = min(levels[bottoms[k][0][0]] for k in below)
            kept: list[tuple[int, ...]] = []
            for k in sorted(below):
                bottom = float(levels[bottoms[k][0][0]])
                if bottom > lowest:
                    found += [
                        LocalMinimum(states, bottom, float(level) - bottom) for states in bottoms.pop(k)
                    ]
                else:
                    kept += bottoms.pop(k)
                owner[k] = here
            bottoms[here] = kept
    require(len(bottoms) == 1, "adjacency", "connect all states", f"{len(bottoms)} parts")
    (last,) = bottoms.values()
    found += [LocalMinimum(states, float(levels[states[0]]), np.inf) for states in last]
    return sorted(found, key=lambda minimum: (minimum.energy, minimum.states))


def barrier_depth(energies: ArrayLike, adjacency: ArrayLike) -> float:
    """The largest depth d* of a local minimum that is not global; 0 where there is none.

    Args:
        energies: as for `local_minima`.
        adjacency: as for `local_minima`.

    Raises:
        ValueError: as for `local_minima`.

    >>> from neuromanifold.theory.energy import barrier_depth, path_proposal
    >>> barrier_depth([0, 1, 2, 1, 0.5, 1, 2.5], path_proposal(7))
    1.5
    """
    depths = [minimum.depth for minimum in local_minima(energies, adjacency) if np.isfinite(minimum.depth)]
    return max(depths, default=0.0)


def _connected(states: NDArray[np.intp], near: NDArray[np.bool_]) -> list[list[int]]:
    """Parts of some states that neighbours among them connect."""
    left, parts = set(states.tolist()), []
    while left:
        front = [left.pop()]
        part = list(front)
        while front:
            reached = left.intersection(np.flatnonzero(near[front.pop()]).tolist())
            left -= reached
            front += reached
            part += reached
        parts.append(sorted(part))
    return sorted(parts)


def _checked(energies: ArrayLike, adjacency: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    levels = check_finite("energies", energies).astype(np.float64)
    require(levels.ndim == 1 and levels.size >= 1, "energies", "have shape (n_states,)", levels.shape)
    near = np.asarray(check_finite("adjacency", adjacency)) != 0
    n = levels.size
    require(near.shape == (n, n), "adjacency", f"have shape ({n}, {n})", near.shape)
    uneven = np.argwhere(near != near.T)
    require(not len(uneven), "adjacency", "be symmetric", uneven[:1].tolist())
    return levels, near & ~np.eye(n, dtype=bool)
