"""Layers on positions, graphs and sequences against exact sums, shorter inputs, and random networks."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from neuromanifold.theory.wide import (
    Aggregate,
    AvgPool,
    Conv,
    ConvLocal,
    ConvTranspose,
    Dense,
    DotGeneral,
    Erf,
    FanInSum,
    FanOut,
    Flatten,
    GlobalAvgPool,
    GlobalSelfAttention,
    GlobalSumPool,
    Identity,
    ImageResize,
    Index,
    LayerNorm,
    MaskedArray,
    Relu,
    Slice,
    SumPool,
    parallel,
    serial,
    unmask_fn,
)

RANDOM = np.random.default_rng(5)
IMAGES = RANDOM.normal(size=(3, 4, 3, 2))
MORE = RANDOM.normal(size=(2, 4, 3, 2))
GRAPHS = RANDOM.normal(size=(3, 4, 4)), RANDOM.normal(size=(2, 4, 4))
EDGES = RANDOM.integers(-1, 4, size=(3, 6, 1, 2)), RANDOM.integers(-1, 4, size=(2, 6, 2, 1)).swapaxes(2, 3)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def over_basis(network, x, key, **kwargs):
    """Outputs of the first channel for each weight alone: for networks linear in the weights of one layer."""
    _, params = network.init_fn(key, x.shape)
    flat, restore = ravel_pytree(params)
    outputs = jax.vmap(lambda w: network.apply_fn(restore(w), x, **kwargs)[..., 0])
    return outputs(jnp.eye(flat.size, dtype=x.dtype))


def interleaved(one, other):
    """sum over weights of outputs (w, n1, H, W) times (w, n2, H', W') as (n1, n2, H, H', W, W')."""
    n = one.ndim - 2
    a, b = "ABCD"[:n], "abcd"[:n]
    kept = "".join(p + q for p, q in zip(a, b, strict=True))
    return np.einsum(f"wx{a},wy{b}->xy{kept}", one, other)


AFFINE = {
    "conv, valid": Conv(1, (3, 2), None, "VALID", 1.3, 0.4),
    "conv, same, strides": Conv(1, (3, 3), (2, 1), "SAME", 1.3, 0.4),
    "conv, around": Conv(1, (2, 3), (2, 2), "CIRCULAR", 1.3),
    "conv, standard": Conv(1, (2, 2), None, "SAME", 1.3, 0.4, None, "standard", (2, 1)),
    "mean pool": serial(Conv(1, (2, 2), None, "SAME", 1.1, 0.2), AvgPool((2, 2), (2, 1), "SAME")),
    "mean pool, edges": serial(Conv(1, (1, 1)), AvgPool((3, 3), (1, 2), "SAME", normalize_edges=True)),
    "sum pool": serial(Conv(1, (2, 2), None, "CIRCULAR"), SumPool((2, 3), (1, 2), "CIRCULAR")),
    "mean of all": serial(Conv(1, (3, 3), None, "SAME", 1.1, 0.2), GlobalAvgPool()),
    "sum of all": serial(Conv(1, (2, 3)), GlobalSumPool()),
    "dense": serial(Flatten(), Dense(1, 1.3, 0.4)),
    "local, valid": ConvLocal(1, (3, 2), None, "VALID", 1.3, 0.4),
    "local, same, strides": ConvLocal(1, (3, 2), (2, 2), "SAME", 1.3, 0.4),
    "local, around": serial(ConvLocal(1, (2, 2), None, "CIRCULAR", 1.3, 0.4), GlobalAvgPool()),
    "local, standard": ConvLocal(1, (2, 2), None, "SAME", 1.3, 0.4, None, "standard", (2, 1)),
    "transposed, valid": ConvTranspose(1, (3, 2), (2, 1), "VALID", 1.3, 0.4),
    "transposed, same": ConvTranspose(1, (2, 3), (2, 2), "SAME", 1.3, 0.4),
    "transposed, around": ConvTranspose(1, (3, 3), (1, 2), "CIRCULAR", 1.3, 0.4),
    "transposed, standard": ConvTranspose(1, (2, 2), (2, 1), "SAME", 1.3, 0.4, None, "standard", (2, 1)),
    "product": serial(
        Conv(1, (2, 1), None, "SAME", 1.1, 0.2),
        DotGeneral(rhs=RANDOM.normal(size=(4, 5)), dimension_numbers=(((1,), (0,)), ((), ()))),
    ),
    "product, constant on the left": serial(
        Conv(1, (2, 1), None, "SAME", 1.1, 0.2),
        DotGeneral(lhs=RANDOM.normal(size=(2, 3)), dimension_numbers=(((1,), (2,)), ((), ()))),
    ),
    "product, number": serial(Conv(1, (2, 1)), DotGeneral(lhs=1.7)),
    "resized, linear": serial(Conv(1, (2, 1), None, "SAME", 1.1), ImageResize((-1, 3, 5, -1), "linear")),
    "resized, nearest": serial(Conv(1, (2, 1), None, "SAME", 1.1), ImageResize((-1, 6, -1, -1), "nearest")),
    "part": serial(Conv(1, (2, 1), None, "SAME", 1.1, 0.2), Index(Slice[:, 1:4:2, ::-1])),
    "row": serial(Conv(1, (2, 1), None, "SAME", 1.1, 0.2), Index(Slice[:, -1, ...])),
    "graph": serial(Conv(1, (1, 1), None, "VALID", 1.1, 0.2), Aggregate(1)),
    "graph, edges": serial(Conv(1, (1, 1), None, "VALID", 1.1), Aggregate(1, implementation="SPARSE")),
}


def pattern_of(name):
    return {"graph": GRAPHS, "graph, edges": EDGES}.get(name)


@pytest.fixture(scope="module")
def exact():
    """Kernels of each affine network, and the sums over its weights, from one compiled program."""

    def everything(key):
        found = {}
        for name, network in AFFINE.items():
            pattern = pattern_of(name)
            first, second = (
                [{} if pattern is None else {"pattern": part} for part in pattern] if pattern else [{}, {}]
            )
            both = {} if pattern is None else {"pattern": pattern}
            own = {} if pattern is None else {"pattern": pattern[0]}
            found[name] = (
                network.kernel_fn(jnp.asarray(IMAGES), jnp.asarray(MORE), ("nngp", "ntk"), **both),
                network.kernel_fn(jnp.asarray(IMAGES), None, ("nngp", "cov1"), **own),
                over_basis(network, jnp.asarray(IMAGES), key, **first),
                over_basis(network, jnp.asarray(MORE), key, **second),
            )
        return found

    with jax.enable_x64(True):
        return jax.jit(everything)(jax.random.key(0))


@pytest.mark.parametrize("name", AFFINE)
def test_of_one_affine_layer_both_kernels_are_exact_sums_over_the_weights(name, exact):
    kernel, own, one, other = jax.tree.map(np.asarray, exact[name])
    wanted = interleaved(one, other)
    if "standard" in name:
        # Weights are drawn scaled, so that the function has unit Jacobians: its variance is checked below.
        np.testing.assert_allclose(kernel.ntk, wanted, rtol=1e-12, atol=1e-13)
    else:
        np.testing.assert_allclose(kernel.nngp, wanted, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(kernel.ntk, wanted, rtol=1e-12, atol=1e-13)
    same = np.stack([own.nngp[i, i] for i in range(len(IMAGES))])
    np.testing.assert_allclose(own.cov1, same, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["conv", "local", "transposed"])
def test_parameterisations_draw_the_same_functions(name):
    layer = {"conv": Conv, "local": ConvLocal, "transposed": ConvTranspose}[name]
    standard, ntk = (
        layer(3, (2, 2), None, "SAME", 1.3, 0.4, None, kind, (2, 1) if kind == "standard" else (1, 1))
        for kind in ("standard", "ntk")
    )
    found = jax.jit(lambda x, y: [one.kernel_fn(x, y, "nngp") for one in (standard, ntk)])(IMAGES, MORE)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    w = jax.eval_shape(lambda key: standard.init_fn(key, IMAGES.shape)[1][0], jax.random.key(0))
    assert w.shape[-1] == 3


# A sentence of five words and one of three, in an array of five.
WORDS = RANDOM.normal(size=(2, 5, 2))
HOLED = np.where(np.arange(5)[:, None] < np.array([5, 3])[:, None, None], WORDS, np.nan)
END = Dense(2, 1.1, 0.2)
SEEN = Conv(4, (3,), None, "SAME", 1.3, 0.2)
HOLES = {
    "dense, mean": serial(Dense(4, 1.3, 0.2), Relu(), GlobalAvgPool(), END),
    "convolution, sum": serial(SEEN, Erf(), SEEN, Relu(), GlobalSumPool(), END),
    "normalised": serial(SEEN, LayerNorm((1, 2)), Relu(), GlobalAvgPool(), END),
    "local, residual": serial(
        SEEN, FanOut(2), parallel(Identity(), serial(Relu(), SEEN)), FanInSum(), GlobalAvgPool(), END
    ),
    "softmax": serial(
        SEEN, Relu(), GlobalSelfAttention(4, 3, 3, 2, W_key_std=1.5, pos_emb_type="SUM"), GlobalAvgPool(), END
    ),
    "attention, identity": serial(
        GlobalSelfAttention(4, 3, 3, 2, False, attention_mechanism="IDENTITY", b_std=0.3),
        Relu(),
        GlobalAvgPool(),
        END,
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_sentence_with_holes_is_the_shorter_sentence(name, key):
    network = HOLES[name]

    def both(holed):
        whole = network.kernel_fn(holed, None, ("nngp", "ntk"), mask_constant=jnp.nan)
        long, short = WORDS[:1], WORDS[1:, :3]
        parts = [network.kernel_fn(x, None, ("nngp", "ntk")) for x in (long, short)]
        # Weights do not depend on the length but for embeddings, whose first positions are the same.
        _, params = network.init_fn(key, WORDS.shape)
        holes = network.apply_fn(params, holed, mask_constant=jnp.nan)
        if name == "softmax":
            shorter = (*params[2][:5], params[2][5][:, :3])
            params_short = [*params[:2], shorter, *params[3:]]
        else:
            params_short = params
        return whole, parts, holes, network.apply_fn(params_short, short), network.apply_fn(params, long)

    whole, parts, holes, short, long = jax.jit(both)(jnp.asarray(HOLED))
    for got, first, second in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(np.diag(got), [float(first[0, 0]), float(second[0, 0])], rtol=1e-12)
        assert np.isfinite(np.asarray(got)).all()
    assert isinstance(holes, MaskedArray)
    np.testing.assert_allclose(unmask_fn(lambda: holes)()[1:], short, rtol=1e-10)
    np.testing.assert_allclose(unmask_fn(lambda: holes)()[:1], long, rtol=1e-10)


def test_covariances_with_holes_are_zero_and_windows_keep_the_hole_at_their_centre():
    network = serial(Conv(4, (3,), (2,), "SAME", 1.3, 0.2), Relu())
    compiled = jax.jit(lambda x: network.kernel_fn(x, None, mask_constant=7.0))
    kernel = compiled(np.where(np.isnan(HOLED), 7.0, HOLED))
    np.testing.assert_array_equal(kernel.mask1, [[False, False, False], [False, False, True]])
    assert (np.asarray(kernel.nngp)[:, 1, :, 2] == 0).all()
    assert (np.asarray(kernel.cov1)[1, 2] == 0).all()
    assert (np.asarray(kernel.nngp)[0, 0] > 0).all()


def test_attention_is_that_of_random_networks(key):
    x = RANDOM.normal(size=(2, 3, 2))
    n_draws = 3000
    networks = {
        # Of identity scaled by the root both kernels hold at any width.
        "root": GlobalSelfAttention(2, 2, 2, 2, False, 1.1, 0.9, 0.8, 1.2, 0.3, "IDENTITY"),
        # Weights are deterministic up to 1 / n_chan_key, queries and keys learn up to the same.
        "softmax": GlobalSelfAttention(1, 256, 1, 1, True, 1.3, 0.9, 0.8, 1.2, 0.3),
        "abs": GlobalSelfAttention(1, 256, 1, 1, True, 1.3, 0.9, 0.8, 1.2, None, "ABS"),
    }
    widths = {"root": math.inf, "softmax": 256, "abs": 256}

    def drawn(network, n):
        def one(key):
            _, params = network.init_fn(key, x.shape)
            z = network.apply_fn(params, x)[..., 0]
            table = jax.jacobian(lambda p: network.apply_fn(p, x)[..., 0])(params)
            parts = [leaf.reshape(6, -1) for leaf in jax.tree.leaves(table)]
            return jnp.outer(z.ravel(), z.ravel()), sum(part @ part.T for part in parts)

        return jax.lax.map(one, jax.random.split(key, n), batch_size=50)

    def flat(covariance):
        return np.asarray(covariance).transpose(0, 2, 1, 3).reshape(6, 6)

    for name, network in networks.items():
        n = n_draws if name == "root" else n_draws // 2
        kernel = network.kernel_fn(x, None, ("nngp", "ntk"))
        samples = jax.jit(lambda network=network, n=n: drawn(network, n))()
        for expected, found in zip(map(flat, kernel), map(np.asarray, samples), strict=True):
            error = found.std(axis=0, ddof=1) / math.sqrt(n)
            bias = 8 / widths[name] * np.abs(expected).max()
            assert (np.abs(found.mean(axis=0) - expected) < 5 * error + bias).all(), name
            # Half as much of it would be seen.
            assert (np.abs(found.mean(axis=0) - 0.5 * expected) > 5 * error + bias).any(), name


def test_softmax_attention_is_its_formula():
    x, y = RANDOM.normal(size=(2, 3, 2)), RANDOM.normal(size=(1, 3, 2))
    network = GlobalSelfAttention(
        1, 1, 1, 1, True, 1.3, 0.9, 0.8, 1.2, 0.3, "RELU", "CONCAT", n_chan_pos_emb=4
    )
    kernel = network.kernel_fn(x, y)

    def weights(rows):
        # Two channels of six are inputs, four embeddings.
        return np.maximum(1.3 * 0.8 * (rows @ rows.T / 2 / 3 + 2 / 3 * np.eye(3)), 0)

    for i, j in itertools.product(range(2), range(1)):
        expected = (0.9 * 1.2) ** 2 * weights(x[i]) @ (x[i] @ y[j].T / 2) @ weights(y[j]).T
        np.testing.assert_allclose(kernel.nngp[i, j], expected + 0.09, rtol=1e-12)
        np.testing.assert_allclose(kernel.ntk[i, j], 2 * expected + 0.09, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ConvLocal(1, (5, 1)).kernel_fn(IMAGES), "window must fit into 4 positions, got 5"),
        (lambda: ConvTranspose(1, (2,)).kernel_fn(IMAGES), "inputs must have 1 spatial axes"),
        (lambda: ConvTranspose(0, (2,)), "out_chan must be an integer >= 1, got 0"),
        (lambda: DotGeneral(lhs=1.0, rhs=2.0), "lhs must be left out where rhs is given"),
        (
            lambda: DotGeneral(rhs=np.ones(2), dimension_numbers=(((3,), (0,)), ((), ()))).kernel_fn(IMAGES),
            "dimension_numbers must name neither rows nor channels, got 3",
        ),
        (lambda: ImageResize((-1, 2, 2, 3), "linear"), r"shape must be \(-1, \*spatial, -1\)"),
        (lambda: ImageResize((-1, 2, -1), "linear").kernel_fn(IMAGES), "inputs must have 1 spatial axes"),
        (lambda: ImageResize((-1, 2, -1), "cubic"), "method must be one of"),
        (
            lambda: Index(Slice[0]).kernel_fn(IMAGES),
            "idx must be : for rows, which no kernel can index, got 0",
        ),
        (lambda: Index(Slice[..., :1]).kernel_fn(IMAGES), "idx must be : for channels"),
        (lambda: Index(Slice[:, :, :, :, :]).kernel_fn(IMAGES), "idx must name at most 4 axes"),
        (lambda: Index(Slice[:, np.arange(2)]), "idx must hold integers, slices and"),
        (lambda: Aggregate(3).kernel_fn(IMAGES), "aggregate_axis must name axes of positions, 1 to 2, got 3"),
        (lambda: Aggregate(implementation="LIST"), "implementation must be one of"),
        (
            lambda: Aggregate(1).kernel_fn(IMAGES, None, "nngp", pattern=np.ones((3, 3, 3))),
            r"pattern must have shape \(9, 4, 4\)",
        ),
        (
            lambda: Aggregate(1).kernel_fn(IMAGES, None, "nngp", pattern=(GRAPHS[0], 2 * GRAPHS[0])),
            "pattern must hold the same graphs twice where x2 is left out",
        ),
        (
            lambda: GlobalSelfAttention(1, 1, 1, 1, False).kernel_fn(WORDS),
            "attention_mechanism must be 'IDENTITY' for a kernel of attention scaled by",
        ),
        (lambda: GlobalSelfAttention(1, 1, 1, 0), "n_heads must be an integer >= 1, got 0"),
        (lambda: GlobalSelfAttention(1, 1, 1, 1).kernel_fn(WORDS[:, 0]), "inputs must have spatial axes"),
        (lambda: GlobalSelfAttention(1, 1, 1, 1, pos_emb_type="ADD"), "pos_emb_type must be one of"),
        (
            lambda: GlobalSelfAttention(1, 1, 1, 1, n_chan_pos_emb=2),
            "n_chan_pos_emb must be None but for CONCAT",
        ),
        (
            lambda: GlobalSelfAttention(
                1, 1, 1, 1, pos_emb_type="SUM", pos_emb_decay_fn=lambda d: -1.0 - d
            ).kernel_fn(WORDS),
            "pos_emb_decay_fn must give a covariance, without negative eigenvalues",
        ),
        (lambda: Conv(1, (1,)).kernel_fn(HOLED), "x1 must be finite, got nan"),
        (lambda: Conv(1, (1,)).kernel_fn(HOLED, mask_constant=0.0), "x1 must be finite, got nan"),
        (
            lambda: serial(Conv(1, (1,)), Flatten(), Relu()).kernel_fn(WORDS),
            "Relu must follow a layer with Gaussian outputs",
        ),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
