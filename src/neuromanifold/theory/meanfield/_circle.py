"""A circle carried through a wide random network: how its tangents at two points agree, layer by layer.

Inputs x(t) on a great circle have overlap C(s) = x(t).x(t + s)/n = A cos s, a function of the angle s alone,
and so has every layer's image of them as n -> infinity. With F(c) = E phi(U) phi(V), (U, V) of variance q and
covariance c = sigma_w^2 C + sigma_b^2, a layer gives

    C'   = F(c)                                             F' = E phi' phi',    F'' = E phi'' phi''
    dC'  = sigma_w^2 F'(c) dC                               derivatives by the angle
    ddC' = sigma_w^2 F'(c) ddC + sigma_w^4 F''(c) (dC)^2

and tangents v = dx/dt at two points have v(t).v(t + s)/n = -ddC(s), where s = 0 gives the metric
g' = chi_1 g. Their cosine -ddC(s)/g is cos s for a great circle; in chaos it falls off at smaller angles with
every layer, in order it hardly changes. The length of the whole circle is 2 pi sqrt(n g).

Source: Poole et al. (2016), section 3; the recursion for tangents at two points is derived here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._curvature import bend, refuse_corners
from neuromanifold.theory.meanfield._maps import second_moment, slope_moment
from neuromanifold.theory.meanfield._precision import as_real
from neuromanifold.theory.meanfield._quadrature import angle_of, pair_rule


class CircleState(NamedTuple):
    """A circle's image in a layer; the last three fields belong to the angles between two of its points.

    Args:
        activity: A = |x|^2/n.
        metric: g = |dx/dt|^2/n.
        overlap: C = x(t).x(t + s)/n.
        slope: dC/ds.
        bend: d^2C/ds^2.
    """

    activity: Float[Array, ""]
    metric: Float[Array, ""]
    overlap: Float[Array, " m"]
    slope: Float[Array, " m"]
    bend: Float[Array, " m"]

    @property
    def agreement(self) -> Any:
        """Cosine of the tangents at two points, -C''/g."""
        return -self.bend / self.metric[..., None]


class CircleLayer(eqx.Module):
    """One layer's map of a circle's overlaps."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, start: tuple[ArrayLike, ArrayLike]) -> CircleState:
        """Start from an activity A > 0 and angles s, shape (m,): a great circle of radius sqrt(nA)."""
        del key
        a, s = as_real("activity", start[0], 0.0, open_low=True), as_real("angles", start[1])
        require(a.shape == (), "activity", "be one number", a.shape)
        require(s.ndim == 1, "angles", "have shape (m,)", s.shape)
        return CircleState(a, a, a * jnp.cos(s), -a * jnp.sin(s), -a * jnp.cos(s))

    def step(self, key: Any, t: Any, state: CircleState) -> tuple[CircleState, None]:
        """Overlaps and their derivatives one layer on."""
        del key, t
        s_w, s_b = (s.astype(state.metric.dtype) for s in (self.sigma_w, self.sigma_b))
        q = s_w**2 * state.activity + s_b**2

        def moments(c: Array) -> tuple[Array, Array, Array]:
            u, v, w = pair_rule(q, q, angle_of(q, q, c), self.phi.kinks)
            bends = bend(self.phi, u) * bend(self.phi, v)
            slopes = self.phi.derivative(u) * self.phi.derivative(v)
            return (
                jnp.sum(w * self.phi.function(u) * self.phi.function(v)),
                jnp.sum(w * slopes),
                jnp.sum(w * bends),
            )

        covariance = s_w**2 * state.overlap + s_b**2
        value, first, second = jax.lax.map(moments, covariance, batch_size=min(64, covariance.size))
        return (
            CircleState(
                second_moment(self.phi, q),
                s_w**2 * slope_moment(self.phi, q) * state.metric,
                value,
                s_w**2 * first * state.slope,
                s_w**2 * first * state.bend + s_w**4 * second * state.slope**2,
            ),
            None,
        )


def circle_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """Overlaps and tangents of a great circle through layers, as a process on `CircleState`.

    Begins with the activity A of the circle and the angles between two of its points.

    Args:
        phi: an activation with a continuous derivative.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation whose slope jumps (ReLU).
    """
    refuse_corners(phi, "the tangents' agreement")
    layer = CircleLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)
