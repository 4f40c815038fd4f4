"""Sparse 0/1 patterns: capacity against activity, and what control of the activity does for recall."""

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
    Estimate,
    Prediction,
    UndecidedError,
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
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.memory._rules_figure import named
from neuromanifold.experiments.memory._sparse_ensemble import CONTROLS, SparseEnsemble
from neuromanifold.theory.memory import (
    capacity,
    sparse_branch,
    sparse_capacity,
    sparse_capacity_asymptote,
    sparse_finite_step,
    sparse_retrieval,
)

_METASTABLE = (
    "metastable states: between equilibrium and all units kept that can stay (half the difference), and .002 "
    "for finite N"
)


@experiment(
    Card(
        name="memory-sparse",
        title="Sparse patterns: more memories, if the activity is controlled",
        topic="memory",
        lecture="A",
        systems=("A25", "C1"),
        idea=(
            "Patterns of zeros with few ones are stored by the covariance rule. The fewer the ones, the "
            "more patterns fit: the capacity alpha = P/N exceeds 0.138 by far and grows as 1/(2 f |ln f|) "
            "when the activity f goes to zero, though the asymptote is reached very slowly. Recall runs "
            "once with a fixed threshold and once under control of the activity, where the f N units of "
            "largest field fire. With control, recall from the pattern ends between the overlap of the "
            "equilibrium theory and that of metastable states, in which units stay where they can; near the "
            "capacity the latter hold memories that equilibrium would lose. From a cue that lacks half of "
            "the ones the fixed threshold is too high for the weaker field, and the state dies out; with "
            "control the threshold follows the fields, and the pattern is recalled: the basin of attraction "
            "is larger, as Amari found. The first step from such cues is known for every N by the law of "
            "a unit's field: few ones are left in a cue, and the noise that they make is no Gaussian."
        ),
        equations=(
            (
                "Couplings",
                r"J_{ij} = \frac{1}{N f (1 - f)} \sum_{\mu=1}^{P} (\xi_i^\mu - f)(\xi_j^\mu - f), \quad "
                r"J_{ii} = 0",
            ),
            (
                "Noise, patterns of exactly f N ones",
                r"\sigma^2 = \frac{\alpha q (1 - q)}{(1 - U)^2}, \quad q = f p_1 + (1 - f) p_0",
            ),
            ("Overlap", r"m = p_1 - p_0, \quad p_1 = Q(a_1), \quad p_0 = Q(a_0)"),
            (
                "First step, cue of c ones",
                r"N f (1 - f) h = S + \sum_{\mu > 1} (\xi^\mu - f)(k^\mu - f c), \quad "
                r"k^\mu \sim \mathrm{Hypergeometric}",
            ),
            ("Capacity", r"\alpha_c \to \frac{1}{2 f |\ln f|}"),
        ),
        sources=("amari1989", "tsodyksfeigelman1988", "shiinofukai1992"),
        caption=(
            "Left: overlap after recall from the pattern against load in units of 1/(2f|ln f|), with "
            "control; lines: equilibrium, dotted: metastable states. Middle: load at which the overlap falls "
            "through that at capacity; line: capacity, dashed: its asymptote. Right: overlap after one step "
            "(lines: theory) and after recall against the fraction of ones that the cue lacks."
        ),
    ),
    full={
        "n_units": 2000,
        "activities": (0.1, 0.05, 0.02),
        "n_sets": 12,
        "n_cues": 10,
        "n_steps": 25,
        "loads": (0.05, 0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.34, 0.4, 0.48),
        "missing": (0.0, 0.2, 0.4, 0.5, 0.6, 0.7),
    },
)
class MemorySparse:
    """Capacity against activity, and recall with a fixed threshold beside recall under control."""

    n_units: int = parameter(500, doc="number of units N", low=200)
    activities: tuple[float, ...] = parameter(
        (0.1, 0.05), doc="fractions f of ones, descending", low=0.005, high=0.3
    )
    loads: tuple[float, ...] = parameter(
        (0.05, 0.1, 0.16, 0.22, 0.3, 0.42),
        doc="loads in units of 1/(2 f |ln f|), ascending",
        low=0.01,
        high=1.0,
    )
    threshold: float = parameter(0.55, doc="theta of the memory without control", low=0.3, high=0.9)
    missing: tuple[float, ...] = parameter(
        (0.0, 0.25, 0.5), doc="fractions of a cue's ones that are left out, ascending", low=0.0, high=0.9
    )
    n_sets: int = parameter(10, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(12, doc="patterns of each set that are recalled", low=1)
    n_steps: int = parameter(12, doc="synchronous updates", unit="updates", low=2)

    def check(self) -> None:
        """Patterns have ones; lists are in order and begin as they must."""
        least = min(self.activities) * self.n_units
        require(least >= 5, "n_units", "leave five ones in a pattern", self.n_units)
        require(self.missing[0] == 0, "missing", "begin with 0, the pattern itself", self.missing)
        require(self.missing[-1] >= 0.4, "missing", "end with 0.4 or more", self.missing)
        for name, values in (("loads", self.loads), ("missing", self.missing)):
            require(len(values) > 1 and all(np.diff(values) > 0), name, "ascend", values)
        smallest = min(self._counts(f)[0] for f in self.activities)
        rule = f"be at most the smallest number of patterns, {smallest}"
        require(self.n_cues <= smallest, "n_cues", rule, self.n_cues)

    def _counts(self, f: float) -> list[int]:
        return [round(load * self.n_units / (2 * f * abs(np.log(f)))) for load in self.loads]

    def _activity(self, f: float) -> float:
        """The activity that a whole number of ones makes."""
        return round(f * self.n_units) / self.n_units

    def predict(self) -> xr.Dataset:
        """Equilibrium, first steps, and the capacity against activity."""
        shape = (len(self.activities), len(self.loads))
        kept = np.zeros((2, *shape))
        fold = np.zeros(shape[0])
        first = np.zeros((2, *shape, len(self.missing)))
        error = np.zeros(first.shape)
        limits = np.zeros(shape[0])
        for a, nominal in enumerate(self.activities):
            f = self._activity(nominal)
            limit = sparse_capacity(f, control=True, exact=True)
            limits[a], fold[a] = float(limit.load), float(limit.overlap)
            n_ones = round(f * self.n_units)
            hits = n_ones - np.round(np.array(self.missing) * n_ones).astype(int)
            for b, count in enumerate(self._counts(nominal)):
                alpha = count / self.n_units
                for c, hold in enumerate((0.0, 1.0)):
                    kept[c, a, b] = _equilibrium(alpha, f, hold)
                for c, theta in enumerate((None, self.threshold)):
                    steps = [sparse_finite_step(self.n_units, count, n_ones, k, 0, theta) for k in hits]
                    first[c, a, b] = [step.overlap for step in steps]
                    error[c, a, b] = [step.error for step in steps]
        fine = np.geomspace(0.5, 0.005, 41)
        line = np.array([float(sparse_capacity(f, control=True, exact=True).load) for f in fine])
        branch = sparse_branch(np.array(self.activities)[:, None], np.linspace(-5.0, 0.5, 111), exact=True)
        units = 2 * np.array(self.activities) * np.abs(np.log(self.activities))
        told = "units of one cue share the strength of its noise"
        bracket = Prediction(kept.mean(0), (kept[1] - kept[0]) / 2 + 0.002, _METASTABLE)
        dims = ("control", "activity", "load")
        return xr.Dataset(
            {
                **predicted_variable(
                    "first_expected",
                    Prediction(first, error, told),
                    (*dims, "missing"),
                    long_name="overlap after one step, theory",
                ),
                **predicted_variable(
                    "kept_expected", bracket, dims[1:], long_name="overlap after recall, theory"
                ),
                "fold_overlap": (("activity",), fold, named("overlap at capacity, theory")),
                "capacity_expected": (("activity",), limits, named("capacity under control, theory")),
                "capacity_line": (("fine",), line, named("capacity under control, theory")),
                "asymptote": (("fine",), sparse_capacity_asymptote(fine), named("1/(2 f |ln f|)")),
                "dense_capacity": ((), capacity().load, named("capacity of +-1 patterns")),
                "branch_load": (("activity", "along"), branch.load * units[:, None], named("scaled load")),
                "branch_overlap": (("activity", "along"), branch.overlap, named("overlap")),
            },
            {
                "control": ("control", list(CONTROLS)),
                "activity": ("activity", np.array(self.activities), named("activity f")),
                "load": ("load", np.array(self.loads), named("load in units of 1/(2 f |ln f|)")),
                "missing": ("missing", np.array(self.missing), named("fraction of ones missing")),
                "fine": ("fine", fine, named("activity f")),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Overlaps after one step and after recall, under both controls."""
        first, last = [], []
        for index, f in enumerate(self.activities):
            counts = self._counts(f)
            ensemble = SparseEnsemble(
                jnp.array(counts), self.threshold, self.n_units, counts[-1], self.n_cues, f
            )
            made = run(
                ensemble.process(),
                jax.random.fold_in(key, index),
                jnp.array(self.missing, jnp.float32),
                self.n_steps,
                observe=ensemble.overlaps,
                replicas=self.n_sets,
                label=f"activity {f:g}",
            )
            # control, set, time, load, start, cue
            seen = np.array([np.asarray(made.values[control], np.float64) for control in CONTROLS])
            first.append(seen[:, :, 1].mean(-1))
            last.append(seen[:, :, -1].mean(-1))

        dims = ("control", "activity", "load", "missing")
        n_ones = np.round(np.array(self.activities) * self.n_units)[None, :, None, None]
        # No errors seen are not no errors: two lost ones in the whole sample, as in `proportion`.
        least = 2.0 / (self.n_sets * self.n_cues * n_ones)

        def stored(name: str, samples: list[np.ndarray], told: str) -> Any:
            found = estimate(np.array(samples).swapaxes(0, 1), axis=2, least=least)
            return measured_variables(name, found, dims, long_name=told)

        return xr.Dataset(
            {
                **stored("first", first, "overlap after one step"),
                **stored("last", last, "overlap after recall"),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """First steps, equilibrium, capacity beyond the dense one, and the larger basin."""
        made = []
        low, deep = self.loads[1], self.missing[-1]
        for f in self.activities:
            at = record.sel(activity=f, load=low)
            for control, told in zip(CONTROLS, ("activity control", "a fixed threshold"), strict=True):
                here = at.sel(control=control, missing=deep)
                made.append(
                    compare(
                        read_predicted(here, "first_expected"),
                        read_measured(here, "first"),
                        statement=(
                            f"f = {f:g}, {deep:g} of the ones missing: one step with {told} is that of the "
                            "theory."
                        ),
                        system="A25",
                        resolution=0.2,
                    )
                )
            made.append(
                at_least(
                    0.9,
                    read_measured(at.sel(control="control", missing=deep), "last"),
                    statement=f"f = {f:g}: with activity control such cues recall their pattern.",
                    system="A25",
                )
            )
            made.append(
                at_most(
                    0.5,
                    read_measured(at.sel(control="fixed", missing=deep), "last"),
                    statement=f"f = {f:g}: with a fixed threshold such cues are lost.",
                    system="A25",
                )
            )
            for load in self.loads[1:3]:
                there = record.sel(activity=f, load=load)
                made.append(
                    compare(
                        read_predicted(there, "kept_expected"),
                        read_measured(there.sel(control="control", missing=0.0), "last"),
                        statement=f"f = {f:g}, scaled load {load:g}: recall from the pattern ends as said.",
                        system="A25",
                        resolution=0.03,
                    )
                )
            expected, measured = float(record.sel(activity=f)["capacity_expected"]), self._crossing(record, f)
            made.append(
                compare(
                    Prediction(expected, 0.3 * expected, "metastable states beyond equilibrium; rounding"),
                    measured,
                    statement=f"f = {f:g}: the overlap falls through that at capacity near capacity.",
                    system="A25",
                    resolution=0.7 * expected,
                )
            )
            made.append(
                at_least(
                    2 * float(record["dense_capacity"]),
                    measured,
                    statement=f"f = {f:g}: more than twice as many patterns as +-1 ones.",
                    system="A25",
                    reason="twice the capacity .138",
                )
            )
        return made

    def _crossing(self, record: xr.Dataset, f: float) -> Estimate:
        """The load at which the overlap after recall from the pattern falls through that at capacity."""
        at = record.sel(activity=f)
        shown = read_measured(at.sel(control="control", missing=0.0), "last")
        loads = np.array(self._counts(f)) / self.n_units
        level = float(at["fold_overlap"])
        below = np.flatnonzero(shown.mean < level)
        if not below.size or below[0] == 0:
            raise UndecidedError(f"loads must lie on both sides of the capacity, got {loads.tolist()}.")
        high = below[0]
        slope = (shown.mean[high] - shown.mean[high - 1]) / (loads[high] - loads[high - 1])
        error = np.max(shown.standard_error[high - 1 : high + 1]) / abs(slope)
        return Estimate(loads[high] + (level - shown.mean[high]) / slope, error, shown.n)

    def draw(self, record: xr.Dataset) -> Figure:
        """Overlap against load, capacity against activity, and what a damaged cue becomes."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        loads, missing = record["load"].values, record["missing"].values
        for index, f in enumerate(self.activities):
            at = record.sel(activity=f)
            rising = np.arange(int(np.argmax(at["branch_load"].values)) + 1)
            theory(left, at["branch_load"].values[rising], at["branch_overlap"].values[rising], index)
            bound = at["kept_expected"].values + at["kept_expected_error"].values
            theory(left, loads, np.minimum(bound, 1.0), index, linestyle=":", linewidth=1.0)
            shown = read_measured(at.sel(control="control", missing=0.0), "last")
            simulation(
                left,
                loads,
                shown.mean,
                shown.standard_error,
                index,
                label=f"f = {f:g}, from the pattern",
            )
        left.set_xlabel("load α · 2f|ln f|")
        left.set_ylabel("overlap m after recall")
        left.set_xlim(0, 1.05 * self.loads[-1])
        left.set_ylim(0, 1.05)
        left.legend(loc="lower left", fontsize="small")
        fine = record["fine"].values
        theory(middle, fine, record["capacity_line"].values, 0, label="theory")
        theory(middle, fine, record["asymptote"].values, 1, label="1/(2f|ln f|)")
        half = [self._crossing(record, f) for f in self.activities]
        simulation(
            middle,
            record["activity"].values,
            np.array([float(each.mean) for each in half]),
            np.array([float(each.standard_error) for each in half]),
            2,
            label=f"N = {self.n_units}",
        )
        middle.set_xscale("log")
        middle.set_yscale("log")
        middle.set_xlabel("activity f")
        middle.set_ylabel("capacity α = P/N")
        middle.legend(loc="upper right", fontsize="small")
        at = record.sel(activity=self.activities[-1], load=self.loads[1])
        for index, (control, label) in enumerate(zip(CONTROLS, ("control", "fixed threshold"), strict=True)):
            here = at.sel(control=control)
            theory(right, missing, here["first_expected"].values, index)
            for name, offset, told in (("first", 0, "one step"), ("last", 2, "recalled")):
                shown = read_measured(here, name)
                simulation(
                    right,
                    missing,
                    shown.mean,
                    shown.standard_error,
                    index + offset,
                    label=f"{label}, {told}",
                )
        right.set_xlabel("fraction of the ones that the cue lacks")
        right.set_ylabel("overlap m")
        right.set_ylim(-0.03, 1.05)
        right.legend(loc="lower left", fontsize="small")
        return figure


def _equilibrium(alpha: float, f: float, hold: float) -> float:
    """Overlap of the memory, or 0 where there is none."""
    try:
        return float(sparse_retrieval(alpha, f, exact=True, hold=hold).overlap)
    except ValueError:
        return 0.0
