"""Spin glasses drawn anew for every replica of a run, annealed or tempered."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from neuromanifold.data import sherrington_kirkpatrick
from neuromanifold.dynamics import Process, Schedule
from neuromanifold.networks.energy import (
    AnnealingState,
    Ising,
    TemperingState,
    annealing,
    parallel_tempering,
    random_spins,
)


class GlassState(NamedTuple):
    """A glass and what moves in it."""

    model: Ising
    moving: Any


class AnnealedGlass(eqx.Module):
    """Annealing of a Sherrington-Kirkpatrick instance by some reads.

    Units beyond N are not coupled and have no energy, so that all sizes share one compiled program.

    Args:
        schedule: temperatures.
        n_units: N <= n_places.
        n_places: units of the program.
        n_reads: reads of the instance.
        couplings: "gaussian" or "signs".
    """

    schedule: Schedule
    n_units: Array
    n_places: int = eqx.field(static=True)
    n_reads: int = eqx.field(static=True)
    couplings: str = eqx.field(static=True)

    def process(self) -> Process:
        """Begun with anything: the key of a replica draws its instance."""
        return Process(self.init, self.step)

    @eqx.filter_jit
    def init(self, key: Key[Array, ""], x0: Any) -> GlassState:
        """An instance and random spins."""
        del x0
        key_model, key_spins = jax.random.split(key)
        couplings = sherrington_kirkpatrick(key_model, self.n_places, self.couplings)
        present = jnp.arange(self.n_places) < self.n_units
        scale = jnp.where(present[:, None] & present[None, :], jnp.sqrt(self.n_places / self.n_units), 0.0)
        model = Ising(couplings * scale)
        spins = random_spins(key_spins, self.n_reads, self.n_places)
        return GlassState(model, annealing(model, self.schedule).init(key, spins))

    def step(self, key: Key[Array, ""], t: Any, state: GlassState) -> tuple[GlassState, None]:
        """One sweep of all reads."""
        moving, _ = annealing(state.model, self.schedule).step(key, t, state.moving)
        return GlassState(state.model, moving), None

    def best(self, state: GlassState) -> Float[Array, " reads"]:
        """The best energy per unit of each read so far."""
        moving: AnnealingState = state.moving
        return moving.best_energy / self.n_units


class TemperedGlass(eqx.Module):
    """Two independent ladders of temperatures on one Gaussian Sherrington-Kirkpatrick instance.

    Args:
        temperatures: the ladder, falling.
        n_units: N.
    """

    temperatures: tuple[float, ...] = eqx.field(static=True)
    n_units: int = eqx.field(static=True)

    def process(self) -> Process:
        """Begun with anything: the key of a replica draws its instance."""
        return Process(self.init, self.step)

    @eqx.filter_jit
    def init(self, key: Key[Array, ""], x0: Any) -> GlassState:
        """An instance and random spins."""
        del x0
        key_model, key_spins = jax.random.split(key)
        model = Ising(sherrington_kirkpatrick(key_model, self.n_units))
        n = len(self.temperatures)
        spins = random_spins(key_spins, 2 * n, self.n_units).reshape(2, n, self.n_units)
        return GlassState(model, jax.vmap(lambda x: self._ladder(model).init(None, x))(spins))

    def step(self, key: Key[Array, ""], t: Any, state: GlassState) -> tuple[GlassState, None]:
        """One sweep and one exchange of both ladders."""
        ladder = self._ladder(state.model)
        moving = jax.vmap(lambda key, one: ladder.step(key, t, one)[0])(jax.random.split(key), state.moving)
        return GlassState(state.model, moving), None

    def _ladder(self, model: Ising) -> Process:
        return parallel_tempering(model, self.temperatures)

    def energy_and_overlap(self, state: GlassState) -> Float[Array, "2 temperatures"]:
        """At each temperature: energy per unit, and q_l, the mean of s_i s_j s'_i s'_j over pairs i < j."""
        moving: TemperingState = state.moving
        n = self.n_units
        total = jnp.sum(moving.spins[0] * moving.spins[1], -1)
        return jnp.stack([jnp.mean(moving.energy, 0) / n, (total**2 - n) / (n * (n - 1))])
