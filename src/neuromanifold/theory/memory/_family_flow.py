"""Flow of a family's overlaps in the plane of one child and its siblings, with saddles and separatrices.

The model and its map are those of `_concept_map`. In the plane m = (m_1, m_2, ..., m_2), with the noise
following the overlaps, sigma = G(m, sigma), the map is

    m_1 -> << xi_1 erf(S/(sqrt(2) sigma)) >>,     m_2 -> << xi_2 erf(S/(sqrt(2) sigma)) >>,

F(m, sigma(m)) - m is drawn as the flow. A fixed point attracts in the plane where both eigenvalues of the
map's Jacobian lie below 1 and is a saddle where one does. The separatrix, from which the map runs into the
saddle, parts the basins: on each line of constant m_2 it is found by bisection. Where several noises belong
to the same overlaps the least is taken, that of recall.

The map relaxes overlaps with the noise at rest; it has the states of recall and their neighbourhoods, but it
is no theory of the times between, for which the noise has a law of its own (`recall_dynamics`).

Symbols: s branching; b correlation with the parent; l1 = 1 + (s-1) b^2, l2 = 1 - b^2; sigma noise.

Source: equations as in `_concept_map`; the picture of memory, concept and the saddle between is that of
Matsumoto, Okada, Sugase-Miyamoto, Yamane and Kawano 2005, Cereb. Cortex 15:1103.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf
from scipy.stats import binom

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.theory.memory._concept import family_states

_NOISES = 160


class PlanePoint(NamedTuple):
    """A fixed point in the plane.

    Args:
        overlaps: (m_1, m_2).
        eigenvalues: of the map's Jacobian in the plane, falling.
        kind: "attractor", "saddle" or "repeller".
    """

    overlaps: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    kind: str


class FamilyPlane:
    """The plane of overlaps of a family at one load; see the module's header.

    Args:
        alpha: load P/N, in (0, 1).
        b: correlation of child and parent, in [0, 1].
        s: children a family, odd, >= 3.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.theory.memory import FamilyPlane
    >>> plane = FamilyPlane(0.02, 0.3, 3)
    >>> [point.kind for point in plane.fixed_points()]
    ['attractor', 'attractor', 'saddle']
    """

    def __init__(self, alpha: float, b: float, s: int):
        self.alpha = check_real("alpha", alpha, 0, 1, open_low=True, open_high=True)
        self.b = check_real("b", b, 0, 1)
        self.s = check_integer("s", s, 3)
        require(self.s % 2 == 1, "s", "be odd for a mixed state", s)
        up = (1 + self.b) / 2
        # Signs of the first child, sums of the others, and their probability, for a parent of +1.
        count = np.arange(self.s)
        others = binom.pmf(count, self.s - 1, up)
        self._first = np.repeat([1.0, -1.0], self.s)
        self._rest = np.tile(2.0 * count - (self.s - 1), 2)
        self._weight = np.concatenate([up * others, (1 - up) * others])
        self._levels = 1 + (self.s - 1) * self.b**2, 1 - self.b**2

    def _squared_noise(self, field: Any, noise: Any) -> Any:
        """G^2, infinite where U l1 >= 1."""
        large, small = self._levels
        scale = np.sqrt(2 / np.pi) / noise
        u = scale * np.sum(self._weight * np.exp(-0.5 * (field / noise[..., None]) ** 2), -1)
        with np.errstate(divide="ignore"):
            level = ((large / (1 - u * large)) ** 2 + (self.s - 1) * (small / (1 - u * small)) ** 2) / self.s
        return np.where(u * large < 1, self.alpha * level, np.inf)

    def _noise(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """The least noise that belongs to the overlaps: a scan from below, then bisection."""
        top = self._levels[0] * (np.sqrt(2 / np.pi) + 1.1 * np.sqrt(self.alpha * self.s)) + 1e-6
        noises = np.geomspace(1e-3 * np.sqrt(self.alpha), top, _NOISES)
        grid = np.broadcast_to(noises, (*field.shape[:-1], _NOISES))
        fits = self._squared_noise(field[..., None, :], grid) <= grid**2
        first = np.argmax(fits, -1)
        low, high = noises[np.maximum(first - 1, 0)], noises[first]
        for _ in range(40):
            middle = (low + high) / 2
            outside = self._squared_noise(field, middle) > middle**2
            low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        return high

    def move(self, overlap: ArrayLike, sibling: ArrayLike) -> NDArray[np.float64]:
        """The map's (m_1, m_2), with the noise that belongs to the given overlaps.

        Args:
            overlap: m_1 in [-1, 1]; broadcast against `sibling`.
            sibling: m_2 in [-1, 1].

        Returns:
            Array of shape (2, ...).

        Raises:
            ValueError: an overlap that is not finite or outside its range.
        """
        first, second = np.broadcast_arrays(
            *(
                np.asarray(check_finite(n, v), np.float64)
                for n, v in (("overlap", overlap), ("sibling", sibling))
            )
        )
        for name, values in (("overlap", first), ("sibling", second)):
            require(bool(np.all(np.abs(values) <= 1)), name, "lie in [-1, 1]", values)
        return self._move(first, second)

    def _move(self, first: Any, second: Any) -> NDArray[np.float64]:
        field = np.asarray(
            np.asarray(first)[..., None] * self._first + np.asarray(second)[..., None] * self._rest,
            np.float64,
        )
        answer = self._weight * erf(field / (np.sqrt(2.0) * self._noise(field)[..., None]))
        return np.stack([answer @ self._first, answer @ self._rest / (self.s - 1)])

    def fixed_points(self) -> list[PlanePoint]:
        """Memory, concept, and the saddles between, with their eigenvalues in the plane.

        States that keep more noise than the least that their overlaps allow are left out.
        """
        found: list[PlanePoint] = []
        for kind in ("memory", "concept"):
            states = family_states(self.alpha, self.b, self.s, kind)
            for first, second in zip(states.overlap, states.sibling, strict=True):
                point = np.array([first, second])
                residual = float(np.abs(self._move(*point) - point).max())
                # A state on a lower sheet of the noise is not one of this flow.
                if residual < 1e-6:
                    found.append(self._classify(point))
        return sorted(found, key=lambda p: (p.kind, -p.overlaps[0]))

    def jacobian(self, overlaps: ArrayLike, step: float = 1e-5) -> NDArray[np.float64]:
        """The map's Jacobian in the plane, by central differences."""
        at = np.asarray(overlaps, np.float64)
        columns = [
            (self._move(*(at + step * e)) - self._move(*(at - step * e))) / (2 * step) for e in np.eye(2)
        ]
        return np.stack(columns, 1)

    def _classify(self, point: NDArray[np.float64]) -> PlanePoint:
        eigenvalues = np.sort(np.real(np.linalg.eigvals(self.jacobian(point))).astype(np.float64))[::-1]
        above = int(np.sum(eigenvalues > 1))
        return PlanePoint(point, eigenvalues, ("attractor", "saddle", "repeller")[above])

    def crossing(
        self, without: ArrayLike, within: ArrayLike, n_moves: int = 60, n_halvings: int = 14
    ) -> NDArray[np.float64]:
        """Where segments of the plane enter the basin of the memory, as fractions of their lengths.

        Args:
            without: beginnings (m_1, m_2) of segments, outside the basin, shape (n, 2).
            within: their ends, inside the basin, shape (n, 2).
            n_moves: repetitions of the map that decide where a point belongs, >= 1.
            n_halvings: steps of the bisection, whose error is 2^-n_halvings, >= 1.

        Returns:
            Fractions, shape (n,); NaN for a segment whose ends are not outside and inside.

        Raises:
            ValueError: an argument outside its range, or a load at which the memory is no attractor.
        """
        begin, end = (
            np.asarray(check_finite(n, v), np.float64) for n, v in (("without", without), ("within", within))
        )
        for name, points in (("without", begin), ("within", end)):
            plane = points.ndim == 2 and points.shape[1] == 2 and bool(np.all(np.abs(points) <= 1))
            require(plane, name, "hold points of the plane in [-1, 1], shape (n, 2)", points.shape)
        check_integer("n_moves", n_moves, 1)
        check_integer("n_halvings", n_halvings, 1)
        memories = [p for p in self.fixed_points() if p.kind == "attractor" and np.ptp(p.overlaps) > 0.1]
        require(bool(memories), "alpha", "be a load at which the memory attracts", self.alpha)
        memory = memories[0].overlaps[0]

        def remembers(fraction: NDArray[np.float64]) -> NDArray[np.bool_]:
            point = (begin + fraction[:, None] * (end - begin)).T
            for _ in range(n_moves):
                point = self._move(*point)
            return np.abs(point[0] - memory) < 0.05

        low, high = np.zeros(len(begin)), np.ones(len(begin))
        parted = remembers(high) & ~remembers(low)
        for _ in range(n_halvings):
            middle = (low + high) / 2
            inside = remembers(middle)
            low, high = np.where(inside, low, middle), np.where(inside, middle, high)
        return np.where(parted, (low + high) / 2, np.nan)

    def separatrix(self, siblings: ArrayLike) -> NDArray[np.float64]:
        """The overlap m_1 above which the map, repeated, ends in the memory, one for each m_2; NaN for none.

        Args:
            siblings: m_2 in [-1, 1], shape (n,).

        Raises:
            ValueError: as for `crossing`.
        """
        second = np.atleast_1d(check_finite("siblings", siblings)).astype(np.float64)
        return self.crossing(
            np.stack([np.zeros_like(second), second], 1), np.stack([np.ones_like(second), second], 1)
        )
