"""Back-propagation as a signal: exact gradients, composition with optax, resume, mutations that fail."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromanifold.dynamics import run
from neuromanifold.learning import (
    Batch,
    LearnerState,
    MaximumPosterior,
    Minibatches,
    Supervised,
    backpropagation,
    cross_entropy,
    gradient_check,
    learner,
    n_wrong,
    squared_error,
)
from neuromanifold.networks.convolutional import LeNet5, LeNet1989, ModernLeNet


class Line(eqx.Module):
    """y = W x with a function and an integer array among its leaves, as networks have."""

    weights: jax.Array
    codes: jax.Array
    squash: object = jnp.tanh

    def __call__(self, x):
        return self.weights @ x


def line(n_out=3, n_in=4, seed=0):
    weights = 0.1 * jax.random.normal(jax.random.key(seed), (n_out, n_in))
    return Line(weights, jnp.ones(3, jnp.int8))


@pytest.fixture
def stream():
    inputs = jax.random.normal(jax.random.key(1), (22, 4))
    labels = jnp.argmax(inputs[:, :3], axis=1)
    return Minibatches((inputs, labels), 8, key=jax.random.key(2))


def mean_squares(state: LearnerState):
    return state.params.weights


def test_gradient_of_a_linear_network_is_the_outer_product_of_errors_and_inputs(stream, key):
    network = line()
    signal = backpropagation(Supervised(squared_error), stream)
    for t in range(3):
        found, aux, info = signal(key, jnp.int32(t), network, None)
        batch = stream(t)
        (x, labels), w = (np.asarray(batch.data[0]), np.asarray(batch.data[1])), np.asarray(batch.weights)
        target = 2.0 * np.eye(3)[labels] - 1
        error = (x @ np.asarray(network.weights).T - target) * w[:, None]
        np.testing.assert_allclose(found.weights, error.T @ x / w.sum(), rtol=1e-5, atol=1e-6)
        assert info.loss == pytest.approx(0.5 * np.sum(error**2) / w.sum(), rel=1e-5)
        assert info.gradient_norm == pytest.approx(np.linalg.norm(found.weights), rel=1e-5)
        assert aux is None
        assert found.codes is None


def test_the_short_batch_is_the_mean_of_the_examples_that_are_there(key):
    inputs = jax.random.normal(key, (3, 4))
    labels = jnp.array([0, 2, 1])
    loss, network = Supervised(cross_entropy), line()
    whole = loss(network, Batch((inputs[:2], labels[:2]), jnp.ones(2)), key)
    padded = loss(network, Batch((inputs, labels), jnp.array([1.0, 1.0, 0.0])), key)
    assert padded == pytest.approx(float(whole), rel=1e-6)


TABLE = {
    "sgd": optax.sgd(0.1),
    "nesterov": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.05),
    "adamw": optax.adamw(0.05, weight_decay=0.01),
    "rmsprop": optax.rmsprop(0.02),
    "lion": optax.lion(0.02),
    "adagrad": optax.adagrad(0.3),
    "clipped adam": optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.05)),
    "cosine": optax.sgd(optax.cosine_decay_schedule(0.2, 40)),
    "warm-up": optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 40)),
    "polyak": optax.polyak_sgd(max_learning_rate=0.2),
    "plateau": optax.chain(optax.adam(0.05), optax.contrib.reduce_on_plateau(patience=5)),
    "lbfgs": optax.lbfgs(),
}


@pytest.mark.parametrize("transformation", list(TABLE.values()), ids=list(TABLE))
def test_composes_with_any_optax_transformation(transformation, stream, key):
    """The same parameters as optax's own loop, written out, and a loss that falls."""
    network, loss = line(), Supervised(cross_entropy)
    course = run(learner(backpropagation(loss, stream), transformation), key, network, 12)
    whole = Batch(stream.data, jnp.ones(22))
    assert loss(course.state.params, whole, key) < 0.9 * loss(network, whole, key)
    assert course.state.params.squash is jnp.tanh
    np.testing.assert_array_equal(course.state.params.codes, network.codes)

    extended = optax.with_extra_args_support(transformation)
    weights, memory = network.weights, extended.init(network.weights)

    @jax.jit
    def step(t, weights, memory):
        def value(w):
            return loss(eqx.tree_at(lambda m: m.weights, network, w), stream(t), key)

        level, slope = jax.value_and_grad(value)(weights)
        change, memory = extended.update(slope, memory, weights, value=level, grad=slope, value_fn=value)
        return optax.apply_updates(weights, change), memory

    for t in range(12):
        weights, memory = step(t, weights, memory)
    # A line search decides by comparisons, which rounding may turn: its path is compared by its loss alone.
    if transformation is not TABLE["lbfgs"]:
        np.testing.assert_allclose(course.state.params.weights, weights, rtol=2e-4, atol=2e-5)
    ends = (course.state.params, eqx.tree_at(lambda m: m.weights, network, weights))
    found = [float(loss(end, whole, key)) for end in ends]
    assert found[0] == pytest.approx(found[1], rel=1e-2)


def test_extra_keys_are_fresh_each_step(key):
    """A transformation that takes a key has another one each step and in each run; none is stored."""

    def update(updates, state, params=None, *, key, **extra):
        return jax.tree.map(lambda g: g + jax.random.normal(key, g.shape), updates), state

    noise = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    process = learner(backpropagation(lambda x, batch, key: 0.0 * jnp.sum(x)), noise)
    walk = run(process, key, jnp.zeros(50), 4, observe=lambda state: state.params).values
    steps = np.diff(walk, axis=0)
    assert np.abs(np.corrcoef(steps) - np.eye(4)).max() < 5 / np.sqrt(50)
    other = run(process, jax.random.key(1), jnp.zeros(50), 4).state.params
    assert np.abs(other - walk[-1]).max() > 0.1


def test_frozen_parts_do_not_move_even_under_weight_decay(stream, key):
    network = {"first": line(), "second": jnp.ones(3)}
    loss = Supervised(cross_entropy, apply=lambda p, x: jax.vmap(p["first"])(x) * p["second"][None])
    trainable = {"first": False, "second": True}
    process = learner(backpropagation(loss, stream), optax.adamw(0.1, weight_decay=0.5), trainable=trainable)
    after = run(process, key, network, 5).state.params
    np.testing.assert_array_equal(after["first"].weights, network["first"].weights)
    assert np.abs(after["second"] - network["second"]).max() > 0.01


def test_jit_is_eager(stream, key):
    process = learner(backpropagation(Supervised(cross_entropy), stream), optax.adam(0.1))
    state = process.init(key, line())
    eager, info = process.step(key, jnp.int32(2), state)
    compiled, told = eqx.filter_jit(process.step)(key, jnp.int32(2), state)
    np.testing.assert_allclose(eager.params.weights, compiled.params.weights, rtol=1e-5, atol=1e-6)
    assert info.loss == pytest.approx(float(told.loss), rel=1e-5)


@pytest.mark.parametrize("make", [line, lambda: LeNet1989(key=jax.random.key(0), n_maps=(2, 2), n_hidden=3)])
def test_a_resumed_course_equals_an_uninterrupted_one_bit_for_bit(make, tmp_path, key):
    network = make()
    shape = (4,) if isinstance(network, Line) else (16, 16)
    inputs = jax.random.normal(jax.random.key(5), (22, *shape))
    batches = Minibatches((inputs, jnp.arange(22) % 3), 8, key=jax.random.key(6))

    def noisy(key, x):
        return x + 0.1 * jax.random.normal(key, x.shape)

    process = learner(backpropagation(Supervised(squared_error, noisy), batches), optax.adam(0.01))
    whole = run(process, key, network, 10, observe_info=lambda info: info.loss)
    file = tmp_path / "course.safetensors"
    options = {"checkpoint": file, "observe_info": lambda info: info.loss}
    run(process, key, network, 4, **options)
    resumed = run(process, key, network, 10, resume=True, **options)
    for a, b in zip(
        jax.tree.leaves(eqx.filter(whole.state, eqx.is_array)),
        jax.tree.leaves(eqx.filter(resumed.state, eqx.is_array)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.infos, resumed.infos)


def test_replicas_learn_apart(stream, key):
    process = learner(backpropagation(Supervised(cross_entropy), stream), optax.sgd(0.1))
    together = run(process, key, line(), 6, replicas=2).state.params.weights
    alone = run(process, key, line(), 6).state.params.weights
    # No randomness but the stream's, which the replicas share.
    np.testing.assert_allclose(together[0], alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together[1], alone, rtol=1e-5, atol=1e-6)


# ---- criteria


def test_criteria_are_the_formulas_of_their_header():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        for _ in range(5):
            y, c, j = rng.uniform(0, 9, 6), rng.integers(6), rng.uniform(1, 30)
            found = MaximumPosterior(float(j))(jnp.asarray(y), jnp.asarray(c))
            assert float(found) == pytest.approx(y[c] + np.log(np.exp(-j) + np.exp(-y).sum()), rel=1e-12)
            expected = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(y), jnp.asarray(c))
            assert float(cross_entropy(jnp.asarray(y), jnp.asarray(c))) == pytest.approx(float(expected))
            target = np.where(np.arange(6) == c, 1, -1)
            half = 0.5 * np.sum((y - target) ** 2)
            assert float(squared_error(jnp.asarray(y), jnp.asarray(c))) == pytest.approx(half)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.floats(0, 50), min_size=2, max_size=5), st.floats(0.5, 40))
def test_maximum_posterior_pulls_the_class_down_and_pushes_the_rest_up(penalties, rubbish):
    y = jnp.asarray(penalties, jnp.float32)
    slope = np.asarray(jax.grad(MaximumPosterior(rubbish))(y, jnp.int32(0)))
    posterior = np.exp(-np.append(penalties, rubbish))
    posterior /= posterior.sum()
    np.testing.assert_allclose(slope, np.eye(len(penalties))[0] - posterior[:-1], atol=1e-5)


def test_n_wrong_counts():
    assert int(n_wrong(jnp.array([1, 2, 3]), jnp.array([1, 0, 0]))) == 2


@pytest.mark.parametrize("rubbish", [0.0, -1.0, float("nan"), float("inf")])
def test_rubbish_must_be_positive(rubbish):
    with pytest.raises(ValueError, match="rubbish"):
        MaximumPosterior(rubbish)


# ---- gradients against finite differences


CASES = {
    "LeNet-5": (lambda **o: LeNet5(n_maps=(6, 16, 12), **o), 32, MaximumPosterior(20.0)),
    "LeNet-1989": (LeNet1989, 16, squared_error),
}


def case(name):
    make, size, criterion = CASES[name]
    network = make(key=jax.random.key(0), dtype=jnp.float64)
    pictures = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (3, size, size)))
    batch = Batch((pictures, jnp.array([1, 5, 7])), jnp.ones(3))
    return network, lambda params: Supervised(criterion)(params, batch, jax.random.key(0))


@pytest.mark.parametrize("name", list(CASES))
def test_every_layer_agrees_with_finite_differences_and_every_mutation_is_seen(name):
    """1e-7 relative, the error of the differences themselves included."""
    with jax.enable_x64(True):
        network, loss = case(name)
        found = gradient_check(loss, network, jax.random.key(1))
        total = found.discrepancy + found.uncertainty
        assert total.max() < 1e-7, dict(zip(found.names, total.tolist(), strict=True))
        gradient = eqx.filter_jit(eqx.filter_grad(loss))(network)
        leaves, structure = jax.tree.flatten(gradient)
        # Sign turned, entries in another order, scaled by 1.00001, one entry lost: four arrays.
        leaves[0] = -leaves[0]
        leaves[3] = leaves[3].reshape(-1)[::-1].reshape(leaves[3].shape)
        leaves[4] = leaves[4] * (1 + 1e-5)
        leaves[-2] = leaves[-2].at[0, 0].set(0.0)
        wrong = jax.tree.unflatten(structure, leaves)
        seen = gradient_check(loss, network, jax.random.key(1), gradient=wrong)
        mutated = [0, 3, 4, len(leaves) - 2]
        assert seen.discrepancy[mutated].min() > 1e-6
        assert np.delete(seen.discrepancy, mutated).max() < 1e-7


def test_modern_network_agrees_where_no_kink_is_crossed():
    """Rectification and maxima have kinks; steps of 1e-6 rarely cross one, at the price of rounding."""
    with jax.enable_x64(True):
        network = ModernLeNet(key=jax.random.key(0), n_maps=(3, 4), n_hidden=(12, 8), dtype=jnp.float64)
        pictures = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32)))
        batch = Batch((pictures, jnp.array([1, 5])), jnp.ones(2))
        found = gradient_check(
            lambda p: Supervised(cross_entropy)(p, batch, jax.random.key(0)),
            network,
            jax.random.key(1),
            step=1e-6,
        )
        assert (found.discrepancy - found.uncertainty).max() < 1e-6


def test_stated_error_of_the_differences_covers_the_true_one():
    """On sums of exponentials the derivative is known."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        rates = jnp.asarray(rng.normal(size=(20, 5)))
        params = jnp.asarray(rng.normal(size=5))
        found = gradient_check(
            lambda w: jnp.sum(jnp.exp(rates @ w)), params, jax.random.key(0), n_directions=20, step=0.05
        )
    error = np.abs(found.difference - found.gradient)
    assert (error <= found.difference_error).all()
    assert (found.uncertainty < 1e-6).all()


def test_gradient_check_refuses_single_precision_and_dead_layers():
    with pytest.raises(ValueError, match="float64"):
        gradient_check(jnp.sum, jnp.ones(3), jax.random.key(0))
    with jax.enable_x64(True):
        with pytest.raises(ValueError, match="other than zero"):
            gradient_check(lambda x: jnp.sum(0 * x), jnp.ones(3, jnp.float64), jax.random.key(0))
        with pytest.raises(ValueError, match="n_directions"):
            gradient_check(jnp.sum, jnp.ones(3, jnp.float64), jax.random.key(0), n_directions=0)
        with pytest.raises(ValueError, match="step"):
            gradient_check(jnp.sum, jnp.ones(3, jnp.float64), jax.random.key(0), step=0.0)


def test_a_signal_with_the_wrong_sign_raises_the_loss(stream, key):
    """What a mutated rule does: the learner follows it, and the loss shows it."""
    right = backpropagation(Supervised(cross_entropy), stream)

    def wrong(key, t, params, aux):
        updates, aux, info = right(key, t, params, aux)
        return jax.tree.map(lambda g: -g, updates), aux, info

    whole = Batch(stream.data, jnp.ones(22))
    before = right.loss(line(), whole, key)
    levels = [
        right.loss(run(learner(signal, optax.sgd(0.1)), key, line(), 9).state.params, whole, key)
        for signal in (right, wrong)
    ]
    assert levels[0] < before < levels[1]
