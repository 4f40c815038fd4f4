"""Symmetric mixtures of stored patterns: spurious memories, where they end, and heat that removes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
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
from neuromanifold.experiments.memory._ensemble import ratio_samples
from neuromanifold.experiments.memory._thermal_ensemble import ThermalEnsemble
from neuromanifold.theory.memory import mixture_load, mixture_temperature, thermal_retrieval

# A mixture whose overlaps lie closer together than this is still one; a pattern alone has a spread near 1.
_EQUAL = 0.25
# Share of the load and temperature at which a mixture ends up to which nearly no finite network leaves it.
_SAFE = 0.55
_FINITE = (
    "finite N to first order: as many patterns as are mixed more or less in the noise, |dm/dalpha| n/N, and "
    "thermal fluctuations, m C/((1 - C)^2 N)"
)


@experiment(
    Card(
        name="memory-mixtures",
        title="Spurious memories: mixtures of patterns",
        topic="memory",
        lecture="C",
        systems=("C1",),
        idea=(
            "A network that stores patterns by Hebb's rule also keeps states it was never taught: the "
            "majority vote of three of them, of five, of any odd number, equally near to each. With few "
            "patterns their overlaps are 1/2, 3/8, 5/16. They end at a much smaller load than the memories, "
            "0.030 for three patterns, and at a much lower temperature, 0.46 against 1: a little heat "
            "removes what was not stored and keeps what was. The simulation starts in a mixture and is "
            "compared with the replica theory of such states; where the theory says that the mixture no "
            "longer attracts, the network must leave it, and its overlaps become unequal."
        ),
        equations=(
            ("Mixture", r"x_i = \mathrm{sgn}(\xi_i^1 + \dots + \xi_i^n), \quad n \; \text{odd}"),
            (
                "Overlap",
                r"m = \langle\!\langle \frac{S}{n} \tanh \frac{m S + \sqrt{\alpha r} z}{T} \rangle\!\rangle",
            ),
            (
                "It attracts where",
                r"C + \frac{1}{T} \langle\!\langle \xi^1 \xi^2 \tanh^2 \frac{m S + \sqrt{\alpha r} z}{T} "
                r"\rangle\!\rangle < 1",
            ),
        ),
        sources=("amitgutfreundsompolinsky1985a", "amitgutfreundsompolinsky1987"),
        caption=(
            "Left: mean overlap with the mixed patterns at T = 0 against load; lines: theory, up to where "
            "the mixture ends. Right: largest and smallest overlap with three mixed patterns against "
            "temperature, smallest load; line: theory, up to where the mixture ceases to attract."
        ),
    ),
    full={"n_units": 5000, "loads": (0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05), "n_sets": 24},
)
class MemoryMixtures:
    """Overlaps of symmetric mixtures against load and temperature."""

    n_units: int = parameter(1000, doc="number of units N", low=200)
    loads: tuple[float, ...] = parameter((0.008, 0.014, 0.07), doc="loads alpha = P/N", low=0.0, high=0.13)
    temperatures: tuple[float, ...] = parameter(
        (0.0, 0.1, 0.2, 0.35, 0.5), doc="temperatures T; the first must be 0", low=0.0, high=1.0
    )
    mixed: tuple[int, ...] = parameter((3, 5), doc="numbers n of patterns mixed, odd", low=3, high=15)
    n_sets: int = parameter(24, doc="independent sets of patterns, the independent samples", low=2)
    n_burn: int = parameter(10, doc="sweeps before overlaps are measured", unit="sweeps", low=1)
    n_sweeps: int = parameter(6, doc="sweeps over which they are averaged", unit="sweeps", low=1)

    def check(self) -> None:
        """Odd mixtures, patterns enough for them, temperatures from 0 on."""
        for n in self.mixed:
            require(n % 2 == 1, "mixed", "hold odd numbers", self.mixed)
        fewest = round(min(self.loads) * self.n_units)
        require(max(self.mixed) <= fewest, "mixed", f"hold at most {fewest}, the fewest patterns", self.mixed)
        require(self.temperatures[0] == 0, "temperatures", "begin with 0", self.temperatures)

    def predict(self) -> xr.Dataset:
        """Overlaps of the mixtures where they attract, NaN elsewhere; and where they end."""
        counts = np.array([round(load * self.n_units) for load in self.loads])
        temperatures = np.array(self.temperatures)
        fine_load, fine_temperature = np.linspace(1e-4, 0.032, 100), np.linspace(0, 0.5, 101)
        values, errors, lines, heated = [], [], [], []
        for n in self.mixed:
            # The mixed patterns themselves make no noise.
            loads = np.maximum(counts - n, 1)[:, None] / self.n_units
            step = n / self.n_units
            state = thermal_retrieval(loads, temperatures, n)
            more = thermal_retrieval(loads + step, temperatures, n).overlap
            attracts = (state.antisymmetric < 1) & np.isfinite(more)
            c = state.susceptibility
            error = np.abs(more - state.overlap) + state.overlap * c / ((1 - c) ** 2 * self.n_units)
            values.append(np.where(attracts, state.overlap, 0.0))
            errors.append(np.where(attracts, error, 0.0))
            lines.append(thermal_retrieval(fine_load, 0.0, n).overlap)
            curve = thermal_retrieval(loads[0, 0], fine_temperature, n)
            heated.append(np.where(curve.antisymmetric < 1, curve.overlap, np.nan))
        loads_of = counts / self.n_units
        return xr.Dataset(
            {
                **predicted_variable(
                    "predicted_overlap",
                    Prediction(np.array(values), np.array(errors), _FINITE),
                    ("mixed", "load", "temperature"),
                    long_name="overlap of the mixture, 0 where it does not attract",
                ),
                "line": (("mixed", "fine_load"), lines, {"long_name": "overlap at T = 0", "units": "1"}),
                "heated": (("mixed", "fine_temperature"), heated, {"long_name": "overlap", "units": "1"}),
                "ends": (
                    "mixed",
                    [float(mixture_load(0.0, n)) for n in self.mixed],
                    {"long_name": "load at which the mixture ends, T = 0", "units": "1"},
                ),
                "melts": (
                    "mixed",
                    [mixture_temperature(n) for n in self.mixed],
                    {"long_name": "temperature at which it ceases to attract, no load", "units": "1"},
                ),
            },
            coords={
                "mixed": ("mixed", list(self.mixed), {"long_name": "patterns mixed", "units": "1"}),
                "load": ("load", loads_of, {"long_name": "load alpha = P/N", "units": "1"}),
                "temperature": ("temperature", temperatures, {"long_name": "temperature T", "units": "1"}),
                "fine_load": ("fine_load", fine_load, {"long_name": "load alpha = P/N", "units": "1"}),
                "fine_temperature": (
                    "fine_temperature",
                    fine_temperature,
                    {"long_name": "temperature T", "units": "1"},
                ),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Mean, largest and smallest overlap with the patterns mixed."""
        counts = [round(load * self.n_units) for load in self.loads]
        temperatures = jnp.asarray(self.temperatures, jnp.float32)[:, None]
        starts = tuple((0, n) for n in self.mixed)
        found: dict[str, list[Any]] = {"mean": [], "largest": [], "smallest": []}
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
            late = np.asarray(made.values, np.float64)[:, self.n_burn + 1 :].mean(1)
            own = [late[:, :, cue, :n] for cue, n in enumerate(self.mixed)]
            found["mean"].append([x.mean(-1).T for x in own])
            found["largest"].append([x.max(-1).T for x in own])
            found["smallest"].append([x.min(-1).T for x in own])

        def stored(name: str, samples: Any, long_name: str) -> dict[str, xr.Variable]:
            # (load, mixed, temperature, set)
            measured = estimate(np.array(samples).swapaxes(0, 1), axis=3)
            return measured_variables(name, measured, ("mixed", "load", "temperature"), long_name=long_name)

        mean = np.array(found["mean"])
        spread = np.array(found["largest"]) - np.array(found["smallest"])
        stays = spread < _EQUAL
        kept = [
            ratio_samples(m[:, None], s[:, None])
            for m, s in zip(mean.reshape(-1, self.n_sets), stays.reshape(-1, self.n_sets), strict=True)
        ]
        return xr.Dataset(
            {
                **stored("overlap", found["mean"], "mean overlap with the patterns mixed"),
                **stored("largest", found["largest"], "largest overlap"),
                **stored("smallest", found["smallest"], "smallest overlap"),
                **stored("spread", spread, "largest less smallest overlap"),
                **stored("kept_overlap", np.reshape(kept, mean.shape), "overlap of the mixtures that stay"),
                **stored("kept_fraction", stays, "fraction of mixtures that stay"),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Overlaps where the mixture attracts; left behind where it does not."""
        made = []
        least = float(record["load"].values.min())
        for n in record["mixed"].values:
            at_n = record.sel(mixed=n)
            end, melts = float(at_n["ends"]), float(at_n["melts"])
            stays = [(load, 0.0) for load in record["load"].values if load <= _SAFE * end]
            stays += [(least, t) for t in record["temperature"].values if 0 < t <= _SAFE * melts]
            for load, temperature in stays:
                at = at_n.sel(load=load, temperature=temperature)
                if float(at["predicted_overlap"]) > 0 and float(at["kept_fraction"]) >= 0.5:
                    made.append(
                        compare(
                            read_predicted(at, "predicted_overlap"),
                            read_measured(at, "kept_overlap"),
                            statement=(
                                f"Load {load:.3g}, T = {temperature:g}: overlap of the mixture of {n}."
                            ),
                            system="C1",
                            resolution=0.02,
                        )
                    )
            for load in (load for load in record["load"].values if load >= 1.4 * end):
                made.append(
                    at_most(
                        0.8 * float(at_n["line"].max()),
                        read_measured(at_n.sel(load=load, temperature=0.0), "overlap"),
                        statement=f"Load {load:.3g}, T = 0: past its end the mixture of {n} is left.",
                        system="C1",
                        reason="four fifths of its overlap without load",
                    )
                )
        three = record.sel(load=least).isel(mixed=0)
        melts = float(three["melts"])
        hot = [t for t in record["temperature"].values if t >= 1.05 * melts]
        if hot:
            made.append(
                at_least(
                    0.3,
                    read_measured(three.sel(temperature=hot[0]), "spread"),
                    statement=f"T = {hot[0]:g}: heat takes the mixture apart; one pattern wins.",
                    system="C1",
                )
            )
        made.append(
            at_least(
                0.5,
                read_measured(three.sel(temperature=0.0), "kept_fraction"),
                statement=f"Load {least:.3g}, T = 0: most mixtures stay equally near to their patterns.",
                system="C1",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Mean overlap against load; overlaps against temperature."""
        figure, axes = panels(2)
        left, right = axes[0]
        overlap = read_measured(record, "overlap")
        for index, n in enumerate(record["mixed"].values):
            line = record["line"].values[index]
            known = np.isfinite(line)
            theory(left, record["fine_load"].values[known], line[known], index)
            simulation(
                left,
                record["load"].values,
                overlap.mean[index, :, 0],
                overlap.standard_error[index, :, 0],
                index,
                label=f"{n} patterns mixed",
            )
        left.set_xlabel("load α = P/N")
        left.set_ylabel("mean overlap with the patterns mixed")
        left.set_ylim(0, 0.62)
        left.legend(loc="upper right", fontsize="small")
        n = record["mixed"].values[0]
        at = int(np.argmin(record["load"].values))
        heated = record["heated"].values[0]
        known = np.isfinite(heated)
        theory(right, record["fine_temperature"].values[known], heated[known], 0, label="theory, mixture")
        for index, name in enumerate(("largest", "smallest")):
            shown = read_measured(record, name)
            simulation(
                right,
                record["temperature"].values,
                shown.mean[0, at],
                shown.standard_error[0, at],
                index,
                label=f"{name} overlap",
            )
        right.axvline(float(record["melts"][0]), color=COLOURS[6], linestyle=":", label="it melts, no load")
        right.set_xlabel("temperature T")
        right.set_ylabel(f"overlap with each of {n} patterns mixed")
        right.set_ylim(0, 1.05)
        right.legend(loc="upper left", fontsize="small")
        return figure
