"""Recall at finite temperature: the overlap against T at several loads, and the phase diagram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

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
from neuromanifold.experiments._figure import COLOURS, MARKERS, panels, simulation, theory
from neuromanifold.experiments.memory._ensemble import check_cues, ratio_samples
from neuromanifold.experiments.memory._thermal_ensemble import ThermalEnsemble
from neuromanifold.theory.memory import (
    retrieval_load,
    retrieval_temperature,
    spin_glass_temperature,
    thermal_retrieval,
    thermodynamic_load,
)

# At the retrieval line m jumps from above .6 to the remnant of the start, below .4.
_KEPT = 0.5
_FINITE = (
    "finite N to first order: thermal fluctuations of m, m C/((1 - C)^2 N), and those of the noise from set "
    "to set, alpha |m''(alpha)|/N"
)


@experiment(
    Card(
        name="memory-temperature",
        title="A memory at finite temperature",
        topic="memory",
        lecture="C",
        systems=("C1",),
        idea=(
            "Units that follow their field only with a probability, set by a temperature T, still remember: "
            "from a stored pattern the network moves to a state whose overlap with it falls slowly with T, "
            "and vanishes all at once at a temperature T_M that is the lower the more patterns are stored. "
            "The replica theory of Amit, Gutfreund and Sompolinsky gives the overlap and three lines: T_M, "
            "where the memory ceases to exist; T_c, below which it is the state of lowest free energy; and "
            "T_g, above which nothing freezes. The simulation updates one unit at a time. It stays in the "
            "memory up to T_M, past T_c, because the way out grows exponentially long with N; in a small "
            "network some cues leave a little earlier, and theory and simulation are compared for those "
            "that stay."
        ),
        equations=(
            ("Unit", r"P(x_i = +1) = \frac{1}{1 + e^{-2 h_i / T}}, \quad h_i = \sum_j J_{ij} x_j"),
            ("Overlap", r"m = \int Dz \, \tanh \frac{m + \sqrt{\alpha r} z}{T}"),
            ("Order", r"q = \int Dz \, \tanh^2 \frac{m + \sqrt{\alpha r} z}{T}"),
            ("Noise", r"r = \frac{q}{(1 - C)^2}, \quad C = \frac{1 - q}{T}"),
            ("Spin-glass line", r"T_g = 1 + \sqrt{\alpha}"),
        ),
        sources=("amitgutfreundsompolinsky1985", "amitgutfreundsompolinsky1987", "glauber1963"),
        caption=(
            "Left: overlap with the recalled pattern against temperature at several loads; lines: theory, "
            "points: cues that keep their pattern. Right: phase diagram; filled where at least half of the "
            "cues keep their pattern, open where they lose it."
        ),
    ),
    full={
        "n_units": 4000,
        "loads": (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.09, 0.11),
        "temperatures": tuple(round(0.05 * k, 2) for k in range(1, 21)),
        "n_sets": 20,
        "n_cues": 2,
        "n_burn": 100,
        "n_sweeps": 200,
    },
)
class MemoryTemperature:
    """Overlap of a Hebbian memory against temperature, with the replica theory."""

    n_units: int = parameter(700, doc="number of units N", low=100)
    loads: tuple[float, ...] = parameter(
        (0.01, 0.03, 0.06), doc="loads alpha = P/N", low=0.0, high=0.13, open_low=True
    )
    temperatures: tuple[float, ...] = parameter(
        (0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0), doc="temperatures T", low=0.0, high=2.0
    )
    n_sets: int = parameter(20, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(1, doc="patterns of each set that are recalled", low=1)
    n_burn: int = parameter(20, doc="sweeps before the overlap is measured", unit="sweeps", low=1)
    n_sweeps: int = parameter(30, doc="sweeps over which it is averaged", unit="sweeps", low=1)
    claimed_share: float = parameter(
        0.7, doc="share of T_M up to which theory and simulation are compared", low=0.1, high=0.95
    )
    lost_share: float = parameter(
        1.3, doc="multiple of T_M from which the memory must be lost", low=1.0, high=3.0
    )

    def check(self) -> None:
        """Patterns enough for the cues; a temperature to compare at each load."""
        check_cues(self.n_cues, (round(load * self.n_units) for load in self.loads))

    def _loads(self) -> np.ndarray:
        return np.array([round(load * self.n_units) / self.n_units for load in self.loads])

    def predict(self) -> xr.Dataset:
        """Overlaps at loads and temperatures, curves, and the lines of the diagram."""
        loads, temperatures = self._loads(), np.array(self.temperatures)
        state = thermal_retrieval(loads[:, None], temperatures)
        m = np.nan_to_num(state.overlap, nan=0.0)
        bend = _curvature(loads, temperatures)
        thermal = np.nan_to_num(m * state.susceptibility / (1 - state.susceptibility) ** 2, nan=0.0)
        error = np.where(m > 0, (thermal + loads[:, None] * bend) / self.n_units, 0.0)
        fine = np.linspace(0.0, 1.0, 201)
        curves = thermal_retrieval(loads[:, None], fine).overlap
        lines = np.linspace(1e-3, 0.15, 150)
        return xr.Dataset(
            {
                **predicted_variable(
                    "predicted_overlap",
                    Prediction(m, error, _FINITE),
                    ("load", "temperature"),
                    long_name="overlap m",
                ),
                "retrieval_temperature": (
                    "load",
                    retrieval_temperature(loads),
                    {"long_name": "temperature T_M at which the memory ends", "units": "1"},
                ),
                "curve": (("load", "fine"), curves, {"long_name": "overlap m", "units": "1"}),
                "retrieval_line": ("fine", retrieval_load(fine), {"long_name": "load at T_M", "units": "1"}),
                "thermodynamic_line": (
                    "fine",
                    thermodynamic_load(fine),
                    {"long_name": "load at T_c", "units": "1"},
                ),
                "glass_line": ("line", spin_glass_temperature(lines), {"long_name": "T_g", "units": "1"}),
            },
            coords={
                "load": ("load", loads, {"long_name": "load alpha = P/N", "units": "1"}),
                "temperature": ("temperature", temperatures, {"long_name": "temperature T", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "temperature T", "units": "1"}),
                "line": ("line", lines, {"long_name": "load alpha = P/N", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Overlaps of the cues that keep their pattern, of all cues, and how many keep it."""
        counts = [round(load * self.n_units) for load in self._loads()]
        temperatures = jnp.asarray(self.temperatures, jnp.float32)[:, None]
        starts = tuple((cue, 1) for cue in range(self.n_cues))
        kept, overall, shares = [], [], []
        for index, count in enumerate(counts):
            ensemble = ThermalEnsemble(self.n_units, count, max(counts), starts, temperatures)
            made = run(
                ensemble.process(),
                jax.random.fold_in(key, index),
                0.0,
                self.n_burn + self.n_sweeps,
                observe=ensemble.overlaps,
                replicas=self.n_sets,
                label=f"load {self.loads[index]:g}",
            )
            own = np.diagonal(np.asarray(made.values, np.float64), axis1=3, axis2=4)
            path = own[:, self.n_burn + 1 :]
            mean = path.mean(1)  # sets, temperatures, cues
            stays = path.min(1) > _KEPT
            kept.append([ratio_samples(mean[:, k], stays[:, k]) for k in range(mean.shape[1])])
            overall.append(mean.mean(2).T)
            shares.append(stays.mean(2).T)

        def stored(name: str, samples: list[Any], long_name: str) -> dict[str, xr.Variable]:
            measured = estimate(np.array(samples), axis=2)
            return measured_variables(name, measured, ("load", "temperature"), long_name=long_name)

        return xr.Dataset(
            {
                **stored("kept_overlap", kept, "overlap of the cues that keep their pattern"),
                **stored("overlap", overall, "overlap of all cues"),
                **stored("kept_fraction", shares, "fraction of cues that keep their pattern"),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The overlap below T_M; the memory kept below it, lost above it."""
        made = []
        for load in record["load"].values:
            at_load = record.sel(load=load)
            highest = float(at_load["retrieval_temperature"])
            below = [float(t) for t in record["temperature"].values if t <= self.claimed_share * highest]
            for temperature in below[-2:]:
                at = at_load.sel(temperature=temperature)
                expected = read_predicted(at, "predicted_overlap")
                made.append(
                    compare(
                        expected,
                        read_measured(at, "kept_overlap"),
                        statement=(
                            f"At load {load:.3g} and temperature {temperature:g} the overlap is that of the "
                            "replica theory."
                        ),
                        system="C1",
                        resolution=max(0.012, 0.3 * (1 - float(expected.value))),
                    )
                )
            if below:
                made.append(
                    at_least(
                        0.5,
                        read_measured(at_load.sel(temperature=below[-1]), "kept_fraction"),
                        statement=(
                            f"At load {load:.3g} and temperature {below[-1]:g} most cues keep their pattern."
                        ),
                        system="C1",
                    )
                )
            above = [float(t) for t in record["temperature"].values if t >= self.lost_share * highest]
            if above:
                made.append(
                    at_most(
                        _KEPT,
                        read_measured(at_load.sel(temperature=above[0]), "overlap"),
                        statement=(
                            f"At load {load:.3g} and temperature {above[0]:g}, above T_M, the memory is lost."
                        ),
                        system="C1",
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Overlap against temperature; phase diagram."""
        figure, axes = panels(2)
        left, right = axes[0]
        load, temperature = record["load"].values, record["temperature"].values
        shown = np.unique(np.linspace(0, len(load) - 1, min(4, len(load))).round().astype(int))
        kept = read_measured(record, "kept_overlap")
        share = record["kept_fraction"].values
        for index, row in enumerate(shown):
            curve = record["curve"].values[row]
            known = np.isfinite(curve)
            theory(left, record["fine"].values[known], curve[known], index)
            some = share[row] >= 0.2
            simulation(
                left,
                temperature[some],
                kept.mean[row][some],
                kept.standard_error[row][some],
                index,
                label=f"α = {load[row]:.3g}",
            )
        left.set_xlabel("temperature T")
        left.set_ylabel("overlap m with the pattern")
        left.set_xlim(0, 1)
        left.set_ylim(0, 1.05)
        left.legend(loc="lower left", fontsize="small")
        fine = record["fine"].values
        theory(right, record["line"].values, record["glass_line"].values, 2, label="$T_g$: units freeze")
        theory(right, record["retrieval_line"].values, fine, 0, label="$T_M$: memory exists")
        theory(right, record["thermodynamic_line"].values, fine, 1, label="$T_c$: memory is the ground state")
        grid_load, grid_temperature = np.meshgrid(load, temperature, indexing="ij")
        for inside, face, label in ((share >= 0.5, COLOURS[6], "kept"), (share < 0.5, "white", "lost")):
            right.plot(
                grid_load[inside],
                grid_temperature[inside],
                linestyle="none",
                marker=MARKERS[0],
                markersize=5,
                color=COLOURS[6],
                markerfacecolor=face,
                label=f"simulation, {label}",
            )
        right.set_xlabel("load α = P/N")
        right.set_ylabel("temperature T")
        right.set_xlim(0, 0.15)
        right.set_ylim(0, 2.1)
        right.legend(loc="upper right", fontsize="x-small", ncols=1)
        return figure


def _curvature(loads: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """|m''(alpha)|, by differences over a tenth of the load; 0 where the memory ends in between."""
    step = 0.1 * loads[:, None]
    below, at, above = (
        thermal_retrieval(loads[:, None] + shift * step, temperatures).overlap for shift in (-1, 0, 1)
    )
    return np.nan_to_num(np.abs(above - 2 * at + below) / step**2, nan=0.0)
