"""Random landscapes: derivatives by differentiation, laws by counting, descents and Newton's method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from neuromanifold.dynamics import run
from neuromanifold.networks.random import PSpin, all_positive, goe, index_of, indices


def test_derivatives_along_the_sphere():
    with jax.enable_x64(True):
        one = PSpin(np.random.default_rng(0).normal(size=(5, 5, 5)))
        x = one.start(jax.random.key(1))
        assert float(x @ x) == pytest.approx(5)

        @jax.jit
        def expected(x):
            def on_sphere(y):
                return one.energy(y * jnp.sqrt(5 / (y @ y)))

            return jax.grad(on_sphere)(x), jax.hessian(on_sphere)(x)

        slope, curved = expected(x)
        np.testing.assert_allclose(one.gradient(x), slope, atol=1e-12)
        # The Hessian of the extension that is constant along rays has one eigenvalue more, zero.
        values = np.sort(np.append(np.linalg.eigvalsh(one.hessian(x)), 0.0))
        # Off a critical point the extension bends the gradient too, but only together with x.
        unit = np.asarray(x) / np.sqrt(5)
        off = np.eye(5) - np.outer(unit, unit)
        np.testing.assert_allclose(np.linalg.eigvalsh(off @ np.asarray(curved) @ off), values, atol=1e-12)
        square = PSpin(np.diag([1.0, -1.0, 3.0]))
        y = jnp.array([1.0, 1.0, 1.0])
        assert float(square.energy(y)) == pytest.approx(3 / np.sqrt(3))


def test_covariance_is_that_of_the_glass():
    n, count = 4, 4000
    points = np.array([[1.0, 1, 1, 1], [1, 1, 1, -1]], np.float32)

    @jax.jit
    @jax.vmap
    def heights(key):
        one = PSpin.random(key, n)
        return jax.vmap(one.energy)(jnp.asarray(points))

    h = np.asarray(heights(jax.random.split(jax.random.key(0), count)), np.float64)
    for product, q in ((h[:, 0] * h[:, 1], 0.5), (h[:, 0] ** 2, 1.0)):
        error = product.std() / np.sqrt(count)
        assert abs(product.mean() - n * q**3) < 5 * error
        assert abs(product.mean() - n * q**2) > 5 * error or q == 1.0


def test_indices_without_matrices_have_the_same_law():
    n, count = 4, 5000
    matrices = jax.jit(jax.vmap(lambda key: goe(key, n)))(jax.random.split(jax.random.key(0), count))
    dense = np.bincount(np.asarray(index_of(matrices)), minlength=n + 1)
    quick = np.bincount(np.asarray(indices(jax.random.key(1), 6, count)[n - 1]), minlength=n + 1)
    # Two samples of one law; the rare ends taken with their neighbours.
    pairs = np.stack([one[1:-1] + np.array([one[0], 0, one[-1]]) for one in (dense, quick)]).astype(float)
    mean = pairs.mean(0)
    assert chi2.sf(((pairs - mean) ** 2 / mean).sum(), 2) > 1e-6
    entries = np.asarray(matrices)
    assert np.var(entries[:, 0, 1]) == pytest.approx(1 / n, rel=0.1)
    assert np.var(entries[:, 2, 2]) == pytest.approx(2 / n, rel=0.1)
    positive = np.asarray(all_positive(jax.random.key(2), 3, count)[1]).mean()
    exact = (2 - np.sqrt(2)) / 4
    assert abs(positive - exact) < 5 * np.sqrt(exact * (1 - exact) / count)


def test_descent_and_newton(key):
    one = PSpin.random(key, 10)
    process = one.descent(0.05)
    made = run(process, key, one.start(key), 600, observe=process.descends, every=20)
    assert (np.diff(made.values) < 1e-4).all()
    assert float(made.state @ made.state) == pytest.approx(10.0, abs=1e-4)
    assert np.linalg.eigvalsh(one.hessian(made.state))[0] > 0
    # From nearby the error of Newton's method is squared each step, down to rounding.
    near = made.state + 0.1 * one.start(jax.random.key(1))
    found = run(one.newton(), key, near, 6, observe_info=lambda info: info.residual)
    assert found.infos[-1] < 1e-5
    assert (found.infos[1:3] / found.infos[:2] ** 2 < 3).all()
    assert float(one.energy(found.state)) == pytest.approx(float(made.values[-1]), abs=1e-3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: goe(jax.random.key(0), 0), "n must be an integer >= 1"),
        (lambda: goe(jax.random.key(0), 3, -1.0), "scale must be a finite number > 0"),
        (lambda: index_of([[0.0, 1.0], [0.5, 0.0]]), "matrices must be symmetric, got 0.5"),
        (lambda: index_of(np.ones((2, 3))), "matrices must be square"),
        (lambda: all_positive(jax.random.key(0), 7, 10), "n must be an integer in"),
        (lambda: indices(jax.random.key(0), 3, 0), "n_draws must be an integer >= 1"),
        (lambda: PSpin(np.ones((2, 3))), "couplings must have p >= 2 axes of one length"),
        (lambda: PSpin([[np.inf]]), "couplings must be finite"),
        (lambda: PSpin.random(jax.random.key(0), 1), "n must be an integer >= 2"),
        (lambda: run(PSpin(np.eye(2)).newton(), jax.random.key(0), np.ones(3), 1), "x0 must have shape"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
