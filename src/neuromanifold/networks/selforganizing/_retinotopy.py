"""Retinotopy on a ring: cells that excite near cells and inhibit further ones learn where inputs are.

Cells lie at x_k = k/N and inputs at y_i = i/M of a ring of length 1. With f(u) = max(u, 0),

    du_k/dt = -u_k + sum_l W(x_k - x_l) f(u_l) + sum_i s_ki A_i,
    W(x) = p G(x; w_e) - q G(x; w_i),            G Gaussian weights of a width, with sum 1,

for a time T from rest; a stimulus evokes f(u), divided by its largest. Learning (`normalised_hebb`) on blobs
of neighbouring inputs makes receptive fields whose centres run along the ring. Where inhibition reaches far
they form a continuous map; where it reaches little further than excitation, two places fire for one blob, and
the map breaks into columns with jumps between them.

The couplings are an array: rings of other strengths share a compiled program, and `jax.vmap` runs over them.

This is a linear-threshold form of the nerve field with learning afferents, whose continuous maps Takeuchi and
Amari showed to lose stability to columnar microstructures.

Source: Takeuchi and Amari 1979, Biol. Cybern. 35:63; Willshaw and von der Malsburg 1976, Proc. R. Soc. B
194:431.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
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


class TopographicRing(eqx.Module):
    """A ring of cells over a ring of inputs; see the module's header.

    Args:
        afferents: s, shape (n_cells, n_inputs), >= 0.
        excitation: p, >= 0.
        excitation_width: w_e, in lengths of the ring, in (0, 0.5].
        inhibition: q, >= 0.
        inhibition_width: w_i, in (0, 0.5].
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
        *,
        excitation: Any = 0.9,
        excitation_width: Any = 0.05,
        inhibition: Any = 3.0,
        inhibition_width: Any = 0.3,
        duration: float = 12.0,
        n_steps: int = 40,
    ) -> None:
        self.duration = check_real("duration", duration, 0, open_low=True)
        self.n_steps = check_integer("n_steps", n_steps, 1)
        shape = np.shape(afferents)
        require(len(shape) == 2 and min(shape) >= 3, "afferents", "have shape (n_cells, n_inputs)", shape)
        self.afferents = nonnegative("afferents", afferents)
        strengths = (excitation, excitation_width, inhibition, inhibition_width)
        names = ("excitation", "excitation_width", "inhibition", "inhibition_width")
        wide = (False, True, False, True)
        each = [
            known_strength(name, value, 0.5 if is_width else None, positive=is_width)
            for name, value, is_width in zip(names, strengths, wide, strict=True)
        ]
        known = all(each)
        made = ring_couplings(shape[0], *strengths, xp=np if known else jnp)
        self.couplings = jnp.asarray(made, self.afferents.dtype)
        if known:
            refuse_growth(excitation, _growth(shape[0], *map(float, strengths)), -1e-3)

    def velocity(self, stimulus: Float[Array, " n_inputs"], state: Float[Array, " n_cells"]) -> Array:
        """Time derivative of u under a stimulus."""
        lateral = self.couplings @ jnp.maximum(state, 0)
        return lateral + self.afferents @ stimulus - state

    def flow(self, stimulus: Float[Array, " n_inputs"]) -> Flow:
        """The dynamics of u in continuous time under a stimulus."""
        return Flow(velocity=lambda t, state: self.velocity(stimulus, state))

    def respond(self, stimulus: Float[Array, " n_inputs"]) -> Float[Array, " n_cells"]:
        """Activity that a stimulus evokes in the time T, the largest being 1 (0 where all are silent)."""
        drive = self.afferents @ jnp.asarray(stimulus, self.afferents.dtype)
        return settled(self.couplings, drive, self.duration, self.n_steps)


def settled(
    couplings: Float[Array, "n_cells n_cells"], drive: Float[Array, " n_cells"], duration: float, n_steps: int
) -> Float[Array, " n_cells"]:
    """f(u) at the time T from rest by Euler's rule, divided by its largest (0 where all are silent).

    Args:
        couplings: W.
        drive: what comes through the afferents.
        duration: T.
        n_steps: steps of Euler's rule.
    """
    dt = duration / n_steps

    def step(_: Any, u: Array) -> Array:
        return u + dt * (couplings @ jnp.maximum(u, 0) + drive - u)

    fired = jnp.maximum(jax.lax.fori_loop(0, n_steps, step, jnp.zeros_like(drive)), 0)
    return fired / jnp.maximum(jnp.max(fired), jnp.finfo(fired.dtype).tiny)


class ReceptiveFields(NamedTuple):
    """Where the receptive fields of cells on a ring are.

    Args:
        centres: in [0, 1), shape (..., n_cells).
        sharpness: |sum_i s e^{2 pi i y}| / sum_i s, in [0, 1].
        steps: from each cell to the next, the shorter way around, in [-1/2, 1/2).
    """

    centres: np.ndarray
    sharpness: np.ndarray
    steps: np.ndarray


def receptive_fields(afferents: Any) -> ReceptiveFields:
    """Centres of receptive fields, by the first Fourier component of the afferents.

    Args:
        afferents: >= 0, a positive sum for each cell, shape (..., n_cells, n_inputs).

    Raises:
        ValueError: negative afferents or a cell without any.
    """
    s = check_finite("afferents", afferents).astype(np.float64)
    require((s >= 0).all() and (s.sum(-1) > 0).all(), "afferents", "be >= 0 with a positive sum", s.min())
    z = s @ np.exp(2j * np.pi * np.arange(s.shape[-1]) / s.shape[-1]) / s.sum(-1)
    centres = np.angle(z) / (2 * np.pi) % 1
    steps = (np.roll(centres, -1, axis=-1) - centres + 0.5) % 1 - 0.5
    return ReceptiveFields(centres, np.abs(z), steps)


def random_ring(
    key: Key[Array, ""],
    n_cells: int,
    n_inputs: int,
    *,
    order: float = 1.0,
    order_width: float = 0.15,
    **options: Any,
) -> TopographicRing:
    """A ring whose afferents are random with a rough order: uniform in [0, 1] plus a broad Gaussian in place.

    Args:
        key: of the afferents.
        n_cells: >= 3.
        n_inputs: >= 3.
        order: height of the Gaussian, >= 0.
        order_width: its width, in lengths of the ring, > 0.
        options: further arguments of `TopographicRing`.

    Raises:
        ValueError: an argument outside its rule.
    """
    n_cells, n_inputs = check_integer("n_cells", n_cells, 3), check_integer("n_inputs", n_inputs, 3)
    cells, inputs = (np.arange(n)[:, None] / n for n in (n_cells, n_inputs))
    rough = rough_order(cells, inputs, closed=True, order=order, order_width=order_width)
    return TopographicRing(rough_afferents(key, jnp.asarray(rough, float)), **options)


def _apart(offsets: np.ndarray) -> np.ndarray:
    """Distances on the ring."""
    return np.abs(offsets - np.rint(offsets))


def ring_couplings(
    n_cells: int, excitation: Any, excitation_width: Any, inhibition: Any, inhibition_width: Any, xp: Any = np
) -> Any:
    """W(x_k - x_l) between all cells of a ring, a difference of two Gaussians whose rows sum to p and to q.

    Args:
        n_cells: cells.
        excitation: p.
        excitation_width: w_e, in lengths of the ring.
        inhibition: q.
        inhibition_width: w_i.
        xp: what computes: `numpy`, or `jax.numpy` for strengths that are traced.
    """
    apart = _apart((np.arange(n_cells)[:, None] - np.arange(n_cells)[None]) / n_cells)
    bells = [xp.exp(-(apart**2) / (2 * width**2)) for width in (excitation_width, inhibition_width)]
    near, far = (bell / bell.sum(axis=1, keepdims=True) for bell in bells)
    return excitation * near - inhibition * far


@functools.lru_cache(maxsize=256)
def _growth(n: int, p: float, w_e: float, q: float, w_i: float) -> float:
    """Largest rate of growth without input: of the whole ring, of one place, of random activity."""
    w = ring_couplings(n, p, w_e, q, w_i)
    random = np.random.default_rng(0)
    place = np.exp(-(_apart(np.arange(n) / n) ** 2) / (2 * w_e**2))
    state = np.stack([np.ones(n), place, random.uniform(size=n), random.uniform(size=n) ** 8], 1)
    return growth_rate(lambda u: w @ np.maximum(u, 0) - u, state, 0.5 / (1 + p + q), 30.0)
