"""Orientation columns: two sheets of cells that learn from bars on a retina.

Excitatory cells E and as many inhibitory cells I lie on a hexagonal patch of a triangular lattice, input
cells A on a smaller one. With f(H) = max(H - theta, 0),

    dE_k/dt = -a E_k + p sum_{d(k,l) = 1} f(E_l) - q sum_{1 < d(k,l) <= 2} f(I_l) + sum_i s_ki A_i
    dI_k/dt = -a I_k + r sum_{d(k,l) <= 1} f(E_l)

for a time T from rest; what a stimulus evokes is f(E) at T. Learning (`normalised_hebb`) changes the
afferents s alone.

Far above the threshold the equations are homogeneous: activity grows without bound where any of their
solutions does. Such strengths are refused; the growth rate is measured on the equations without theta.
Strengths are arrays: sheets of other strengths share a compiled program, and `jax.vmap` runs over them.

Symbols: a decay, p, r, q strengths, theta threshold, s afferents. Time: the unit of 1/a.

Source: von der Malsburg 1973, Kybernetik 14:85, equations 1 to 3. There, p = .4, r = .286, q = .3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._afferents import known_strength, nonnegative, refuse_growth

# Growth rates below this, in units of the decay, are rounding.
_STILL = 1e-3


class ColumnSheet(eqx.Module):
    """Excitatory and inhibitory cells over a retina; see the module's header.

    Args:
        afferents: s, shape (n_cells, n_inputs), >= 0.
        radius: cells from the centre to a corner of the patch, >= 1: 3 radius (radius + 1) + 1 cells.
        input_radius: the same of the retina, >= 1.
        excitation: p, >= 0.
        recruitment: r, of inhibitory cells by excitatory ones, >= 0.
        inhibition: q, >= 0.
        decay: a, > 0.
        threshold: theta, > 0.
        duration: T, > 0.
        n_steps: steps of Euler's rule over T, >= 1.

    Raises:
        ValueError: an argument outside its rule; excitation that exceeds decay and inhibition, so that
            activity diverges. Strengths that JAX traces are not checked.
    """

    afferents: Float[Array, "n_cells n_inputs"]
    radius: int = eqx.field(static=True)
    input_radius: int = eqx.field(static=True)
    excitation: Float[Array, ""]
    recruitment: Float[Array, ""]
    inhibition: Float[Array, ""]
    decay: Float[Array, ""]
    threshold: Float[Array, ""]
    duration: float = eqx.field(static=True)
    n_steps: int = eqx.field(static=True)

    def __init__(
        self,
        afferents: Any,
        *,
        radius: int = 7,
        input_radius: int = 2,
        excitation: Any = 0.15,
        recruitment: Any = 0.13,
        inhibition: Any = 0.13,
        decay: Any = 0.5,
        threshold: Any = 1.0,
        duration: float = 20.0,
        n_steps: int = 40,
    ) -> None:
        self.radius = check_integer("radius", radius, 1)
        self.input_radius = check_integer("input_radius", input_radius, 1)
        self.duration = check_real("duration", duration, 0, open_low=True)
        self.n_steps = check_integer("n_steps", n_steps, 1)
        shape = (len(hexagonal_patch(radius)), len(hexagonal_patch(input_radius)))
        require(np.shape(afferents) == shape, "afferents", f"have shape {shape}", np.shape(afferents))
        self.afferents = nonnegative("afferents", afferents)
        strengths = (excitation, recruitment, inhibition, decay, threshold)
        names = ("excitation", "recruitment", "inhibition", "decay", "threshold")
        known = [
            known_strength(name, value, positive=name in ("decay", "threshold"))
            for name, value in zip(names, strengths, strict=True)
        ]
        if all(known[:4]):
            refuse_growth(excitation, _growth(self.radius, *map(float, strengths[:4])), _STILL * decay)
        arrays = (jnp.asarray(value, self.afferents.dtype) for value in strengths)
        self.excitation, self.recruitment, self.inhibition, self.decay, self.threshold = arrays

    @property
    def positions(self) -> np.ndarray:
        """Where the cells are, shape (n_cells, 2), in lattice constants."""
        return hexagonal_patch(self.radius)

    @property
    def input_positions(self) -> np.ndarray:
        """Where the input cells are, shape (n_inputs, 2)."""
        return hexagonal_patch(self.input_radius)

    def fire(self, potential: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """f(H) = max(H - theta, 0)."""
        return jnp.maximum(potential - self.threshold, 0)

    def velocity(
        self, stimulus: Float[Array, " n_inputs"], state: Float[Array, "2 n_cells"]
    ) -> Float[Array, "2 n_cells"]:
        """Time derivative of (E, I) under a stimulus."""
        near, far = (jnp.asarray(m, state.dtype) for m in _reach(self.radius))
        excitatory, inhibitory = self.fire(state[0]), self.fire(state[1])
        drive = self.excitation * near @ excitatory - self.inhibition * far @ inhibitory
        recruited = self.recruitment * (near @ excitatory + excitatory)
        return jnp.stack([drive + self.afferents @ stimulus, recruited]) - self.decay * state

    def flow(self, stimulus: Float[Array, " n_inputs"]) -> Flow:
        """The fast dynamics of (E, I) in continuous time under a stimulus."""
        return Flow(velocity=lambda t, state: self.velocity(stimulus, state))

    def respond(self, stimulus: Float[Array, " n_inputs"]) -> Float[Array, " n_cells"]:
        """Activity f(E) of the excitatory cells that a stimulus evokes in the time T, by Euler's rule."""
        stimulus = jnp.asarray(stimulus, self.afferents.dtype)
        dt = self.duration / self.n_steps
        start = jnp.zeros((2, self.afferents.shape[0]), self.afferents.dtype)
        end = jax.lax.fori_loop(
            0, self.n_steps, lambda _, state: state + dt * self.velocity(stimulus, state), start
        )
        return self.fire(end[0])


def random_sheet(
    key: Key[Array, ""], *, total: float = 2.375, radius: int = 7, **options: Any
) -> ColumnSheet:
    """A sheet whose afferents are uniform at random and sum to the same for each cell.

    Args:
        key: of the afferents.
        total: sum of the afferents of a cell, > 0.
        radius: of the patch of cells.
        options: further arguments of `ColumnSheet`.

    Raises:
        ValueError: an argument outside its rule.
    """
    shape = (len(hexagonal_patch(radius)), len(hexagonal_patch(options.get("input_radius", 2))))
    return ColumnSheet(random_afferents(key, shape, total), radius=radius, **options)


def random_afferents(
    key: Key[Array, ""], shape: tuple[int, int], total: float = 2.375
) -> Float[Array, "n_cells n_inputs"]:
    """Afferents uniform at random that sum to the same for each cell.

    Args:
        key: of the draw.
        shape: (n_cells, n_inputs).
        total: sum of the afferents of a cell, > 0.

    Raises:
        ValueError: a total that is not positive.
    """
    total = check_real("total", total, 0, open_low=True)
    drawn = jax.random.uniform(key, shape)
    return total * drawn / jnp.sum(drawn, axis=1, keepdims=True)


def bars(angles: Any, *, input_radius: int = 2, width: float = 0.6, total: float = 7.0) -> np.ndarray:
    """Bars through the centre of the retina, A_i = exp(-d_i^2 / (2 width^2)), d_i distance to the bar's axis.

    Args:
        angles: of the bars, in radians, shape (n_bars,).
        input_radius: of the retina, >= 1.
        width: > 0, in lattice constants.
        total: sum of the activities of each bar, > 0.

    Returns:
        Activities, shape (n_bars, n_inputs).

    Raises:
        ValueError: an argument outside its rule.
    """
    angles = check_finite("angles", angles)
    require(angles.ndim == 1 and len(angles) >= 1, "angles", "have shape (n_bars,)", angles.shape)
    width = check_real("width", width, 0, open_low=True)
    places = hexagonal_patch(check_integer("input_radius", input_radius, 1))
    across = np.stack([-np.sin(angles), np.cos(angles)], 1) @ places.T
    made = np.exp(-(across**2) / (2 * width**2))
    return check_real("total", total, 0, open_low=True) * made / made.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=32)
def hexagonal_patch(radius: int) -> np.ndarray:
    """Points of the triangular lattice within a hexagon around one of them, shape (n, 2), read-only."""
    steps = range(-radius, radius + 1)
    points = [(i + j / 2, j * np.sqrt(3) / 2) for j in steps for i in steps if abs(i + j) <= radius]
    made = np.array(points)
    made.setflags(write=False)
    return made


@functools.lru_cache(maxsize=32)
def _reach(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are at distance 1 of each, and which further but within 2."""
    places = hexagonal_patch(radius)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    near = np.abs(apart - 1) < 0.1
    far = (apart > 1.1) & (apart < 2.1)
    return near.astype(np.float64), far.astype(np.float64)


@functools.lru_cache(maxsize=256)
def _growth(radius: int, p: float, r: float, q: float, decay: float) -> float:
    """Largest rate of growth of the equations without threshold, from some beginnings."""
    near, far = _reach(radius)
    n = len(near)
    # No excitation that decay alone does not hold.
    if p * float(np.linalg.norm(near, 2)) < decay:
        return p * float(np.linalg.norm(near, 2)) - decay
    random = np.random.default_rng(0)
    middle = np.exp(-(hexagonal_patch(radius) ** 2).sum(1))
    state = np.zeros((2 * n, 4))
    state[:n] = np.stack([np.ones(n), middle, random.uniform(size=n), random.uniform(size=n) ** 8], 1)

    def velocity(state: np.ndarray) -> np.ndarray:
        up = np.maximum(state, 0)
        excitatory, inhibitory = up[:n], up[n:]
        drive = p * near @ excitatory - q * far @ inhibitory
        return np.concatenate([drive, r * (near @ excitatory + excitatory)]) - decay * state

    return growth_rate(velocity, state, 0.5 / (decay + p * 6 + r * 7 + q * 12), 20 / decay)


def growth_rate(
    velocity: Callable[[np.ndarray], np.ndarray], state: np.ndarray, dt: float, duration: float
) -> float:
    """Largest rate at which solutions of homogeneous equations grow, over the second half of a time.

    Args:
        velocity: time derivative, homogeneous of degree one.
        state: beginnings, one a column.
        dt: step of Euler's rule, > 0.
        duration: > 0.
    """
    n_steps = int(np.ceil(duration / dt))
    grown = np.zeros(state.shape[1])
    for step in range(n_steps):
        state = state + dt * velocity(state)
        size = np.linalg.norm(state, axis=0)
        state = state / size
        if step >= n_steps // 2:
            grown += np.log(size)
    return float(grown.max() / (dt * (n_steps - n_steps // 2)))
