"""Geometry carried along with a signal: a process on a point, tangent vectors and second derivatives.

The layers are any process on `SignalState`; the derivatives are those of its own step, by
`geometry.pullback`. The activations that networks use are written here, apart from those of the theory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.geometry.pullback import push_curve, push_surface
from neuromanifold.networks.random import SignalState


def _erf(u: Array) -> Array:
    return jax.scipy.special.erf(u / math.sqrt(2.0))


def _hard_tanh(u: Array) -> Array:
    return jnp.clip(u, -1.0, 1.0)


def _linear(u: Array) -> Array:
    return u


UNITS: dict[str, Callable[[Any], Any]] = {
    "linear": _linear,
    "tanh": jnp.tanh,
    "erf": _erf,
    "relu": jax.nn.relu,
    "hard-tanh": _hard_tanh,
}


class Carried(NamedTuple):
    """A point of a layer with what is carried along.

    Args:
        layer: the layers' own state.
        point: x, shape (n,).
        tangents: e_a, shape (k, n).
        second: H_ab, shape (k, k, n), or None.
    """

    layer: SignalState
    point: Float[Array, " n"]
    tangents: Float[Array, "k n"]
    second: Float[Array, "k k n"] | None


class CarriedNetwork(eqx.Module):
    """Layers that carry tangent vectors, and second derivatives where they are given, along with a signal."""

    network: Process

    def init(self, key: Key[Array, ""], start: Any) -> Carried:
        """Start from (x, e) or (x, e, H)."""
        point, tangents = jnp.asarray(start[0]), jnp.asarray(start[1])
        second = jnp.asarray(start[2]) if len(start) > 2 else None
        return Carried(self.network.init(key, point), point, tangents, second)

    def step(self, key: Key[Array, ""], t: Any, state: Carried) -> tuple[Carried, None]:
        """One layer on."""

        def layer(x: Array) -> Array:
            return self.network.step(key, t, state.layer._replace(signal=x[None, :]))[0].signal[0]

        if state.second is None:
            point, push = jax.linearize(layer, state.point)
            return Carried(state.layer, point, jax.vmap(push)(state.tangents), None), None
        moved = push_surface(layer, state.point, state.tangents, state.second)
        return Carried(state.layer, *moved), None


def carried(network: Process) -> Process:
    """A process on `Carried`, begun with (x, e) or (x, e, H), from one on `SignalState` with equal widths."""
    moves = CarriedNetwork(network)
    return Process(moves.init, moves.step)


class CarriedCurve(eqx.Module):
    """One network at many points of a curve; the fields of `Carried` have the points in front."""

    network: Process

    def init(self, key: Key[Array, ""], start: Any) -> Carried:
        """Start from points (m, n), velocities (m, n) and accelerations (m, n)."""
        points, velocity, acceleration = (jnp.asarray(x) for x in start)
        layer = self.network.init(key, points[0])
        return Carried(layer, points, velocity[:, None], acceleration[:, None, None])

    def step(self, key: Key[Array, ""], t: Any, state: Carried) -> tuple[Carried, None]:
        """One layer on, with the same weights everywhere."""
        assert state.second is not None

        def layer(x: Array) -> Array:
            return self.network.step(key, t, state.layer._replace(signal=x[None, :]))[0].signal[0]

        def push(x: Array, v: Array, h: Array) -> tuple[Array, Array, Array]:
            return push_curve(layer, x, v, h)

        point, velocity, acceleration = jax.vmap(push)(
            state.point, state.tangents[:, 0], state.second[:, 0, 0]
        )
        return Carried(state.layer, point, velocity[:, None], acceleration[:, None, None]), None


def carried_curve(network: Process) -> Process:
    """A process on `Carried` along a curve, begun with (x, dx/dt, d^2x/dt^2) at m points, each (m, n)."""
    moves = CarriedCurve(network)
    return Process(moves.init, moves.step)


def orthogonal_rows(key: Key[Array, ""], k: int, n: int) -> Float[np.ndarray, "k n"]:
    """K orthogonal directions of length sqrt(n), uniform; a function of the key alone."""
    require(k <= n, "k", f"be at most n = {n}", k)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    frame, _ = np.linalg.qr(random.standard_normal((n, k)))
    return np.sqrt(n) * frame.T
