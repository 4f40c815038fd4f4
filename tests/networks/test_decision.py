"""Decision networks: pattern dynamics, drift diffusion, filter and smoother against brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.data import random_patterns
from neuromanifold.dynamics import run
from neuromanifold.networks.decision import DriftDiffusion, LinearGaussian, PatternDynamics, commit_time
from neuromanifold.networks.decision._drift_diffusion import OVERSHOOT

PATTERNS = np.asarray(random_patterns(jax.random.key(3), 4, 400), np.float32)


@pytest.fixture(scope="module")
def courses():
    start = 0.15 * PATTERNS[2] + 0.1 * np.asarray(jax.random.normal(jax.random.key(4), (400,)))
    return {
        kappa: PatternDynamics(PATTERNS, 2.5, (0, 1, 3, 3), kappa).decide(start, 0.6, 14.0, 41)
        for kappa in (0.0, 3.0)
    }


def test_logic_overrules_what_was_committed_to(courses):
    """The specification's case: commitment near t = 1.41 to pattern 2, in the end 2 without, 3 with."""
    for kappa, last in ((0.0, 2), (3.0, 3)):
        course = courses[kappa]
        assert course.symbol == 2
        # n = 400: crosstalk of relative variance 6.25 * 3/400 = .05 in the field.
        assert course.commit_time == pytest.approx(1.413, abs=0.07)
        assert course.symbols[-1] == last
        assert (np.diff(course.times) > 0).all()
    before = courses[0.0].times < courses[0.0].commit_time
    np.testing.assert_allclose(
        courses[0.0].overlaps[before], courses[3.0].overlaps[: before.sum()], atol=1e-6
    )


def test_velocity_is_the_equation_with_the_matrix():
    dynamics = PatternDynamics(PATTERNS, 1.7, (1, 0, 2, 3), 0.8, inputs=0.1)
    x = np.linspace(-1, 1, 400)
    k = 1.7 / 400 * PATTERNS.T @ PATTERNS
    for committed, goal in ((None, np.zeros(400)), (0, PATTERNS[1])):
        expected = -x + np.tanh(k @ x + 0.1 + 0.8 * goal)
        found = dynamics.flow(committed).velocity(0.0, jnp.asarray(x, jnp.float32))
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_energy_never_rises():
    with jax.enable_x64(True):
        dynamics = PatternDynamics(PATTERNS[:, :60], 2.0, inputs=0.05)
        flow = dynamics.flow()
        x = jax.random.uniform(jax.random.key(0), (20, 60), minval=-0.98, maxval=0.98)
        slope = jax.vmap(jax.grad(flow.descends))(x)
        u = 2.0 * dynamics.overlaps(x) @ dynamics.patterns + 0.05
        np.testing.assert_allclose(slope, jnp.arctanh(x) - u, rtol=1e-8, atol=1e-9)
        rate = jnp.sum(slope * jax.vmap(lambda one: flow.velocity(0.0, one))(x), axis=1)
    assert (np.asarray(rate) < -1e-3).all()


def test_commitment_is_found_to_fourth_order():
    errors = []
    for n in (6, 11, 21):
        t = np.linspace(0, 1, n)[:, None]
        when, which = commit_time(t[:, 0], np.hstack([np.sin(t), 0 * t]), np.hstack([np.cos(t), 0 * t]), 0.43)
        assert which == 0
        errors.append(abs(when - np.arcsin(0.43)))
    assert errors[2] < 1e-6
    assert errors[0] / errors[2] > 50
    assert np.isnan(commit_time(t[:, 0], 0 * t, 0 * t, 0.5)[0])
    assert commit_time(t[:, 0], 1 + 0 * t, 0 * t, 0.5) == (0.0, 0)


def choices(state):
    return state.choice


@pytest.fixture(scope="module")
def walks():
    """Steps of +-: with drift 0 the position at the steps is a Gaussian walk."""
    made = {}
    for corrected in (True, False):
        model = DriftDiffusion(0.5, 1.0, 1.0, dt=0.04, corrected=corrected)
        made[corrected] = run(model.process(), jax.random.key(1), jnp.zeros(20000), 250).state
    return made


def chain(bound, dt=0.04, drift=0.5, n=801):
    """The discretised law itself: the kernel of the walk on a fine grid between the bounds."""
    x = np.linspace(-bound, bound, n)
    h = x[1] - x[0]
    w = np.full(n, h)
    w[[0, -1]] = h / 2
    kernel = np.exp(-((x[None, :] - x[:, None] - drift * dt) ** 2) / (2 * dt)) / np.sqrt(2 * np.pi * dt)
    steps = np.linalg.solve(np.eye(n) - kernel * w[None, :], np.ones(n))
    return dt * steps[n // 2]


def test_walk_has_the_law_of_its_steps(walks):
    for corrected, state in walks.items():
        bound = 1 - OVERSHOOT * 0.2 if corrected else 1.0
        time = np.asarray(state.time)
        expected = chain(bound)
        error = time.std() / np.sqrt(len(time))
        assert abs(time.mean() - expected) < 5 * error
        assert abs(time.mean() - chain(0.95 * bound)) > 5 * error
        assert (np.asarray(state.choice) != 0).mean() > 0.9999
        x, choice = np.asarray(state.position), np.asarray(state.choice)
        assert (x[choice == 1] >= bound).all()
        assert (x[choice == -1] <= -bound).all()


def test_correction_leaves_an_error_of_the_order_of_the_step():
    """Against the closed form (a/mu) tanh(mu a): the discretised law with corrected bounds, steps falling."""
    exact = 2 * np.tanh(0.5)
    gaps = {
        corrected: [abs(chain(1 - OVERSHOOT * np.sqrt(dt) * corrected, dt) - exact) for dt in (0.04, 0.01)]
        for corrected in (True, False)
    }
    assert gaps[True][0] < 0.04 * 0.5
    assert gaps[True][1] < 0.01 * 0.5
    assert gaps[False][1] > 0.08
    assert gaps[False][0] / gaps[False][1] == pytest.approx(2, rel=0.15)


MODEL = (
    [[0.8, 0.3], [-0.2, 0.7]],
    [[1.0, 0.5]],
    [[0.3, 0.1], [0.1, 0.2]],
    [[0.4]],
    [0.5, -1.0],
    [[2.0, 0.3], [0.3, 1.0]],
)
T = 9


@pytest.fixture(scope="module")
def recording():
    with jax.enable_x64(True):
        model = LinearGaussian(*MODEL)
        y = np.asarray(jax.random.normal(jax.random.key(0), (3, T, 1)))
        lagged = [model.smooth(y, lag) for lag in (0, 2, T + 3)]
        return model, y, model.predict(y), model.filter(y), model.smooth(y), lagged


def joint():
    """Mean and covariance of x_0 ... x_{T-1}, and the map from them to observations, by stacking."""
    a, c, q, r, m, p = (np.array(v) for v in MODEL)
    means, blocks = [m], [[None] * T for _ in range(T)]
    cov = p
    for t in range(T):
        blocks[t][t] = cov
        for s in range(t + 1, T):
            blocks[s][t] = a @ blocks[s - 1][t]
            blocks[t][s] = blocks[s][t].T
        means.append(a @ means[-1])
        cov = a @ cov @ a.T + q
    return np.concatenate(means[:T]), np.block(blocks), np.kron(np.eye(T), c), r[0, 0]


def conditioned(y, last):
    """Posterior of all states given observations 0 ... last, by one Gaussian conditioning."""
    mean, cov, c, r = joint()
    c = c[: last + 1]
    gain = cov @ c.T @ np.linalg.inv(c @ cov @ c.T + r * np.eye(last + 1))
    return mean + gain @ (y[: last + 1, 0] - c @ mean), cov - gain @ c @ cov


def test_beliefs_are_gaussian_conditioning(recording):
    _, y, predicted, filtered, smoothed, lagged = recording
    for t in range(T):
        at = slice(2 * t, 2 * t + 2)
        cases = [
            (filtered, t),
            (smoothed, T - 1),
            *((beliefs, min(t + lag, T - 1)) for beliefs, lag in zip(lagged, (0, 2, T + 3), strict=True)),
        ]
        if t > 0:
            cases.append((predicted, t - 1))
        for beliefs, last in cases:
            for sequence in range(3):
                mean, cov = conditioned(y[sequence], last)
                np.testing.assert_allclose(beliefs.mean[sequence, t], mean[at], atol=1e-9)
                np.testing.assert_allclose(beliefs.covariance[t], cov[at, at], atol=1e-9)
    assert np.abs(np.asarray(filtered.mean - smoothed.mean)[:, : T - 1]).max() > 1e-2


def test_one_recording_is_one_of_several(recording):
    model, y, _, filtered, _, _ = recording
    with jax.enable_x64(True):
        single = model.filter(y[1])
    np.testing.assert_allclose(single.mean, filtered.mean[1], atol=1e-12)


def test_simulated_states_have_the_model_s_moments():
    model = LinearGaussian(*MODEL)
    hidden, seen = model.simulate(jax.random.key(5), 3, 20000)
    mean, cov, c, r = joint()
    flat = np.asarray(hidden, np.float64).reshape(20000, 6)
    spread = np.sqrt(np.diag(cov)[:6])
    assert (np.abs(flat.mean(0) - mean[:6]) < 5 * spread / np.sqrt(20000)).all()
    # Var of a sample covariance: (C_ii C_jj + C_ij^2)/R.
    error = np.sqrt((np.outer(spread, spread) ** 2 + cov[:6, :6] ** 2) / 20000)
    assert (np.abs(np.cov(flat.T) - cov[:6, :6]) < 5 * error).all()
    noise = np.asarray(seen)[:, :, 0] - flat @ c[:3, :6].T
    assert noise.var() == pytest.approx(r, rel=5 * np.sqrt(2 / noise.size))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: PatternDynamics(0 * PATTERNS, 2.0), "patterns must hold only -1 and"),
        (lambda: PatternDynamics(PATTERNS, 0.0), "beta must be a finite number > 0"),
        (lambda: PatternDynamics(PATTERNS, 2.0, (0, 1)), "rule must hold one symbol"),
        (lambda: PatternDynamics(PATTERNS, 2.0, (0, 1, 2, 4)), r"rule\[3\] must be an integer in"),
        (lambda: PatternDynamics(PATTERNS, 2.0, kappa=-1.0), "kappa must be"),
        (lambda: PatternDynamics(PATTERNS, 2.0).decide(np.ones(3), 0.5, 1.0), "x0 must have shape"),
        (lambda: PatternDynamics(PATTERNS, 2.0).decide(PATTERNS[0], 1.0, 1.0), "theta must be"),
        (lambda: DriftDiffusion(0.5, 1.0, 0.0, dt=0.01), "bound must be a finite number > 0"),
        (lambda: DriftDiffusion(0.5, 0.0, 1.0, dt=0.01), "noise must be a finite number > 0"),
        (lambda: DriftDiffusion(0.5, 1.0, 0.1, dt=0.1), "dt must be below"),
        (lambda: DriftDiffusion(0.5, 1.0, 1.0, dt=0.01).init(None, jnp.ones(2)), "start must lie within"),
        (
            lambda: LinearGaussian([[0.9]], [[1.0]], [[0.2]], [[0.0]]),
            "output_noise must be positive definite",
        ),
        (lambda: LinearGaussian([[0.9]], [[1.0]], [[-0.2]], [[1.0]]), "process_noise must be positive semi"),
        (lambda: LinearGaussian([[0.9]], [[1.0, 2.0]], [[0.2]], [[1.0]]), "output must have shape"),
        (lambda: LinearGaussian(*MODEL[:4]).smooth(np.zeros((5, 1)), -1), "lag must be an integer >= 0"),
        (lambda: LinearGaussian(*MODEL[:4]).filter(np.zeros((5, 2))), "y must have shape"),
        (lambda: LinearGaussian(*MODEL[:4]).filter(np.full((5, 1), np.nan)), "y must be finite"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
