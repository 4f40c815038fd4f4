"""Simulated annealing: Metropolis or heat bath while the temperature falls.

Of an Ising, QUBO or Boltzmann energy, `annealing` moves many copies (reads) at once, one step a sweep over
all units. It carries the best states seen and says, each step, temperature, energies and shares of units that
turned. For any energy on any states see `annealing_of`.

Temperatures: a schedule t -> T that falls (geometric, linear, logarithmic, `Hajek`), a constant, or
`Adaptive`, which lets the mean energy fall by a fixed number of its own standard deviations a sweep,

    T' = T exp(-speed T / sigma_E),        since d<E>/dT = sigma_E^2 / T^2.

Symbols: E energy, T temperature, sigma_E standard deviation of the energy over reads. Time: sweeps.

Source: Kirkpatrick, Gelatt and Vecchi 1983, Science 220:671; Hajek 1988, Math. Oper. Res. 13:311; Huang,
Romeo and Sangiovanni-Vincentelli 1986, Proc. ICCAD, for the adaptive rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from neuromanifold._base import check_choice, check_integer, check_real, require
from neuromanifold.dynamics import Process, Schedule, run
from neuromanifold.networks.energy._ising import Ising, IsingModel, check_start, random_spins
from neuromanifold.networks.energy._sweeps import RULES, Sweeper

# Sweeps after which fields are computed anew, so that roundings of changes do not add up.
_REFRESH = 64


class Hajek(eqx.Module):
    """The schedule T(t) = c / log(t + 2) of step t = 0, 1, 2 ...

    The chain ends in the global minima with probability one if and only if c is at least the depth of the
    deepest local minimum that is not global (`neuromanifold.theory.energy.barrier_depth`).

    Args:
        scale: c > 0, in units of the energy.

    Raises:
        ValueError: c not positive.

    Source: Hajek 1988, theorem 1 (his steps begin with 1).
    """

    scale: Array

    def __init__(self, scale: float) -> None:
        self.scale = jnp.asarray(check_real("scale", scale, 0, open_low=True), jnp.result_type(float))

    def __call__(self, t: Any) -> Float[Array, ""]:
        """Temperature of step t."""
        return self.scale / jnp.log(jnp.asarray(t, self.scale.dtype) + 2.0)


class Adaptive(eqx.Module):
    """Temperatures that the energies of the reads decide; at least two reads.

    Args:
        start: first temperature, > stop.
        stop: last temperature, > 0.
        speed: standard deviations by which the mean energy may fall a sweep, > 0.
        memory: share of its old value that the variance keeps each sweep, in [0, 1).

    Raises:
        ValueError: an argument outside its range, or a temperature that would rise.
    """

    start: float
    stop: float
    speed: float
    memory: float

    def __init__(self, start: float, stop: float, speed: float = 0.05, memory: float = 0.8) -> None:
        self.stop = check_real("stop", stop, 0, open_low=True)
        self.start = check_real("start", start)
        require(self.start > self.stop, "start", f"be above stop = {self.stop:g}", start)
        self.speed = check_real("speed", speed, 0, open_low=True)
        self.memory = check_real("memory", memory, 0, 1, open_high=True)

    def begin(self, energy: Float[Array, " reads"]) -> tuple[Array, Array]:
        """The first temperature and variance."""
        return jnp.full((), self.start, energy.dtype), jnp.var(energy, ddof=1)

    def follow(self, now: tuple[Array, ...], energy: Float[Array, " reads"]) -> tuple[Array, Array]:
        """Temperature and variance after a sweep."""
        temperature, variance = now
        variance = self.memory * variance + (1 - self.memory) * jnp.var(energy, ddof=1)
        # Where all reads agree nothing limits the step but this factor of one half.
        exponent = jnp.minimum(self.speed * temperature / jnp.sqrt(variance + 1e-30), jnp.log(2.0))
        return jnp.maximum(temperature * jnp.exp(-exponent), self.stop), variance


Temperature = float | Callable[..., Any] | Adaptive


class AnnealingState(NamedTuple):
    """What the next sweep needs.

    Args:
        spins: states +-1 of all reads.
        fields: their local fields.
        energy: their energies.
        best_spins: the best state that each read was in after a sweep.
        best_energy: its energy.
        control: temperature and variance of an adaptive schedule; empty otherwise.
    """

    spins: Float[Array, "reads n_units"]
    fields: Float[Array, "reads n_units"]
    energy: Float[Array, " reads"]
    best_spins: Float[Array, "reads n_units"]
    best_energy: Float[Array, " reads"]
    control: tuple[Array, ...]


class AnnealingInfo(NamedTuple):
    """What a sweep was.

    Args:
        temperature: T of the sweep.
        acceptance: share of units that turned, for each read.
        energy: E after it, for each read.
    """

    temperature: Float[Array, ""]
    acceptance: Float[Array, " reads"]
    energy: Float[Array, " reads"]


class _Annealing(eqx.Module):
    model: Ising
    sweeper: Sweeper
    temperature: Callable[..., Any] | Adaptive

    def init(self, key: Any, spins: Any) -> AnnealingState:
        del key
        model = self.model
        spins = check_start("spins", spins, model.n_units, model.couplings.dtype)
        require(spins.ndim == 2, "spins", f"have shape (n_reads, {model.n_units})", spins.shape)
        fields = model.local_fields(spins)
        energy = model.energy_of(spins, fields)
        control: tuple[Array, ...] = ()
        if isinstance(self.temperature, Adaptive):
            require(len(spins) >= 2, "spins", "hold at least two reads for an adaptive schedule", len(spins))
            control = self.temperature.begin(energy)
        return AnnealingState(spins, fields, energy, spins, energy, control)

    def step(
        self, key: Key[Array, ""], t: Int[Array, ""], state: AnnealingState
    ) -> tuple[AnnealingState, AnnealingInfo]:
        model, rule = self.model, self.temperature
        temperature = state.control[0] if isinstance(rule, Adaptive) else jnp.asarray(rule(t))
        fields = jax.lax.cond(
            t % _REFRESH == 0, lambda: model.local_fields(state.spins), lambda: state.fields
        )
        spins, fields, turned = self.sweeper(key, temperature[None], state.spins, fields)
        energy = model.energy_of(spins, fields)
        better = energy < state.best_energy
        moved = AnnealingState(
            spins,
            fields,
            energy,
            jnp.where(better[:, None], spins, state.best_spins),
            jnp.where(better, energy, state.best_energy),
            rule.follow(state.control, energy) if isinstance(rule, Adaptive) else (),
        )
        return moved, AnnealingInfo(temperature, turned / model.n_units, energy)


def annealing(model: IsingModel, temperature: Temperature, *, rule: str = "metropolis") -> Process:
    """Simulated annealing of an energy of two-valued units, one sweep a step.

    It begins with spins +-1 of shape (n_reads, n_units) (`random_spins`), which move together and
    independently of each other. A sweep costs n_reads N^2 multiplications.

    Args:
        model: `Ising`, `Qubo`, or anything that says which Ising energy it is.
        temperature: a number > 0, a schedule t -> T that falls, or `Adaptive`.
        rule: "metropolis" or "heat bath".

    Raises:
        ValueError: an unknown rule; a temperature that is not positive, or a `Schedule` that rises or ends at
            zero.

    >>> import jax
    >>> from neuromanifold.dynamics import cooling, run
    >>> from neuromanifold.networks.energy import Ising, annealing, random_spins
    >>> chain = Ising([[0, 1, 0], [1, 0, -1], [0, -1, 0]], biases=[0.5, 0.0, 0.0])
    >>> process = annealing(chain, cooling("geometric", 5.0, 0.1, 20))
    >>> run(process, jax.random.key(0), random_spins(jax.random.key(1), 2, 3), 20).state.best_energy.tolist()
    [-2.5, -2.5]
    """
    check_choice("rule", rule, RULES)
    ising = model.ising()
    module = _Annealing(ising, Sweeper(ising, rule), check_temperature(temperature))
    return Process(module.init, module.step)


def check_temperature(temperature: Any) -> Any:
    """A number > 0 as a schedule that stays there; a schedule, checked as far as it says what it is.

    Raises:
        ValueError: a number or an end of a `Schedule` that is not positive, or a `Schedule` that rises.
    """
    if isinstance(temperature, Schedule):
        require(temperature.stop > 0, "temperature", "stay above 0", temperature.stop)
        ends = temperature.start, temperature.stop
        require(ends[1] <= ends[0], "temperature", "never rise", ends)
    if callable(temperature) or isinstance(temperature, Adaptive):
        return temperature
    value = check_real("temperature", temperature, 0, open_low=True)
    return _Constant(jnp.asarray(value, jnp.result_type(float)))


class _Constant(eqx.Module):
    value: Array

    def __call__(self, t: Any) -> Array:
        return self.value


def check_falling(temperature: Any, n_steps: int) -> None:
    """Refuse a schedule with a temperature in its n_steps steps that is not positive or above the one before.

    Raises:
        ValueError: such a temperature; the message gives it.
    """
    values = np.asarray(jax.vmap(temperature)(jnp.arange(max(n_steps, 1))), np.float64)
    bad = ~(values > 0)
    require(not bad.any(), "temperature", "stay above 0", values[bad][:1].tolist())
    rises = np.flatnonzero(np.diff(values) > 1e-6 * values[:-1])
    pair = values[rises[0] : rises[0] + 2].tolist() if len(rises) else []
    require(not len(rises), "temperature", "never rise", pair)


class Annealed(NamedTuple):
    """What `anneal` returns; states are in the model's own variables, energies exact for them.

    Args:
        best_states: the best state of each read, shape (n_reads, n_units).
        best_energies: their energies.
        last_states: the state of each read at the end.
        last_energies: their energies.
        times: sweeps after which the traces were taken, shape (n_times,).
        temperatures: T at those sweeps, shape (n_times,).
        acceptance: share of units that turned, shape (n_times, n_reads).
        energies: energies, shape (n_times, n_reads).
    """

    best_states: np.ndarray
    best_energies: np.ndarray
    last_states: np.ndarray
    last_energies: np.ndarray
    times: np.ndarray
    temperatures: np.ndarray
    acceptance: np.ndarray
    energies: np.ndarray


def anneal(
    key: Key[Array, ""],
    model: IsingModel,
    n_sweeps: int,
    temperature: Temperature | None = None,
    *,
    n_reads: int = 1,
    start: Any = None,
    rule: str = "metropolis",
    every: int = 1,
    run: Callable[..., Any] = run,
) -> Annealed:
    """Look for low energies by simulated annealing.

    Args:
        key: a typed key.
        model: `Ising`, `Qubo`, or anything that says which Ising energy it is.
        n_sweeps: sweeps of each read, >= 1.
        temperature: a number > 0, a schedule t -> T that falls, or `Adaptive`; None falls geometrically
            through `temperature_range`.
        n_reads: independent reads, >= 1; those of `start` where that is given.
        start: spins +-1, shape (n_reads, n_units); None draws them at random.
        rule: "metropolis" or "heat bath".
        every: sweeps between two entries of the traces, >= 1.
        run: `neuromanifold.dynamics.run`, or one that checkpoints.

    Raises:
        ValueError: an argument outside its range; a temperature that rises or is not positive.

    >>> import jax
    >>> from neuromanifold.networks.energy import Qubo, anneal
    >>> cover = Qubo([[-1.0, 2.0, 0.0], [0.0, -1.0, 2.0], [0.0, 0.0, -1.5]])
    >>> found = anneal(jax.random.key(0), cover, 50, n_reads=4)
    >>> found.best_states[0].tolist(), found.best_energies.tolist()
    ([1.0, 0.0, 1.0], [-2.5, -2.5, -2.5, -2.5])
    """
    n_sweeps = check_integer("n_sweeps", n_sweeps, 1)
    n_reads = check_integer("n_reads", n_reads, 1)
    ising = model.ising()
    if temperature is None:
        temperature = Schedule("geometric", *temperature_range(ising), n_sweeps)
    process = annealing(ising, temperature, rule=rule)
    if callable(temperature):
        check_falling(temperature, n_sweeps)
    key_start, key_run = jax.random.split(key)
    spins = random_spins(key_start, n_reads, ising.n_units) if start is None else start
    made = run(process, key_run, spins, n_sweeps, observe_info=_everything, every=every, label="annealing")
    best, last = (model.variables(x) for x in (made.state.best_spins, made.state.spins))
    best_energy, last_energy = (_energy(ising, x) for x in (made.state.best_spins, made.state.spins))
    return Annealed(
        np.asarray(best),
        best_energy,
        np.asarray(last),
        last_energy,
        made.times[1:],
        np.asarray(made.infos.temperature),
        np.asarray(made.infos.acceptance),
        np.asarray(made.infos.energy),
    )


def _everything(info: Any) -> Any:
    return info


def _energy(model: Ising, spins: Any) -> np.ndarray:
    """Energies in double precision."""
    s, couplings, biases = (np.asarray(x, np.float64) for x in (spins, model.couplings, model.biases))
    return -0.5 * np.sum(s * (s @ couplings), -1) - s @ biases + float(model.offset)


def temperature_range(model: IsingModel) -> tuple[float, float]:
    """Temperatures between which annealing is worth its while: (highest, lowest).

    With a_i = (sum_j J_ij^2 + b_i^2)^(1/2), the size of a field among random spins: from 2 max_i a_i, where
    most proposals are accepted, to a tenth of the mean of those a_i that are not zero, where few are.

    Args:
        model: an energy of two-valued units.

    Raises:
        ValueError: an energy that is the same for all states.
    """
    ising = model.ising()
    couplings, biases = np.asarray(ising.couplings, np.float64), np.asarray(ising.biases, np.float64)
    size = np.sqrt(np.sum(couplings**2, 1) + biases**2)
    require(size.max() > 0, "model", "have an energy that differs between states", "couplings and biases 0")
    return 2.0 * float(size.max()), 0.1 * float(size[size > 0].mean())
