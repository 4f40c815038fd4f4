"""Drift and diffusion to one of two bounds: the smallest model of a decision in time.

    dX = mu dt + s dB,   X(0) = x_0 in (-a, a),   decided for +1 or -1 where X first leaves (-a, a)

Steps of length dt see X at the steps only and miss excursions in between: they decide late, as if the bounds
lay 0.5826 s sqrt(dt) further out. `corrected` bounds are moved inwards by that much, which leaves an error of
order dt instead of sqrt(dt).

Time: the unit of mu and s.

Source: Ratcliff 1978, Psychol. Rev. 85:59 (the model in decisions); Siegmund 1979, Adv. Appl. Prob. 11:701,
and Broadie, Glasserman and Kou 1997, Math. Finance 7:325 (the correction, -zeta(1/2)/sqrt(2 pi)).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Key

from neuromanifold._base import check_real, require
from neuromanifold.dynamics import Process

# -zeta(1/2)/sqrt(2 pi)
OVERSHOOT = 0.5825971579390106


class DiffusionState(NamedTuple):
    """Many paths of one decision.

    Args:
        position: X; it stays where it left.
        choice: +1, -1, or 0 while undecided.
        time: time of the decision, or the time so far.
    """

    position: Float[Array, " n_paths"]
    choice: Int[Array, " n_paths"]
    time: Float[Array, " n_paths"]


class DriftDiffusion(eqx.Module):
    """Two-choice drift diffusion; see the module's header.

    Args:
        drift: mu.
        noise: s > 0.
        bound: a > 0.
        dt: length of a step, > 0; the corrected bound must stay positive.
        corrected: bounds moved inwards by 0.5826 s sqrt(dt).

    Raises:
        ValueError: an argument outside its range.

    >>> import jax, jax.numpy as jnp
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.decision import DriftDiffusion
    >>> model = DriftDiffusion(0.5, 1.0, 1.0, dt=0.01)
    >>> made = run(model.process(), jax.random.key(0), jnp.zeros(4000), 1000).state
    >>> up = float(jnp.mean(made.choice == 1))
    >>> abs(up - 0.731) < 0.03
    True
    """

    drift: Float[Array, ""]
    noise: Float[Array, ""]
    bound: Float[Array, ""]
    dt: Float[Array, ""]
    step_bound: Float[Array, ""]

    def __init__(self, drift: float, noise: float, bound: float, *, dt: float, corrected: bool = True):
        drift = check_real("drift", drift)
        noise = check_real("noise", noise, 0.0, open_low=True)
        bound = check_real("bound", bound, 0.0, open_low=True)
        dt = check_real("dt", dt, 0.0, open_low=True)
        inner = bound - OVERSHOOT * noise * np.sqrt(dt) if corrected else bound
        require(
            inner > 0, "dt", f"be below (bound/(0.5826 noise))^2 = {(bound / OVERSHOOT / noise) ** 2:g}", dt
        )
        self.drift, self.noise, self.bound, self.dt, self.step_bound = map(
            jnp.asarray, (drift, noise, bound, dt, inner)
        )

    def process(self) -> Process:
        """One step of length dt; begins with positions inside the bounds, shape (n_paths,)."""
        return Process(self.init, self.step)

    def init(self, key: Any, start: ArrayLike) -> DiffusionState:
        """Undecided paths.

        Raises:
            ValueError: a start outside the bounds.
        """
        del key
        x = jnp.asarray(start, jnp.result_type(float))
        require(x.ndim == 1, "start", "have shape (n_paths,)", x.shape)
        if not isinstance(x, Tracer):
            worst = float(jnp.max(jnp.abs(x)))
            require(
                worst < float(self.step_bound), "start", f"lie within +-{float(self.step_bound):g}", worst
            )
        return DiffusionState(x, jnp.zeros(x.shape, jnp.int32), jnp.zeros_like(x))

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], state: DiffusionState
    ) -> tuple[DiffusionState, Float[Array, ""]]:
        """One step of all undecided paths; the information is the share that is undecided."""
        del t
        kind = state.position.dtype
        move = self.drift * self.dt + self.noise * jnp.sqrt(self.dt) * jax.random.normal(
            key, state.position.shape, kind
        )
        open_ = state.choice == 0
        x = jnp.where(open_, state.position + move.astype(kind), state.position)
        choice = jnp.where(open_ & (x >= self.step_bound), 1, state.choice)
        choice = jnp.where(open_ & (x <= -self.step_bound), -1, choice)
        time = jnp.where(open_, state.time + self.dt.astype(kind), state.time)
        return DiffusionState(x, choice, time), jnp.mean(choice == 0, dtype=kind)
