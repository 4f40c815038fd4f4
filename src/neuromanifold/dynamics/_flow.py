"""Flow: anything that moves in continuous time, solved by diffrax.

    dx = velocity(t, x) dt                                  an ordinary differential equation
    dx = velocity(t, x) dt + noise(t, x) dW                 Ito, W a standard Wiener process

Noise of the shape of x is diagonal: each component has a Wiener process of its own. The step of a stochastic
flow is fixed and given by the user; that of a deterministic one is chosen by error control.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
from jaxtyping import Array, Key, PyTree
from numpy.typing import ArrayLike

from neuromanifold._base import check_integer, check_real, require


class Flow(eqx.Module):
    """A velocity field, optionally with noise.

    Args:
        velocity: `velocity(t, state)` -> time derivative of the state, a pytree like it.
        noise: `noise(t, state)` -> standard deviation a square root of time, a pytree like the state
            (diagonal noise), or None.
        descends: a function of the state that the deterministic flow does not raise, or None.
        conserves: a function of the state that the deterministic flow does not change, or None.
    """

    velocity: Callable[..., Any]
    noise: Callable[..., Any] | None = None
    descends: Callable[..., Any] | None = None
    conserves: Callable[..., Any] | None = None


class Trajectory(NamedTuple):
    """What `solve` returns.

    Args:
        times: shape (n_times,).
        states: every leaf (n_times, ...); with replicas (n_replicas, n_times, ...).
        n_steps: steps the solver took (the most of any replica).
    """

    times: np.ndarray
    states: PyTree
    n_steps: int


class SolveError(RuntimeError):
    """A flow that could not be solved; the message gives the solver's reason and where it stopped."""


def solve(
    flow: Flow,
    x0: PyTree,
    times: ArrayLike,
    *,
    solver: diffrax.AbstractSolver[Any] | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    dt: float | None = None,
    max_steps: int = 1_000_000,
    key: Key[Array, ""] | None = None,
    replicas: int | None = None,
) -> Trajectory:
    """Solve a flow from times[0] and return the states at all times.

    Computed in the precision of x0: give float64 under `jax.enable_x64` where tolerances below 1e-6 matter.

    Args:
        flow: the velocity field.
        x0: state at times[0]; a pytree of inexact arrays.
        times: shape (n_times,), strictly increasing, n_times >= 2.
        solver: a diffrax solver; Dormand-Prince 8(5,3) for a deterministic flow and Euler-Maruyama for a
            stochastic one where None. Its interpretation (Ito or Stratonovich) becomes that of the noise.
        rtol: relative tolerance of the error control, > 0.
        atol: absolute tolerance of the error control, > 0.
        dt: fixed step, > 0. Needed for a stochastic flow; None uses error control.
        max_steps: steps after which to give up, >= 1.
        key: key of the noise; needed for a stochastic flow and refused for a deterministic one.
        replicas: number of independent noisy copies begun at x0, >= 1; None for one without a leading axis.

    Raises:
        ValueError: an argument outside its range.
        SolveError: the solver gave up or the state became non-finite; nothing is returned silently.

    >>> import jax.numpy as jnp
    >>> from neuromanifold.dynamics import Flow, solve
    >>> decay = Flow(velocity=lambda t, x: -x)
    >>> round(float(solve(decay, jnp.asarray(1.0), [0.0, 1.0], rtol=1e-6).states[-1]), 4)
    0.3679
    """
    grid = np.asarray(times, dtype=np.float64)
    require(grid.ndim == 1 and len(grid) >= 2, "times", "have shape (n_times,) with n_times >= 2", grid.shape)
    require(np.all(np.isfinite(grid)) and np.all(np.diff(grid) > 0), "times", "increase strictly", times)
    rtol = check_real("rtol", rtol, 0, open_low=True)
    atol = check_real("atol", atol, 0, open_low=True)
    check_integer("max_steps", max_steps, 1)
    if dt is not None:
        dt = check_real("dt", dt, 0, open_low=True)
    start = jax.tree.map(jnp.asarray, x0)
    for leaf in jax.tree.leaves(start):
        require(jnp.issubdtype(leaf.dtype, jnp.inexact), "x0", "hold real or complex numbers", leaf.dtype)
        require(bool(jnp.isfinite(leaf).all()), "x0", "be finite", leaf)
    if flow.noise is None:
        require(key is None, "key", "be None for a flow without noise", key)
        require(replicas is None, "replicas", "be None for a flow without noise", replicas)
        solution = _deterministic(flow, start, jnp.asarray(grid), solver, rtol, atol, dt, max_steps)
    else:
        require(key is not None, "key", "be given for a flow with noise", key)
        require(dt is not None, "dt", "be given for a flow with noise", dt)
        assert key is not None
        assert dt is not None
        keys = key if replicas is None else jax.random.split(key, check_integer("replicas", replicas, 1))
        solution = _stochastic(flow, start, jnp.asarray(grid), solver, dt, max_steps, keys)
    states, result, n_steps = solution
    failed = np.asarray(result != diffrax.RESULTS.successful)
    healthy = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(states))
    if failed.any() or not healthy:
        first = jax.tree.map(lambda x: x.reshape(-1)[int(np.argmax(failed))], result)
        why = diffrax.RESULTS[first].strip() if failed.any() else "The state stopped being finite."
        raise SolveError(
            f"the flow from t = {grid[0]:g} to {grid[-1]:g} was not solved after "
            f"{int(np.max(n_steps))} steps: {why}"
        )
    return Trajectory(grid, states, int(np.max(n_steps)))


@eqx.filter_jit
def _deterministic(
    flow: Flow,
    x0: PyTree,
    times: Array,
    solver: Any,
    rtol: float,
    atol: float,
    dt: float | None,
    max_steps: int,
) -> tuple[PyTree, Any, Array]:
    controller = diffrax.PIDController(rtol=rtol, atol=atol) if dt is None else diffrax.ConstantStepSize()
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, args: flow.velocity(t, x)),
        diffrax.Dopri8() if solver is None else solver,
        times[0],
        times[-1],
        dt,
        x0,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    return solution.ys, solution.result, solution.stats["num_steps"]


class _Diagonal(eqx.Module):
    """Noise of the state's shape as the operator that diffrax multiplies the Wiener increment with."""

    noise: Callable[..., Any]

    def __call__(self, t: Any, x: PyTree, args: Any) -> Any:
        sigma = jax.tree.map(lambda leaf, value: jnp.broadcast_to(value, leaf.shape), x, self.noise(t, x))
        return lineax.DiagonalLinearOperator(sigma)


@eqx.filter_jit
def _stochastic(
    flow: Flow, x0: PyTree, times: Array, solver: Any, dt: float, max_steps: int, keys: Array
) -> tuple[PyTree, Any, Array]:
    assert flow.noise is not None
    noise = flow.noise

    def one(key: Array) -> tuple[PyTree, Any, Array]:
        shape = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), x0)
        brownian = diffrax.VirtualBrownianTree(times[0], times[-1], dt / 2, shape, key)
        solution = diffrax.diffeqsolve(
            diffrax.MultiTerm(
                diffrax.ODETerm(lambda t, x, args: flow.velocity(t, x)),
                diffrax.ControlTerm(_Diagonal(noise), brownian),
            ),
            diffrax.Euler() if solver is None else solver,
            times[0],
            times[-1],
            dt,
            x0,
            saveat=diffrax.SaveAt(ts=times),
            max_steps=max_steps,
            throw=False,
        )
        return solution.ys, solution.result, solution.stats["num_steps"]

    return one(keys) if keys.ndim == 0 else jax.vmap(one)(keys)
