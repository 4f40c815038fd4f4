"""Random +-1 networks: exact laws of one step, shared weights, blocks, symmetry, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import multivariate_normal

import neuromanifold.networks.random._binary as module
from neuromanifold.dynamics import run
from neuromanifold.networks.random import binary_activities, binary_network, hamming_from_first

N = 40


def states(*flips):
    rows = np.ones((1 + len(flips), N), np.float32)
    for row, count in zip(rows[1:], flips, strict=True):
        row[:count] *= -1
    return rows


def watch(state):
    return binary_activities(state), hamming_from_first(state)


@pytest.fixture(scope="module")
def made():
    options = {"sigma_w": 1.0, "sigma_b": 0.5, "mean_w": 0.8, "mean_b": 0.2}
    process = binary_network(N, **options)
    return run(process, jax.random.key(5), states(4, N), 1, observe=watch, replicas=4000)


def test_one_step_has_the_exact_law(made):
    """Given a state, units are independent signs: mean and variance are known at n = 40."""
    activity, distance = (np.asarray(v)[:, 1] for v in made.values)
    x = np.array([1.0, 1 - 8 / N, -1.0])
    root = np.sqrt(1.25)
    a = (0.8 * x + 0.2) / root
    expected = erf(a / np.sqrt(2))
    error = np.sqrt((1 - expected**2) / N / len(activity))
    assert (np.abs(activity.mean(0) - expected) < 5 * error).all()
    for other, flips in ((1, 4), (2, N)):
        rho = (1 - 2 * flips / N + 0.25) / 1.25
        both = multivariate_normal.cdf([a[0], a[other]], cov=[[1, rho], [rho, 1]])
        neither = multivariate_normal.cdf([-a[0], -a[other]], cov=[[1, rho], [rho, 1]])
        p = 1 - both - neither
        spread = np.sqrt(p * (1 - p) / N)
        seen = distance[:, other - 1]
        assert abs(seen.mean() - p) < 5 * spread / np.sqrt(len(seen))
        # The relative error of a variance of nearly Gaussian numbers is sqrt(2/R).
        assert seen.var() == pytest.approx(spread**2, rel=5 * np.sqrt(2.2 / len(seen)))
        # Without the shared biases the law is another.
        rho = 1 - 2 * flips / N
        assert abs(np.arccos(rho) / np.pi - seen.mean()) > 5 * spread / np.sqrt(len(seen))


def test_equal_states_stay_equal_and_fresh_weights_differ(key):
    process = binary_network(N, sigma_w=1.0)
    found = run(process, key, states(0, 3), 4, observe=watch)
    assert (found.values[1][:, 0] == 0).all()
    assert (found.values[1][1:, 1] > 0).all()
    again = run(process, key, states(0, 3), 4, observe=watch)
    np.testing.assert_array_equal(found.values[0], again.values[0])


def test_blocks_of_rows_have_the_same_law(key, monkeypatch):
    """Small blocks: variance of the activity of one step, weights of different blocks independent."""
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 7 * N)
    process = binary_network(N, sigma_w=1.0)
    seen = np.asarray(run(process, key, states(), 1, observe=binary_activities, replicas=3000).values)[
        :, 1, 0
    ]
    assert abs(seen.mean()) < 5 / np.sqrt(N * len(seen))
    assert seen.var() == pytest.approx(1 / N, rel=5 * np.sqrt(2 / len(seen)))


@pytest.mark.parametrize("weights", ["same", "symmetric"])
def test_kept_weights_are_used_again(key, weights):
    process = binary_network(N, sigma_w=1.3, sigma_b=0.4, weights=weights)
    state = process.init(key, states(5))
    w, b = np.asarray(state.weights.weight), np.asarray(state.weights.bias)
    assert (np.abs(w - w.T).max() < 1e-7) == (weights == "symmetric")
    off = w[~np.eye(N, dtype=bool)]
    assert off.var() * N == pytest.approx(1.69, rel=5 * np.sqrt(4 / off.size))
    x = np.asarray(state.units)
    for t in range(3):
        before = x
        x = np.where(before @ w.T + b >= 0, 1.0, -1.0)
        state, _ = process.step(key, jnp.int32(t), state)
        np.testing.assert_array_equal(np.asarray(state.units), x)
        np.testing.assert_array_equal(np.asarray(state.before), before)


def test_symmetric_networks_return_and_asymmetric_do_not(key):
    def back(info):
        return info

    seen = {}
    for weights in ("same", "symmetric"):
        process = binary_network(200, sigma_w=1.0, weights=weights)
        made = run(process, key, np.ones((1, 200)), 24, observe_info=back, replicas=12)
        seen[weights] = float(np.asarray(made.infos)[:, -1].mean())
    assert seen["symmetric"] > 0.9
    # 12 networks of 200 units: standard error 1/sqrt(2400) = .02.
    assert abs(seen["same"]) < 0.1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: binary_network(0, sigma_w=1.0), "n_units must be an integer >= 1"),
        (lambda: binary_network(5, sigma_w=0.0), "sigma_w must be a finite number > 0"),
        (lambda: binary_network(5, sigma_w=1.0, sigma_b=-1.0), "sigma_b must be a finite number >= 0"),
        (lambda: binary_network(5, sigma_w=1.0, mean_w=np.nan), "mean_w must be a finite number"),
        (lambda: binary_network(5, sigma_w=1.0, weights="frozen"), "weights must be one of"),
        (
            lambda: binary_network(5, sigma_w=1.0).init(jax.random.key(0), np.zeros(5)),
            "x0 must hold only -1 and",
        ),
        (lambda: binary_network(5, sigma_w=1.0).init(jax.random.key(0), np.ones(4)), "x0 must have shape"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
