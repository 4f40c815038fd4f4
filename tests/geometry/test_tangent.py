"""Tangent kernels: all ways agree with the definition, whatever the structure; axes, tiles, sketches."""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.geometry import (
    NtkImplementation,
    empirical_kernel_fn,
    empirical_nngp_fn,
    empirical_ntk_fn,
    empirical_ntk_vp_fn,
    linearize,
    ntk_sketch,
    sketch_error,
    taylor_expand,
)
from neuromanifold.geometry.tangent import _kernels
from neuromanifold.geometry.tangent._batch_axis import counts_examples
from neuromanifold.geometry.tangent._factors import factors

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def normal(*shape):
    return RANDOM.standard_normal(shape)


def by_definition(f, params, x1, x2):
    """J J^T of all outputs, float64: (n1, n2, *out, *out')."""

    @jax.jit
    def product(x1, x2):
        def jacobian(x):
            y = jax.eval_shape(f, params, x)
            made = jax.tree.leaves(jax.jacobian(f)(params, x))
            return jnp.concatenate([m.reshape(*y.shape, -1) for m in made], -1)

        return jnp.tensordot(jacobian(x1), jacobian(x2), (-1, -1))

    return np.asarray(product(x1, x2))


@functools.cache
def expected_of(name):
    with jax.enable_x64(True):
        f, params, x = CASES[name]
        return by_definition(f, params, x, x[:2] + 0.3)


def perceptron(p, x):
    hidden = jnp.tanh(x @ (0.5 * p["w"]) + p["b"][None])
    return hidden @ p["v"].T / 3.0 + p["c"][None]


def convolutional(p, x):
    numbers = ("NHWC", "HWIO", "NHWC")
    hidden = jax.lax.conv_general_dilated(x, p["k"], (1, 1), "SAME", dimension_numbers=numbers)
    hidden = jax.nn.relu(2.0 * hidden - p["d"][None, None, None])
    hidden = jax.lax.conv_general_dilated(hidden, p["l"], (2, 1), "VALID", dimension_numbers=numbers)
    return jnp.tanh(hidden).mean((1, 2)) @ p["w"]


def shared(p, x):
    """One matrix at several places and twice over, one under a nonlinearity, one tied and transposed."""
    hidden = jnp.tanh(x @ p["w"])
    hidden = jnp.tanh(hidden @ p["w"])
    hidden = hidden * p["gain"][None, None] + jnp.tanh(hidden @ jnp.exp(p["u"]))
    return jax.nn.softmax(hidden @ p["e"], -1).mean(1) @ p["e"].T


def heads(p, x):
    """Attention: blocks of a parameter that do not mix."""
    q = jnp.einsum("nsd,hde->nhse", x, p["q"])
    k = jnp.einsum("nsd,hde->nhse", x, p["k"])
    weights = jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2), -1)
    return jnp.einsum("nhst,ntd,hde->ne", weights, x, p["v"])


def scanned(p, x):
    """A recurrent network: parameters in a loop are differentiated whole."""

    def step(h, u):
        return jnp.tanh(h @ p["w"] + u), None

    h, _ = jax.lax.scan(step, jnp.zeros((x.shape[0], 3)), jnp.moveaxis(x, 1, 0))
    return h @ p["v"]


CASES = {
    "perceptron": (
        perceptron,
        {"w": normal(4, 5), "b": normal(5), "v": normal(2, 5), "c": normal(2)},
        normal(3, 4),
    ),
    "convolutional": (
        convolutional,
        {"k": normal(3, 2, 2, 3), "d": normal(3), "l": normal(2, 2, 3, 2), "w": normal(2, 2)},
        normal(3, 5, 4, 2),
    ),
    "shared": (
        shared,
        {"w": normal(3, 3), "u": 0.3 * normal(3, 3), "gain": normal(3), "e": normal(3, 4)},
        normal(3, 2, 3),
    ),
    "heads": (
        heads,
        {"q": normal(2, 3, 2), "k": normal(2, 3, 2), "v": normal(2, 3, 2)},
        normal(3, 4, 3),
    ),
    "scanned": (scanned, {"w": normal(3, 3), "v": normal(3, 2)}, normal(3, 2, 3)),
}


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in ("perceptron", "convolutional") for way in NtkImplementation]
    + [(name, NtkImplementation.STRUCTURED_DERIVATIVES) for name in ("shared", "heads", "scanned")],
)
def test_every_way_gives_the_products_of_derivatives(name, way):
    f, params, x = CASES[name]
    made = empirical_ntk_fn(f, (), (), "auto", way)(x, x[:2] + 0.3, params)
    np.testing.assert_allclose(made, np.einsum("iajb->ijab", expected_of(name)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "n_factored", "n_whole"),
    [("perceptron", 2, 0), ("convolutional", 3, 0), ("shared", 1, 3), ("heads", 3, 0), ("scanned", 1, 1)],
)
def test_parameters_of_products_are_recognised(name, n_factored, n_whole):
    f, params, x = CASES[name]
    leaves, structure = jax.tree.flatten(params)

    def one(leaves, x):
        return f(jax.tree.unflatten(structure, leaves), x[0])

    made = jax.eval_shape(
        lambda leaves, x: factors(one, leaves, x, np.arange(jax.eval_shape(one, leaves, x).size), True),
        [jnp.asarray(v) for v in leaves],
        [jnp.asarray(x[:1])],
    )
    assert (len(made.left), len(made.whole)) == (n_factored, n_whole)


def image(p, x):
    return jnp.stack([jnp.tanh(x @ p), x @ p**2], 1)


@pytest.mark.parametrize("vmap_axes", ["auto", None])
@pytest.mark.parametrize(
    ("traced", "diagonal", "formula"),
    [
        ((-1,), (), "iabjcb->ijac"),
        ((1,), (2,), "iabjab->ijb"),
        ((), (-1,), "iabjcb->ijacb"),
        ((1, 2), (0,), "iabiab->i"),
        ((), (0, 1), "iabiac->iabc"),
    ],
)
def test_axes_stand_in_the_order_of_the_outputs(vmap_axes, traced, diagonal, formula):
    p, x = normal(4, 3), normal(3, 4)
    expected = np.einsum(formula, by_definition(image, p, x, x))
    expected = expected / np.prod([(3, 2, 3)[a] for a in traced])
    ways = (NtkImplementation.AUTO, NtkImplementation.NTK_VECTOR_PRODUCTS)
    for way in ways if vmap_axes == "auto" else ways[:1]:
        made = empirical_ntk_fn(image, traced, diagonal, vmap_axes, way)(x, None, p)
        np.testing.assert_allclose(made, expected, rtol=1e-11, atol=1e-11)


def test_examples_may_stand_on_other_axes_and_come_with_keywords():
    def f(p, x, scale):
        return (x.T @ p * scale[:, None]).T

    p, x, scale = normal(4, 2), normal(4, 3), normal(3)
    made = empirical_ntk_fn(f, (0,), (), (1, 1, {"scale": 0}))(x, None, p, scale=scale)
    np.testing.assert_allclose(made, (x.T @ x) * np.outer(scale, scale), rtol=1e-12)


@pytest.mark.parametrize("two", [False, True])
def test_tiles_make_the_same_kernel(monkeypatch, two):
    f, params, _ = CASES["perceptron"]
    x, y = normal(11, 4), normal(7, 4)
    whole = empirical_ntk_fn(f, ())(x, y if two else None, params)
    monkeypatch.setattr(_kernels, "_TILE", 8)
    tiled = empirical_ntk_fn(f, ())(x, y if two else None, params)
    few = empirical_ntk_fn(f, (), memory_budget=8000.0)(x, y if two else None, params)
    for made in (tiled, few):
        np.testing.assert_allclose(made, whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("mixes", "f"),
    [
        (False, lambda p, x: jnp.tanh(x @ p).sum(-1)),
        (False, lambda p, x: jax.vmap(lambda r: jnp.cumsum(r @ p))(x)),
        (False, lambda p, x: jax.nn.log_softmax((p.T @ x.T).T)),
        (True, lambda p, x: (x - x.mean(0, keepdims=True)) @ p),
        (True, lambda p, x: x @ p / x.shape[0]),
        (True, lambda p, x: (x @ p) * jax.random.normal(jax.random.key(0), (x.shape[0], 1))),
        (True, lambda p, x: (x @ p) * jnp.arange(x.shape[0])[:, None]),
        (True, lambda p, x: (x @ p)[::-1]),
        (True, lambda p, x: jnp.cumsum(x @ p, 0)),
        (True, lambda p, x: (x @ x.T) @ x @ p),
        (True, lambda p, x: (x @ p).T),
        (True, lambda p, x: jnp.sort(x @ p, 0)),
    ],
)
def test_mixing_of_examples_is_seen(mixes, f):
    p, x = jnp.asarray(normal(4, 4)), jnp.asarray(normal(4, 4))
    assert counts_examples(f, p, x) is not mixes


def test_mixed_examples_are_taken_as_a_whole():
    def f(p, x):
        y = x @ p
        return jnp.tanh((y - y.mean(0, keepdims=True)) / y.std(0, keepdims=True))

    p, x = normal(4, 2), normal(5, 4)
    made = empirical_ntk_fn(f, ())(x, None, p)
    np.testing.assert_allclose(made, by_definition(f, p, x, x).transpose(0, 2, 1, 3), rtol=1e-10, atol=1e-10)


def test_equinox_modules_are_parameters_themselves():
    model = eqx.nn.MLP(4, 2, 5, 1, key=jax.random.key(0))
    arrays, static = eqx.partition(model, eqx.is_array)
    x = normal(3, 4)
    own = empirical_ntk_fn(lambda m, x: jax.vmap(m)(x))(x, None, model)
    parted = empirical_ntk_fn(lambda p, x: jax.vmap(eqx.combine(p, static))(x))(x, None, arrays)
    np.testing.assert_array_equal(own, parted)
    assert own.shape == (3, 3)


def test_kernel_vector_product_is_the_kernel_times_a_vector():
    f, params, x = CASES["perceptron"]
    vector = normal(2, 2)
    expected = np.einsum("iajb,jb->ia", by_definition(f, params, x, x[:2]), vector)
    np.testing.assert_allclose(empirical_ntk_vp_fn(f, x, x[:2], params)(vector), expected, rtol=1e-12)


def test_both_kernels_by_name():
    f, params, x = CASES["perceptron"]
    kernel_fn = empirical_kernel_fn(f)
    both = kernel_fn(x, None, None, params)
    np.testing.assert_array_equal(both.ntk, kernel_fn(x, None, "ntk", params))
    y = f(params, x)
    np.testing.assert_allclose(both.nngp, y @ y.T / 2, rtol=1e-12)
    np.testing.assert_allclose(
        empirical_nngp_fn(f, ())(x, None, params), jnp.einsum("ia,jb->ijab", y, y), rtol=1e-12
    )
    with pytest.raises(ValueError, match="get must be"):
        kernel_fn(x, None, "cov", params)


def test_expansions_are_taylor_polynomials():
    def f(p, x):
        return x * p["a"] ** 3 + p["b"] ** 2

    start, moved = {"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 1.0}
    values = [float(taylor_expand(f, start, k)(moved, 2.0)) for k in range(4)]
    assert values == pytest.approx([6.0, 5.0, 7.5, 7.75])
    assert float(linearize(f, start)(moved, 2.0)) == pytest.approx(5.0)


def test_a_sketch_is_unbiased_with_the_error_of_theory():
    f, params, x = CASES["perceptron"]
    n_directions, exact = 400, by_definition(f, params, x, x)
    theta = np.einsum("iaja->ij", exact) / 2
    own = np.einsum("iaib->iab", exact)
    cross = exact.transpose(0, 2, 1, 3)
    variance = np.einsum("iab,jab->ij", own, own) + np.einsum("ijab,ijba->ij", cross, cross)
    spread = np.sqrt(variance / (n_directions * 4))
    features = ntk_sketch(f, jax.random.key(0), n_directions)(x, params)
    z = (np.einsum("irt,jrt->ij", features, features) - theta) / spread
    assert 0.05 < np.abs(z).max() < 5
    # The error's own relative error is sqrt(kurtosis / (4 m)), near 1/sqrt(m) times a few.
    np.testing.assert_allclose(sketch_error(features, features), spread, rtol=0.25)


def test_a_sketch_with_the_wrong_scale_is_seen():
    """Features (m)^-1/2 in place of (m T)^-1/2 would be off by a factor that the errors exclude."""
    f, params, x = CASES["perceptron"]
    features = ntk_sketch(f, jax.random.key(0), 400)(x, params)
    made = np.einsum("irt,jrt->ij", features, features)
    theta = np.einsum("iaja->ij", by_definition(f, params, x, x)) / 2
    assert np.max(np.abs(2 * made - theta) / sketch_error(features, features)) > 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f, p, x: empirical_ntk_fn(f, (2,))(x, None, p), "trace_axes must be an integer in"),
        (lambda f, p, x: empirical_ntk_fn(f, (1, -1))(x, None, p), "trace_axes must name no axis twice"),
        (lambda f, p, x: empirical_ntk_fn(f, (1,), (1,))(x, None, p), "diagonal_axes must name no axis"),
        (lambda f, p, x: empirical_ntk_fn(f, vmap_axes="no")(x, None, p), "vmap_axes must be"),
        (lambda f, p, x: empirical_ntk_fn(f, vmap_axes=(0,))(x, None, p), "vmap_axes must be"),
        (lambda f, p, x: empirical_ntk_fn(f, implementation=7), "implementation must be"),
        (lambda f, p, x: empirical_ntk_fn(f, memory_budget=0.0), "memory_budget must be"),
        (lambda f, p, x: empirical_ntk_fn(f)(x, None, {}), "params must hold"),
        (lambda f, p, x: empirical_ntk_fn(f)(x, x * np.nan, p), "x2 must be finite"),
        (lambda f, p, x: empirical_ntk_fn(f)(x, (x,), p), "x2 must have the structure"),
        (lambda f, p, x: empirical_ntk_fn(f, (), (0,))(x, x[:2], p), "x2 must"),
        (lambda f, p, x: empirical_ntk_fn(lambda p, x: (x, x))(x, None, p), "the output of f must be"),
        (lambda f, p, x: taylor_expand(f, p, -1), "degree must be"),
        (lambda f, p, x: ntk_sketch(f, jax.random.key(0), 0), "n_directions must be"),
    ],
)
def test_bad_input_is_refused(make, words):
    f, params, x = CASES["perceptron"]
    with pytest.raises(ValueError, match=words):
        make(f, params, x)
