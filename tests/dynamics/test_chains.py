"""Chains on few units against enumeration, by chi-square; schedules; what each chain declares to keep."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from neuromanifold.dynamics import block_gibbs, cooling, gibbs, glauber, little, metropolis, run

N = 5
BETA = 0.8


class Spins(eqx.Module):
    """An asymmetric-looking target: random symmetric couplings and external fields."""

    couplings: jax.Array
    bias: jax.Array

    def field(self, i, x):
        return self.couplings[i] @ x + self.bias[i]

    def fields(self, x):
        return self.couplings @ x + self.bias

    def log_weight(self, x):
        return BETA * (0.5 * x @ self.couplings @ x + self.bias @ x)

    def unit_tempered(self, x):
        return 0.5 * x @ self.couplings @ x + self.bias @ x

    def conditional(self, key, t, i, x):
        return jnp.where(jax.random.bernoulli(key, jax.nn.sigmoid(2 * BETA * self.field(i, x))), 1, -1)

    def half(self, first):
        rows = jnp.arange(N) < 3 if first else jnp.arange(N) >= 3

        def draw(key, t, x):
            up = jax.random.bernoulli(key, jax.nn.sigmoid(2 * BETA * self.fields(x)))
            return jnp.where(rows, jnp.where(up, 1.0, -1.0), x)

        return draw

    def propose(self, key, x):
        i = jax.random.randint(key, (), 0, N)
        return x.at[i].multiply(-1), 0.0, 0.0

    def lopsided(self, key, x):
        """Set a random unit up with probability 0.8 whatever it was: not symmetric."""
        key_unit, key_spin = jax.random.split(key)
        i = jax.random.randint(key_unit, (), 0, N)
        spin = jnp.where(jax.random.bernoulli(key_spin, 0.8), 1.0, -1.0)
        log = lambda s: jnp.log(jnp.where(s > 0, 0.8, 0.2))  # noqa: E731
        return x.at[i].set(spin), log(spin), log(x[i])


@pytest.fixture
def spins():
    rng = np.random.default_rng(4)
    couplings = np.triu(rng.normal(size=(N, N)), 1) * 0.7
    return Spins(
        jnp.asarray(couplings + couplings.T, jnp.float32), jnp.asarray(rng.normal(size=N) * 0.4, jnp.float32)
    )


STATES = np.array(list(itertools.product([-1.0, 1.0], repeat=N)))


def index_of(x):
    return jnp.sum((x > 0) * 2 ** jnp.arange(N)[::-1])


def law(log_weight):
    weights = np.asarray(jax.vmap(log_weight)(jnp.asarray(STATES, jnp.float32)), np.float64)
    weights = np.exp(weights - weights.max())
    return weights / weights.sum()


def chi_square(process, key, *laws, burn=500, replicas=6000):
    """p-value of each law after `burn` steps: independent replicas, so the counts are multinomial."""
    done = run(process, key, jnp.ones(N), burn, observe=index_of, every=burn, replicas=replicas)
    counts = np.bincount(done.values[:, -1], minlength=2**N)
    return [stats.chisquare(counts, probabilities * replicas).pvalue for probabilities in laws]


def every_process(spins):
    bipartite = Spins(spins.couplings.at[:3, :3].set(0).at[3:, 3:].set(0), spins.bias)
    return {
        "gibbs": (gibbs(spins.conditional, N, updates=2, log_weight=spins.log_weight), spins),
        "gibbs permuted": (gibbs(spins.conditional, N, order="permuted"), spins),
        "gibbs sequential": (gibbs(spins.conditional, N, order="sequential"), spins),
        "block gibbs": (block_gibbs([bipartite.half(True), bipartite.half(False)]), bipartite),
        "glauber": (glauber(spins.field, N, BETA, updates=N), spins),
        "glauber by metropolis": (glauber(spins.field, N, BETA, updates=N, rule="metropolis"), spins),
        "metropolis": (metropolis(spins.unit_tempered, spins.propose, beta=BETA), spins),
        "metropolis, lopsided proposal": (metropolis(spins.unit_tempered, spins.lopsided, beta=BETA), spins),
    }


@pytest.mark.parametrize("name", list(every_process(Spins(jnp.zeros((N, N)), jnp.zeros(N)))))
def test_chains_keep_the_law_that_enumeration_gives(spins, key, name):
    process, target = every_process(spins)[name]
    tilted = law(lambda x: 1.15 * target.log_weight(x))
    right, wrong = chi_square(process, key, law(target.log_weight), tilted)
    assert right > 1e-6
    assert wrong < 1e-6


def test_little_dynamics_keeps_its_own_law_and_not_that_of_glauber(spins, key):
    process = little(spins.fields, BETA)

    def own(x):
        return BETA * (spins.bias @ x) + jnp.sum(jnp.log(2 * jnp.cosh(BETA * spins.fields(x))))

    right, wrong = chi_square(process, key, law(own), law(spins.log_weight))
    assert right > 1e-6
    assert wrong < 1e-6


def test_declared_laws_are_the_right_ones(spins):
    process = metropolis(spins.unit_tempered, spins.propose, beta=BETA)
    x = jnp.asarray(STATES[7], jnp.float32)
    assert float(process.log_weight(x)) == pytest.approx(float(spins.log_weight(x)), rel=1e-6)
    assert metropolis(spins.unit_tempered, spins.propose, beta=lambda t: 1.0).log_weight is None


def test_at_zero_temperature_and_at_infinite_temperature(spins, key):
    frozen = run(glauber(spins.field, N, 1e6, updates=N), key, jnp.ones(N), 50, replicas=200).state
    energies = np.array([-float(spins.unit_tempered(jnp.asarray(s))) for s in np.asarray(frozen)])
    flips = np.asarray(frozen) * np.asarray(jax.vmap(spins.fields)(frozen))
    assert (flips > -1e-5).all()
    assert energies.min() == pytest.approx(
        min(-float(spins.unit_tempered(jnp.asarray(s, jnp.float32))) for s in STATES), rel=1e-5
    )
    assert chi_square(glauber(spins.field, N, 0.0, updates=N), key, np.full(2**N, 2.0**-N))[0] > 1e-6


def test_annealing_follows_its_schedule(key):
    schedule = cooling("geometric", 2.0, 0.1, 100)
    temperatures = np.array([float(schedule(t)) for t in (0, 50, 100, 1000)])
    np.testing.assert_allclose(temperatures, [2.0, np.sqrt(0.2), 0.1, 0.1], rtol=1e-5)
    linear = cooling("linear", 2.0, 0.0, 10)
    assert float(linear(5)) == pytest.approx(1.0)
    logarithmic = cooling("logarithmic", 3.0, 0.5, 1000)
    one, ten, last = (float(logarithmic(t)) for t in (0, 10, 1000))
    assert one == 3.0
    assert last == pytest.approx(0.5)
    # 1/T grows linearly in log(1 + t), as Geman and Geman ask.
    share = np.log(11) / np.log(1001)
    assert 1 / ten == pytest.approx(1 / 3 + share * (2 - 1 / 3), rel=1e-5)
    double_well = metropolis(
        lambda x: -jnp.abs(jnp.abs(x) - 1) * 8 - 0.7 * (x < 0), hop, beta=lambda t: 1 / schedule(t)
    )
    ends = run(double_well, key, jnp.asarray(-1.0), 200, replicas=500).state
    assert float((ends > 0).mean()) > 0.9


def hop(key, x):
    return x + jax.random.normal(key) * 1.0, 0.0, 0.0


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: gibbs(hop, 0), "n_units must be an integer >= 1"),
        (lambda: gibbs(hop, 3, order="backwards"), "order must be one of"),
        (lambda: gibbs(hop, 3, updates=0), "updates must be"),
        (lambda: gibbs(hop, 3, order="permuted", updates=2), "updates must be n_units = 3"),
        (lambda: block_gibbs([]), "conditionals must hold at least one"),
        (lambda: glauber(hop, 3, -1.0), "beta must be a finite number >= 0, got -1"),
        (lambda: glauber(hop, 3, float("nan")), "beta must be"),
        (lambda: glauber(hop, 3, 1.0, rule="guess"), "rule must be one of"),
        (lambda: little(hop, -1.0), "beta must be"),
        (lambda: metropolis(hop, hop, beta=-2.0), "beta must be"),
        (
            lambda: cooling("geometric", 1.0, 2.0, 5),
            "stop must be <= start = 1.0 for a temperature that falls",
        ),
        (lambda: cooling("geometric", 1.0, 0.0, 5), "stop must be a finite number > 0"),
        (lambda: cooling("linear", 1.0, -0.5, 5), "stop must be a finite number >= 0"),
        (lambda: cooling("quadratic", 1.0, 0.5, 5), "kind must be one of"),
        (lambda: cooling("linear", 1.0, 0.5, 0), "n_steps must be"),
    ],
)
def test_bad_arguments_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
