"""Parallel tempering: copies of an Ising energy at different temperatures that change places.

A step is one sweep of every copy at its own temperature, then an exchange between neighbours on the ladder
T_1 > T_2 > ... > T_K, of the even and the odd pairs in turn,

    P(exchange k, k + 1) = min{1, exp((1/T_k - 1/T_{k+1}) (E_k - E_{k+1}))},

which keeps the product of the laws exp(-E_k/T_k). Copies that are hot forget where they were, and come down.

Symbols: T temperatures, E energies. Time: sweeps.

Source: Swendsen and Wang 1986, Phys. Rev. Lett. 57:2607; Hukushima and Nemoto 1996, J. Phys. Soc. Jpn.
65:1604.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from neuromanifold._base import check_choice, check_finite, require
from neuromanifold.dynamics import Process
from neuromanifold.networks.energy._ising import Ising, IsingModel, check_start
from neuromanifold.networks.energy._sweeps import RULES, Sweeper

# Sweeps after which fields are computed anew, so that roundings of changes do not add up.
_REFRESH = 64


class TemperingState(NamedTuple):
    """What the next step needs, for the copy that is at each temperature.

    Args:
        spins: states +-1.
        fields: their local fields.
        energy: their energies.
        walker: which copy it is, by the temperature where that copy began.
        best_spins: the best state seen at any temperature.
        best_energy: its energy.
    """

    spins: Float[Array, "temperatures n_units"]
    fields: Float[Array, "temperatures n_units"]
    energy: Float[Array, " temperatures"]
    walker: Int[Array, " temperatures"]
    best_spins: Float[Array, " n_units"]
    best_energy: Float[Array, ""]


class TemperingInfo(NamedTuple):
    """What a step was.

    Args:
        acceptance: share of units that turned, at each temperature.
        proposed: whether the pair k, k + 1 might change places this time.
        exchanged: whether it did.
        energy: energies after the step.
    """

    acceptance: Float[Array, " temperatures"]
    proposed: Bool[Array, " pairs"]
    exchanged: Bool[Array, " pairs"]
    energy: Float[Array, " temperatures"]


class _Tempering(eqx.Module):
    model: Ising
    sweeper: Sweeper
    temperatures: Float[Array, " temperatures"]

    def init(self, key: Any, spins: Any) -> TemperingState:
        del key
        model, n = self.model, len(self.temperatures)
        spins = check_start("spins", spins, model.n_units, model.couplings.dtype)
        shape = (n, model.n_units)
        require(spins.shape in (shape, shape[1:]), "spins", f"have shape {shape}", spins.shape)
        spins = jnp.broadcast_to(spins.reshape(-1, model.n_units), shape)
        fields = model.local_fields(spins)
        energy = model.energy_of(spins, fields)
        best = jnp.argmin(energy)
        return TemperingState(spins, fields, energy, jnp.arange(n), spins[best], energy[best])

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], state: TemperingState
    ) -> tuple[TemperingState, TemperingInfo]:
        model, n = self.model, len(self.temperatures)
        key_sweep, key_exchange = jax.random.split(key)
        fields = jax.lax.cond(
            t % _REFRESH == 0, lambda: model.local_fields(state.spins), lambda: state.fields
        )
        spins, fields, turned = self.sweeper(key_sweep, self.temperatures, state.spins, fields)
        energy = model.energy_of(spins, fields)
        lowest = jnp.argmin(energy)
        better = energy[lowest] < state.best_energy
        gain = jnp.diff(1.0 / self.temperatures) * jnp.diff(energy)
        proposed = jnp.arange(n - 1) % 2 == t % 2
        exchanged = proposed & (jnp.log(jax.random.uniform(key_exchange, (n - 1,))) < gain)
        down = jnp.concatenate([exchanged, jnp.zeros(1, bool)])
        up = jnp.concatenate([jnp.zeros(1, bool), exchanged])
        place = jnp.arange(n) + down.astype(int) - up.astype(int)
        moved = TemperingState(
            spins[place],
            fields[place],
            energy[place],
            state.walker[place],
            jnp.where(better, spins[lowest], state.best_spins),
            jnp.where(better, energy[lowest], state.best_energy),
        )
        return moved, TemperingInfo(turned / model.n_units, proposed, exchanged, moved.energy)


def parallel_tempering(model: IsingModel, temperatures: Any, *, rule: str = "metropolis") -> Process:
    """Parallel tempering of an energy of two-valued units, one sweep and one exchange a step.

    It begins with spins +-1 of shape (n_temperatures, n_units), or (n_units,) for all alike. Independent
    ladders are replicas of a run.

    Args:
        model: `Ising`, `Qubo`, or anything that says which Ising energy it is.
        temperatures: T > 0, falling, shape (n_temperatures,), at least two.
        rule: "metropolis" or "heat bath".

    Raises:
        ValueError: an unknown rule; temperatures that are not positive or do not fall.

    >>> import jax, numpy as np
    >>> from neuromanifold.dynamics import run
    >>> from neuromanifold.networks.energy import Ising, parallel_tempering, random_spins
    >>> magnet = Ising(0.1 * (1 - np.eye(20)))
    >>> ladder = parallel_tempering(magnet, [2.5, 1.5, 0.5])
    >>> state = run(ladder, jax.random.key(0), random_spins(jax.random.key(1), 3, 20), 100).state
    >>> f"{float(state.best_energy):.1f}"    # all units alike
    '-19.0'
    """
    check_choice("rule", rule, RULES)
    ladder = check_finite("temperatures", temperatures).astype(np.float64)
    require(ladder.ndim == 1 and ladder.size >= 2, "temperatures", "be at least two", temperatures)
    require(np.all(ladder > 0), "temperatures", "be > 0", temperatures)
    require(np.all(np.diff(ladder) < 0), "temperatures", "fall", temperatures)
    ising = model.ising()
    module = _Tempering(ising, Sweeper(ising, rule), jnp.asarray(ladder, ising.couplings.dtype))
    return Process(module.init, module.step)
