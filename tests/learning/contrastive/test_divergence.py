"""Contrastive rules: exact gradients, unbiased phases, the fixed point of each, learning of small laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neuromanifold.dynamics import run
from neuromanifold.learning import Batch, Minibatches, learner
from neuromanifold.learning.contrastive import (
    contrast,
    contrastive_divergence,
    likelihood,
    persistent_divergence,
)
from neuromanifold.networks.energy import (
    Bernoulli,
    Gaussian,
    RestrictedBoltzmann,
    Spins,
    coldest,
    tempered_chains,
)

STATES = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.float32
)
# Even parity is four times as likely as odd parity.
PARITY = np.where(STATES.sum(1) % 2 == 0, 0.2, 0.05).astype(np.float32)


def machine(scale=0.5, seed=0, hidden=4):
    return RestrictedBoltzmann.random(jax.random.key(seed), Bernoulli(3), Bernoulli(hidden), scale)


@jax.jit
def log_likelihood(params):
    return params.log_likelihood(jnp.asarray(STATES))


class Law:
    """All states with their probabilities, at every step."""

    def __call__(self, t):
        return Batch(jnp.asarray(STATES), jnp.asarray(PARITY))


LAW = Law()


def divergence(params):
    """KL[law : machine] in nats."""
    log_p = np.asarray(log_likelihood(params), np.float64)
    return float((PARITY * (np.log(PARITY) - log_p)).sum())


def leaves(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def test_exact_gradient_is_the_derivative_of_the_divergence(key):
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), machine())
        gradient, _, info = jax.jit(likelihood(LAW))(key, 0, params, None)
        entropy = -(PARITY * np.log(PARITY)).sum()
        assert float(info.loss) - entropy == pytest.approx(divergence(params), abs=1e-6)
        step = 1e-6
        for index in ((0, 0), (3, 2)):
            up, down = (
                divergence(
                    RestrictedBoltzmann(params.visible, params.hidden, params.couplings.at[index].add(s))
                )
                for s in (step, -step)
            )
            assert float(gradient.couplings[index]) == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_the_sampled_gradient_is_the_exact_one_on_average(key):
    params = machine()
    exact = leaves(jax.jit(likelihood(LAW))(key, 0, params, None)[0])
    signal = persistent_divergence(LAW, jnp.asarray(STATES), 10)
    keys = jax.random.split(key, 1000)
    begin = params.process().init(key, STATES)
    found = jax.jit(jax.vmap(lambda key: signal(key, 0, params, begin)[0]))(keys)
    rows = np.concatenate([np.reshape(x, (1000, -1)) for x in jax.tree.leaves(found)], 1)
    z = (rows.mean(0) - exact) / (rows.std(0) / np.sqrt(1000))
    assert abs(z).max() < 5
    # One step from the data is another direction.
    near = jax.jit(jax.vmap(lambda key: contrastive_divergence(LAW)(key, 0, params, None)[0]))(keys)
    other = np.concatenate([np.reshape(x, (1000, -1)) for x in jax.tree.leaves(near)], 1)
    assert abs((other.mean(0) - exact) / (other.std(0) / np.sqrt(1000))).max() > 5


def test_no_change_on_average_where_the_law_fits(key):
    params = machine(1.0)
    states = jnp.asarray(STATES)
    fitting = Batch(states, jnp.exp(log_likelihood(params)))
    # Data with the machine's own law: every row is a state drawn with its probability.
    rows = jax.random.choice(key, states, (5000,), p=fitting.weights)

    @jax.jit
    @jax.vmap
    def changes(key, v):
        return contrast(weight, params, Batch(v[None], jnp.ones(1)), params.sweep(key, v[None]))[0]

    change = changes(jax.random.split(key, len(rows)), rows)
    flat = np.concatenate([np.reshape(x, (len(rows), -1)) for x in jax.tree.leaves(change)], 1)
    assert abs(flat.mean(0) / (flat.std(0) / np.sqrt(len(rows)))).max() < 5


def weight(model, v):
    return model.log_weight(v)


def test_short_batches_do_not_bias(key):
    params = machine()
    v = jnp.asarray(STATES)
    seven = contrast(weight, params, Batch(v, jnp.asarray([1.0] * 7 + [0.0])), v[:7])[0]
    # The same states in both phases, seven of them against the seven thrice.
    thrice = contrast(weight, params, Batch(v, jnp.asarray([1.0] * 7 + [0.0])), jnp.concatenate([v[:7]] * 3))[
        0
    ]
    assert abs(leaves(seven)).max() < 1e-6
    assert abs(leaves(thrice)).max() < 1e-6


def tempered(params):
    return tempered_chains(params, [0.0, 0.5, 1.0])


@pytest.mark.parametrize("rule", ["exact", "tempered"])
def test_parity_is_learnt(rule, key):
    steps, chains = 800, np.tile(STATES, (32, 1))
    signal = likelihood(LAW)
    if rule == "tempered":
        signal = persistent_divergence(LAW, chains, chain=tempered, samples=coldest)
    rate = optax.cosine_decay_schedule(0.1, steps)
    begun = divergence(machine())
    made = run(learner(signal, optax.adam(rate)), key, machine(), steps).state.params
    assert begun > 0.15
    assert divergence(made) < (1e-3 if rule == "exact" else 0.02)


def test_variances_are_learnt_or_not(key):
    random = np.random.default_rng(0)
    data = random.normal(size=(400, 2)).astype(np.float32) * np.array([0.5, 1.5], np.float32)
    for learned in (True, False):
        units = Gaussian(2, 1.0, learned=learned)
        # Couplings of zero stay zero: nothing tells the two values of the spin apart.
        begin = RestrictedBoltzmann(units, Spins(1), np.zeros((1, 2)))
        batches = Minibatches(data, 400, key=key)
        made = run(learner(likelihood(batches), optax.adam(0.05)), key, begin, 200).state.params
        if learned:
            np.testing.assert_allclose(made.visible.variance, data.var(0), rtol=1e-3)
        else:
            assert (np.asarray(made.visible.variance) == 1).all()


@pytest.mark.parametrize("rule", [contrastive_divergence, lambda b, n: persistent_divergence(b, STATES, n)])
def test_no_steps_are_refused(rule):
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1"):
        rule(LAW, 0)
