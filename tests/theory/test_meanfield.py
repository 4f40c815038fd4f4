"""Mean-field theory of signals: closed forms, published numbers, convergence, and refusals."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from neuromanifold.dynamics import run
from neuromanifold.theory.meanfield import (
    activation,
    activity_map,
    chi_1,
    chi_c,
    chi_q,
    correlation_process,
    covariance_map,
    critical_line,
    critical_sigma_w,
    depth_scale,
    distance_map,
    finite_width_process,
    fixed_point,
    gaussian_expectation,
    gaussian_pair_expectation,
    length_map,
    length_process,
)
from neuromanifold.theory.meanfield._fixed_points import _correlations, _polynomial, settled_length

TANH, ERF, RELU, STEP, SIGN = (activation(name) for name in ("tanh", "erf", "relu", "step", "sign"))
QUICK = hypothesis.settings(deadline=None, max_examples=8, derandomize=True)
VARIANCES = (0.0, 1e-8, 0.1, 1.7, 5.0, 20.0)
CORRELATIONS = (-1.0, -0.999, -0.5, 0.0, 0.3, 0.9, 0.999, 1.0)


def identity(state):
    return state


def numpy(tree):
    """Float64 results as numpy: mixing them with JAX numbers outside a 64-bit scope would round them."""
    return jax.tree.map(np.asarray, tree)


def number(x) -> float:
    return float(np.asarray(x))


# --- quadrature against closed forms ----------------------------------------------------------------------


def test_one_dimension_closed_forms():
    q = np.array(VARIANCES)
    second = gaussian_expectation(lambda u: ERF(u) ** 2, q)
    np.testing.assert_allclose(second.value, 2 / np.pi * np.arcsin(q / (1 + q)), atol=1e-14, rtol=1e-13)
    assert np.all(np.asarray(second.error) < 1e-13)
    slope = gaussian_expectation(lambda u: ERF.derivative(u) ** 2, q)
    np.testing.assert_allclose(slope.value, 2 / np.pi / np.sqrt(1 + 2 * q), rtol=1e-13)
    half = gaussian_expectation(lambda u: RELU(u) ** 2, q, kinks=(0.0,))
    np.testing.assert_allclose(half.value, q / 2, atol=1e-15, rtol=1e-13)
    moved = gaussian_expectation(lambda u: jnp.where(u > 0.7, 1.0, 0.0), q[1:], kinks=(0.7,))
    np.testing.assert_allclose(moved.value, ndtr(-0.7 / np.sqrt(q[1:])), atol=1e-13)


def test_erf_averages_of_the_specification():
    at = 1.7
    assert number(activity_map(ERF, at, sigma_w=1, sigma_b=0)) == pytest.approx(0.433587, abs=5e-7)
    assert number(chi_1(ERF, at, sigma_w=1)) == pytest.approx(0.303497, abs=5e-7)
    second = gaussian_expectation(lambda u: (u * ERF.derivative(u)) ** 2, at)
    assert number(second.value) == pytest.approx(0.117260, abs=5e-7)


@pytest.mark.parametrize("variances", [(1.0, 1.0), (20.0, 20.0), (20.0, 0.3), (0.01, 5.0)])
def test_two_dimensions_closed_forms(variances):
    q, p = variances
    rho = np.array(CORRELATIONS)
    c = rho * math.sqrt(q * p)
    angle = np.arccos(rho)
    cases = [
        (ERF, (), 2 / np.pi * np.arcsin(c / np.sqrt((1 + q) * (1 + p))), 2e-13),
        (RELU, (0.0,), math.sqrt(q * p) / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * rho), 2e-13),
        # The angle of c is known to the square root of round-off at rho = +-1 - 1e-16 alone.
        (STEP, (0.0,), (np.pi - angle) / (2 * np.pi), 1e-13),
        (SIGN, (0.0,), 2 / np.pi * np.arcsin(rho), 1e-13),
    ]
    for phi, kinks, exact, tolerance in cases:
        found = numpy(gaussian_pair_expectation(lambda u, v, f=phi: f(u) * f(v), q, p, c, kinks=kinks))
        np.testing.assert_allclose(found.value, exact, atol=tolerance * (1 + np.abs(exact).max()))
        # The reported error is never smaller than the true one, up to round-off.
        assert np.all(np.abs(found.value - exact) <= np.asarray(found.error) + 1e-13 * (1 + math.sqrt(q * p)))


def test_error_estimate_bounds_the_error_at_every_resolution():
    """The reported error covers the true one once the rule converges, which it does exponentially."""
    exact = 2 / np.pi * np.arcsin(0.95)
    errors = []
    for n in ((6, 10), (12, 20), (24, 40), (48, 80)):
        found = gaussian_pair_expectation(lambda u, v: ERF(u) * ERF(v), 19.0, 19.0, 19.0, n=n)
        true = abs(number(found.value) - exact)
        # Below that the coarser rule has no digit right, and a difference says nothing.
        assert n[0] < 24 or true <= number(found.error) + 1e-14
        errors.append(max(true, 1e-15))
    assert errors[0] > 1e-4
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 100
    assert errors[3] < 1e-12


def test_two_kinks_against_independent_quadrature():
    def hard(u):
        return jnp.clip(u, -1.0, 1.0)

    q, p, c = 1.3, 2.0, 0.9
    found = gaussian_pair_expectation(lambda u, v: hard(u) * hard(v), q, p, c, kinks=(-1.0, 1.0))
    z = np.linspace(-9, 9, 6001)
    w = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    slope, rest = c / q, math.sqrt(p - c * c / q)
    inner = []
    for mean in slope * math.sqrt(q) * z:
        low, high = (-1 - mean) / rest, (1 - mean) / rest
        density = np.exp(-0.5 * np.array([low, high]) ** 2) / math.sqrt(2 * math.pi)
        middle = mean * (ndtr(high) - ndtr(low)) + rest * (density[0] - density[1])
        inner.append(middle - ndtr(low) + ndtr(-high))
    reference = float(np.sum(w * np.clip(math.sqrt(q) * z, -1, 1) * np.array(inner)))
    # The reference is a trapezoid rule over a kink: good to its step squared, 1e-6.
    assert number(found.value) == pytest.approx(reference, abs=1e-6)
    assert number(found.error) < 1e-9


def test_undeclared_kink_shows_in_the_error():
    honest = gaussian_expectation(lambda u: jnp.abs(u - 0.5), 1.0, kinks=(0.5,))
    blind = gaussian_expectation(lambda u: jnp.abs(u - 0.5), 1.0)
    assert number(honest.error) < 1e-13
    assert number(blind.error) > 1e-6


# --- maps -------------------------------------------------------------------------------------------------


@QUICK
@hypothesis.given(
    a=st.floats(0.01, 4.0),
    ratio=st.floats(0.2, 5.0),
    rho=st.floats(-0.99, 0.99),
    sigma_w=st.floats(0.2, 4.0),
    sigma_b=st.floats(0.0, 2.0),
)
def test_distance_and_covariance_maps_agree(a, ratio, rho, sigma_w, sigma_b):
    """D' = A' + A'' - 2 C' with C' from the covariance map; unequal activities, any correlation."""
    b = a * ratio
    overlap = rho * math.sqrt(a * b)
    q, p, c = (sigma_w**2 * x + sigma_b**2 for x in (a, b, overlap))
    for phi in (TANH, ERF, RELU):
        d = number(distance_map(phi, a, b, a + b - 2 * overlap, sigma_w=sigma_w, sigma_b=sigma_b))
        moved = number(covariance_map(phi, q, p, c, sigma_w=sigma_w, sigma_b=sigma_b)) - sigma_b**2
        first = number(activity_map(phi, a, sigma_w=sigma_w, sigma_b=sigma_b))
        second = number(activity_map(phi, b, sigma_w=sigma_w, sigma_b=sigma_b))
        assert d == pytest.approx(first + second - 2 * moved / sigma_w**2, abs=1e-9 * (1 + first + second))


def test_slopes_are_derivatives_of_the_maps():
    h = 1e-5
    for phi in (TANH, ERF, RELU):
        q, p, c, s = 1.7, 0.9, -0.4, 1.3
        up, down = (number(length_map(phi, q + e, sigma_w=s, sigma_b=0.2)) for e in (h, -h))
        assert number(chi_q(phi, q, sigma_w=s)) == pytest.approx((up - down) / (2 * h), abs=1e-8)
        up, down = (number(covariance_map(phi, q, p, c + e, sigma_w=s, sigma_b=0.2)) for e in (h, -h))
        assert number(chi_c(phi, q, p, c, sigma_w=s)) == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_slope_of_distance_at_zero_is_chi_1_to_tiny_distances():
    a, s_w, s_b = 0.4, 1.5, 0.3
    q = s_w**2 * a + s_b**2
    for d in (1e-6, 1e-10, 1e-13):
        ratio = number(distance_map(TANH, a, a, d, sigma_w=s_w, sigma_b=s_b)) / d
        # Relative errors: curvature of the map, order d, and the round-off 1e-16/sqrt(d) of the angle.
        assert ratio == pytest.approx(
            number(chi_1(TANH, q, sigma_w=s_w)), rel=10 * d + 1e-15 / math.sqrt(d) + 1e-12
        )


def test_maps_differentiate_under_jit_and_vmap_with_and_without_x64():
    def f(q):
        return length_map(TANH, q, sigma_w=1.5, sigma_b=0.3)

    exact = number(chi_q(TANH, 1.7, sigma_w=1.5))
    for on in (False, True):
        with jax.enable_x64(on):
            tolerance = 1e-9 if on else 1e-6
            assert number(jax.jit(jax.grad(f))(1.7)) == pytest.approx(exact, rel=tolerance)
            assert number(jax.jit(f)(1.7)) == pytest.approx(number(f(1.7)), rel=1e-6)
            batch = jnp.asarray([0.5, 1.7])
            loop = [number(f(float(x))) for x in batch]
            np.testing.assert_allclose(np.asarray(jax.vmap(f)(batch)), loop, rtol=1e-7)
            assert f(1.7).dtype == jnp.float64


def test_declared_and_automatic_derivative_agree():
    plain = activation(jnp.tanh)
    assert number(chi_1(plain, 2.0, sigma_w=1.0)) == pytest.approx(
        number(chi_1(TANH, 2.0, sigma_w=1.0)), rel=1e-13
    )


# --- B11, B12, B15: fixed points --------------------------------------------------------------------------

# sigma_w, A*, q*, chi_1, c*, D*, chi_c, xi_c at sigma_b = 0.3; None where the specification prints none.
PRINTED = {
    "tanh": [
        (1.5, 0.387042, 0.960844, 1.060981, 0.766753, 0.199212, 0.951030, 19.916),
        (2.5, 0.638260, 4.079124, 1.585225, 0.122104, 1.145935, 0.822229, 5.109),
        (1.2, 0.263556, 0.469521, 0.870011, 1.0, 0.0, None, 7.181),
    ],
    "erf": [
        (2.0, 0.456341, 1.915364, 1.158601, 0.405601, 0.569245, 0.906237, None),
        (2.5, 0.576717, 3.694482, 1.373744, 0.162280, 0.990381, 0.854562, None),
    ],
}


def check_printed(found, row):
    _, a, q, chi, c, d, slope, scale = row
    pairs = [
        (found.activity, a, 6),
        (found.length, q, 6),
        (found.chi_1, chi, 6),
        # The specification prints c* as a correlation, c*/q*.
        (found.covariance / found.length, c, 6),
        (found.distance, d, 6),
        (found.chi_c, slope, 6),
        (found.depth_scale_correlation, scale, 3),
    ]
    for value, printed, digits in pairs:
        if printed is not None:
            assert number(value) == pytest.approx(printed, abs=0.501 * 10.0**-digits)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_fixed_points_to_the_digits_printed(name):
    for row in PRINTED[name]:
        found = numpy(fixed_point(activation(name), row[0], 0.3))
        check_printed(found, row)
        assert bool(found.converged)
        assert number(found.length_error) < 1e-12
        assert number(found.correlation_error) < 1e-10


def test_published_numbers_of_wider_phase():
    found = numpy(fixed_point(TANH, np.array([1.3, 2.5, 4.0]), 0.3))
    np.testing.assert_allclose(found.length, [0.60704679, 4.07912388, 12.60414950], atol=5.1e-9)
    np.testing.assert_allclose(found.chi_1, [0.93980743, 1.58522477, 2.36726104], atol=5.1e-9)
    # Correlations by nested trapezoid rules, independently of polar coordinates and of the series.
    np.testing.assert_allclose(found.covariance / found.length, [1, 0.1221037473, 0.0296959216], atol=1e-9)
    np.testing.assert_allclose(found.depth_scale_length, [1.337668, 0.688341, 0.490295], atol=5.1e-7)
    np.testing.assert_allclose(found.depth_scale_correlation, [16.108173, 5.108919, 3.639351], atol=5.1e-7)


def test_without_biases():
    found = numpy(fixed_point(TANH, np.array([0.99, 1.01, 1.1]), 0.0))
    np.testing.assert_allclose(found.activity, [0.0, 0.009933, 0.093182], atol=5.1e-7)
    # Odd activation, no biases: any two signals become orthogonal in the chaotic phase.
    np.testing.assert_allclose(found.distance[1:], 2 * found.activity[1:], rtol=1e-9)


@pytest.mark.parametrize("method", ["polar", "loop"])
def test_correlation_fixed_point_by_other_roads(method):
    """The series, the polar rule and the recursion itself end at one correlation."""
    series = fixed_point(TANH, 1.5, 0.3)
    if method == "polar":
        # A declared kink where there is none changes the road and not the result.
        again = fixed_point(activation(jnp.tanh, kinks=(0.0,)), 1.5, 0.3)
        assert number(again.distance) == pytest.approx(number(series.distance), abs=1e-10)
        assert number(again.chi_c) == pytest.approx(number(series.chi_c), abs=1e-10)
    else:
        d = number(series.distance)
        a = number(series.activity)
        assert number(distance_map(TANH, a, a, d, sigma_w=1.5, sigma_b=0.3)) == pytest.approx(d, abs=1e-10)


def test_implicit_derivatives():
    with jax.enable_x64(True):
        for field in ("length", "distance", "chi_1", "depth_scale_correlation"):

            def value(s_w, field=field):
                return getattr(fixed_point(TANH, s_w, 0.3, throw=False), field)

            h = 1e-5
            numeric = (number(value(1.5 + h)) - number(value(1.5 - h))) / (2 * h)
            assert number(jax.grad(value)(1.5)) == pytest.approx(numeric, rel=1e-6)


def test_relu_settles_or_is_refused():
    found = fixed_point(RELU, 1.2, 0.1)
    assert number(found.length) == pytest.approx(0.01 / (1 - 0.72), rel=1e-13)
    assert number(found.chi_1) == pytest.approx(0.72, rel=1e-13)
    assert number(found.distance) == 0.0
    with pytest.raises(ValueError, match=r"diverges at sigma_w = 1\.5"):
        fixed_point(RELU, 1.5, 0.1)
    with pytest.raises(ValueError, match="diverges"):
        fixed_point(RELU, math.sqrt(2), 0.1)
    marked = fixed_point(RELU, np.array([1.2, 1.5]), 0.1, throw=False)
    assert marked.converged.tolist() == [True, False]
    assert np.isinf(number(marked.length[1]))
    edge = fixed_point(RELU, math.sqrt(2), 0.0, start=0.7)
    assert number(edge.length) == pytest.approx(0.7, rel=1e-12)


def test_depth_scale_limits():
    np.testing.assert_allclose(
        depth_scale(jnp.asarray([0.0, 0.5, 1.0, 1.5])), [0, 1 / math.log(2), np.inf, np.inf], rtol=1e-6
    )


def test_phase_diagram_equals_single_points():
    sigma_w, sigma_b = np.linspace(0.3, 4, 5), np.array([0.0, 0.2, 1.0])
    diagram = fixed_point(TANH, sigma_w[:, None], sigma_b[None, :])
    assert diagram.length.shape == (5, 3)
    assert bool(diagram.converged.all())
    single = fixed_point(TANH, sigma_w[3], sigma_b[2])
    for field in diagram._fields:
        assert number(getattr(diagram, field)[3, 2]) == pytest.approx(
            number(getattr(single, field)), rel=1e-9, abs=1e-12
        )


def test_many_points_are_sorted_by_cost_and_come_back_in_their_places():
    """More points than a chunk holds, in any order, ordered ones among them, against a few at once."""
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        sigma_w = jnp.asarray(random.permutation(np.linspace(0.5, 3.0, 300)))
        length = settled_length(TANH, sigma_w, jnp.full(300, 0.3))
        many = numpy(_correlations("series", TANH, sigma_w, length, jnp.zeros(300)))
        some = np.flatnonzero(random.random(300) < 0.05)
        part = jax.tree.map(lambda x: x[some], length)
        few = numpy(_correlations("series", TANH, sigma_w[some], part, jnp.zeros(some.size)))
    chaotic = np.asarray(length.chi_1)[some] > 1
    assert 0 < chaotic.sum() < some.size
    for one, other in zip(many[:2], few[:2], strict=True):
        np.testing.assert_allclose(one[some], other, rtol=1e-10)
    assert np.all((few[0] < 1) == chaotic)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 200])
def test_powers_by_digits_are_powers(size):
    c = np.random.default_rng(size).standard_normal(size)
    with jax.enable_x64(True):
        for rho in (0.0, 0.3, 0.999, 1.0):
            made = float(_polynomial(jnp.asarray(c), jnp.asarray(rho)))
            assert made == pytest.approx(np.polynomial.polynomial.polyval(rho, c), rel=1e-11, abs=1e-12)


# --- B12: the edge of chaos -------------------------------------------------------------------------------


def test_critical_sigma_w():
    assert number(critical_sigma_w(TANH, 0.3)) == pytest.approx(1.395584, abs=5.1e-7)
    assert number(critical_sigma_w(ERF, 0.3)) == pytest.approx(1.645094, abs=5.1e-7)
    squared = np.asarray(critical_sigma_w(TANH, np.sqrt([0.0, 0.0025, 0.05, 0.09, 0.25]))) ** 2
    np.testing.assert_allclose(squared, [1, 1.26009382, 1.76095464, 1.94765463, 2.40148924], atol=5.1e-9)
    # The error function itself, without the factor 1/sqrt 2 of the named one.
    plain = activation(jax.scipy.special.erf)
    squared = np.asarray(critical_sigma_w(plain, np.sqrt([0.0, 0.01, 0.05]))) ** 2
    np.testing.assert_allclose(squared, [np.pi / 4, 1.11428006, 1.37583901], atol=5.1e-9)
    assert number(critical_sigma_w(RELU, 0.0)) == pytest.approx(math.sqrt(2), rel=1e-13)


def test_edge_is_critical():
    sigma_w, sigma_b = critical_line(TANH, np.array([0.05, 1.0, 10.0]))
    np.testing.assert_allclose(critical_sigma_w(TANH, sigma_b), sigma_w, rtol=1e-9)
    found = fixed_point(TANH, sigma_w, sigma_b, throw=False, tolerance=1e-8)
    np.testing.assert_allclose(found.chi_1, 1.0, atol=1e-10)


def test_critical_sigma_w_differentiates():
    with jax.enable_x64(True):
        h = 1e-5
        up, down = (number(critical_sigma_w(TANH, 0.3 + e)) for e in (h, -h))

        def at(s_b):
            return critical_sigma_w(TANH, s_b)

        assert number(jax.grad(at)(0.3)) == pytest.approx((up - down) / (2 * h), rel=1e-6)


# --- processes --------------------------------------------------------------------------------------------


def test_length_process_gives_the_printed_curve(key):
    with jax.enable_x64(True):
        made = run(length_process(TANH, sigma_w=1.5, sigma_b=0.3), key, 1.0, 5, observe=identity)
    np.testing.assert_allclose(made.values[1:], [0.5475, 0.4452, 0.4103, 0.3967, 0.3911], atol=5.1e-5)


def test_correlation_process_gives_the_printed_curve_and_follows_tiny_distances(key):
    process = correlation_process(TANH, sigma_w=1.5, sigma_b=0.3)
    with jax.enable_x64(True):
        made = run(process, key, (1.0, 1.0, 0.8), 5, observe=identity)
        np.testing.assert_allclose(
            made.values.distance[1:], [0.4807, 0.3966, 0.3608, 0.3410, 0.3276], atol=5.1e-5
        )
        np.testing.assert_allclose(
            made.values.overlap, made.values.activity_1 - made.values.distance / 2, rtol=1e-12
        )
        ordered = correlation_process(TANH, sigma_w=0.9, sigma_b=0.3)
        small = run(ordered, key, (0.2, 0.2, 1e-3), 60, observe=identity).values.distance
    end = fixed_point(TANH, 0.9, 0.3)
    assert 0 < small[-1] < 1e-15
    assert small[-1] / small[-2] == pytest.approx(number(end.chi_1), rel=1e-6)


def test_finite_width_against_exact_relu(key):
    """ReLU, sigma_w^2 = 2: the activity has no bias and E A_L^2 = (1 + 5/n)^L, so n Var A_L -> 5 L."""
    with jax.enable_x64(True):
        process = finite_width_process(RELU, sigma_w=math.sqrt(2), sigma_b=0.0)
        values = run(process, key, np.array([1.0]), 6, observe=identity).values
    np.testing.assert_allclose(values.mean[:, 0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(values.bias[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(values.covariance[:, 0, 0], 5.0 * np.arange(7), atol=1e-10)


def test_finite_width_of_a_pair_contains_that_of_each(key):
    with jax.enable_x64(True):
        process = finite_width_process(ERF, sigma_w=1.8, sigma_b=0.2)
        one = run(process, key, np.array([0.7]), 3, observe=identity).values
        two = run(process, key, np.array([0.7, 1.2, 0.9]), 3, observe=identity).values
    np.testing.assert_allclose(two.bias[:, 0], one.bias[:, 0], atol=1e-9)
    np.testing.assert_allclose(two.covariance[:, 0, 0], one.covariance[:, 0, 0], atol=1e-9)
    assert np.all(np.linalg.eigvalsh(two.covariance[1:]) > 0)


def test_processes_run_in_single_precision(key):
    made = run(length_process(TANH, sigma_w=1.5, sigma_b=0.3), key, 1.0, 30, observe=identity)
    assert made.values.dtype == np.float32
    assert made.values[-1] == pytest.approx(0.387042, abs=1e-5)


# --- mutated formulas fail --------------------------------------------------------------------------------


def mutated_fixed_activity(change):
    """A* of the recursion with a formula changed, by plain iteration on a uniform grid."""
    z = np.linspace(-10, 10, 4001)
    w = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    a = 1.0
    for _ in range(300):
        a = change(a, z, w)
    return a


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        (lambda a, z, w: np.sum(w * np.tanh(np.sqrt(2.25 * a + 0.09) * z) ** 2), True),
        (lambda a, z, w: np.sum(w * np.tanh((2.25 * a + 0.09) * z) ** 2), False),
        (lambda a, z, w: np.sum(w * np.tanh(np.sqrt(1.5 * a + 0.09) * z) ** 2), False),
        (lambda a, z, w: np.sum(w * np.tanh(np.sqrt(2.25 * a + 0.3) * z) ** 2), False),
    ],
)
def test_printed_activity_tells_the_formula_from_its_mutants(change, agrees):
    found = number(fixed_point(TANH, 1.5, 0.3).activity)
    assert (abs(found - mutated_fixed_activity(change)) < 1e-6) == agrees


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: activation("sigmoidal"), "activation must be one of"),
        (lambda: activation(lambda u: jnp.exp(u**2)), "finite second moment under every Gaussian"),
        (lambda: activation(lambda u: jnp.exp(1e-3 * u**2)), "finite second moment under every Gaussian"),
        (lambda: activation(jnp.log), "finite on"),
        (lambda: activation(jnp.sum), "elementwise"),
        (lambda: activation(lambda u: u > 0), "floating-point"),
        (lambda: length_map(TANH, -1.0, sigma_w=1, sigma_b=0), "length must be finite and >= 0, got -1.0"),
        (lambda: length_map(TANH, 1.0, sigma_w=-1, sigma_b=0), "sigma_w must be finite and >= 0, got -1.0"),
        (lambda: activity_map(TANH, np.nan, sigma_w=1, sigma_b=0), "activity must be finite"),
        (lambda: covariance_map(TANH, 1, 1, 1.1, sigma_w=1, sigma_b=0), "covariance must lie within"),
        (lambda: distance_map(TANH, 1, 1, 4.1, sigma_w=1, sigma_b=0), "distance must lie between"),
        (lambda: distance_map(TANH, 1, 4, 0.5, sigma_w=1, sigma_b=0), "distance must lie between"),
        (lambda: chi_1(SIGN, 1.0, sigma_w=1), "continuous for chi_1 to be finite"),
        (lambda: fixed_point(STEP, 1.0, 0.1), "continuous"),
        (lambda: fixed_point(TANH, 1.0, -0.1), "sigma_b must be"),
        (lambda: fixed_point(TANH, 1.0, 0.1, start=0.0), "start must be finite and > 0"),
        (lambda: critical_sigma_w(RELU, 0.1), "sigma_b must be one at which activation relu can be critical"),
        (lambda: critical_line(TANH, 0.0), "length must be finite and > 0"),
        (lambda: gaussian_expectation(jnp.tanh, -1.0), "variance must be"),
        (lambda: length_process(TANH, sigma_w=-1.0, sigma_b=0.0), "sigma_w must be"),
        (
            lambda: correlation_process(TANH, sigma_w=1, sigma_b=0).init(None, (1.0, 1.0, 5.0)),
            "distance must",
        ),
        (lambda: finite_width_process(TANH, sigma_w=1, sigma_b=0).init(None, np.ones(2)), "order_parameters"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_exponential_growth_is_welcome():
    phi = activation(jnp.exp)
    # E exp(2 U) = exp(2 q).
    assert number(activity_map(phi, 0.5, sigma_w=1, sigma_b=0)) == pytest.approx(math.exp(1.0), rel=1e-12)
