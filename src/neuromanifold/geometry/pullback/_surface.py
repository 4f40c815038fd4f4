"""The metric that a function pulls back, and the second fundamental form of what it makes.

    e_a = Df basis_a,    g_ab = e_a . e_b                           pulled-back metric
    H_ab = d_a d_b f,    H_ab^N = H_ab - sum g^cd (H_ab.e_c) e_d     second fundamental form (normal part)
    K(a, b) = (H_aa^N . H_bb^N - |H_ab^N|^2) / (g_aa g_bb - g_ab^2)  sectional curvature, by Gauss's equation
    |H|^2 = g^ac g^bd H_ab^N . H_cd^N                                extrinsic curvature

K belongs to the metric alone, so it is the curvature of the pulled-back metric; H says how the image bends in
its space. Second derivatives are forward derivatives of forward derivatives; a kink (ReLU) has H = 0 beside
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from neuromanifold._base import check_real, require
from neuromanifold.geometry.pullback._jets import push_surface


class Conformal(NamedTuple):
    """How far a map only rescales.

    Args:
        factor: mean squared stretching over all directions of the basis.
        anisotropy: largest over smallest squared stretching, minus 1; 0 for a conformal map.
    """

    factor: Float[Array, ""]
    anisotropy: Float[Array, ""]


class Surface(NamedTuple):
    """A surface at a point.

    Args:
        point: f(theta), shape (n,).
        tangents: e_a, shape (k, n).
        metric: g_ab.
        form: H_ab^N, shape (k, k, n), the second fundamental form.
    """

    point: Float[Array, " n"]
    tangents: Float[Array, "k n"]
    metric: Float[Array, "k k"]
    form: Float[Array, "k k n"]


def _known(*arrays: Any) -> bool:
    return not any(isinstance(a, Tracer) for a in arrays)


def pullback_metric(
    f: Callable[[Any], Any],
    x: Float[Array, " n"],
    basis: Float[Array, "..."],
    *,
    sphere: bool = False,
    tolerance: float = 1e-4,
) -> Float[Array, "k k"]:
    """g_ab = (Df basis_a) . (Df basis_b), a sum over outputs.

    Args:
        f: from (n,) to (m,), differentiable at x.
        x: the point.
        basis: directions, one a row.
        sphere: the directions must be tangent to the sphere through x.
        tolerance: largest cosine of a direction and x, with `sphere`, > 0.

    Raises:
        ValueError: directions of another length, or, with `sphere`, one that is not tangent.
    """
    require(x.ndim == 1, "x", "be a vector", x.shape)
    require(basis.ndim == 2 and basis.shape[1] == x.size, "basis", f"have shape (k, {x.size})", basis.shape)
    check_real("tolerance", tolerance, 0.0, open_low=True)
    if sphere and _known(x, basis):
        given, at = np.asarray(basis, np.float64), np.asarray(x, np.float64)
        cosine = np.abs(given @ at) / (np.linalg.norm(given, axis=1) * np.linalg.norm(at))
        rule = f"be tangent to the sphere through x, cosines within {tolerance:g} of zero"
        require(cosine.max() <= tolerance, "basis", rule, float(cosine.max()))
    moved = jax.vmap(lambda e: jax.jvp(f, (x,), (e,))[1])(basis)
    return moved @ moved.T


def conformal_factor(f: Callable[[Any], Any], x: Float[Array, " n"], basis: Float[Array, "k n"]) -> Conformal:
    """Mean squared stretching of a basis, and how much it depends on direction.

    Args:
        f: from (n,) to (m,), differentiable at x.
        x: the point.
        basis: independent directions, one a row.

    Raises:
        ValueError: directions of another length.
    """
    image = pullback_metric(f, x, basis)
    root = jnp.linalg.cholesky(basis @ basis.T)
    half = jax.scipy.linalg.solve_triangular(root, image, lower=True)
    stretching = jnp.linalg.eigvalsh(jax.scipy.linalg.solve_triangular(root, half.T, lower=True))
    return Conformal(stretching.mean(), stretching[-1] / stretching[0] - 1.0)


def normal_part(tangents: Float[Array, "k n"], vectors: Float[Array, "... n"]) -> Float[Array, "... n"]:
    """Vectors less their part within the span of tangent vectors.

    Args:
        tangents: independent, one a row.
        vectors: any number of them.
    """
    frame, _ = jnp.linalg.qr(tangents.T)
    return vectors - (vectors @ frame) @ frame.T


def second_fundamental_form(f: Callable[[Any], Any], theta: Float[Array, " k"]) -> Surface:
    """Metric and second fundamental form of the surface theta -> f(theta).

    Args:
        f: from (k,) to (n,), k < n, twice differentiable: a parametrisation, followed by a network perhaps.
        theta: where, shape (k,).

    Raises:
        ValueError: theta is no vector, or the image has no more dimensions than theta.
    """
    require(theta.ndim == 1, "theta", "be a vector", theta.shape)
    k = theta.size
    basis = jnp.eye(k, dtype=theta.dtype)
    point, tangents, second = push_surface(f, theta, basis, jnp.zeros((k, k, k), theta.dtype))
    rule = f"return a vector of more than {k} dimensions"
    require(point.ndim == 1 and point.size > k, "f", rule, f"shape {point.shape}")
    return Surface(point, tangents, tangents @ tangents.T, normal_part(tangents, second))


def sectional_curvature(surface: Surface, a: int = 0, b: int = 1) -> Float[Array, ""]:
    """K of the plane of two coordinate directions, by Gauss's equation.

    Args:
        surface: of `second_fundamental_form`.
        a: index of a coordinate.
        b: index of another.

    Raises:
        ValueError: no such two coordinates.
    """
    k = len(surface.metric)
    require(0 <= a < k and 0 <= b < k and a != b, "a and b", f"be two indices below {k}", (a, b))
    g, h = surface.metric, surface.form
    area = g[a, a] * g[b, b] - g[a, b] ** 2
    return (h[a, a] @ h[b, b] - h[a, b] @ h[a, b]) / area


def extrinsic_curvature(surface: Surface) -> Float[Array, ""]:
    """|H|^2, the second fundamental form contracted with the metric twice; k/r^2 on a k-sphere."""
    inverse = jnp.linalg.inv(surface.metric)
    gram = jnp.einsum("abn,cdn->abcd", surface.form, surface.form)
    return jnp.einsum("ac,bd,abcd->", inverse, inverse, gram)
