"""Quantum annealing by path integrals: a transverse field as copies of the spins in imaginary time.

    H = E(Z) - Gamma sum_i X_i     at temperature T becomes, with P slices (Suzuki and Trotter),

    weight  exp( - (1/(P T)) sum_k E(s^k) + K sum_{k,i} s_i^k s_i^{k+1} ),   K = - (1/2) ln tanh(Gamma/(P T)),

slices closed to a ring. Averages over it are those of the quantum system up to terms of order (Gamma/(P T))^2
and (J Gamma/(P T)^2). A step is a sweep of all even slices, then of all odd ones: slices of one parity do not
touch each other, so each is a sweep at temperature P T with the neighbours as a field of size P T K. While
Gamma falls to 0 the slices lock together, and each is a candidate.

Symbols: P slices, Gamma transverse field, K coupling in imaginary time. Time: sweeps of all slices.

Source: Suzuki 1976, Prog. Theor. Phys. 56:1454; Santoro, Martonak, Tosatti and Car 2002, Science 295:2427.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import Process, Schedule
from neuromanifold.networks.energy._ising import Ising, IsingModel, check_start
from neuromanifold.networks.energy._sweeps import RULES, Sweeper


class PathState(NamedTuple):
    """What the next step needs.

    Args:
        spins: states +-1 of the slices.
        energy: their classical energies E(s^k).
        best_spins: the best slice seen.
        best_energy: its energy.
    """

    spins: Float[Array, "slices n_units"]
    energy: Float[Array, " slices"]
    best_spins: Float[Array, " n_units"]
    best_energy: Float[Array, ""]


class PathInfo(NamedTuple):
    """What a step was: the transverse field, the share of units that turned, the energies of slices."""

    field: Float[Array, ""]
    acceptance: Float[Array, " slices"]
    energy: Float[Array, " slices"]


class _PathIntegral(eqx.Module):
    model: Ising
    sweeper: Sweeper
    field: Callable[..., Any]
    temperature: Array
    n_slices: int = eqx.field(static=True)

    def init(self, key: Any, spins: Any) -> PathState:
        del key
        model = self.model
        spins = check_start("spins", spins, model.n_units, model.couplings.dtype)
        shape = (self.n_slices, model.n_units)
        require(spins.shape in (shape, shape[1:]), "spins", f"have shape {shape}", spins.shape)
        spins = jnp.broadcast_to(spins.reshape(-1, model.n_units), shape)
        energy = model.energy(spins)
        best = jnp.argmin(energy)
        return PathState(spins, energy, spins[best], energy[best])

    def step(self, key: Key[Array, ""], t: Int[Array, ""], state: PathState) -> tuple[PathState, PathInfo]:
        model, field = self.model, jnp.asarray(self.field(t))
        warm = self.n_slices * self.temperature
        bond = -0.5 * warm * jnp.log(jnp.tanh(field / warm))
        spins = state.spins.reshape(self.n_slices // 2, 2, -1)
        turned = []
        for parity, one in enumerate(jax.random.split(key)):
            there = spins[:, 1 - parity]
            # Slice 2k stands between 2k - 1 and 2k + 1, slice 2k + 1 between 2k and 2k + 2.
            beside = there + jnp.roll(there, 1 - 2 * parity, 0)
            mine = spins[:, parity]
            after, _, count = self.sweeper(one, warm[None], mine, model.local_fields(mine) + bond * beside)
            spins = spins.at[:, parity].set(after)
            turned.append(count)
        flat = spins.reshape(self.n_slices, -1)
        energy = model.energy(flat)
        lowest = jnp.argmin(energy)
        better = energy[lowest] < state.best_energy
        moved = PathState(
            flat,
            energy,
            jnp.where(better, flat[lowest], state.best_spins),
            jnp.where(better, energy[lowest], state.best_energy),
        )
        share = jnp.stack(turned, 1).reshape(-1) / model.n_units
        return moved, PathInfo(field, share, energy)


def path_integral_annealing(
    model: IsingModel,
    field: float | Callable[..., Any],
    temperature: float,
    n_slices: int,
    *,
    rule: str = "metropolis",
) -> Process:
    """Quantum annealing, or a quantum system in equilibrium, by path integrals; one sweep a step.

    It begins with spins +-1 of shape (n_slices, n_units), or (n_units,) for all alike. Independent runs are
    replicas.

    Args:
        model: `Ising`, `Qubo`, or anything that says which Ising energy it is.
        field: transverse field Gamma > 0, a number or a schedule t -> Gamma that falls.
        temperature: T > 0 of the quantum system.
        n_slices: P, even, >= 4.
        rule: "metropolis" or "heat bath".

    Raises:
        ValueError: an unknown rule; a field or a temperature that is not positive; a `Schedule` that rises or
            ends at zero; an odd or too small number of slices.
    """
    check_choice("rule", rule, RULES)
    n_slices = check_integer("n_slices", n_slices, 4)
    require(n_slices % 2 == 0, "n_slices", "be even", n_slices)
    if isinstance(field, Schedule):
        ends = field.start, field.stop
        require(ends[1] > 0, "field", "stay above 0", ends[1])
        require(ends[1] <= ends[0], "field", "never rise", ends)
    elif not callable(field):
        field = _Constant(jnp.asarray(check_real("field", field, 0, open_low=True), jnp.result_type(float)))
    ising = model.ising()
    warmth = jnp.asarray(check_real("temperature", temperature, 0, open_low=True), ising.couplings.dtype)
    module = _PathIntegral(ising, Sweeper(ising, rule), field, warmth, n_slices)
    return Process(module.init, module.step)


class _Constant(eqx.Module):
    value: Array

    def __call__(self, t: Any) -> Array:
        return self.value
