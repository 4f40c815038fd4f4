"""The geometry of curves and surfaces carried through a wide random network, layer by layer.

A curve x(t) with its first two derivatives, v = dx/dt and h = d^2x/dt^2, goes through x' = phi(u),
u = W x + b. Given the layer's input, (u, W v, W h) of a unit is Gaussian with covariance sigma_w^2 G (plus
sigma_b^2 for u), where G is the Gram matrix of (x, v, h) divided by n. The new derivatives are

    v' = phi'(u) W v,      h' = phi''(u) (W v)^2 + phi'(u) W h,

so that G' is an average of polynomials in two Gaussians whose coefficients depend on u: one quadrature a
layer, exact as n -> infinity, for any curve. From G, with g = |v|^2/n,

    length element sqrt(n g) dt,    n kappa^2 = (|h|^2/n - (v.h/n)^2 / g) / g^2      kappa the curvature.

Tangent vectors alone need only phi' and admit kinks; with r_a = x.e_a/n and g_ab = e_a.e_b/n,

    r_a' = chi_q r_a,    g_ab' = chi_1 g_ab + (sigma_w^4 / q) E[phi'^2 (z^2 - 1)] r_a r_b.

The second term (equal to 2 sigma_w^4 E[phi''^2 + phi' phi'''] r_a r_b) is absent on spheres, r = 0, where the
metric is only rescaled. There, for a surface with orthogonal e_a of equal length g and normal parts H_ab of
the second derivatives,

    |H_ab|^2' = chi_2 (2 delta_ab + 1) g^2 + chi_1 |H_ab|^2,     chi_2 = sigma_w^4 E phi''^2
    n kappa^2' = 3 chi_2 / chi_1^2 + n kappa^2 / chi_1           -> 3 chi_2 / (chi_1 (chi_1 - 1)) in chaos
    K' = K / chi_1                                               sectional curvature: nothing is created

as (H_aa.H_bb)' = chi_2 g^2 + chi_1 H_aa.H_bb has the same source as |H_ab|^2. Poole et al. take lengths of u
in place of x and write chi_2 without one factor sigma_w^2: their kappa^2 is ours over sigma_w^2.

Source: Poole et al. (2016), section 3; Amari, Karakida and Oizumi (2019).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.theory.meanfield._activation import Activation
from neuromanifold.theory.meanfield._fixed_points import settled_length
from neuromanifold.theory.meanfield._maps import (
    refuse_jumps,
    second_moment,
    second_moment_slope,
    slope_moment,
)
from neuromanifold.theory.meanfield._precision import as_real, double_precision, is_traced
from neuromanifold.theory.meanfield._quadrature import line_rule, safe_sqrt


def bend(phi: Activation, u: Float[Array, "..."]) -> Float[Array, "..."]:
    """phi''(u)."""
    return jax.jvp(phi.derivative, (u,), (jnp.ones_like(u),))[1]


def refuse_corners(phi: Activation, wanted: str) -> None:
    """Refuse an activation whose first derivative jumps: phi'' then is not square-integrable.

    Raises:
        ValueError: phi' or phi jumps at a kink.
    """
    refuse_jumps(phi, wanted)
    with jax.enable_x64(True):
        for kink in phi.kinks:
            step = 1e-9 * (1.0 + abs(kink))
            low, high = np.asarray(phi.derivative(jnp.asarray([kink - step, kink + step])))
            rule = f"have a continuous derivative for {wanted} to be finite"
            require(abs(high - low) < 1e-6, "activation", rule, f"{phi.name}, whose slope jumps at {kink:g}")


def bend_moment(phi: Activation, q: Float[Array, ""]) -> Float[Array, ""]:
    """E phi''(U)^2, U ~ N(0, q)."""
    z, w = line_rule(q, phi.kinks)
    return jnp.sum(w * bend(phi, safe_sqrt(q) * z) ** 2)


@double_precision
def chi_2(phi: Activation, length: ArrayLike, *, sigma_w: ArrayLike) -> Float[Array, "..."]:
    """Creation of curvature by one layer: chi_2 = sigma_w^4 E phi''(U)^2, U ~ N(0, q).

    Args:
        phi: an activation with a continuous derivative.
        length: q >= 0, any shape; the arguments broadcast.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0.

    Raises:
        ValueError: a negative argument, or an activation whose slope jumps (ReLU).
    """
    refuse_corners(phi, "chi_2")
    q, s_w = jnp.broadcast_arrays(as_real("length", length, 0.0), as_real("sigma_w", sigma_w, 0.0))
    made = jax.vmap(lambda single: bend_moment(phi, single))(q.ravel())
    return s_w**4 * made.reshape(q.shape)


@double_precision
def kappa_fixed_point(phi: Activation, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Float[Array, "..."]:
    """Squared curvature n kappa^2 after many layers: 3 chi_2 / (chi_1 (chi_1 - 1)) in chaos, else infinite.

    NaN where the length diverges.

    Args:
        phi: an activation with a continuous derivative.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0; broadcasts with sigma_b.
        sigma_b: standard deviation of the biases, >= 0.

    Raises:
        ValueError: as for `chi_2`.
    """
    refuse_corners(phi, "the curvature")
    s_w, s_b = jnp.broadcast_arrays(as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    settled = settled_length(phi, s_w.ravel(), s_b.ravel())
    q, slope = jnp.where(jnp.isfinite(settled.q), settled.q, 1.0), settled.chi_1
    created = s_w.ravel() ** 4 * jax.vmap(lambda single: bend_moment(phi, single))(q)
    chaos = slope > 1.0
    limit = jnp.where(chaos, 3.0 * created / jnp.where(chaos, slope * (slope - 1.0), 1.0), jnp.inf)
    return jnp.where(jnp.isfinite(settled.q), limit, jnp.nan).reshape(s_w.shape)


class CurveState(NamedTuple):
    """A curve at one point.

    Args:
        gram: inner products of (x, dx/dt, d^2x/dt^2) over n, shape (3, 3).
    """

    gram: Float[Array, "3 3"]

    @property
    def activity(self) -> Any:
        """A = |x|^2/n."""
        return self.gram[..., 0, 0]

    @property
    def metric(self) -> Any:
        """The metric g = |dx/dt|^2/n."""
        return self.gram[..., 1, 1]

    @property
    def curvature(self) -> Any:
        """The squared curvature in units of 1/n, n kappa^2."""
        g = self.gram
        return (g[..., 2, 2] - g[..., 1, 2] ** 2 / g[..., 1, 1]) / g[..., 1, 1] ** 2


class CurveLayer(eqx.Module):
    """One layer's map of the Gram matrix of a curve's derivatives."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, gram: ArrayLike) -> CurveState:
        """Start from inner products over n, or from an activity A: a great circle of radius sqrt(nA)."""
        del key
        given = as_real("gram", gram)
        if given.shape == ():
            circle = jnp.asarray([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]], given.dtype)
            given = as_real("gram", given, 0.0, open_low=True) * circle
        require(given.shape == (3, 3), "gram", "be an activity or have shape (3, 3)", given.shape)
        if not is_traced(given):
            values = np.asarray(given, np.float64)
            require(np.allclose(values, values.T), "gram", "be symmetric", values.tolist())
            least = float(np.linalg.eigvalsh(values)[0])
            require(least > -1e-6 * np.trace(values), "gram", "be positive semidefinite", values.tolist())
        return CurveState(given)

    def step(self, key: Any, t: Any, state: CurveState) -> tuple[CurveState, Float[Array, ""]]:
        """The Gram matrix one layer on and, as information, the variance q of the units."""
        del key, t
        s_w, s_b = (s.astype(state.gram.dtype) for s in (self.sigma_w, self.sigma_b))
        covariance = s_w**2 * state.gram
        q = covariance[0, 0] + s_b**2
        z, w = line_rule(q, self.phi.kinks)
        u = safe_sqrt(q) * z
        # W v and W h given u: means alpha u and beta u, and a residual covariance.
        over = jnp.where(q > 0, q, 1.0)
        alpha, beta = covariance[0, 1] / over, covariance[0, 2] / over
        vv = covariance[1, 1] - alpha**2 * q
        vh = covariance[1, 2] - alpha * beta * q
        hh = covariance[2, 2] - beta**2 * q
        v, h = alpha * u, beta * u
        v_v, v_h, h_h = v**2 + vv, v * h + vh, h**2 + hh
        v_v_v = v**3 + 3 * v * vv
        v_v_h = v**2 * h + vv * h + 2 * v * vh
        v_v_v_v = v**4 + 6 * v**2 * vv + 3 * vv**2
        f, d, c = self.phi.function(u), self.phi.derivative(u), bend(self.phi, u)
        rows = [
            [f**2, f * d * v, f * (c * v_v + d * h)],
            [f * d * v, d**2 * v_v, d * c * v_v_v + d**2 * v_h],
            [
                f * (c * v_v + d * h),
                d * c * v_v_v + d**2 * v_h,
                c**2 * v_v_v_v + 2 * c * d * v_v_h + d**2 * h_h,
            ],
        ]
        return CurveState(jnp.stack([jnp.stack([jnp.sum(w * x) for x in row]) for row in rows])), q


def curve_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """Length element and curvature of any curve through layers, as a process on `CurveState`.

    Begins with the inner products of (x, dx/dt, d^2x/dt^2) over n, or with the activity of a great circle.

    Args:
        phi: an activation with a continuous derivative.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation whose slope jumps (ReLU).
    """
    refuse_corners(phi, "the curvature")
    layer = CurveLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)


class MetricState(NamedTuple):
    """A point with k tangent vectors.

    Args:
        activity: A = |x|^2/n.
        radial: r_a = x.e_a/n; zero on a sphere.
        metric: g_ab = e_a.e_b/n.
    """

    activity: Float[Array, ""]
    radial: Float[Array, " k"]
    metric: Float[Array, "k k"]


class MetricLayer(eqx.Module):
    """One layer's map of the metric, with the radial term."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, start: Any) -> MetricState:
        """Start from (A, r, g) with r of shape (k,) and g of shape (k, k)."""
        del key
        activity = as_real("activity", start[0], 0.0)
        radial, metric = as_real("radial", start[1]), as_real("metric", start[2])
        k = radial.size
        require(radial.shape == (k,), "radial", "have shape (k,)", radial.shape)
        require(metric.shape == (k, k), "metric", f"have shape ({k}, {k})", metric.shape)
        if not is_traced(activity, radial, metric):
            gram = np.block(
                [
                    [np.reshape(activity, (1, 1)), np.asarray(radial)[None, :]],
                    [np.asarray(radial)[:, None], np.asarray(metric)],
                ]
            )
            fits = np.allclose(gram, gram.T) and np.linalg.eigvalsh(gram)[0] > -1e-6 * np.trace(gram)
            require(fits, "metric", "with activity and radial be a Gram matrix", gram.tolist())
        return MetricState(activity, radial, metric)

    def step(self, key: Any, t: Any, state: MetricState) -> tuple[MetricState, Float[Array, ""]]:
        """The metric one layer on and, as information, chi_1."""
        del key, t
        s_w, s_b = (s.astype(state.metric.dtype) for s in (self.sigma_w, self.sigma_b))
        q = s_w**2 * state.activity + s_b**2
        z, w = line_rule(q, self.phi.kinks)
        squared = self.phi.derivative(safe_sqrt(q) * z) ** 2
        chi = s_w**2 * jnp.sum(w * squared)
        excess = s_w**4 * jnp.sum(w * squared * (z**2 - 1.0)) / jnp.where(q > 0, q, 1.0)
        metric = chi * state.metric + excess * state.radial[:, None] * state.radial[None, :]
        radial = s_w**2 * second_moment_slope(self.phi, q) * state.radial
        return MetricState(second_moment(self.phi, q), radial, metric), chi


def metric_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """The metric pulled back from each layer, as a process on `MetricState`; inputs on a sphere or off it.

    Begins with (A, r, g); r = 0 on a sphere, where the metric after L layers is g times a product of chi_1.

    Args:
        phi: a continuous activation.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation that jumps.
    """
    refuse_jumps(phi, "the metric")
    layer = MetricLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)


class SurfaceState(NamedTuple):
    """A surface in a sphere, at a point with orthogonal tangent vectors of equal length; all over n.

    Args:
        activity: A = |x|^2/n.
        metric: g = |e_a|^2/n.
        parallel: |H_aa|^2/n.
        crossed: |H_ab|^2/n, a not b.
        mixed: H_aa.H_bb/n.
    """

    activity: Float[Array, "..."]
    metric: Float[Array, "..."]
    parallel: Float[Array, "..."]
    crossed: Float[Array, "..."]
    mixed: Float[Array, "..."]

    @property
    def curvature(self) -> Any:
        """The squared curvature n kappa^2 of the curve along e_a."""
        return self.parallel / self.metric**2

    @property
    def sectional(self) -> Any:
        """The sectional curvature in units of 1/n, n K, by Gauss's equation."""
        return (self.mixed - self.crossed) / self.metric**2


class SurfaceLayer(eqx.Module):
    """One layer's map of a surface's metric and second fundamental form."""

    phi: Activation = eqx.field(static=True)
    sigma_w: Float[Array, ""]
    sigma_b: Float[Array, ""]

    def init(self, key: Any, activity: ArrayLike) -> SurfaceState:
        """Start from a great sphere of activity A > 0: H_aa = -x, H_ab = 0."""
        del key
        a = as_real("activity", activity, 0.0, open_low=True)
        require(a.shape == (), "activity", "be one number", a.shape)
        return SurfaceState(a, a, a, jnp.zeros_like(a), a)

    def step(self, key: Any, t: Any, state: SurfaceState) -> tuple[SurfaceState, None]:
        """Metric and second fundamental form one layer on."""
        del key, t
        s_w, s_b = (s.astype(state.metric.dtype) for s in (self.sigma_w, self.sigma_b))
        q = s_w**2 * state.activity + s_b**2
        chi = s_w**2 * slope_moment(self.phi, q)
        created = s_w**4 * bend_moment(self.phi, q) * state.metric**2
        return (
            SurfaceState(
                second_moment(self.phi, q),
                chi * state.metric,
                3.0 * created + chi * state.parallel,
                created + chi * state.crossed,
                created + chi * state.mixed,
            ),
            None,
        )


def surface_process(phi: Activation, *, sigma_w: ArrayLike, sigma_b: ArrayLike) -> Process:
    """Metric and curvature of a great sphere through layers, as a process on `SurfaceState`.

    Begins with the activity A of the sphere.

    Args:
        phi: an activation with a continuous derivative.
        sigma_w: standard deviation of sqrt(n) W_ij, >= 0, a number.
        sigma_b: standard deviation of the biases, >= 0, a number.

    Raises:
        ValueError: a negative argument, or an activation whose slope jumps (ReLU).
    """
    refuse_corners(phi, "the curvature")
    layer = SurfaceLayer(phi, as_real("sigma_w", sigma_w, 0.0), as_real("sigma_b", sigma_b, 0.0))
    return Process(layer.init, layer.step)
