"""Flows: closed forms, order of convergence, stationary laws; failures are never silent."""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuromanifold.dynamics import Flow, SolveError, solve


def spin(t, state):
    return {"q": state["p"], "p": -state["q"]}


def test_an_oscillator_in_float64():
    with jax.enable_x64(True):
        times = np.linspace(0, 10, 21)
        path = solve(Flow(spin), {"q": 1.0, "p": 0.0}, times, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(path.states["q"], np.cos(times), atol=1e-9)
        np.testing.assert_allclose(path.states["p"], -np.sin(times), atol=1e-9)


@pytest.mark.parametrize("solver, order", [(diffrax.Euler(), 1), (diffrax.Heun(), 2), (diffrax.Dopri5(), 5)])
def test_measured_order_of_convergence(solver, order):
    with jax.enable_x64(True):
        steps = 0.1 / 2.0 ** np.arange(3)
        errors = [
            abs(
                float(solve(Flow(spin), {"q": 1.0, "p": 0.0}, [0, 2], solver=solver, dt=dt).states["q"][-1])
                - np.cos(2)
            )
            for dt in steps
        ]
        slopes = np.diff(np.log(errors)) / np.diff(np.log(steps))
        assert slopes[-1] == pytest.approx(order, abs=0.2)


def test_declared_laws_of_a_flow_are_kept():
    with jax.enable_x64(True):
        energy = lambda s: s["q"] ** 2 + s["p"] ** 2  # noqa: E731
        flow = Flow(spin, conserves=energy)
        path = solve(flow, {"q": 0.3, "p": 2.0}, np.linspace(0, 5, 11), rtol=1e-12, atol=1e-12)
        # Between its own steps the solver interpolates, to about 1e-9 here.
        np.testing.assert_allclose(jax.vmap(flow.conserves)(path.states), 4.09, rtol=1e-8)
        well = lambda x: ((x**2).sum() - 1.0) ** 2  # noqa: E731
        gradient = Flow(lambda t, x: -jax.grad(well)(x), descends=well)
        walk = solve(gradient, jnp.asarray([0.1, 0.4]), np.linspace(0, 3, 31))
        assert (np.diff(jax.vmap(gradient.descends)(walk.states)) <= 1e-12).all()


def test_ornstein_uhlenbeck_has_the_law_of_the_discretised_process(key):
    """The variance of Euler-Maruyama, 1/(1 - dt/2)/2 ..., not that of the continuous process."""
    dt, replicas, sigma = 0.1, 20_000, jnp.asarray([1.0, 2.0])
    flow = Flow(velocity=lambda t, x: {"x": -x["x"]}, noise=lambda t, x: {"x": sigma})
    times = np.arange(0.0, 4.05, 0.5)
    path = solve(flow, {"x": jnp.zeros(2)}, times, dt=dt, key=key, replicas=replicas)
    states = np.asarray(path.states["x"])
    assert states.shape == (replicas, len(times), 2)
    variance = states[:, -1].var(0)
    discrete = np.asarray(sigma) ** 2 * dt / (1 - (1 - dt) ** 2) * (1 - (1 - dt) ** 80)
    error = discrete * np.sqrt(2 / replicas)
    assert (abs(variance - discrete) < 5 * error).all()
    assert (abs(variance - np.asarray(sigma) ** 2 / 2) > 5 * error).any()
    assert np.corrcoef(states[:, -1].T)[0, 1] == pytest.approx(0, abs=5 / np.sqrt(replicas))


def test_noise_is_a_function_of_the_key(key):
    flow = Flow(velocity=lambda t, x: -x, noise=lambda t, x: jnp.ones_like(x))
    one = solve(flow, jnp.zeros(3), [0, 1], dt=0.05, key=key)
    two = solve(flow, jnp.zeros(3), [0, 1], dt=0.05, key=key)
    other = solve(flow, jnp.zeros(3), [0, 1], dt=0.05, key=jax.random.key(1))
    assert np.array_equal(one.states, two.states)
    assert not np.array_equal(one.states, other.states)


def test_a_solver_that_gives_up_is_an_error():
    with pytest.raises(SolveError, match="from t = 0 to 3 was not solved after"):
        solve(Flow(lambda t, x: x**2), jnp.asarray(1.0), [0, 3], max_steps=2000)
    with pytest.raises(SolveError, match=r"not solved|finite"):
        solve(Flow(lambda t, x: 100 * x**3), jnp.asarray(1.0), [0, 3], dt=0.1)


@pytest.mark.parametrize(
    "bad, complaint",
    [
        ({"times": [0.0]}, "times must have shape"),
        ({"times": [0.0, 0.0]}, "times must increase strictly"),
        ({"times": [0.0, np.nan]}, "times must increase strictly"),
        ({"rtol": 0.0}, "rtol must be"),
        ({"atol": -1.0}, "atol must be"),
        ({"dt": 0.0}, "dt must be"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"x0": jnp.asarray([1.0, np.inf])}, "x0 must be finite"),
        ({"x0": jnp.asarray([1, 2])}, "x0 must hold real or complex numbers"),
        ({"replicas": 2}, "replicas must be None for a flow without noise"),
        ({"key": jax.random.key(0)}, "key must be None for a flow without noise"),
        ({"noise": lambda t, x: x, "dt": 0.1}, "key must be given"),
        ({"noise": lambda t, x: x, "key": jax.random.key(0)}, "dt must be given"),
        ({"noise": lambda t, x: x, "key": jax.random.key(0), "dt": 0.1, "replicas": 0}, "replicas must be"),
    ],
)
def test_bad_arguments_are_refused(bad, complaint):
    arguments = {"x0": jnp.ones(2), "times": [0.0, 1.0], **bad}
    flow = Flow(lambda t, x: -x, noise=arguments.pop("noise", None))
    with pytest.raises(ValueError, match=complaint):
        solve(flow, arguments.pop("x0"), arguments.pop("times"), **arguments)
