"""Logarithmic schedules on a chain with one local minimum: the exact law against walkers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import run as run_process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    proportion,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.energy import Hajek, annealing_of
from neuromanifold.theory.energy import ExactChain, ScaledLogarithm, barrier_depth, gibbs_law, path_proposal


class _Path(eqx.Module):
    """A walker on a path of states."""

    energies: Array

    def energy(self, state: Array) -> Array:
        return self.energies[state]

    def propose(self, key: Key[Array, ""], state: Array) -> tuple[Array, float, float]:
        """One step left or right; off the ends it stays."""
        step = jnp.where(jax.random.bernoulli(key), 1, -1)
        return jnp.clip(state + step, 0, len(self.energies) - 1), 0.0, 0.0


@experiment(
    Card(
        name="annealing-schedules",
        title="How slowly to cool: the depth of the deepest trap",
        topic="annealing",
        lecture="B",
        systems=("B5", "D5"),
        idea=(
            "Simulated annealing takes every step downhill and some uphill, fewer as it cools. With the "
            "temperature c / log(t + 2) it ends in the global minimum if and only if c is at least the depth "
            "of the deepest local minimum that is not global. On a chain of seven states that depth is 1.5. "
            "The law of the chain is moved exactly, and walkers that know nothing of it are counted. Below "
            "the depth they stall where they are; at it and above they go on improving, the largest c being "
            "slow to cool."
        ),
        equations=(
            ("Metropolis", r"P(i \to j) = q_{ij} \min \{ 1, e^{-(E_j - E_i)/T} \}"),
            ("Schedule", r"T(t) = \frac{c}{\log(t + 2)}, \quad P(\mathrm{global}) \to 1 \iff c \ge d^*"),
            ("Constant temperature", r"P(i) = e^{-E_i/T} / Z"),
        ),
        sources=("kirkpatrickgelattvecchi1983", "hajek1988"),
        caption=(
            "Left: probability of the global minimum against the number of proposals, for five scales c of "
            "the schedule; lines: exact law, points: walkers. The depth of the trap is 1.5. Right: the law "
            "at a constant temperature, and the energies of the seven states."
        ),
    ),
    full={"n_walkers": 10000, "n_proposals": 20000},
)
class AnnealingSchedules:
    """Success of logarithmic schedules, and the law at constant temperature."""

    energies: tuple[float, ...] = parameter(
        (0.0, 1.0, 2.0, 1.0, 0.5, 1.0, 2.5), doc="energies of the states of the chain", unit="energy"
    )
    start: int = parameter(4, doc="state in which all begin", low=0)
    scales: tuple[float, ...] = parameter(
        (0.5, 1.0, 1.5, 2.0, 3.0), doc="scales c, rising", unit="energy", low=0.0, open_low=True
    )
    n_walkers: int = parameter(3000, doc="walkers of each schedule", low=200)
    n_proposals: int = parameter(2000, doc="proposals of each walker", low=100)
    horizon: int = parameter(200000, doc="proposals over which the law is moved exactly", low=1000)
    temperature: float = parameter(0.7, doc="constant temperature", unit="energy", low=0.0, open_low=True)
    n_constant: int = parameter(500, doc="proposals at constant temperature", low=100)

    def check(self) -> None:
        """One global minimum, one trap deep enough to tell the schedules apart."""
        levels = np.array(self.energies)
        require(0 <= self.start < levels.size, "start", f"be a state, below {levels.size}", self.start)
        require(np.sum(levels == levels.min()) == 1, "energies", "have one global minimum", self.energies)
        require(all(np.diff(self.scales) > 0), "scales", "rise", self.scales)
        require(self.horizon % 1000 == 0, "horizon", "be a multiple of 1000", self.horizon)
        require(self.n_proposals % 20 == 0, "n_proposals", "be a multiple of 20", self.n_proposals)
        depth = barrier_depth(levels, path_proposal(levels.size))
        inside = self.scales[0] < depth <= self.scales[-1]
        require(inside, "scales", f"lie on both sides of the depth {depth:g}", self.scales)

    def predict(self) -> xr.Dataset:
        """The exact law in time and at constant temperature; the depth."""
        levels = np.array(self.energies)
        n, scales = levels.size, np.array(self.scales)
        proposal, start = path_proposal(n), np.tile(np.eye(n)[self.start], (scales.size, 1))
        goal = int(levels.argmin())
        with jax.enable_x64(True):
            chain = ExactChain(levels, proposal, ScaledLogarithm(scales))
            early, late = (
                run_process(chain.process(), jax.random.key(0), start, steps, observe=_law, every=every)
                for steps, every in ((self.n_proposals, self.n_proposals // 20), (self.horizon, 1000))
            )
        shown = np.unique(np.geomspace(1, self.horizon // 1000, 25).astype(int))
        return xr.Dataset(
            {
                **predicted_variable(
                    "success_predicted",
                    Prediction(early.values[1:, :, goal].T),
                    ("scale", "time"),
                    long_name="probability of the global minimum",
                ),
                "success_late": (
                    ("scale", "late"),
                    late.values[shown][:, :, goal].T,
                    {"long_name": "probability of the global minimum", "units": "1"},
                ),
                **predicted_variable(
                    "law_predicted",
                    Prediction(gibbs_law(levels, self.temperature)),
                    ("state",),
                    long_name="probability of the state",
                ),
                "level": ("state", levels, {"long_name": "energy of the state", "units": "energy"}),
                "depth": (
                    (),
                    barrier_depth(levels, proposal),
                    {"long_name": "depth of the deepest local minimum", "units": "energy"},
                ),
            },
            coords={
                "scale": ("scale", scales, {"long_name": "scale c", "units": "energy"}),
                "time": ("time", early.times[1:], {"long_name": "proposals", "units": "proposals"}),
                "late": ("late", late.times[shown], {"long_name": "proposals", "units": "proposals"}),
                "state": ("state", np.arange(n), {"long_name": "state", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Walkers under every schedule, and at constant temperature."""
        path = _Path(jnp.asarray(self.energies, jnp.result_type(float)))
        goal = int(np.argmin(self.energies))
        start = jnp.int32(self.start)
        key_constant, *keys = jax.random.split(key, len(self.scales) + 1)
        counts = []
        for scale, one in zip(self.scales, keys, strict=True):
            made = run(
                annealing_of(path.energy, path.propose, Hajek(scale)),
                one,
                start,
                self.n_proposals,
                observe=_where,
                every=self.n_proposals // 20,
                replicas=self.n_walkers,
                label=f"c = {scale:g}",
            )
            counts.append(np.sum(np.asarray(made.values)[:, 1:] == goal, 0))
        made = run(
            annealing_of(path.energy, path.propose, self.temperature),
            key_constant,
            start,
            self.n_constant,
            replicas=self.n_walkers,
            label="constant temperature",
        )
        seen = np.bincount(np.asarray(made.state.state), minlength=len(self.energies))
        return xr.Dataset(
            {
                **measured_variables(
                    "success",
                    _proportions(np.array(counts), self.n_walkers),
                    ("scale", "time"),
                    long_name="share of walkers in the global minimum",
                ),
                **measured_variables(
                    "law",
                    _proportions(seen, self.n_walkers),
                    ("state",),
                    long_name="share of walkers in the state",
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The law in time; who stalls and who improves; the law at constant temperature."""
        made = []
        for index, scale in enumerate(record["scale"].values):
            for place in (1, record.sizes["time"] - 1):
                at = record.isel(scale=index, time=place)
                made.append(
                    compare(
                        read_predicted(at, "success_predicted"),
                        read_measured(at, "success"),
                        statement=f"c = {scale:g}: share in the global minimum, {int(at['time'])} proposals.",
                        system="B5",
                        resolution=0.06,
                    )
                )
        late = record["success_late"].values
        times = record["late"].values
        tenth = int(np.abs(times - times[-1] / 10).argmin())
        gains = late[:, -1] - late[:, tenth]
        words = f"from {times[tenth]} to {times[-1]} proposals"
        for index, scale in enumerate(record["scale"].values):
            exact = Estimate(gains[index], 0.0, 1)
            if scale < float(record["depth"]):
                made.append(
                    at_most(
                        0.01,
                        exact,
                        statement=f"c = {scale:g} below the depth stalls: gain in probability {words}.",
                        system="B5",
                        sigmas=0.0,
                        reason="a tenth of what a schedule at the depth gains",
                    )
                )
            else:
                made.append(
                    at_least(
                        0.02,
                        exact,
                        statement=f"c = {scale:g}, at least the depth, goes on: gain in probability {words}.",
                        system="B5",
                        sigmas=0.0,
                        reason="twice what a schedule below the depth may gain",
                    )
                )
        for index in range(record.sizes["state"]):
            at = record.isel(state=index)
            made.append(
                compare(
                    read_predicted(at, "law_predicted"),
                    read_measured(at, "law"),
                    statement=f"constant temperature: share of walkers in state {index}.",
                    system="B5",
                    resolution=0.06,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Success in time; the law at constant temperature."""
        figure, axes = panels(2)
        left, right = axes[0]
        shown = read_measured(record, "success")
        for index, scale in enumerate(record["scale"].values):
            both = np.concatenate([record["time"].values, record["late"].values])
            line = np.concatenate(
                [record["success_predicted"].values[index], record["success_late"].values[index]]
            )
            order = np.argsort(both)
            theory(left, both[order], line[order], index)
            simulation(
                left,
                record["time"],
                shown.mean[index],
                shown.standard_error[index],
                index,
                label=f"c = {scale:g}",
                markevery=4,
                errorevery=4,
            )
        left.set(xscale="log", ylim=(0, 1), xlabel="proposals", ylabel="probability of the global minimum")
        left.legend(frameon=False, fontsize=8, loc="upper left")
        law = read_measured(record, "law")
        theory(right, record["state"], record["law_predicted"], label="exp(−E/T)/Z")
        simulation(right, record["state"], law.mean, law.standard_error, 1, label="walkers")
        names = [f"{k}\nE = {level:g}" for k, level in enumerate(record["level"].values)]
        right.set_xticks(record["state"].values, names, fontsize=7)
        right.set(xlabel="state", ylabel=f"probability at T = {self.temperature:g}", ylim=(0, None))
        right.legend(frameon=False, fontsize=8)
        return figure


def _law(law: Array) -> Array:
    return law


def _where(now: Any) -> Array:
    return now.state


def _proportions(counts: np.ndarray, n: int) -> Estimate:
    each = [proportion(int(count), n) for count in counts.ravel()]
    mean, error = (
        np.reshape(x, counts.shape) for x in zip(*[(e.mean, e.standard_error) for e in each], strict=True)
    )
    return Estimate(mean, error, n)
