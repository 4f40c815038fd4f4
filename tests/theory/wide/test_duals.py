"""Closed averages against quadrature in float64, for broad and narrow, equal and opposite pairs."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.theory.meanfield import gaussian_pair_expectation
from neuromanifold.theory.wide import (
    ABRelu,
    Abs,
    Cos,
    Dense,
    Elementwise,
    ElementwiseNumerical,
    Erf,
    Exp,
    Gabor,
    Gaussian,
    Gelu,
    Hermite,
    LeakyRelu,
    Monomial,
    Polynomial,
    Rbf,
    RectifiedMonomial,
    Relu,
    Sigmoid_like,
    Sign,
    Sin,
    serial,
)
from neuromanifold.theory.wide._duals import arc_cosine

# Rows whose covariances span correlations from -1 to 1 and variances from .01 to 9.
ROWS = np.array([[0.1, 0.0], [1.0, 0.2], [-1.0, -0.2], [0.3, -2.0], [3.0, 0.5], [0.5, 3.0]])
LAYERS = {
    "Relu": Relu(),
    "LeakyRelu": LeakyRelu(0.2),
    "ABRelu": ABRelu(-0.3, 1.2),
    "Abs": Abs(),
    "Sign": Sign(),
    "Erf": Erf(1.3, 0.7, 0.2),
    "Sigmoid_like": Sigmoid_like(),
    "Gelu": Gelu(),
    "Sin": Sin(1.2, 0.8, 0.3),
    "Cos": Cos(1.2, 0.8, 0.3),
    "Rbf": Rbf(0.6),
    "Exp": Exp(1.1, 0.4),
    "Gaussian": Gaussian(1.1, -0.5),
    "Gabor": Gabor(),
    "Polynomial": Polynomial([0.3, -0.5, 0.2, 0.1]),
    "Monomial": Monomial(3),
    "Hermite": Hermite(4),
    "step": RectifiedMonomial(0),
    "RectifiedMonomial(2)": RectifiedMonomial(2),
    "RectifiedMonomial(3)": RectifiedMonomial(3),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", LAYERS)
def test_closed_averages_are_those_of_quadrature(name):
    layer = LAYERS[name]
    kernel = serial(Dense(1, 2.0), layer).kernel_fn(ROWS)
    c = 2.0 * ROWS @ ROWS.T
    q = np.diag(c)

    def phi(u):
        return layer.apply_fn((), u)

    def slope(u):
        return jax.vmap(jax.grad(phi))(u.ravel()).reshape(u.shape)

    for function, found in ((phi, kernel.nngp), (slope, np.asarray(kernel.ntk) / c)):
        exact = gaussian_pair_expectation(
            lambda u, v, f=function: f(u) * f(v), q[:, None], q[None], c, kinks=(0.0,)
        )
        assert (exact.error < 1e-4).all()
        off = np.abs(np.asarray(found - exact.value))
        assert (off <= np.asarray(exact.error) + 1e-11 * (1 + np.abs(exact.value))).all()
    np.testing.assert_allclose(kernel.cov1, np.diag(kernel.nngp), rtol=1e-12, atol=1e-15)


def test_arc_cosine_kernels_have_the_published_polynomials():
    # J_2 = 3 sin cos + (pi - theta)(1 + 2 cos^2), Cho and Saul 2009, equation 6.
    assert arc_cosine(2) == ([0, 3], [1, 0, 2])
    assert arc_cosine(1) == ([1], [0, 1])
    for degree in range(7):
        sines, rest = arc_cosine(degree)
        at_zero = math.pi * sum(rest)
        assert at_zero == pytest.approx(math.pi * math.prod(range(2 * degree - 1, 0, -2)))
        assert len(sines) <= max(1, degree)


def test_a_dual_of_ones_own_has_its_tangent_kernel_by_differentiation():
    def pair(c, q1, q2):
        return (2 / math.pi) * jnp.arcsin(2 * c / jnp.sqrt((1 + 2 * q1) * (1 + 2 * q2)))

    own = serial(Dense(1, 1.3), Elementwise(nngp_fn=pair), Dense(1, 1.1, 0.2))
    known = serial(Dense(1, 1.3), Erf(), Dense(1, 1.1, 0.2))
    for get in ("nngp", "ntk"):
        np.testing.assert_allclose(
            own.kernel_fn(ROWS, None, get), known.kernel_fn(ROWS, None, get), rtol=1e-10
        )
    with pytest.raises(ValueError, match="fn must be given for a network of finite width"):
        own.apply_fn(own.init_fn(jax.random.key(0), (6, 2))[1], ROWS)


def test_quadrature_finds_what_is_known_in_closed_form():
    numerical = ElementwiseNumerical(jax.nn.relu, kinks=(0.0,))
    for get in ("nngp", "ntk"):
        found, known = (
            serial(Dense(1, 1.5, 0.1), phi, Dense(1)).kernel_fn(ROWS, None, get)
            for phi in (numerical, Relu())
        )
        np.testing.assert_allclose(found, known, rtol=1e-10, atol=1e-12)
    # An undeclared kink costs accuracy, and a coarse rule does.
    blunt = serial(Dense(1, 1.5, 0.1), ElementwiseNumerical(jax.scipy.special.erf, 12), Dense(1))
    exact = serial(Dense(1, 1.5, 0.1), Erf(), Dense(1))
    error = np.abs(
        np.asarray(blunt.kernel_fn(ROWS, None, "nngp") - exact.kernel_fn(ROWS, None, "nngp"))
    ).max()
    assert 1e-9 < error < 0.1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RectifiedMonomial(-1), "degree must be an integer >= 0, got -1"),
        (lambda: Polynomial([]), "coef must hold at least one coefficient"),
        (lambda: Polynomial([1.0, math.inf]), r"coef\[1\] must be"),
        (lambda: Gaussian(1.0, 0.5), "b must be a finite number <= 0, got 0.5"),
        (lambda: Rbf(-1.0), "gamma must be a finite number >= 0, got -1.0"),
        (lambda: ElementwiseNumerical(lambda u: jnp.exp(u * u)), "finite second moment under every Gaussian"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
