"""The map of a family's overlaps and noise onto themselves, its fixed points and their stability.

The model, the averages and the noise are those of `_concept`; here the overlaps m = (m_1, ..., m_s) with all
children of a family are free, and so is the noise:

    F_v(m, sigma) = << xi_v erf(S/(sqrt(2) sigma)) >>,     S = sum_v m_v xi_v
    G(m, sigma)^2 = (alpha/s) [ l1^2/(1 - U l1)^2 + (s-1) l2^2/(1 - U l2)^2 ],     U = U(m, sigma)

Fixed points are the states of the self-consistent theory. At each, the noise is taken to follow the overlaps,
sigma = G(m, sigma), which leaves a map of the overlaps alone with the Jacobian

    J = dF/dm + dF/dsigma dG/dm / (1 - dG/dsigma),

symmetric and not negative. Where dG/dsigma < 1 and all its eigenvalues lie below 1 the state is an attractor,
else a saddle. (The joint map itself is no dynamics in time: its noise overshoots near m = 0.)
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float
from scipy.optimize import brentq

from neuromanifold._base import check_integer, check_real
from neuromanifold.dynamics import fixed_points
from neuromanifold.theory.memory._concept import family_states


class FamilyPoint(NamedTuple):
    """A point of the family's map.

    Args:
        overlaps: m with all children, shape (s,).
        noise: sigma.
    """

    overlaps: Float[Array, " s"]
    noise: Float[Array, ""]


class FamilyFixedPoint(NamedTuple):
    """A fixed point of the family's map.

    Args:
        overlaps: m with all children, shape (s,).
        noise: sigma.
        eigenvalues: of the Jacobian in the space of overlaps, real, falling, shape (s,).
        noise_slope: dG/dsigma.
        attractor: whether noise_slope and all eigenvalues lie below 1.
    """

    overlaps: np.ndarray
    noise: float
    eigenvalues: np.ndarray
    noise_slope: float
    attractor: bool


class FamilyMap(eqx.Module):
    """The map (m, sigma) -> (F, G); see the module's header. Meant for float64.

    Args:
        alpha: load P/N, > 0.
        b: correlation of child and parent, in [0, 1].
        s: children a family, in [2, 12]; all 2^s are enumerated.

    Raises:
        ValueError: an argument outside its range.
    """

    alpha: float = eqx.field(static=True)
    b: float = eqx.field(static=True)
    s: int = eqx.field(static=True)

    def __init__(self, alpha: float, b: float, s: int):
        self.alpha = check_real("alpha", alpha, 0, open_low=True)
        self.b = check_real("b", b, 0, 1)
        self.s = check_integer("s", s, 2, 12)

    def __call__(self, point: FamilyPoint) -> FamilyPoint:
        """One step of overlaps and noise; not finite where U l1 = 1."""
        children, weight = self.children()
        field = children @ point.overlaps / point.noise
        overlaps = (weight * erf(field / np.sqrt(2.0))) @ children
        susceptibility = np.sqrt(2 / np.pi) / point.noise * (weight @ jnp.exp(-(field**2) / 2))
        return FamilyPoint(jnp.asarray(overlaps), jnp.sqrt(self.alpha * self._level(susceptibility)))

    def children(self) -> tuple[np.ndarray, np.ndarray]:
        """All children of a parent of +1, shape (2^s, s), and their probabilities.

        That parent is enough: every average is even in its sign.
        """
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=self.s)))
        return signs, np.prod((1 + self.b * signs) / 2, axis=1)

    def empty_noise(self) -> float:
        """The noise where all overlaps of the family vanish."""
        top = (1 + (self.s - 1) * self.b**2) * np.sqrt(2 / np.pi)

        def excess(sigma: float) -> float:
            return float(sigma**2 - self.alpha * self._level(np.sqrt(2 / np.pi) / sigma))

        # G^2 <= alpha l1^2/(1 - U l1)^2 bounds the root from above by top + sqrt(alpha) l1.
        root: Any = brentq(excess, top * (1 + 1e-9), 1.01 * (top + np.sqrt(self.alpha) * self.s), xtol=1e-14)
        return float(root)

    def _level(self, u: Any) -> Any:
        large, small = 1 + (self.s - 1) * self.b**2, 1 - self.b**2
        return ((large / (1 - u * large)) ** 2 + (self.s - 1) * (small / (1 - u * small)) ** 2) / self.s


def family_fixed_points(alpha: float, b: float, s: int) -> list[FamilyFixedPoint]:
    """Fixed points of a family's map with their stability: memory, saddles, mixed states, and zero.

    Newton's method starts at zero and at the states that the explicit branches give; those of other
    symmetries (nearer to several children than to the others) are not sought. Exchange of children gives
    the rest.

    Args:
        alpha: load P/N, in (0, 1).
        b: correlation of child and parent, in [0, 1].
        s: children a family, odd, in [3, 11].

    Raises:
        ValueError: an argument outside its range.
    """
    step = FamilyMap(alpha, b, s)
    starts, noises = [np.zeros(s)], [step.empty_noise()]
    for kind in ("memory", "concept"):
        states = family_states(alpha, b, s, kind)
        for first, other, noise in zip(states.overlap, states.sibling, states.noise, strict=True):
            starts.append(np.append(first, np.full(s - 1, other)))
            noises.append(float(noise))
    found = []
    with jax.enable_x64(True):
        moved = jax.jit(step)
        jacobian = jax.jit(jax.jacfwd(step))
        for point in fixed_points(moved, FamilyPoint(jnp.asarray(np.stack(starts)), jnp.asarray(noises))):
            found.append(_classify(point.value, jacobian(point.value)))
    return found


def _classify(point: FamilyPoint, jacobian: Any) -> FamilyFixedPoint:
    """Eliminate the noise from the joint Jacobian."""
    slope = float(jacobian.noise.noise)
    down = np.asarray(jacobian.overlaps.noise)
    up = np.asarray(jacobian.noise.overlaps)
    reduced = np.asarray(jacobian.overlaps.overlaps) + np.outer(down, up) / (1 - slope)
    eigenvalues = np.linalg.eigvalsh((reduced + reduced.T) / 2)[::-1]
    attractor = slope < 1 and bool(eigenvalues[0] < 1)
    return FamilyFixedPoint(np.asarray(point.overlaps), float(point.noise), eigenvalues, slope, attractor)
