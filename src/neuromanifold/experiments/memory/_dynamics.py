"""Overlap against time from several initial overlaps, with the recursion of Amari and Maginu."""

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
    Estimate,
    Prediction,
    at_least,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
    scales,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.memory._ensemble import Ensemble, check_cues, run_ensemble
from neuromanifold.theory.memory import first_step, recall_dynamics, second_step

_OWN = "the recalled pattern, one of P, that is no part of the noise"


@experiment(
    Card(
        name="memory-dynamics",
        title="How a memory is recalled, step by step",
        topic="memory",
        lecture="A",
        systems=("A25",),
        idea=(
            "A network that stores P = alpha N patterns starts from a damaged copy of one of them, and "
            "its overlap with the "
            "pattern is followed in time. Amari and Maginu's theory treats the noise from the other "
            "patterns as "
            "Gaussian and gives a recursion for overlap and noise. For a memory in which every pattern "
            "recalls "
            "itself the first step is exact. The second is nearly right: what it leaves out is that each "
            "unit's first value "
            "comes back to it through the other patterns, and with that part added the second step is "
            "exact too. "
            "Later the noise remembers the states it came from, and near the border "
            "of the basin the recursion recovers the pattern while the simulation lags behind or stalls: "
            "the theory "
            "overestimates, and that is shown as a claim of its own. For a sequence, in which every "
            "pattern recalls the "
            "next, no such memory of the noise exists and the theory stays right. The single-run "
            "deviation from the "
            "first-step formula shrinks as one over the square root of N."
        ),
        equations=(
            (
                "Overlap",
                r"m_{t+1} = \mathrm{erf}\left(\frac{m_t}{\sqrt{2} \sigma_t}\right), \quad \sigma_0^2 = "
                r"\alpha",
            ),
            (
                "Noise, auto-association",
                r"\sigma_{t+1}^2 = \alpha + 4 p(u_t)^2 + 4 \alpha m_t m_{t+1} \frac{p(u_t)}{\sigma_t}, "
                r"\quad u_t = \frac{m_t}{\sigma_t}",
            ),
            (
                "Second step, auto-association, exact",
                r"m_2 = \sum_{s = \pm 1} \frac{1 + s m_0}{2} \, \mathrm{erf}\left(\frac{m_1 + s \alpha "
                r"U}{\sqrt{2} \sigma_1}\right), "
                r"\quad U = \frac{2 p(u_0)}{\sigma_0}",
            ),
            ("Noise, sequence", r"\sigma_{t+1}^2 = \alpha + 4 p(u_t)^2"),
        ),
        sources=("amarimaginu1988", "amari1972", "okada1995"),
        caption=(
            "Overlap with the wanted pattern against time, lines: theory, points: simulation. Left: "
            "auto-association; middle: "
            "sequence; right: root mean square deviation of a single first step from the formula against N."
        ),
    ),
    full={
        "n_units": 16000,
        "n_sets": 24,
        "n_cues": 8,
        "scaling_sizes": (500, 1000, 2000, 4000, 8000),
        "n_scaling_sets": 1000,
    },
)
class MemoryDynamics:
    """Recall against time for auto-association and sequences, with the theory's success and its failure."""

    n_units: int = parameter(2000, doc="number of units N", low=500)
    load: float = parameter(0.08, doc="load of the auto-associative memory", low=0.01, high=0.13)
    overlaps: tuple[float, ...] = parameter(
        (0.2, 0.26, 0.3, 0.388, 0.6),
        doc="initial overlaps, auto-association",
        low=0.0,
        high=1.0,
        open_low=True,
    )
    stalled: float = parameter(
        0.26,
        doc="initial overlap, one of `overlaps`, from which the theory recalls and the simulation does not",
        low=0.0,
        high=1.0,
        open_low=True,
    )
    sequence_load: float = parameter(0.2, doc="load of the sequence memory", low=0.01, high=0.26)
    sequence_overlaps: tuple[float, ...] = parameter(
        (0.3, 0.407, 0.6, 0.8), doc="initial overlaps, sequence", low=0.0, high=1.0, open_low=True
    )
    n_steps: int = parameter(10, doc="synchronous updates", unit="updates", low=3)
    n_sets: int = parameter(32, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(16, doc="patterns of each set that are recalled", low=1)
    scaling_sizes: tuple[int, ...] = parameter(
        (300, 900, 2700), doc="numbers of units for the first-step deviation", low=100
    )
    scaling_overlap: float = parameter(
        0.388, doc="initial overlap for the first-step deviation", low=0.0, high=1.0, open_low=True
    )
    n_scaling_sets: int = parameter(400, doc="independent sets of patterns a size", low=10)

    def check(self) -> None:
        """The stalled start is one of the starts; sizes differ; cues do not outnumber patterns."""
        require(self.stalled in self.overlaps, "stalled", f"be one of overlaps {self.overlaps}", self.stalled)
        enough = len(set(self.scaling_sizes)) == len(self.scaling_sizes) >= 3
        require(enough, "scaling_sizes", "hold at least three different sizes", self.scaling_sizes)
        check_cues(self.n_cues, (round(load * self.n_units) for load in (self.load, self.sequence_load)))

    def _settings(self) -> tuple[tuple[str, float, tuple[float, ...]], ...]:
        return (("auto", self.load, self.overlaps), ("sequence", self.sequence_load, self.sequence_overlaps))

    def predict(self) -> xr.Dataset:
        """Overlap against time, exact first steps, and the exponent of their deviation."""
        variables: dict[str, Any] = {}
        coordinates: dict[str, Any] = {
            "time": ("time", np.arange(self.n_steps + 1), {"long_name": "time", "units": "updates"})
        }
        for kind, load, starts in self._settings():
            n_patterns = round(load * self.n_units)
            alpha = n_patterns / self.n_units
            curves = recall_dynamics(alpha, np.array(starts), self.n_steps, kind).overlap
            # One pattern fewer in the noise moves erf(u/sqrt 2) by u p(u)/P <= .242/P a step.
            variables |= predicted_variable(
                f"{kind}_predicted",
                Prediction(
                    curves, np.full(curves.shape, 0.242 / n_patterns) * np.arange(self.n_steps + 1), _OWN
                ),
                (f"{kind}_start", "time"),
                long_name=f"overlap, {kind}, theory",
            )
            variables |= predicted_variable(
                f"{kind}_first_step",
                Prediction(first_step(alpha, np.array(starts)), 0.242 / n_patterns, _OWN),
                (f"{kind}_start",),
                long_name=f"overlap after one step, {kind}, theory",
            )
            coordinates[f"{kind}_start"] = (
                f"{kind}_start",
                np.array(starts),
                {"long_name": "initial overlap", "units": "1"},
            )
            if kind == "auto":
                variables |= predicted_variable(
                    "auto_second_step",
                    Prediction(second_step(alpha, np.array(starts)), 2 * 0.242 / n_patterns, _OWN),
                    ("auto_start",),
                    long_name="overlap after two steps, auto, exact theory",
                )
        coordinates["size"] = ("size", np.array(self.scaling_sizes), {"long_name": "units N", "units": "1"})
        sizes = np.array(self.scaling_sizes)
        # The load and the overlap that a whole number of patterns and of flipped units make.
        alphas = np.round(self.load * sizes) / sizes
        begun = 1 - 2 * np.round(sizes * (1 - self.scaling_overlap) / 2) / sizes
        variables |= predicted_variable(
            "scaling_predicted",
            Prediction(first_step(alphas, begun), 0.242 / np.round(self.load * sizes), _OWN),
            ("size",),
            long_name="overlap after one step, theory",
        )
        exponent = Prediction(np.asarray(-0.5), 0.02, "the formula's own error 0.242/P at the smallest size")
        variables |= predicted_variable("exponent", exponent, long_name="exponent of the deviation")
        return xr.Dataset(variables, coordinates)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Overlap against time, and single first steps at several sizes."""
        key_recall, key_scaling = jax.random.split(key)
        variables: dict[str, xr.Variable] = {}
        n_drawn = round(max(self.load, self.sequence_load) * self.n_units)
        for index, (kind, load, starts) in enumerate(self._settings()):
            ensemble = Ensemble(self.n_units, round(load * self.n_units), n_drawn, self.n_cues, kind)
            made = run_ensemble(
                run, jax.random.fold_in(key_recall, index), ensemble, starts, self.n_steps, self.n_sets, kind
            )
            curves = np.moveaxis(made.mean(-1), 1, 2)
            variables |= measured_variables(
                f"{kind}_overlap",
                estimate(curves),
                (f"{kind}_start", "time"),
                long_name=f"overlap, {kind}",
            )
        firsts = []
        for index, size in enumerate(self.scaling_sizes):
            n_patterns = round(self.load * size)
            ensemble = Ensemble(size, n_patterns, n_patterns, 1, "auto")
            made = run_ensemble(
                run,
                jax.random.fold_in(key_scaling, index),
                ensemble,
                (self.scaling_overlap,),
                1,
                self.n_scaling_sets,
                f"first step, N = {size}",
            )
            firsts.append(made[:, 1, 0, 0])
        first = np.array(firsts, np.float64)
        spread = first.std(axis=1, ddof=1)
        variables |= measured_variables(
            "scaling_overlap", estimate(first.T), ("size",), long_name="overlap after one step"
        )
        # The relative error of a standard deviation of n Gaussian numbers is 1/sqrt(2n).
        variables |= measured_variables(
            "scaling_spread",
            Estimate(spread, spread / np.sqrt(2.0 * self.n_scaling_sets), self.n_scaling_sets),
            ("size",),
            long_name="standard deviation of the overlap after one step",
        )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Exact for two steps, then too fast; right throughout for sequences; deviation as N^-1/2."""
        made = []
        for kind, _, starts in self._settings():
            for start in starts:
                at = record.sel({f"{kind}_start": start})
                made.append(
                    compare(
                        read_predicted(at, f"{kind}_first_step"),
                        read_measured(at.sel(time=1), f"{kind}_overlap"),
                        statement=f"{kind}, from m = {start:g}: the first step is erf(m/sqrt(2 alpha)).",
                        system="A25",
                        resolution=0.03,
                    )
                )
        for start in self.overlaps:
            at = record.sel(auto_start=start)
            made.append(
                compare(
                    read_predicted(at, "auto_second_step"),
                    read_measured(at.sel(time=2), "auto_overlap"),
                    statement=f"auto, from m = {start:g}: the second step is that of the exact theory.",
                    system="A25",
                    resolution=0.025,
                )
            )
        made.append(self._recursion_at_second_step(record))
        late = record.sel(auto_start=self.stalled, time=self.n_steps)
        measured = read_measured(late, "auto_overlap")
        excess = Estimate(late["auto_predicted"].values - measured.mean, measured.standard_error, measured.n)
        made.append(
            at_least(
                0.1,
                excess,
                statement=(
                    f"auto, from m = {self.stalled:g}: after {self.n_steps} steps the theory "
                    f"overestimates the overlap; it "
                    "recalls where the simulation stalls."
                ),
                system="A25",
                reason="theory minus simulation, far more than it errs at the second step",
            )
        )
        for start in self.sequence_overlaps[-2:]:
            at = record.sel(sequence_start=start, time=self.n_steps)
            made.append(
                compare(
                    read_predicted(at, "sequence_predicted"),
                    read_measured(at, "sequence_overlap"),
                    statement=(
                        f"sequence, from m = {start:g}: the theory is right after {self.n_steps} steps."
                    ),
                    system="A25",
                    resolution=0.03,
                )
            )
        made.append(
            scales(
                read_predicted(record, "exponent"),
                record["size"].values,
                _deviation(record),
                statement="The deviation of a single first step from the formula falls as N^(-1/2).",
                system="A25",
                resolution=0.25,
            )
        )
        return made

    def _recursion_at_second_step(self, record: xr.Dataset) -> Claim:
        at = record.sel(auto_start=self.stalled, time=2)
        gap = float(at["auto_second_step"] - at["auto_predicted"])
        recursion = read_predicted(at, "auto_predicted")
        allowed = Prediction(
            recursion.value, float(np.asarray(recursion.error)) + gap, "the retarded self-interaction"
        )
        return compare(
            allowed,
            read_measured(at, "auto_overlap"),
            statement=f"auto, from m = {self.stalled:g}: the recursion is nearly right at the second step.",
            system="A25",
            resolution=0.05,
        )

    def draw(self, record: xr.Dataset) -> Figure:
        """Both memories against time, and the deviation against N."""
        figure, axes = panels(3, width=4.2)
        time = record["time"].values
        for axis, (kind, load, starts) in zip(axes[0], self._settings(), strict=False):
            for index, start in enumerate(starts):
                at = record.sel({f"{kind}_start": start})
                measured = read_measured(at, f"{kind}_overlap")
                theory(axis, time, at[f"{kind}_predicted"].values, index)
                simulation(axis, time, measured.mean, measured.standard_error, index, label=f"m₀ = {start:g}")
            title = "auto-association" if kind == "auto" else "sequence"
            axis.set_title(f"{title}, α = {load:g}", fontsize="medium")
            axis.set_xlabel("time t (updates)")
            axis.set_ylabel("overlap m(t)")
            axis.set_ylim(0, 1.05)
            axis.legend(loc="lower right", fontsize="small", ncols=2)
        right = axes[0, 2]
        deviation = _deviation(record)
        size = record["size"].values
        simulation(right, size, deviation.mean, deviation.standard_error, label="simulation")
        middle = np.exp(np.mean(np.log(deviation.mean * np.sqrt(size))))
        theory(right, size, middle / np.sqrt(size), label="slope −1/2")
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xticks(size, [f"{int(n)}" for n in size])
        right.set_xticks([], minor=True)
        right.set_xlabel("number of units N")
        right.set_ylabel("rms of m(1) − erf(m₀/√(2α))")
        right.legend(loc="upper right", fontsize="small")
        return figure


def _deviation(record: xr.Dataset) -> Estimate:
    """Root mean square deviation of a single first step from the formula, over the sets of patterns."""
    spread = read_measured(record, "scaling_spread")
    offset = record["scaling_overlap"].values - record["scaling_predicted"].values
    rms = np.sqrt(spread.mean**2 + offset**2)
    return Estimate(rms, rms / np.sqrt(2.0 * spread.n), spread.n)
