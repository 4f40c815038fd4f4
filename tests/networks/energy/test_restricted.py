"""The restricted machine against sums written out in numpy, its chains against its law, bad input refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chi2

from neuromanifold.dynamics import run
from neuromanifold.networks.energy import (
    Bernoulli,
    Gaussian,
    RestrictedBoltzmann,
    Softmax,
    Spins,
    annealed_partition,
    coldest,
    tempered_chains,
)
from neuromanifold.theory.energy import restricted_law

HIDDEN = {"bernoulli": Bernoulli(3), "spins": Spins(3), "softmax": Softmax(2, 3)}
VISIBLE = {"bernoulli": Bernoulli(4), "spins": Spins(4), "softmax": Softmax(2, 3), "gaussian": Gaussian(4)}


def values_of(kind, n):
    if kind == "softmax":
        return np.array([np.concatenate(x) for x in itertools.product(np.eye(3), repeat=n // 3)])
    return np.array(list(itertools.product((0.0, 1.0) if kind == "bernoulli" else (-1.0, 1.0), repeat=n)))


def log_partition(machine):
    return machine.log_partition()


def parameters(visible, hidden, scale=0.6, seed=0):
    random = np.random.default_rng(seed)
    n, k = visible.n_units, hidden.n_units
    return scale * random.normal(size=(k, n)), 0.3 * random.normal(size=n), 0.4 * random.normal(size=k)


def written_out(visible, hidden, w, b, c):
    """log Z and <h v^T>, from every pair of states; Gaussian visible units are integrated by hand."""
    h = values_of(hidden, len(c))
    if visible == "gaussian":
        mean = b + h @ w
        logs = h @ c + 0.5 * (mean**2).sum(1) + 0.5 * len(b) * np.log(2 * np.pi)
        weight = np.exp(logs - logsumexp(logs))
        return logsumexp(logs), np.einsum("s,si,sj->ij", weight, h, mean)
    v = values_of(visible, len(b))
    logs = (h @ c)[:, None] + (v @ b)[None] + h @ w @ v.T
    return logsumexp(logs), np.einsum("st,si,tj->ij", np.exp(logs - logsumexp(logs)), h, v)


@pytest.mark.parametrize(
    "visible, hidden",
    [
        ("bernoulli", "bernoulli"),
        ("spins", "softmax"),
        ("softmax", "spins"),
        ("gaussian", "bernoulli"),
        ("gaussian", "spins"),
    ],
)
def test_partition_and_its_derivative_are_the_sums(visible, hidden):
    with jax.enable_x64(True):
        w, b, c = parameters(VISIBLE[visible], HIDDEN[hidden])
        units = Gaussian(4) if visible == "gaussian" else VISIBLE[visible]
        machine = RestrictedBoltzmann(units, HIDDEN[hidden], w, b, c)
        log_z, moments = written_out(visible, hidden, w, b, c)
        value, gradient = jax.jit(jax.value_and_grad(log_partition))(machine)
        assert float(value) == pytest.approx(log_z, abs=1e-12)
        np.testing.assert_allclose(gradient.couplings, moments, atol=1e-12)
        # By differences, as the claim has it.
        step = 1e-6
        for i, j in ((0, 0), (2, 3)):
            moved = [
                w + s * step * (np.arange(len(c)) == i)[:, None] * (np.arange(len(b)) == j) for s in (1, -1)
            ]
            up, down = (
                jax.jit(log_partition)(RestrictedBoltzmann(units, HIDDEN[hidden], x, b, c)) for x in moved
            )
            assert float(up - down) / (2 * step) == pytest.approx(moments[i, j], abs=3e-9)


@pytest.mark.parametrize("visible", VISIBLE)
def test_free_energy_sums_the_energy(visible):
    with jax.enable_x64(True):
        units = Gaussian(4, 0.49) if visible == "gaussian" else VISIBLE[visible]
        w, b, c = parameters(units, Bernoulli(3))
        machine = RestrictedBoltzmann(units, Bernoulli(3), w, b, c)
        v = units.draw(jax.random.key(0), jnp.zeros((5, units.n_units)))
        h = values_of("bernoulli", 3)
        pairs = jnp.repeat(v, 8, 0), jnp.tile(jnp.asarray(h), (5, 1))
        energies = np.asarray(machine.energy(*pairs)).reshape(5, 8)
        np.testing.assert_allclose(machine.free_energy(v), -logsumexp(-energies, axis=1), atol=1e-12)
        if visible == "gaussian":
            stated = [
                [((a - b) @ (a - b) - b @ b) / 0.98 - x @ c - x @ w @ a / 0.49 for x in h]
                for a in np.asarray(v)
            ]
            np.testing.assert_allclose(energies, stated, atol=1e-12)
            np.testing.assert_allclose(machine.visible_field(jnp.asarray(h)), b + h @ w)


def test_two_gaussian_layers_have_a_closed_law():
    with jax.enable_x64(True):
        w, b, c = parameters(Gaussian(3), Gaussian(2), 0.25)
        visible, hidden = np.array([0.5, 1.0, 2.0]), np.array([0.7, 1.3])
        machine = RestrictedBoltzmann(Gaussian(3, visible), Gaussian(2, hidden), w, b, c)
        coupling = w / (hidden[:, None] * visible[None])
        precision = np.block([[np.diag(1 / visible), -coupling.T], [-coupling, np.diag(1 / hidden)]])
        shift = np.concatenate([b / visible, c / hidden])
        expected = 0.5 * (5 * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1])
        expected += 0.5 * shift @ np.linalg.solve(precision, shift)
        assert float(machine.log_partition()) == pytest.approx(expected, abs=1e-12)
        moments = jax.jit(jax.grad(log_partition))(machine).couplings
        step, up, down = 1e-6, w.copy(), w.copy()
        up[1, 2] += step
        down[1, 2] -= step
        made = [RestrictedBoltzmann(machine.visible, machine.hidden, x, b, c) for x in (up, down)]
        logs = [jax.jit(log_partition)(m) for m in made]
        assert float(moments[1, 2]) == pytest.approx(float(logs[0] - logs[1]) / (2 * step), abs=1e-8)


def test_sums_in_blocks_are_the_sums():
    with jax.enable_x64(True):
        w, b, c = parameters(Bernoulli(13), Bernoulli(12), 0.3)
        machine = RestrictedBoltzmann(Bernoulli(13), Bernoulli(12), w, b, c)
        h = values_of("bernoulli", 12)
        expected = logsumexp(h @ c + np.logaddexp(0, b + h @ w).sum(1))
        assert float(machine.log_partition()) == pytest.approx(expected, abs=1e-11)
        assert float(machine.flipped.log_partition()) == pytest.approx(expected, abs=1e-11)


def p_value(counts, probability):
    expected = counts.sum() * probability
    assert expected.min() > 5
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


def numbers(states, low):
    return (np.asarray(states) > (low + 1) / 2) @ (1 << np.arange(states.shape[-1]))


def test_chains_keep_the_law_and_conditions(key):
    units, low = Spins(3), -1
    w, b, c = parameters(units, Spins(2), 0.8)
    machine = RestrictedBoltzmann(units, Spins(2), w.astype(np.float32), b, c)
    states = units.configuration(jnp.arange(8))
    p = np.asarray(jnp.exp(machine.log_likelihood(states)), np.float64)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    v = run(machine.process(), key, np.full((8000, 3), float(low)), 15).state
    assert p_value(np.bincount(numbers(v, low), minlength=8), p / p.sum()) > 1e-6
    # With the first unit known and up.
    begin = np.full((8000, 3), float(low))
    begin[:, 0] = 1
    v = np.asarray(run(machine.process(np.array([True, False, False])), key, begin, 15).state)
    assert (v[:, 0] == 1).all()
    given = p[1::2] / p[1::2].sum()
    assert p_value(np.bincount(numbers(v[:, 1:], low), minlength=4), given) > 1e-6
    # A wrong law does not pass.
    assert p_value(np.bincount(numbers(v[:, 1:], low), minlength=4), np.roll(given, 1)) < 1e-12


def test_long_averages_agree_with_the_sum(key):
    w, b, c = parameters(Gaussian(4), Spins(3), 0.4)
    machine = RestrictedBoltzmann(Gaussian(4), Spins(3), w.astype(np.float32), b, c)
    exact = written_out("gaussian", "spins", w, b, c)[1]
    v = run(machine.process(), key, np.zeros((8000, 4)), 30).state
    samples = machine.hidden.mean(machine.hidden_field(v))[:, :, None] * v[:, None, :]
    z = (samples.mean(0) - exact) / (samples.std(0) / np.sqrt(8000))
    assert abs(z).max() < 5
    wrong = written_out("gaussian", "spins", 1.2 * w, b, c)[1]
    assert abs((samples.mean(0) - wrong) / (samples.std(0) / np.sqrt(8000))).max() > 5


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_annealing_finds_the_partition_function(visible, key):
    units = {"bernoulli": Bernoulli(12), "gaussian": Gaussian(6, 0.5)}[visible]
    w, b, c = parameters(units, Bernoulli(8), 0.5)
    machine = RestrictedBoltzmann(units, Bernoulli(8), w.astype(np.float32), b, c)
    exact = float(machine.log_partition())
    found = annealed_partition(machine, key, n_steps=150, n_chains=300, base_bias=0.5 * b)
    assert found.standard_error < 0.06
    assert found.effective > 100
    assert abs(found.value - exact) < 5 * found.standard_error
    if visible == "gaussian":
        return
    # What three steps alone say has an error of its own, larger and as honest.
    rough = annealed_partition(machine, key, n_steps=3, n_chains=300, base_bias=0.5 * b)
    assert rough.standard_error > 2 * found.standard_error
    assert rough.effective < found.effective
    assert abs(rough.value - exact) < 5 * rough.standard_error
    # The ends of the chains stand for the law with their weights: v along its way from free units.
    law = restricted_law(w, b, c)
    along = law.visible - 1 / (1 + np.exp(-0.5 * b))
    for chains in (found, rough):
        assert chains.weights.mean() == pytest.approx(1.0)
        off = chains.weights * ((chains.visible - law.visible) @ along)
        assert abs(off.mean()) < 5 * off.std() / np.sqrt(300)
    # Free units would be seen.
    off = found.weights * ((found.visible - law.visible) @ along)
    assert 5 * off.std() / np.sqrt(300) < along @ along


def test_tempering_reaches_what_a_chain_does_not(key):
    # Two deep states, all down and all up; the biases make them as likely.
    w = np.full((2, 8), 5.0, np.float32)
    machine = RestrictedBoltzmann(Spins(8), Spins(2), w, 0.0, 0.0)
    begin = np.full((100, 8), -1.0)
    alone = run(machine.process(), key, begin, 200).state
    assert (alone.sum(1) < 0).all()
    process = tempered_chains(machine, np.linspace(0, 1, 12))
    made = run(process, key, begin, 200, observe_info=lambda info: info.exchanged)
    up = int((coldest(made.state).sum(1) > 0).sum())
    assert abs(up - 50) < 5 * np.sqrt(25)
    assert (made.infos.max(0) > 0).all()


def test_tempering_keeps_the_law_at_every_beta(key):
    w, b, c = parameters(Bernoulli(3), Bernoulli(2), 1.5)
    machine = RestrictedBoltzmann(Bernoulli(3), Bernoulli(2), w.astype(np.float32), b, c)
    betas = [0.0, 0.4, 1.0]
    made = run(tempered_chains(machine, betas), key, np.zeros((8000, 3)), 15).state
    states = Bernoulli(3).configuration(jnp.arange(8))
    for beta, v in zip(betas, made, strict=True):
        p = np.asarray(jnp.exp(machine.tempered(beta).log_likelihood(states)), np.float64)
        assert p_value(np.bincount(numbers(v, 0), minlength=8), p / p.sum()) > 1e-6


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Bernoulli(0), "n_units must be an integer >= 1"),
        (lambda: Softmax(2, 1), "n_values must be an integer >= 2"),
        (lambda: Gaussian(2, 0.0), "variance must be > 0"),
        (lambda: Gaussian(2, [1.0, 2.0, 3.0]), "variance must be a number or have shape"),
        (
            lambda: RestrictedBoltzmann(Bernoulli(2), Bernoulli(1), np.ones((2, 1))),
            "couplings must have shape",
        ),
        (
            lambda: RestrictedBoltzmann(Bernoulli(2), Bernoulli(1), [[1.0, np.nan]]),
            "couplings must be finite",
        ),
        (
            lambda: RestrictedBoltzmann(Bernoulli(2), Bernoulli(1), np.ones((1, 2)), np.ones(3)),
            "visible_bias",
        ),
        (
            lambda: RestrictedBoltzmann(Gaussian(2), Gaussian(1), [[0.8, 0.7]]),
            "largest singular value below 1 between two Gaussian layers, got 1.06",
        ),
        (
            lambda: RestrictedBoltzmann.random(
                jax.random.key(0), Bernoulli(30), Bernoulli(21)
            ).log_partition(),
            "the smaller layer must have at most",
        ),
        (
            lambda: Bernoulli(2).check("data", [[0.0, 0.5]]),
            r"data must hold only 0 and 1, got 0.5 at index \(0, 1\)",
        ),
        (lambda: Spins(2).check("data", [[0.0, 1.0]]), "data must hold only -1 and"),
        (lambda: Softmax(1, 2).check("data", [[1.0, 1.0]]), "data must have one 1 in every group of 2"),
        (lambda: Gaussian(2).check("data", [[np.inf, 1.0]]), "data must be finite"),
        (lambda: Gaussian(2).check("data", [1.0]), "data must have 2 units on its last axis"),
        (lambda: small().process(np.ones(3, bool)), "known must be 2 truth values"),
        (lambda: run(small().process(), jax.random.key(0), [[0.2, 1.0]], 1), "x0 must hold only 0 and 1"),
        (lambda: tempered_chains(small(), [0.0, 0.5]), "betas must rise from >= 0 to 1"),
        (
            lambda: annealed_partition(small(), jax.random.key(0), n_chains=1),
            "n_chains must be an integer >= 2",
        ),
        (
            lambda: RestrictedBoltzmann(Softmax(1, 2), Bernoulli(1), np.ones((1, 2))).process(
                np.array([True, False])
            ),
            "known must hold whole groups",
        ),
        (
            lambda: annealed_partition(
                RestrictedBoltzmann(Gaussian(2), Gaussian(1), np.zeros((1, 2))), jax.random.key(0)
            ),
            "machine must have a layer that is not Gaussian",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def small():
    return RestrictedBoltzmann(Bernoulli(2), Bernoulli(1), np.ones((1, 2)))
