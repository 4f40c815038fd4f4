"""Predictions of training: against gradient descent itself, against each other, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.theory.wide import Dense, Erf, predict, serial

RANDOM = np.random.default_rng(0)
X, X_TEST, Y = (RANDOM.standard_normal(s) for s in ((6, 4), (3, 4), (6, 2)))
F0, G0 = RANDOM.standard_normal((6, 2)), RANDOM.standard_normal((3, 2))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def kernels():
    with jax.enable_x64(True):
        kernel_fn = serial(Dense(1, 1.5, 0.3), Erf(), Dense(1, 1.5, 0.3)).kernel_fn
        names = ("nngp", "ntk")
        return (
            kernel_fn,
            kernel_fn(X, None, names),
            kernel_fn(X_TEST, X, names),
            kernel_fn(X_TEST, None, names),
        )


def steps(train, cross, eta, n_steps, slope, momentum=0.0):
    """Gradient descent on the outputs of a linearised network, in NumPy, step by step."""
    f, g, v, w = F0.copy(), G0.copy(), np.zeros_like(F0), np.zeros_like(G0)
    for _ in range(n_steps):
        e = slope(f)
        v, w = momentum * v - eta * train @ e, momentum * w - eta * cross @ e
        f, g = f + v, g + w
    return f, g


def test_square_loss_is_gradient_descent_with_small_steps(kernels):
    _, train, cross, _ = kernels
    train, cross = np.asarray(train.ntk), np.asarray(cross.ntk)
    predict_fn = predict.gradient_descent_mse(train, Y, learning_rate=0.8)
    errors = []
    for cut in (20, 40):
        done = steps(train, cross, 0.8 / cut, 5 * cut, lambda f: (f - Y) / Y.size)
        made = predict_fn(5.0, F0, G0, cross)
        errors.append(max(np.abs(a - b).max() for a, b in zip(done, made, strict=True)))
    # Euler's method is of first order: half the step, half the error.
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.1)


def cross_entropy(f, y):
    return -jnp.mean(jax.nn.log_softmax(f) * y)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_any_loss_is_gradient_descent_with_small_steps(kernels, momentum):
    _, train, cross, _ = kernels
    train, cross = np.asarray(train.ntk), np.asarray(cross.ntk)
    labels = np.abs(Y)

    loss = cross_entropy
    slope = jax.jit(jax.grad(loss))
    errors = []
    for eta in (2e-3, 5e-4):
        beta = None if momentum is None else 1 - (1 - momentum) * np.sqrt(eta / 1e-3)
        n_steps = 400 if momentum is None else int(400 * np.sqrt(1e-3 / eta))
        n_steps = int(400 * 1e-3 / eta) if momentum is None else n_steps
        done = steps(train, cross, eta, n_steps, lambda f: np.asarray(slope(f, labels)), beta or 0.0)
        predict_fn = predict.gradient_descent(loss, train, labels, eta, beta)
        made = predict_fn(float(n_steps), F0, G0, cross)
        errors.append(max(np.abs(a - b).max() for a, b in zip(done, made, strict=True)))
    moved = max(np.abs(made[0] - F0).max(), 1e-9)
    order = np.log(errors[0] / errors[1]) / np.log(4)
    assert errors[1] / moved < 0.03
    # In the step sqrt(eta) of the motion with friction, and in eta without, the error is of first order.
    assert order == pytest.approx(1.0 if momentum is None else 0.5, abs=0.15)


def test_times_states_and_square_loss_agree(kernels):
    _, train, cross, _ = kernels

    def loss(f, y):
        return 0.5 * jnp.mean((f - y) ** 2)

    times = np.array([[0.0, 1.0], [5.0, 20.0]])
    closed = predict.gradient_descent_mse(train.ntk, Y, 0.5)(times, F0, G0, cross.ntk)
    flow = predict.gradient_descent(loss, train.ntk, Y, 0.5)
    for a, b in zip(closed, flow(times, F0, G0, cross.ntk), strict=True):
        assert a.shape[:2] == (2, 2)
        np.testing.assert_allclose(a, b, atol=1e-6)
    heavy = predict.gradient_descent(loss, train.ntk, Y, 0.5, 0.9)
    half = heavy(3.0, predict.ODEState(F0, G0), k_test_train=cross.ntk)
    whole = heavy(7.0, predict.ODEState(F0, G0), k_test_train=cross.ntk)
    rest = heavy(4.0, half, k_test_train=cross.ntk)
    for a, b in zip(rest, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_inference_is_the_regression_of_the_textbook(kernels):
    _, train, cross, test = kernels
    k, c, p = np.asarray(train.nngp), np.asarray(cross.nngp), np.asarray(test.nngp)
    inverse = np.linalg.inv(k + 0.1 * np.eye(6))
    made = predict.gp_inference(train, Y, 0.1, True)("nngp", cross, test)
    np.testing.assert_allclose(made.mean, c @ inverse @ Y, rtol=1e-9)
    np.testing.assert_allclose(made.covariance, p - c @ inverse @ c.T, atol=1e-12)
    relative = predict.gp_inference(train, Y, 0.1 * 6 / np.trace(k))("nngp", cross, test)
    np.testing.assert_allclose(relative.covariance, made.covariance, atol=1e-12)
    named = predict.gp_inference(train, Y, 0.1, True)(("ntk", "ntkgp"), cross, test)
    theta, w = np.asarray(train.ntk), np.asarray(cross.ntk)
    w = w @ np.linalg.inv(theta + 0.1 * np.eye(6))
    np.testing.assert_allclose(named.ntk.mean, w @ Y, rtol=1e-9)
    np.testing.assert_allclose(named.ntk.covariance, p + w @ k @ w.T - w @ c.T - c @ w.T, atol=1e-12)
    np.testing.assert_allclose(named.ntkgp.mean, named.ntk.mean, rtol=1e-12)


def test_ensemble_statistics_are_those_of_random_functions(kernels):
    """f_0 ~ N(0, K) trained by the closed form: mean and covariance over many draws, at a finite time."""
    kernel_fn, train, cross, test = kernels
    joint = np.block([[train.nngp, np.asarray(cross.nngp).T], [np.asarray(cross.nngp), test.nngp]])
    n = 20_000
    draws = np.linalg.cholesky(joint) @ RANDOM.standard_normal((9, n))
    y = np.repeat(Y[:, :1], n, 1)
    trained = predict.gradient_descent_mse(train.ntk, y / 1.0, learning_rate=float(n))
    _, ends = trained(40.0, draws[:6], draws[6:], cross.ntk)
    predict_fn = predict.gradient_descent_mse_ensemble(kernel_fn, X, Y[:, :1], trace_axes=(-1,))
    made = predict_fn(40.0, X_TEST, "ntk", True)
    ends = np.asarray(ends)
    spread = np.sqrt(np.diag(made.covariance) / n)
    assert np.abs((ends.mean(1) - made.mean[:, 0]) / spread).max() < 5
    variance = np.asarray(made.covariance)
    error = np.sqrt((np.outer(np.diag(variance), np.diag(variance)) + variance**2) / n)
    assert np.abs((np.cov(ends) - variance) / error).max() < 5
    # Without the cross terms the covariance would be off by far more than its error.
    assert np.abs((variance - test.nngp) / error).max() > 5


def test_ensembles_end_in_inference_and_begin_in_the_prior(kernels):
    kernel_fn, train, cross, test = kernels
    predict_fn = predict.gradient_descent_mse_ensemble(kernel_fn, X, Y, diag_reg=1e-3)
    infinite = predict_fn(None, X_TEST, None, True)
    inference = predict.gp_inference(train, Y, 1e-3)(None, cross, test)
    begun = predict_fn(0.0, X_TEST, None, True)
    for name in ("nngp", "ntk"):
        one, other = getattr(infinite, name), getattr(inference, name)
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-8)
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(getattr(begun, name).mean, 0.0, atol=1e-12)
        np.testing.assert_allclose(getattr(begun, name).covariance, test.nngp, rtol=1e-10)
    own = predict_fn(2.0, None, "ntk")
    np.testing.assert_allclose(own, predict_fn(2.0, X, "ntk"), rtol=1e-10)


def test_outputs_with_a_kernel_of_their_own(kernels):
    _, train, cross, _ = kernels
    mixing = np.eye(2) + 0.3
    full = jnp.einsum("ij,ab->ijab", train.ntk, mixing)
    full_cross = jnp.einsum("ij,ab->ijab", cross.ntk, mixing)
    made = predict.gradient_descent_mse(full, Y, trace_axes=())(4.0, F0, G0, full_cross)
    # In the eigenbasis of the mixing matrix outputs do not see each other.
    values, vectors = np.linalg.eigh(mixing)
    for k, value in enumerate(values):
        one = predict.gradient_descent_mse(train.ntk, (Y @ vectors)[:, k : k + 1], value / 2)
        apart = one(4.0, (F0 @ vectors)[:, k : k + 1], (G0 @ vectors)[:, k : k + 1], cross.ntk)
        for a, b in zip(apart, made, strict=True):
            np.testing.assert_allclose(a[:, 0], (b @ vectors)[:, k], rtol=1e-9, atol=1e-12)


def test_the_largest_rate_is_where_steps_begin_to_diverge(kernels):
    _, train, cross, _ = kernels
    k = np.asarray(train.ntk)
    for momentum in (0.0, 0.5):
        limit = predict.max_learning_rate(k, Y.size, momentum)
        ends = [
            np.abs(
                steps(k, np.asarray(cross.ntk), c * limit, 600, lambda f: (f - Y) / Y.size, momentum)[0]
            ).max()
            for c in (0.97, 1.03)
        ]
        assert ends[0] < 10 < 1e3 < ends[1]


def test_works_inside_jit_with_unknown_kernels(kernels):
    _, train, cross, _ = kernels

    @jax.jit
    def mean(k, c):
        return predict.gradient_descent_mse(k, Y)(3.0, F0, G0, c)[1]

    known = predict.gradient_descent_mse(train.ntk, Y)(3.0, F0, G0, cross.ntk)[1]
    np.testing.assert_allclose(mean(train.ntk, cross.ntk), known, rtol=1e-10)


def test_a_singular_kernel_trains_for_a_finite_time_and_asks_for_a_ridge_at_infinity():
    k = np.ones((2, 2))
    y = np.array([[1.0], [0.0]])
    predict_fn = predict.gradient_descent_mse(k, y)
    np.testing.assert_allclose(
        predict_fn(1e4), [[0.5 + 0.5], [0.5 - 0.5]] - np.array([[0.5], [-0.5]]), atol=1e-12
    )
    np.testing.assert_allclose(predict_fn(1e4, 0.0, 0.0, np.ones((1, 2)))[1], [[0.5]], atol=1e-12)
    with pytest.raises(ValueError, match=r"k_train_train must be positive definite .* diag_reg above"):
        predict_fn(None)
    with pytest.raises(ValueError, match="diag_reg"):
        predict.gp_inference(k, y)("nngp", np.ones((1, 2)))
    ridged = predict.gp_inference(k, y, 1e-3)("nngp", np.ones((1, 2)))
    np.testing.assert_allclose(ridged, [[1.0 / (2 + 1e-3)]], rtol=1e-9)


SKEW = np.array([[2.0, 1.0], [0.5, 2.0]])
ONES = np.ones((2, 1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: predict.gradient_descent_mse(SKEW, ONES), "k_train_train must be symmetric"),
        (lambda: predict.gp_inference(SKEW, ONES)("nngp"), "k_train_train must be symmetric"),
        (lambda: predict.gradient_descent(jnp.sum, SKEW, ONES), "k_train_train must be symmetric"),
        (lambda: predict.max_learning_rate(SKEW), "ntk_train_train must be symmetric"),
        (lambda: predict.gradient_descent_mse(np.eye(3), ONES), "k_train_train must be of 2 outputs"),
        (
            lambda: predict.gradient_descent_mse(np.eye(2), ONES, trace_axes=()),
            "k_train_train must have 4 axes",
        ),
        (lambda: predict.gradient_descent_mse(np.eye(2), ONES, 0.0), "learning_rate must be"),
        (lambda: predict.gradient_descent_mse(np.eye(2), ONES, diag_reg=-1.0), "diag_reg must be"),
        (lambda: predict.gradient_descent_mse(np.eye(2), ONES)(-1.0), "t must be >= 0"),
        (lambda: predict.gradient_descent_mse(np.eye(2), ONES)(1.0, 0.0, 0.0), "k_test_train must be given"),
        (lambda: predict.gradient_descent_mse(np.eye(2), ONES, trace_axes=(0,)), "trace_axes must leave"),
        (lambda: predict.gp_inference(np.eye(2), ONES)("cov"), "get must be one of"),
        (lambda: predict.gp_inference({"nngp": np.eye(2)}, ONES)("ntk"), "k_test_train must hold"),
        (lambda: predict.gp_inference(np.eye(2), ONES)("ntk", np.ones((1, 2)), np.ones((1, 1))), "nngp"),
        (lambda: predict.gradient_descent(jnp.sum, np.eye(2), ONES)(None), "t must be finite"),
        (
            lambda: predict.gradient_descent(jnp.sum, np.eye(2), ONES)([2.0, 1.0]),
            "t must be >= 0 and increase",
        ),
        (lambda: predict.gradient_descent(jnp.sum, np.eye(2), ONES, 1.0, 1.0), "momentum must be"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
