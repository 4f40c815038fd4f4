"""Retinotopy in two dimensions: a sheet of cells that learns where on a sheet of inputs blobs appear.

Cells and inputs lie on rectangular lattices that fill the unit square, with borders or closed to a torus;
cell (i, j) of r rows and c columns lies at ((i + 1/2)/r, (j + 1/2)/c). Activity moves as on the ring of
`TopographicRing`,

    du_k/dt = -u_k + sum_l W(x_k - x_l) f(u_l) + sum_i s_ki A_i,        f(u) = max(u, 0),
    W(x) = p G(x; w_e) - q G(x; w_i),

G Gaussian weights, a product over both axes; those that reach a cell sum to 1, next to a border too, where
inhibition would otherwise be weaker. A stimulus evokes f(u) at a time T, divided by its largest. Learning:
`normalised_hebb`.

Order of a map. Let z_k be the centres of the receptive fields. Each square of four cells has at each of two
opposite corners a triangle, spanned by the steps of z to the neighbours along both axes. Its signed area is
positive where the map keeps the orientation. The sum of all is the area that the map covers, parts turned
over counted as negative; on a torus whose steps are all shorter than half of it, it is a whole number, the
degree of the map.

Source: Willshaw and von der Malsburg 1976, Proc. R. Soc. B 194:431 (sheets); Takeuchi and Amari 1979, Biol.
Cybern. 35:63.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._afferents import (
    known_strength,
    nonnegative,
    refuse_growth,
    rough_afferents,
    rough_order,
)
from neuromanifold.networks.selforganizing._columns import growth_rate
from neuromanifold.networks.selforganizing._retinotopy import settled

# Images of a Gaussian that are summed over on each side.
_IMAGES = 5


class TopographicSheet(eqx.Module):
    """A sheet of cells over a sheet of inputs; see the module's header.

    Args:
        afferents: s, shape (n_cells, n_inputs), >= 0, cells and inputs row by row.
        shape: (rows, columns) of the cells, each >= 3.
        closed: whether the sheet closes to a torus.
        excitation: p, >= 0.
        excitation_width: w_e, in sides of the sheet, in (0, 0.5].
        inhibition: q, >= 0.
        inhibition_width: w_i, in (0, 1].
        duration: T, > 0.
        n_steps: steps of Euler's rule over T, >= 1.

    Raises:
        ValueError: an argument outside its rule; excitation that exceeds decay and inhibition, so that
            activity diverges. Strengths that JAX traces are not checked.
    """

    afferents: Float[Array, "n_cells n_inputs"]
    couplings: Float[Array, "n_cells n_cells"]
    duration: float = eqx.field(static=True)
    n_steps: int = eqx.field(static=True)

    def __init__(
        self,
        afferents: Any,
        shape: Sequence[int],
        *,
        closed: bool = True,
        excitation: Any = 0.9,
        excitation_width: float = 0.08,
        inhibition: Any = 3.0,
        inhibition_width: float = 0.3,
        duration: float = 12.0,
        n_steps: int = 40,
    ) -> None:
        rows, columns = _checked_shape("shape", shape)
        strengths = (("excitation", excitation), ("inhibition", inhibition))
        known = [known_strength(name, value) for name, value in strengths]
        w_e = check_real("excitation_width", excitation_width, 0, 0.5, open_low=True)
        w_i = check_real("inhibition_width", inhibition_width, 0, 1.0, open_low=True)
        self.duration = check_real("duration", duration, 0, open_low=True)
        self.n_steps = check_integer("n_steps", n_steps, 1)
        given = np.shape(afferents)
        fits = len(given) == 2 and given[0] == rows * columns
        require(fits, "afferents", f"have shape ({rows * columns}, n_inputs)", given)
        self.afferents = nonnegative("afferents", afferents)
        near, far = (
            np.kron(_weights(rows, width, closed), _weights(columns, width, closed)) for width in (w_e, w_i)
        )
        w = excitation * near - inhibition * far
        if all(known):
            growth = _growth(np.asarray(w), float(excitation) + float(inhibition), near)
            refuse_growth(excitation, growth, -1e-3)
        self.couplings = jnp.asarray(w, self.afferents.dtype)

    def flow(self, stimulus: Float[Array, " n_inputs"]) -> Flow:
        """The dynamics of u in continuous time under a stimulus."""
        drive = self.afferents @ stimulus
        return Flow(velocity=lambda t, u: self.couplings @ jnp.maximum(u, 0) + drive - u)

    def respond(self, stimulus: Float[Array, " n_inputs"]) -> Float[Array, " n_cells"]:
        """Activity that a stimulus evokes in the time T, the largest being 1 (0 where all are silent)."""
        drive = self.afferents @ jnp.asarray(stimulus, self.afferents.dtype)
        return settled(self.couplings, drive, self.duration, self.n_steps)


class SheetOrder(NamedTuple):
    """How far receptive fields lie in order.

    Args:
        steps: squared distances of the centres of neighbouring cells, along both axes, shape (n_pairs,).
        areas: signed areas of triangles, in units of the square, shape (n_triangles,).
    """

    steps: np.ndarray
    areas: np.ndarray

    @property
    def turned(self) -> int:
        """Triangles whose orientation is lost."""
        return int((self.areas <= 0).sum())

    @property
    def covered(self) -> float:
        """Sum of the areas: the degree of a map of the torus."""
        return float(self.areas.sum())


def sheet_places(shape: Sequence[int]) -> np.ndarray:
    """Places of the cells in the unit square, shape (rows columns, 2).

    Args:
        shape: (rows, columns).
    """
    rows, columns = shape
    ticks = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    return np.stack(ticks, axis=-1).reshape(-1, 2)


def sheet_centres(afferents: Any, input_shape: Sequence[int], *, closed: bool) -> np.ndarray:
    """Centres of receptive fields, shape (..., n_cells, 2).

    On a torus the angle of the first Fourier component along each axis, with borders the centre of gravity.

    Args:
        afferents: >= 0, a positive sum for each cell, shape (..., n_cells, n_inputs).
        input_shape: (rows, columns) of the inputs.
        closed: whether they close to a torus.

    Raises:
        ValueError: negative afferents, a cell without any, or another number of inputs.
    """
    s = check_finite("afferents", afferents).astype(np.float64)
    rows, columns = _checked_shape("input_shape", input_shape)
    require(s.shape[-1] == rows * columns, "afferents", f"have {rows * columns} inputs", s.shape)
    require((s >= 0).all() and (s.sum(-1) > 0).all(), "afferents", "be >= 0 with a positive sum", s.min())
    places = sheet_places((rows, columns))
    if not closed:
        return s @ places / s.sum(-1, keepdims=True)
    return np.angle(s @ np.exp(2j * np.pi * places)) / (2 * np.pi) % 1


def sheet_order(centres: Any, shape: Sequence[int], *, closed: bool) -> SheetOrder:
    """Order of a map from cells to places; see the module's header.

    Args:
        centres: in the unit square, shape (n_cells, 2).
        shape: (rows, columns) of the cells.
        closed: whether both sheets close to a torus.

    Raises:
        ValueError: another shape.
    """
    rows, columns = _checked_shape("shape", shape)
    z = check_finite("centres", centres).astype(np.float64)
    require(z.shape == (rows * columns, 2), "centres", f"have shape ({rows * columns}, 2)", z.shape)
    z = z.reshape(rows, columns, 2)
    down, right = np.roll(z, -1, axis=0) - z, np.roll(z, -1, axis=1) - z
    if closed:
        down, right = down - np.rint(down), right - np.rint(right)
    else:
        down, right = down[:-1], right[:, :-1]
    # At the first corner of a square both steps begin; at the opposite one both end.
    first = _cross(down[:, : right.shape[1]], right[: down.shape[0]])
    last_down, last_right = np.roll(down, -1, axis=1), np.roll(right, -1, axis=0)
    last = _cross(last_down[:, : right.shape[1]], last_right[: down.shape[0]])
    steps = np.concatenate([(step**2).sum(-1).ravel() for step in (down, right)])
    return SheetOrder(steps, np.concatenate([first.ravel(), last.ravel()]) / 2)


def random_topographic_sheet(
    key: Key[Array, ""],
    shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    closed: bool = True,
    order: float = 1.0,
    order_width: float = 0.15,
    **options: Any,
) -> TopographicSheet:
    """A sheet whose afferents are uniform in [0, 1] plus a broad Gaussian in place, with a sum of one.

    Args:
        key: of the afferents.
        shape: (rows, columns) of the cells, each >= 3.
        input_shape: (rows, columns) of the inputs, each >= 3.
        closed: whether both sheets close to a torus.
        order: height of the Gaussian, >= 0.
        order_width: its width, in sides, > 0.
        options: further arguments of `TopographicSheet`.

    Raises:
        ValueError: an argument outside its rule.
    """
    cells, inputs = _checked_shape("shape", shape), _checked_shape("input_shape", input_shape)
    rough = rough_order(
        sheet_places(cells), sheet_places(inputs), closed=closed, order=order, order_width=order_width
    )
    afferents = rough_afferents(key, jnp.asarray(rough, float))
    return TopographicSheet(afferents, cells, closed=closed, **options)


def _checked_shape(name: str, shape: Any) -> tuple[int, int]:
    fits = isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) == 2
    require(fits, name, "be (rows, columns)", shape)
    rows, columns = (check_integer(f"{name}[{k}]", n, 3) for k, n in enumerate(shape))
    return rows, columns


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def _weights(n: int, width: float, closed: bool) -> np.ndarray:
    """Gaussian weights along an axis; those that reach a cell sum to 1."""
    apart = (np.arange(n)[:, None] - np.arange(n)[None]) / n
    images = np.arange(-_IMAGES, _IMAGES + 1) if closed else np.zeros(1)
    bells = np.exp(-((apart[..., None] + images) ** 2) / (2 * width**2)).sum(-1)
    return bells / bells.sum(axis=1, keepdims=True)


def _growth(w: np.ndarray, strength: float, near: np.ndarray) -> float:
    """Largest rate of growth without input: of the whole sheet, of one place, of random activity."""
    random, n = np.random.default_rng(0), len(w)
    state = np.stack([np.ones(n), near[n // 2], random.uniform(size=n), random.uniform(size=n) ** 8], 1)
    return growth_rate(lambda u: w @ np.maximum(u, 0) - u, state, 0.5 / (1 + strength), 30.0)
