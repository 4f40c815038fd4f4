"""Recall of sequences: overlap in time, capacity, and the border of the basin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    at_most,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.memory._ensemble import Ensemble, run_ensemble
from neuromanifold.theory.memory import (
    critical_overlap,
    dynamical_branch,
    dynamical_capacity,
    recall_dynamics,
)

_OWN = "terms of order 1/N, taken as large as what one pattern more or less in the noise changes"


@experiment(
    Card(
        name="memory-sequence",
        title="A memory that replays a sequence",
        topic="memory",
        lecture="A",
        systems=("A25",),
        idea=(
            "In a sequence memory every pattern calls up the next. Its couplings are not symmetric, it has "
            "no energy, and its noise has no memory of the states it came from: the two equations for "
            "overlap and noise are exact for large networks at all times. They say that sequences are kept "
            "up to a load of .2691, nearly twice what a memory of single patterns holds, and from which "
            "initial overlap a sequence is caught. Overlap in time, overlap in the end against load, and "
            "starts on both sides of the border are compared. Limits: near capacity and near the border of "
            "the basin networks of finite size scatter to both sides, and no comparison is made there; a "
            "sequence must be longer than the time followed."
        ),
        equations=(
            ("Couplings", r"W_{ij} = \frac{1}{N} \sum_\mu \xi_i^{\mu+1} \xi_j^\mu"),
            (
                "Overlap",
                r"m_{t+1} = \mathrm{erf}\left(\frac{m_t}{\sqrt{2} \sigma_t}\right), \quad \sigma_0^2 = "
                r"\alpha",
            ),
            ("Noise", r"\sigma_{t+1}^2 = \alpha + 4 p(u_t)^2, \quad u_t = \frac{m_t}{\sigma_t}"),
        ),
        sources=("amari1972", "amarimaginu1988", "duringcoolensherrington1998"),
        caption=(
            "Left: overlap with the present pattern of the sequence against time from several starts. "
            "Middle: overlap in the end from the pattern itself against load. Right: border of the basin; "
            "filled: starts from which the sequence was caught, open: lost. Lines: theory (dashed: "
            "unstable), points: networks."
        ),
    ),
    full={
        "n_units": 6000,
        "n_sets": 12,
        "n_steps": 60,
        "loads": (0.05, 0.1, 0.15, 0.2, 0.24, 0.26, 0.28, 0.3, 0.35),
    },
)
class MemorySequence:
    """Sequences in time, against load, and from both sides of the border."""

    n_units: int = parameter(1000, doc="number of units N", low=200)
    loads: tuple[float, ...] = parameter(
        (0.1, 0.2, 0.24, 0.34), doc="loads alpha = P/N", low=0.0, high=1.0, open_low=True
    )
    followed: float = parameter(
        0.2, doc="load, one of `loads`, whose curves are compared", low=0.01, high=0.25
    )
    overlaps: tuple[float, ...] = parameter(
        (0.2, 0.407, 0.6, 1.0), doc="initial overlaps", low=0.0, high=1.0, open_low=True
    )
    n_steps: int = parameter(24, doc="synchronous updates", unit="updates", low=8)
    n_sets: int = parameter(16, doc="independent sets of patterns, the independent samples", low=4)
    n_cues: int = parameter(12, doc="patterns of each set that are recalled", low=1)
    margin: float = parameter(
        0.05, doc="distance from the border of the basin and from capacity of what is compared", low=0.03
    )

    def check(self) -> None:
        """The followed load is one of the loads; the last start is the pattern; sequences are long enough."""
        require(self.followed in self.loads, "followed", f"be one of loads {self.loads}", self.followed)
        require(self.overlaps[-1] == 1.0, "overlaps", "end with 1, the pattern itself", self.overlaps)
        length = round(min(self.loads) * self.n_units)
        require(
            max(self.n_steps, self.n_cues) < length,
            "n_steps",
            f"be below the shortest sequence, {length}",
            length,
        )

    def _loads(self) -> np.ndarray:
        return np.array([round(load * self.n_units) / self.n_units for load in self.loads])

    def predict(self) -> xr.Dataset:
        """Curves at every load, the branch, capacity, and the border of the basin."""
        loads, starts = self._loads(), np.array(self.overlaps)
        time = np.arange(self.n_steps + 1)
        # The recalled pattern is no part of the noise: P - 1 others are.
        curves, more = (
            np.stack(
                [
                    recall_dynamics(a - k / self.n_units, starts, self.n_steps, "sequence").overlap
                    for a in loads
                ]
            )
            for k in (1, 0)
        )
        capacity = dynamical_capacity("sequence")
        u = np.linspace(0.3, 4.0, 161)
        border_loads = np.linspace(0.02, 0.99 * capacity.load, 12)
        border = np.array([critical_overlap(float(a), "sequence", tolerance=1e-4) for a in border_loads])
        at_loads = [critical_overlap(float(a), "sequence") if a < capacity.load else 1.0 for a in loads]
        branch = dynamical_branch(u, "sequence")
        return xr.Dataset(
            {
                **predicted_variable(
                    "predicted",
                    Prediction(curves, np.abs(curves - more), _OWN),
                    ("load", "start", "time"),
                    long_name="overlap",
                ),
                "branch_load": ("u", branch.load, {"long_name": "load", "units": "1"}),
                "branch_overlap": ("u", branch.overlap, {"long_name": "overlap", "units": "1"}),
                "capacity": ((), capacity.load, {"long_name": "capacity", "units": "1"}),
                "capacity_overlap": (
                    (),
                    capacity.overlap,
                    {"long_name": "overlap at capacity", "units": "1"},
                ),
                "border": ("border_load", border, {"long_name": "border of the basin", "units": "1"}),
                "border_at_loads": (
                    "load",
                    np.array(at_loads),
                    {"long_name": "border of the basin", "units": "1"},
                ),
            },
            {
                "load": ("load", loads, {"long_name": "load alpha = P/N", "units": "1"}),
                "start": ("start", starts, {"long_name": "initial overlap", "units": "1"}),
                "time": ("time", time, {"long_name": "time", "units": "updates"}),
                "u": ("u", u, {"long_name": "u = m/sigma", "units": "1"}),
                "border_load": ("border_load", border_loads, {"long_name": "load", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Overlap in time at every load from every start."""
        curves = []
        n_drawn = round(max(self.loads) * self.n_units)
        for index, load in enumerate(self._loads()):
            ensemble = Ensemble(self.n_units, round(load * self.n_units), n_drawn, self.n_cues, "sequence")
            made = run_ensemble(
                run,
                jax.random.fold_in(key, index),
                ensemble,
                self.overlaps,
                self.n_steps,
                self.n_sets,
                f"load {load:g}",
            )
            curves.append(np.moveaxis(made.mean(-1), 1, 2))
        return xr.Dataset(
            measured_variables(
                "overlap", estimate(np.stack(curves, 1)), ("load", "start", "time"), long_name="overlap"
            )
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Curves at one load; kept below capacity, lost above; both sides of the border."""
        made = []
        capacity, last = float(record["capacity"]), int(record["time"][-1])
        curves = record.sel(load=self.followed, method="nearest")
        border = float(curves["border_at_loads"])
        for start in record["start"].values:
            far = abs(start - border) > self.margin
            for time in (1, 2, 4, last) if far else (1, 2):
                at = curves.sel(start=start, time=time)
                made.append(
                    compare(
                        read_predicted(at, "predicted"),
                        read_measured(at, "overlap"),
                        statement=f"load {self.followed:g}, from m = {start:g}: overlap after {time} steps",
                        system="A25",
                        resolution=0.06,
                    )
                )
        for load in record["load"].values:
            at = record.sel(load=load, time=last)
            pattern = at.sel(start=1.0)
            if load > capacity + self.margin:
                made.append(
                    at_most(
                        0.5 * float(record["capacity_overlap"]),
                        read_measured(pattern, "overlap"),
                        statement=f"load {load:g}, above capacity: the sequence is lost",
                        system="A25",
                        reason="half the overlap at capacity",
                    )
                )
                continue
            if load < capacity - 0.5 * self.margin:
                made.append(
                    compare(
                        read_predicted(pattern, "predicted"),
                        read_measured(pattern, "overlap"),
                        statement=f"load {load:g}: overlap of the sequence after {last} steps",
                        system="A25",
                        resolution=0.03,
                    )
                )
            for start in record["start"].values[:-1]:
                # Near capacity it takes long to leave the border.
                if abs(start - float(at["border_at_loads"])) < self.margin or load > capacity - self.margin:
                    continue
                caught = start > float(at["border_at_loads"])
                side, word = (at_least, "caught") if caught else (at_most, "lost")
                made.append(
                    side(
                        0.5 * float(record["capacity_overlap"]),
                        read_measured(at.sel(start=start), "overlap"),
                        statement=f"load {load:g}, from m = {start:g}: the sequence is {word}",
                        system="A25",
                        reason="half the overlap at capacity",
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Time, load, border."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        curves = record.sel(load=self.followed, method="nearest")
        for index, start in enumerate(record["start"].values):
            at = curves.sel(start=start)
            shown = read_measured(at, "overlap")
            theory(left, record.time, at["predicted"], index)
            simulation(left, record.time, shown.mean, shown.standard_error, index, label=f"m₀ = {start:g}")
        left.set(xlabel="time (updates)", ylabel="overlap m", ylim=(0, 1.05), title=f"α = {self.followed:g}")
        left.legend(loc="center right", fontsize="small", ncols=2)
        m, load = record["branch_overlap"].values, record["branch_load"].values
        stable = m >= float(record["capacity_overlap"])
        theory(middle, load[stable], m[stable], label="stable")
        theory(middle, load[~stable], m[~stable], 1, color=COLOURS[0], linewidth=1.0, label="unstable")
        end = record.isel(time=-1).sel(start=1.0)
        shown = read_measured(end, "overlap")
        simulation(middle, record["load"], shown.mean, shown.standard_error, 1, label=f"N = {self.n_units}")
        middle.axvline(float(record["capacity"]), color="0.5", linewidth=0.8)
        middle.set(xlabel="load α = P/N", ylabel="overlap in the end", xlim=(0, 0.4), ylim=(0, 1.05))
        middle.legend(loc="lower center", fontsize="small")
        theory(right, record["border_load"], record["border"], label="border of the basin")
        right.axvline(float(record["capacity"]), color="0.5", linewidth=0.8)
        ends = record["overlap"].isel(time=-1)
        caught = ends.values > 0.5 * float(record["capacity_overlap"])
        where = np.meshgrid(record["load"].values, record["start"].values, indexing="ij")
        for wanted, face, text in ((True, "k", "caught"), (False, "white", "lost")):
            chosen = [axis[caught == wanted] for axis in where]
            right.plot(*chosen, "o", color="k", markerfacecolor=face, markersize=5, label=text)
        right.set(xlabel="load α = P/N", ylabel="initial overlap m₀", xlim=(0, 0.4), ylim=(0, 1.05))
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize="small", ncols=3)
        return figure
