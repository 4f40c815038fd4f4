"""LeNets: exact sizes, layers against loops written out, batches, symmetry, bad values."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.networks.convolutional import (
    LENET5_TABLE,
    LENET1989_TABLE,
    Convolution,
    Dense,
    LeNet5,
    LeNet1989,
    ModernLeNet,
    RadialBasis,
    Subsampling,
    lenet5_bitmaps,
    n_parameters,
    scaled_tanh,
)

NETWORKS = {
    "LeNet5": (LeNet5, 32),
    "LeNet1989": (LeNet1989, 16),
    "ModernLeNet": (ModernLeNet, 32),
}


@pytest.fixture(scope="module")
def networks() -> dict:
    return {name: make(key=jax.random.key(3)) for name, (make, _) in NETWORKS.items()}


def test_lenet5_has_60000_parameters_and_340908_connections(networks):
    """LeCun et al. 1998, section II.B, number by number."""
    network = networks["LeNet5"]
    connections = {name: layer.n_connections for name, layer in network.layers.items()}
    assert connections == {
        "C1": 122304,
        "S2": 5880,
        "C3": 151600,
        "S4": 2000,
        "C5": 48120,
        "F6": 10164,
        "output": 840,
    }
    parameters = [n_parameters(layer) for layer in network.layers.values()]
    assert parameters == [156, 12, 1516, 32, 48120, 10164, 0]
    assert network.n_parameters == 60000
    assert network.n_connections == 340908
    softmax = LeNet5(key=jax.random.key(0), output="softmax")
    assert (softmax.n_parameters, softmax.n_connections) == (60850, 340068 + 850)


def test_lenet1989_has_1256_units_9760_parameters_and_64660_connections(networks):
    """LeCun et al. 1989."""
    network = networks["LeNet1989"]
    assert [layer.n_units for layer in network.layers.values()] == [768, 192, 30, 10]
    assert [layer.n_connections for layer in network.layers.values()] == [19968, 38592, 5790, 310]
    assert [n_parameters(layer) for layer in network.layers.values()] == [1068, 2592, 5790, 310]
    assert (network.n_units, network.n_parameters, network.n_connections) == (1256, 9760, 64660)


def test_sizes_are_functions_of_the_architecture():
    network = LeNet5(key=jax.random.key(0), n_maps=(4, 10, 50), output="softmax", n_hidden=20, n_classes=3)
    expected = 4 * 26 + 8 + 10 * (4 * 25 + 1) + 20 + 50 * (10 * 25 + 1) + 20 * 51 + 3 * 21
    assert network.n_parameters == expected
    assert network(jnp.zeros((32, 32))).shape == (3,)
    network = LeNet5(key=jax.random.key(0), image_size=28)
    assert network.c5.weights.shape == (16 * 16, 120)
    assert network(jnp.zeros((28, 28))).shape == (10,)
    modern = ModernLeNet(key=jax.random.key(0), n_maps=(8, 9), n_hidden=(30, 20))
    assert modern.n_parameters == 8 * 26 + 9 * (8 * 25 + 1) + 30 * (25 * 9 + 1) + 20 * 31 + 10 * 21
    small = LeNet1989(key=jax.random.key(0), image_size=8, n_maps=(3, 5), kernel_size=3, n_hidden=7)
    assert small.n_parameters == 3 * (9 + 16) + 5 * (27 + 4) + 7 * (5 * 4 + 1) + 10 * 8


def test_connection_tables():
    """Table I: six maps see three neighbours, six see four, three see two pairs, one sees all."""
    assert [len(row) for row in LENET5_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len({frozenset(row) for row in LENET5_TABLE}) == 16
    assert [sum(c in row for row in LENET5_TABLE) for c in range(6)] == [10] * 6
    assert [set(row) for row in LENET5_TABLE[12:15]] == [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}]
    assert [len(row) for row in LENET1989_TABLE] == [8] * 12
    assert {c for row in LENET1989_TABLE for c in row} == set(range(12))


@pytest.mark.parametrize(
    ("size", "table", "k", "stride", "padding", "per_unit"),
    [
        (7, ((0,), (1, 2), (0, 1, 2)), 3, 1, 0, False),
        (8, ((0, 1, 2), (0, 1, 2)), 5, 2, 2, True),
        (6, ((2, 0),), 2, 2, 1, True),
        (5, ((1,), (0,)), 5, 1, 0, False),
    ],
)
def test_convolution_is_the_sum_of_its_header(size, table, k, stride, padding, per_unit):
    with jax.enable_x64(True):
        layer = Convolution(
            size,
            3,
            table,
            k,
            key=jax.random.key(1),
            stride=stride,
            padding=padding,
            background=-0.7,
            bias_per_unit=per_unit,
            dtype=jnp.float64,
        )
        rng = np.random.default_rng(0)
        layer = eqx.tree_at(lambda m: m.bias, layer, jnp.asarray(rng.normal(size=layer.bias.shape)))
        x = rng.normal(size=(size, size, 3))
        found = np.asarray(layer(jnp.asarray(x)))
    weights, bias = np.asarray(layer.weights), np.asarray(layer.bias)
    wide = np.full((size + 2 * padding, size + 2 * padding, 3), -0.7)
    wide[padding : padding + size, padding : padding + size] = x
    n = layer.output_size
    assert found.shape == (n, n, len(table))
    for i in range(n):
        for j in range(n):
            pair = 0
            for m, row in enumerate(table):
                total = bias[i, j, m] if per_unit else bias[m]
                for c in row:
                    patch = wide[i * stride : i * stride + k, j * stride : j * stride + k, c]
                    total += np.sum(patch * weights[:, :, pair])
                    pair += 1
                assert found[i, j, m] == pytest.approx(total, rel=1e-12, abs=1e-12)


def test_subsampling_and_radial_basis_are_the_sums_of_their_headers():
    rng = np.random.default_rng(0)
    layer = Subsampling(6, 2, 3, key=jax.random.key(0))
    x = rng.normal(size=(6, 6, 2)).astype(np.float32)
    found = np.asarray(layer(jnp.asarray(x)))
    for i, j, m in np.ndindex(2, 2, 2):
        total = x[3 * i : 3 * i + 3, 3 * j : 3 * j + 3, m].sum() * float(layer.coefficient[m])
        assert found[i, j, m] == pytest.approx(total + float(layer.bias[m]), rel=1e-5, abs=1e-5)
    codes = np.array([[1, -1, 1], [-1, -1, 1]])
    y = rng.normal(size=3).astype(np.float32)
    np.testing.assert_allclose(RadialBasis(codes)(jnp.asarray(y)), ((y - codes) ** 2).sum(1), rtol=1e-5)


def test_codes_are_no_parameters(networks):
    real = eqx.filter(networks["LeNet5"], eqx.is_inexact_array)
    assert real.output.codes is None


def test_scaled_tanh_maps_one_to_one_and_is_steepest_at_zero():
    x = jnp.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(scaled_tanh(x), x, atol=1e-4)
    assert jax.grad(scaled_tanh)(0.0) == pytest.approx(1.7159 * 2 / 3, rel=1e-6)


def test_bitmaps_are_ten_distinct_pictures():
    codes = lenet5_bitmaps()
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1, 1}
    distance = (codes[:, None] != codes[None]).sum(-1)
    assert distance[~np.eye(10, dtype=bool)].min() >= 4
    # A bitmap itself has penalty 0 in its class, and 4 for each differing dot in the others.
    penalties = RadialBasis(codes)(jnp.asarray(codes[3], jnp.float32))
    np.testing.assert_array_equal(penalties, 4.0 * distance[3])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_vmap_is_loop_and_jit_is_eager(networks, name, key):
    network, size = networks[name], NETWORKS[name][1]
    pictures = jax.random.normal(key, (5, size, size))
    batch = jax.jit(jax.vmap(network))(pictures)
    loop = jnp.stack([network(picture) for picture in pictures])
    np.testing.assert_allclose(batch, loop, rtol=2e-4, atol=2e-5)
    decisions = jax.vmap(network.decide)(pictures)
    best = jnp.argmin if name == "LeNet5" else jnp.argmax
    np.testing.assert_array_equal(decisions, best(batch, axis=1))
    np.testing.assert_array_equal(jnp.argmax(jax.vmap(network.scores)(pictures), axis=1), decisions)


def test_feature_maps_move_with_the_picture(networks, key):
    """A shift by four pixels shifts S2 by two and S4 by one, away from the borders."""
    steps = networks["LeNet5"].steps()[:4]
    picture = jnp.zeros((32, 32)).at[12:18, 12:18].set(jax.random.normal(key, (6, 6)))
    moved = jnp.roll(picture, 4, axis=0)
    for (_, step), shift in zip(steps, (4, 2, 2, 1), strict=True):
        picture, moved = step(picture), step(moved)
        np.testing.assert_allclose(moved[shift:], picture[:-shift], atol=1e-5)


@pytest.mark.parametrize(("gain", "power"), [(2.4, 1.0), (1.7, 0.5)])
def test_first_weights_are_uniform_in_the_stated_range(gain, power):
    network = LeNet5(key=jax.random.key(5), gain=gain, power=power)
    for weights, fan_in in ((network.c5.weights, 400), (network.f6.weights, 120)):
        bound = gain / fan_in**power
        values = np.asarray(weights).ravel()
        assert np.abs(values).max() <= bound
        # Variance bound^2/3; the fourth moment of a uniform law gives the error of a sample variance.
        error = 5 * bound**2 * np.sqrt(4 / 45 / values.size)
        assert values.var() == pytest.approx(bound**2 / 3, abs=error)
        assert abs(values.mean()) < 5 * bound / np.sqrt(3 * values.size)
    pairs = np.asarray(network.c3.weights)
    assert np.abs(pairs[:, :, :18]).max() <= gain / 75**power
    assert np.abs(pairs[:, :, -6:]).max() <= gain / 150**power


def test_same_key_same_network_and_vmap_over_keys():
    keys = jax.random.split(jax.random.key(0), 3)
    ensemble = eqx.filter_vmap(lambda key: LeNet1989(key=key))(keys)
    single = LeNet1989(key=keys[1])
    np.testing.assert_array_equal(ensemble.h2.weights[1], single.h2.weights)
    assert np.abs(ensemble.h2.weights[0] - ensemble.h2.weights[1]).max() > 0


def test_double_precision_where_asked():
    with jax.enable_x64(True):
        network = LeNet5(key=jax.random.key(0), dtype=jnp.float64)
        assert network(jnp.zeros((32, 32), jnp.float64)).dtype == jnp.float64
    assert {leaf.dtype.name for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))} == {
        "float64"
    }


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (LeNet5, {"image_size": 30}, "multiple of 2"),
        (LeNet5, {"image_size": 3}, "image_size"),
        (LeNet5, {"output": "linear"}, "output must be one of"),
        (LeNet5, {"n_hidden": 50}, "codes must be given"),
        (LeNet5, {"codes": np.ones((10, 84))}, "differ"),
        (LeNet5, {"codes": np.zeros((10, 84))}, "-1 and \\+1"),
        (LeNet5, {"codes": np.ones((9, 84))}, "codes must have shape"),
        (LeNet5, {"n_classes": 1, "output": "softmax"}, "n_classes"),
        (LeNet5, {"table": ((0,),) * 15}, "table must have a row"),
        (LeNet5, {"table": ((0, 0),) * 16}, "distinct"),
        (LeNet5, {"table": ((6,),) * 16}, "table must be an integer in"),
        (LeNet5, {"kernel_size": 40}, "kernel_size"),
        (LeNet1989, {"image_size": 18}, "multiple of 4"),
        (LeNet1989, {"kernel_size": 4}, "odd"),
        (LeNet1989, {"table": ((),) * 12}, "at least one"),
        (ModernLeNet, {"image_size": 31}, "image_size"),
        (ModernLeNet, {"n_maps": (0, 3)}, "table must name"),
        (ModernLeNet, {"pool": 0}, "pool"),
    ],
)
def test_bad_values_are_refused(make, options, words):
    with pytest.raises(ValueError, match=words):
        make(key=jax.random.key(0), **options)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_pictures_of_another_size_are_refused(networks, name):
    with pytest.raises(ValueError, match=r"picture must have shape"):
        networks[name](jnp.zeros((28, 28)))


def test_dense_is_affine(key):
    layer = Dense(4, 3, key=key)
    x = jnp.arange(4.0)
    np.testing.assert_allclose(layer(x), np.asarray(layer.weights).T @ np.arange(4.0) + layer.bias, rtol=1e-5)
