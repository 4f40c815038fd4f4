"""Where memories and concepts of families of patterns are attractors, in the plane of load and correlation.

The loads of either attractor are intervals between the spinodals of its branch (see `_concept`), and a point
of the plane is inside or not; no iteration is run to its end at any point.

Source: derived in `_concept`; the regions agree in kind with Toya, Fukushima, Kabashima and Okada 2000, J.
Phys. A 33:2725.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromanifold._base import check_choice, check_finite, check_real, require
from neuromanifold.theory.memory._concept import (
    FamilyState,
    branch_grid,
    check_family,
    concept_branch,
    memory_branch,
)


class PhaseDiagram(NamedTuple):
    """Which states are attractors, arrays of shape (n_alpha, n_b)."""

    memory: NDArray[np.bool_]
    concept: NDArray[np.bool_]


def attractor_loads(kind: str, b: float, s: int, smallest_load: float = 1e-3) -> list[tuple[float, float]]:
    """Intervals of load in which the memory, or the mixed state, attracts.

    Args:
        kind: "memory" or "concept".
        b: correlation of child and parent, in [0, 1].
        s: children a family, >= 2, odd for "concept".
        smallest_load: the branch is followed down to this load, in (0, 1).

    Raises:
        ValueError: an argument outside its range.
    """
    check_choice("kind", kind, ("memory", "concept"))
    b, s = check_family(b, s, odd=kind == "concept")
    check_real("smallest_load", smallest_load, 0, 1, open_low=True)
    grid = branch_grid(smallest_load)
    intervals = []
    for sheet in range(1 if kind == "concept" else 2):

        def branch(x: Any, sheet: int = sheet) -> FamilyState:
            return concept_branch(x, b, s) if kind == "concept" else memory_branch(x, b, s, sheet)

        states = branch(grid)
        edges = np.diff(np.concatenate(([0], states.attractor.astype(int), [0])))
        for first, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True):
            upper, lower = float(states.load[first]), float(states.load[last])
            if first > 0:
                upper = _edge(branch, grid[first - 1], grid[first])
            if last < len(grid) - 1:
                lower = _edge(branch, grid[last + 1], grid[last])
            intervals.append((lower if last < len(grid) - 1 else 0.0, upper))
    return sorted(intervals)


def _edge(branch: Any, outside: float, inside: float) -> float:
    """Load where attraction ends between two x, by bisection."""
    for _ in range(40):
        middle = (outside + inside) / 2
        outside, inside = (outside, middle) if branch(middle).attractor else (middle, inside)
    return float(branch(inside).load)


def phase_diagram(alpha: ArrayLike, b: ArrayLike, s: int) -> PhaseDiagram:
    """Which of memory and concept are attractors at each load and correlation: both, one, or neither.

    Args:
        alpha: loads P/N, shape (n_alpha,), > 0.
        b: correlations of child and parent, shape (n_b,), in [0, 1].
        s: children a family, odd, >= 3.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import phase_diagram
    >>> diagram = phase_diagram([0.02, 0.1], [0.3, 0.6], 3)
    >>> diagram.memory.tolist(), diagram.concept.tolist()
    ([[True, False], [True, False]], [[True, True], [False, False]])
    """
    loads = np.atleast_1d(check_finite("alpha", alpha).astype(np.float64))
    correlations = np.atleast_1d(check_finite("b", b).astype(np.float64))
    require(np.all(loads > 0) and loads.ndim == 1, "alpha", "be a vector of numbers > 0", alpha)
    require(np.all((correlations >= 0) & (correlations <= 1)), "b", "lie in [0, 1]", b)
    check_family(0.0, s, odd=True)

    def inside(kind: str) -> NDArray[np.bool_]:
        columns = []
        for value in correlations:
            within = np.zeros(loads.shape, bool)
            for low, high in attractor_loads(kind, float(value), s, float(min(loads.min(), 0.5))):
                within |= (loads >= low) & (loads <= high)
            columns.append(within)
        return np.stack(columns, 1)

    return PhaseDiagram(inside("memory"), inside("concept"))
