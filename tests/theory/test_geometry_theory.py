"""Geometry of wide random networks: printed numbers, closed forms, simulations in numpy, and refusals."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from neuromanifold.dynamics import run
from neuromanifold.theory.meanfield import (
    activation,
    batch_norm_explosion,
    chi_2,
    circle_process,
    critical_line,
    curve_process,
    dropout_process,
    field_layer,
    fisher_spectrum,
    jacobian_process,
    jacobian_spectrum,
    kappa_fixed_point,
    metric_process,
    mode_depth_scales,
    residual_process,
    surface_process,
    window_modes,
)

TANH, ERF, RELU, LINEAR = (activation(name) for name in ("tanh", "erf", "relu", "linear"))
HARD = activation(lambda u: jnp.clip(u, -1.0, 1.0), kinks=(-1.0, 1.0), name="hard tanh")
KEY = jax.random.key(0)


def identity(state):
    return state


def follow(process, start, depth):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, run(process, KEY, start, depth, observe=identity).values)


# --- B12, B14: metric and curvature -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def surface():
    return follow(surface_process(TANH, sigma_w=1.5, sigma_b=0.3), 1.0, 6)


def test_metric_and_second_derivatives_of_the_specification(surface):
    # The last is printed as 0.722; a uniform grid of 8,001 points gives 0.72147.
    assert surface.metric[1:5] == pytest.approx([0.73424, 0.68711, 0.69395, 0.72147], abs=5.1e-6)
    assert surface.parallel[1:] == pytest.approx([4.33, 6.35, 8.53, 11.06, 14.02, 17.46], abs=5.1e-3)
    assert surface.crossed[1:] == pytest.approx([1.197, 1.889, 2.612, 3.446, 4.419, 5.552], abs=5.1e-4)


def test_sectional_curvature_is_only_rescaled(surface):
    """K g is constant: nothing is created, whatever chi_2."""
    np.testing.assert_allclose(surface.sectional * surface.metric, 1.0, rtol=1e-9)


def test_any_curve_reduces_to_the_great_circle(surface):
    """The Gram matrix of any curve, with all its cross terms, gives the closed form on the sphere."""
    curve = follow(curve_process(TANH, sigma_w=1.5, sigma_b=0.3), 1.0, 6)
    np.testing.assert_allclose(curve.metric, surface.metric, rtol=1e-12)
    np.testing.assert_allclose(curve.gram[:, 2, 2], surface.parallel, rtol=1e-9)
    np.testing.assert_allclose(curve.curvature, surface.curvature, rtol=1e-9)
    # x stays orthogonal to dx/dt, and d^2x/dt^2 . x = -|dx/dt|^2.
    np.testing.assert_allclose(curve.gram[:, 0, 2], -curve.metric, rtol=1e-9)
    np.testing.assert_allclose(curve.gram[:, 0, 1], 0.0, atol=1e-14)


def test_a_circle_s_overlaps_and_their_derivatives_agree():
    """Derivatives by the angle against Fourier series; tangents at one point are the metric."""
    m, scales = 64, {"sigma_w": 1.5, "sigma_b": 0.3}
    angles = 2 * np.pi * np.arange(m) / m
    circle = follow(circle_process(TANH, **scales), (1.0, angles), 3)
    order = 1j * np.fft.fftfreq(m, 1 / m)
    for depth in range(4):
        spectrum = np.fft.fft(circle.overlap[depth])
        np.testing.assert_allclose(np.fft.ifft(order * spectrum).real, circle.slope[depth], atol=1e-8)
        np.testing.assert_allclose(np.fft.ifft(order**2 * spectrum).real, circle.bend[depth], atol=1e-7)
    np.testing.assert_allclose(circle.agreement[:, 0], 1.0, rtol=1e-9)
    np.testing.assert_allclose(circle.overlap[:, 0], circle.activity, rtol=1e-9)
    surface = follow(surface_process(TANH, **scales), 1.0, 3)
    np.testing.assert_allclose(circle.metric, surface.metric, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: circle_process(RELU, sigma_w=1.0, sigma_b=0.0), "continuous derivative"),
        (lambda: circle_process(TANH, sigma_w=-1.0, sigma_b=0.0), "sigma_w must"),
        (
            lambda: circle_process(TANH, sigma_w=1.0, sigma_b=0.0).init(KEY, (0.0, np.zeros(1))),
            "activity must",
        ),
        (lambda: circle_process(TANH, sigma_w=1.0, sigma_b=0.0).init(KEY, (1.0, 0.0)), "angles must"),
        (
            lambda: circle_process(TANH, sigma_w=1.0, sigma_b=0.0).init(KEY, (1.0, np.array([np.nan]))),
            "angles must",
        ),
    ],
)
def test_bad_circles_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_curve_off_the_sphere_against_units_drawn_at_random():
    """x, dx/dt and d^2x/dt^2 with any inner products: averages over 400,000 Gaussian units."""
    gram = np.array([[1.0, 0.5, -0.3], [0.5, 1.2, 0.4], [-0.3, 0.4, 2.0]])
    made = follow(curve_process(TANH, sigma_w=1.5, sigma_b=0.3), gram, 1).gram[1]
    random = np.random.default_rng(0)
    covariance = 1.5**2 * gram
    covariance[0, 0] += 0.09
    u, v, h = np.linalg.cholesky(covariance) @ random.standard_normal((3, 400_000))
    slope = 1 - np.tanh(u) ** 2
    rows = np.stack([np.tanh(u), slope * v, -2 * np.tanh(u) * slope * v**2 + slope * h])
    for a in range(3):
        for b in range(3):
            products = rows[a] * rows[b]
            assert abs(products.mean() - made[a, b]) < 5 * products.std() / math.sqrt(products.size)


def test_metric_off_the_sphere_has_the_radial_term():
    """The curve's law and the metric's agree, and differ from chi_1 g by a third."""
    start = (np.array(1.0), np.array([0.8]), np.array([[1.64]]))
    metric = follow(metric_process(TANH, sigma_w=1.5, sigma_b=0.3), start, 3)
    gram = np.array([[1.0, 0.8, 0.0], [0.8, 1.64, 0.0], [0.0, 0.0, 0.0]])
    curve = follow(curve_process(TANH, sigma_w=1.5, sigma_b=0.3), gram, 3)
    np.testing.assert_allclose(metric.metric[:, 0, 0], curve.metric, rtol=1e-10)
    np.testing.assert_allclose(metric.radial[:, 0], curve.gram[:, 0, 1], rtol=1e-10)
    without = 1.64 * follow(surface_process(TANH, sigma_w=1.5, sigma_b=0.3), 1.0, 1).metric[1]
    assert metric.metric[1, 0, 0] == pytest.approx(0.8105, abs=0.01)
    assert without == pytest.approx(1.2074, abs=0.01)


def test_curvature_constants_of_the_specification():
    printed = [
        (TANH, 1.5, 1.531635, 71.019),
        (TANH, 2.5, 7.475258, 24.173),
        (ERF, 2.0, 1.837522, None),
        (ERF, 2.5, 3.781214, None),
    ]
    z = np.linspace(-10, 10, 4001)
    w = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for phi, sigma_w, second, limit in printed:
        values = np.tanh if phi is TANH else lambda u: 2 * ndtr(u) - 1
        q = 1.0
        for _ in range(400):
            q = sigma_w**2 * (w @ values(np.sqrt(q) * z) ** 2) + 0.09
        made = float(np.asarray(chi_2(phi, q, sigma_w=sigma_w)))
        assert made == pytest.approx(second, abs=5.1e-7)
        if limit is not None:
            value = float(np.asarray(kappa_fixed_point(phi, sigma_w, 0.3)))
            assert value == pytest.approx(limit, abs=5.1e-4)
            # The limit is one of the recursion.
            chi = sigma_w**2 * (w @ (1 - np.tanh(np.sqrt(q) * z) ** 2) ** 2)
            assert 3 * second / chi**2 + limit / chi == pytest.approx(limit, rel=1e-4)


def test_curvature_has_no_limit_in_the_ordered_phase():
    assert np.asarray(kappa_fixed_point(TANH, 1.2, 0.3)) == np.inf


# --- B13: Jacobians ---------------------------------------------------------------------------------------


def test_domino_numbers_of_the_specification():
    """One erf layer: chi_1 = 0.8405; n Var of the diagonal and off it as seen, 2.1^2 and 1.25^2."""
    made = follow(jacobian_process(ERF, sigma_w=2.0, sigma_b=0.3), 1.0, 6)
    ratios = made.mean[1:] / made.mean[:-1]
    assert ratios == pytest.approx([0.848, 1.049, 1.110, 1.137, 1.160, 1.163], abs=0.01)
    q = 4.09
    assert made.mean[1] == pytest.approx(4 * 2 / np.pi / math.sqrt(1 + 2 * q), rel=1e-7)
    assert made.spread[1] == pytest.approx((1 + 2 * q) / math.sqrt(1 + 4 * q), rel=1e-7)
    # 2.03 and 2.13 of the mean, 1.27 and 1.23 absolute, were seen at widths 500 and 2000.
    assert math.sqrt(2 * made.spread[1]) == pytest.approx(2.1, abs=0.05)
    assert made.mean[1] * math.sqrt(made.spread[1]) == pytest.approx(1.25, abs=0.03)
    assert np.all(np.diff(made.spread) >= 1)


def test_upper_edges_of_linear_products():
    for depth, edge in ((1, 4.0), (2, 6.75), (10, 28.53117)):
        law = jacobian_spectrum(LINEAR, 1.0, depth, sigma_w=1.0)
        assert law.upper_edge == pytest.approx(edge, rel=1e-6)
        assert law.second_moment == pytest.approx(1 + depth, rel=1e-12)


def test_density_of_linear_products_is_that_of_fuss_and_catalan():
    angles = np.linspace(0.05, 0.95, 9) * np.pi / 4
    depth = 3
    at = np.sin((depth + 1) * angles) ** (depth + 1) / (np.sin(angles) * np.sin(depth * angles) ** depth)
    exact = (
        np.sin(angles) ** 2 * np.sin(depth * angles) ** (depth - 1) / np.sin((depth + 1) * angles) ** depth
    )
    found = jacobian_spectrum(LINEAR, 1.0, depth, sigma_w=1.0, eigenvalues=at).density
    np.testing.assert_allclose(found, exact / np.pi, rtol=1e-6)


@pytest.mark.parametrize(
    ("phi", "length", "weights", "depth", "sigma_w"),
    [
        (RELU, 1.0, "orthogonal", 3, math.sqrt(2)),
        (TANH, 0.5, "gaussian", 2, 1.2),
        (TANH, 0.5, "orthogonal", 4, 1.2),
        (HARD, 0.15, "orthogonal", 4, 1.05),
    ],
)
def test_densities_have_the_moments_of_the_closed_form(phi, length, weights, depth, sigma_w):
    """Integrals of the density, with the shares at zero and at the edge, against the closed moments."""
    edge = jacobian_spectrum(phi, length, depth, sigma_w=sigma_w, weights=weights).upper_edge
    x, w = np.polynomial.legendre.leggauss(160)
    # Steep towards zero and a root at the edge: both flattened.
    t = (x + 1) / 2
    root = np.sin(np.pi * t / 2)
    at = edge * root**8
    jacobian = edge * 8 * root**7 * np.cos(np.pi * t / 2) * np.pi / 4
    law = jacobian_spectrum(phi, length, depth, sigma_w=sigma_w, weights=weights, eigenvalues=at)
    mass = w * jacobian * law.density
    assert mass.sum() == pytest.approx(1 - law.zero_share - law.top_share, abs=2e-3)
    assert mass @ at + law.top_share * edge == pytest.approx(law.mean, rel=1e-4)
    assert mass @ at**2 + law.top_share * edge**2 == pytest.approx(law.second_moment, rel=1e-4)


def test_orthogonal_weights_near_the_origin_are_an_isometry_and_relu_never_is():
    """Tanh on its edge at small q: the relative variance vanishes with q; ReLU's is L for any q."""
    for q in (1e-2, 1e-3):
        sigma_w, _ = (float(np.asarray(s)) for s in critical_line(TANH, q))
        law = jacobian_spectrum(TANH, q, 10, sigma_w=sigma_w, weights="orthogonal")
        assert law.mean == pytest.approx(1.0, rel=1e-9)
        assert law.second_moment - 1 < 100 * q**2
    relu = jacobian_spectrum(RELU, 1.0, 10, sigma_w=math.sqrt(2), weights="orthogonal")
    assert relu.second_moment / relu.mean**2 - 1 == pytest.approx(10, rel=1e-9)
    assert relu.zero_share == pytest.approx(0.5, abs=1e-12)


# --- variants, against networks in numpy ------------------------------------------------------------------


def networks(random, n, layers, rows, step):
    x = rows
    for _ in range(layers):
        x = step(random.standard_normal((n, n)) / math.sqrt(n), random.standard_normal(n), x)
    return x


def test_dropout_parts_identical_inputs_as_predicted():
    n, keep, depth = 300, 0.8, 3
    made = follow(dropout_process(TANH, sigma_w=1.3, sigma_b=0.3, keep=keep), (1.0, 1.0, 1.0), depth)
    random = np.random.default_rng(1)
    found = []
    for _ in range(60):
        x = random.standard_normal(n)
        x *= math.sqrt(n) / np.linalg.norm(x)

        def step(w, b, x):
            return np.tanh(1.3 * ((random.random(x.shape) < keep) * x / keep) @ w.T + 0.3 * b)

        x = networks(random, n, depth, np.stack([x, x]), step)
        found.append([(x[0] ** 2).mean(), (x[0] * x[1]).mean()])
    found = np.array(found)
    error = found.std(0, ddof=1) / math.sqrt(len(found)) + 2 / n * np.array([0.3, 0.3])
    expected = [made.activity_1[-1], made.overlap[-1]]
    assert np.all(np.abs(found.mean(0) - expected) < 5 * error)
    assert made.activity_1[-1] - made.overlap[-1] > 0.05


def test_residual_blocks_grow_as_predicted():
    n, depth = 300, 4
    made = follow(residual_process(TANH, sigma_w=1.2, sigma_b=0.3, sigma_v=0.8), (1.0, 1.0, 0.4), depth)
    random = np.random.default_rng(2)
    found = []
    for _ in range(60):
        frame = np.linalg.qr(random.standard_normal((n, 2)))[0].T * math.sqrt(n)
        rows = np.stack([frame[0], 0.8 * frame[0] + 0.6 * frame[1]])

        def step(w, b, x):
            v = random.standard_normal((n, n)) / math.sqrt(n)
            return x + 0.8 * np.tanh(1.2 * x @ w.T + 0.3 * b) @ v.T

        x = networks(random, n, depth, rows, step)
        found.append([(x[0] ** 2).mean(), ((x[0] - x[1]) ** 2).mean()])
    found = np.array(found)
    error = found.std(0, ddof=1) / math.sqrt(len(found))
    assert np.all(np.abs(found.mean(0) - [made.activity_1[-1], made.distance[-1]]) < 5 * error + 2 / n)
    # Two near inputs part as the metric says.
    near = follow(residual_process(TANH, sigma_w=1.2, sigma_b=0.3, sigma_v=0.8), (1.0, 1.0, 1e-8), depth)
    np.testing.assert_allclose(near.distance / 1e-8, near.metric, rtol=1e-5)


def test_batch_normalisation_makes_gradients_explode_as_predicted():
    """A gradient sent through a normalised ReLU layer of independent examples: pi / (pi - 1) = 1.4669."""
    assert float(np.asarray(batch_norm_explosion(RELU))) == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)
    assert float(np.asarray(batch_norm_explosion(LINEAR))) == pytest.approx(1.0, rel=1e-12)
    random = np.random.default_rng(3)
    n, batch = 400, 400
    # Inputs as the layer before leaves them: phi of independent normals, any overall shift.
    x = np.maximum(random.standard_normal((batch, n)), 0.0)
    w = random.standard_normal((n, n)) / math.sqrt(n)
    u = x @ w.T
    deviation = u.std(0)
    z = (u - u.mean(0)) / deviation
    sent = random.standard_normal((batch, n)) * (z > 0)
    back = (sent - sent.mean(0) - z * (sent * z).mean(0)) / deviation @ w
    ratio = (back**2).sum() / batch / n
    # Relative errors 1/sqrt(n) from the units and 1/batch from the batch.
    assert ratio == pytest.approx(math.pi / (math.pi - 1), rel=2 / math.sqrt(n))


def test_modes_of_a_window_travel_to_their_own_depths():
    """A deviation between positions, averaged over the window by hand, shrinks by lambda_k."""
    n, half = 16, 2
    modes = window_modes(n, half)
    deviation = np.cos(2 * np.pi * 3 * np.arange(n) / n)
    moved = np.mean([np.roll(deviation, b) for b in range(-half, half + 1)], axis=0)
    np.testing.assert_allclose(moved, modes[3] * deviation, atol=1e-14)
    scales = mode_depth_scales(modes, 0.9)
    assert scales[0] == pytest.approx(-1 / math.log(0.9), rel=1e-12)
    assert np.all(scales[1:] < scales[0])
    np.testing.assert_allclose(mode_depth_scales(window_modes(n, half, "delta"), 0.9), scales[0], rtol=1e-12)


# --- Karakida's statistics, fields ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phi", "w2", "b2", "first", "second"),
    [
        (LINEAR, 1.0, 0.1, 1.65, 0.15),
        (RELU, 2.0, 0.1, 1.575, 0.40149422),
        (TANH, 3.0, 0.64, 0.9555219, 0.11861537),
    ],
)
def test_fisher_statistics_of_the_paper(phi, w2, b2, first, second):
    made = fisher_spectrum(
        phi, 1000, ratios=(1, 1, 1), sigma_w=math.sqrt(w2), sigma_b=math.sqrt(b2), n_samples=200
    )
    assert made.kappa_1 == pytest.approx(first, abs=5.1e-8)
    assert made.kappa_2 == pytest.approx(second, abs=5.1e-9)
    if phi is TANH:
        assert made.mean == pytest.approx(9.5552e-4, abs=5.1e-9)
        assert made.second_moment == pytest.approx(0.037129, abs=5.1e-7)
        assert made.largest == pytest.approx(245.60, abs=5.1e-3)


def test_deviation_of_a_fields_activity():
    """Independent positions: n Var A' is that of one unit; one position copied: no averaging at all."""
    options = {"sigma_w": 1.5, "sigma_b": 0.3}
    q = 1.5**2 * 0.59 + 0.09
    square = 2 / np.pi * np.arcsin(q / (1 + q))
    alone = field_layer(ERF, 0.59, np.eye(8), **options)
    same = field_layer(ERF, 0.59, np.ones((8, 8)), **options)
    for made in (alone, same):
        assert float(np.asarray(made.activity)) == pytest.approx(square, rel=1e-9)
    ratio = float(np.asarray(same.activity_deviation)) / float(np.asarray(alone.activity_deviation))
    assert ratio == pytest.approx(math.sqrt(8), rel=1e-6)
    overlap = np.asarray(field_layer(ERF, 0.59, np.full((2, 2), 0.5) + 0.5 * np.eye(2), **options).overlap)
    assert overlap[0, 1] == pytest.approx(2 / np.pi * np.arcsin(0.5 * q / (1 + q)), rel=1e-9)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: surface_process(RELU, sigma_w=1.0, sigma_b=0.0), "continuous derivative"),
        (lambda: curve_process(HARD, sigma_w=1.0, sigma_b=0.0), "slope jumps at -1"),
        (lambda: chi_2(activation("step"), 1.0, sigma_w=1.0), "continuous"),
        (lambda: surface_process(TANH, sigma_w=-1.0, sigma_b=0.0), "sigma_w must"),
        (
            lambda: curve_process(TANH, sigma_w=1.0, sigma_b=0.0).init(KEY, -np.eye(3)),
            "gram must be positive semidefinite",
        ),
        (
            lambda: metric_process(TANH, sigma_w=1.0, sigma_b=0.0).init(
                KEY, (1.0, np.ones(1) * 2, np.ones((1, 1)))
            ),
            "metric must with activity and radial",
        ),
        (lambda: jacobian_spectrum(TANH, 1.0, 0, sigma_w=1.0), "depth must"),
        (lambda: jacobian_spectrum(TANH, 1.0, 2, sigma_w=1.0, weights="uniform"), "weights must"),
        (
            lambda: jacobian_spectrum(TANH, 1.0, 2, sigma_w=1.0, eigenvalues=np.array([-1.0])),
            "eigenvalues must",
        ),
        (
            lambda: jacobian_spectrum(
                LINEAR, 1.0, 2, sigma_w=1.0, weights="orthogonal", eigenvalues=np.array([0.5])
            ),
            "law with a density",
        ),
        (lambda: jacobian_process(activation("sign"), sigma_w=1.0, sigma_b=0.0), "continuous"),
        (lambda: dropout_process(TANH, sigma_w=1.0, sigma_b=0.0, keep=0.0), "keep must"),
        (
            lambda: dropout_process(TANH, sigma_w=1.0, sigma_b=0.0, keep=0.5).init(KEY, (1.0, 1.0, 2.0)),
            "overlap must",
        ),
        (lambda: residual_process(TANH, sigma_w=1.0, sigma_b=0.0, sigma_v=-1.0), "sigma_v must"),
        (lambda: window_modes(3, 2), "n_positions must"),
        (lambda: mode_depth_scales(np.array([2.0]), 0.9), "modes must"),
        (lambda: fisher_spectrum(TANH, 10, ratios=(1,), sigma_w=1, sigma_b=0, n_samples=2), "ratios must"),
        (
            lambda: field_layer(ERF, 1.0, np.array([[1.0, 2.0], [2.0, 1.0]]), sigma_w=1.0, sigma_b=0.0),
            "semidefinite",
        ),
        (lambda: field_layer(ERF, 1.0, np.array([[1.0, 0.5]]), sigma_w=1.0, sigma_b=0.0), "square"),
    ],
)
def test_bad_values_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
