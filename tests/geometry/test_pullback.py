"""Curves and surfaces with known curvature, and the same after a network: geometry that needs no network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.geometry.pullback import (
    conformal_factor,
    curve_geometry,
    curve_length,
    extrinsic_curvature,
    gauss_map_length,
    normal_part,
    pullback_metric,
    push_curve,
    second_fundamental_form,
    sectional_curvature,
)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def circle(t):
    return 3.0 * jnp.stack([jnp.cos(t), jnp.sin(t)])


def helix(t):
    return jnp.stack([2 * jnp.cos(t), 2 * jnp.sin(t), 0.5 * t])


def torus(p):
    ring = 2.0 + 0.5 * jnp.cos(p[1])
    return jnp.stack([ring * jnp.cos(p[0]), ring * jnp.sin(p[0]), 0.5 * jnp.sin(p[1])])


def sphere(p):
    return 3.0 * jnp.stack([jnp.cos(p[0]) * jnp.cos(p[1]), jnp.sin(p[0]) * jnp.cos(p[1]), jnp.sin(p[1])])


def cylinder(p):
    return jnp.stack([jnp.cos(p[0]), jnp.sin(p[0]), p[1]])


def test_curves_with_known_curvature():
    t = np.linspace(0, 2 * np.pi, 33)
    assert float(curve_length(circle, t)) == pytest.approx(6 * np.pi, rel=1e-12)
    assert float(gauss_map_length(circle, t)) == pytest.approx(2 * np.pi, rel=1e-12)
    made = curve_geometry(helix, t)
    np.testing.assert_allclose(made.speed, np.sqrt(4.25), rtol=1e-12)
    np.testing.assert_allclose(made.curvature, 2 / 4.25, rtol=1e-12)
    # Another parameter, the same curve.
    other = curve_geometry(lambda s: helix(s**3), 0.7)
    assert float(other.curvature) == pytest.approx(2 / 4.25, rel=1e-10)


def test_a_straight_line_through_a_network_bends_as_finite_differences_say():
    weight = np.random.default_rng(0).standard_normal((5, 3))
    x, v, h = jnp.eye(3)

    def layer(y):
        return jnp.tanh(weight @ y)

    def along(t):
        return layer(x + t * v + 0.5 * t**2 * h)

    _, moved, bent = push_curve(layer, x, v, h)
    e = 1e-4
    np.testing.assert_allclose(moved, (along(e) - along(-e)) / (2 * e), atol=1e-7)
    np.testing.assert_allclose(bent, (along(e) - 2 * along(0.0) + along(-e)) / e**2, atol=1e-6)


def test_surfaces_with_known_curvature():
    at = jnp.array([0.4, 0.7])
    made = second_fundamental_form(torus, at)
    ring = 2 + 0.5 * np.cos(0.7)
    assert float(sectional_curvature(made)) == pytest.approx(np.cos(0.7) / (0.5 * ring), rel=1e-10)
    assert float(extrinsic_curvature(made)) == pytest.approx(4 + (np.cos(0.7) / ring) ** 2, rel=1e-10)
    made = second_fundamental_form(sphere, at)
    assert float(sectional_curvature(made)) == pytest.approx(1 / 9, rel=1e-10)
    assert float(extrinsic_curvature(made)) == pytest.approx(2 / 9, rel=1e-10)
    made = second_fundamental_form(cylinder, at)
    assert abs(float(sectional_curvature(made))) < 1e-12
    assert float(extrinsic_curvature(made)) == pytest.approx(1.0, rel=1e-10)


def test_curvature_does_not_depend_on_coordinates_and_an_isometry_keeps_it():
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 3)))
    slant = jnp.array([[1.3, 0.4], [-0.2, 0.9]])
    plain = second_fundamental_form(torus, jnp.array([0.4, 0.7]))
    moved = second_fundamental_form(
        lambda p: turn @ torus(slant @ p), jnp.linalg.solve(slant, jnp.array([0.4, 0.7]))
    )
    for measure in (sectional_curvature, extrinsic_curvature):
        assert float(measure(moved)) == pytest.approx(float(measure(plain)), rel=1e-9)


def test_metric_and_conformal_factor():
    weight = np.random.default_rng(2).standard_normal((7, 3))
    basis = jnp.asarray(np.random.default_rng(3).standard_normal((2, 3)))
    x = jnp.ones(3)
    jacobian = np.asarray(jax.jacfwd(lambda y: jnp.tanh(weight @ y))(x))
    expected = basis @ jacobian.T @ jacobian @ basis.T
    made = pullback_metric(lambda y: jnp.tanh(weight @ y), x, basis)
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    stretched = conformal_factor(lambda y: 2.0 * turn_right(y), x, basis)
    assert float(stretched.factor) == pytest.approx(4.0, rel=1e-12)
    assert abs(float(stretched.anisotropy)) < 1e-10
    uneven = conformal_factor(lambda y: y * jnp.array([1.0, 2.0, 1.0]), x, jnp.eye(3)[:2])
    assert float(uneven.factor) == pytest.approx(2.5)
    assert float(uneven.anisotropy) == pytest.approx(3.0)


def turn_right(y):
    return jnp.stack([-y[1], y[0], y[2]])


def test_normal_parts_are_normal():
    tangents, vectors = jnp.asarray(np.random.default_rng(4).standard_normal((2, 2, 5)))
    np.testing.assert_allclose(normal_part(tangents, vectors) @ tangents.T, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: curve_geometry(circle, np.zeros((2, 2))), "t must"),
        (lambda: curve_length(circle, np.zeros(1)), "at least two parameters"),
        (lambda: second_fundamental_form(lambda p: p, jnp.zeros(2)), "more than 2 dimensions"),
        (lambda: sectional_curvature(second_fundamental_form(torus, jnp.zeros(2)), 0, 0), "two indices"),
        (lambda: pullback_metric(circle, jnp.zeros(2), jnp.zeros((1, 3))), "basis must"),
        (
            lambda: pullback_metric(lambda y: y, jnp.ones(3), jnp.ones((1, 3)), sphere=True),
            "tangent to the sphere",
        ),
        (lambda: push_curve(circle, jnp.zeros(2), jnp.zeros(3), jnp.zeros(2)), "v and h must"),
    ],
)
def test_bad_values_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
