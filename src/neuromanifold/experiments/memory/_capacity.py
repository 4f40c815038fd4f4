"""Overlap of a memory with its pattern against the load, up to and past its capacity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure
from scipy.special import erf

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
from neuromanifold.experiments.memory._ensemble import Ensemble, check_cues, ratio_samples, run_ensemble
from neuromanifold.theory.memory import capacity, dynamical_capacity, retrieval_branch, retrieval_overlap

# A cue that has kept its pattern is told from one that lost it; between the fold (.967) and the remanent
# overlap above capacity (about .35) nothing is found.
_KEPT = 0.7
_METASTABLE = (
    "a tenth of the wrong units: recall from the pattern ends in metastable states, whose overlap is not "
    "exactly that of the replica-symmetric solution"
)


@experiment(
    Card(
        name="memory-capacity",
        title="How much a Hebbian memory holds",
        topic="memory",
        lecture="C",
        systems=("C1",),
        idea=(
            "P random patterns are stored in N units by Hebb's rule, and the network starts from one of "
            "them. With few "
            "patterns it stays there but for a small fraction of wrong units. As the load alpha = P/N grows, "
            "the other patterns make more noise, and at alpha = 0.138 the memory is lost all at once. "
            "The theory of "
            "Amit, Gutfreund and Sompolinsky gives overlap and capacity for infinite N. In a network of "
            "finite size "
            "the jump is rounded: some cues are lost below it and some survive above it, so that theory and "
            "simulation are compared below a load of 0.13, and for the cues that keep their pattern. "
            "Well above "
            "capacity an overlap of about 0.3 remains, a trace of the start that zero temperature cannot "
            "forget; the theory's "
            "0 is the equilibrium."
        ),
        equations=(
            ("Couplings", r"J_{ij} = \frac{1}{N} \sum_{\mu=1}^{P} \xi_i^\mu \xi_j^\mu, \quad J_{ii} = 0"),
            ("Recall", r"x_i(t+1) = \mathrm{sgn} \sum_j J_{ij} x_j(t)"),
            ("Overlap", r"m = \mathrm{erf}(y), \quad y = \frac{m}{\sqrt{2 \alpha r}}"),
            ("Load", r"\sqrt{2 \alpha} = \frac{\mathrm{erf}(y)}{y} - \frac{2}{\sqrt{\pi}} e^{-y^2}"),
        ),
        sources=("amitgutfreundsompolinsky1985", "amitgutfreundsompolinsky1987", "hopfield1982", "amari1972"),
        caption=(
            "Left: overlap with the recalled pattern against load; line: stable solution, dashed: "
            "unstable one, "
            "points: all cues, squares: cues that keep their pattern. Right: fraction of cues that keep it."
        ),
    ),
    full={"n_units": 8000, "n_sets": 40, "n_cues": 40, "n_steps": 100},
)
class MemoryCapacity:
    """Overlap after recall from the pattern, against load, with the replica theory."""

    n_units: int = parameter(2000, doc="number of units N", low=100)
    loads: tuple[float, ...] = parameter(
        (0.05, 0.09, 0.12, 0.13, 0.15, 0.2),
        doc="loads alpha = P/N",
        low=0.0,
        high=1.0,
        open_low=True,
    )
    n_sets: int = parameter(24, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(40, doc="patterns of each set that are recalled", low=1)
    n_steps: int = parameter(40, doc="synchronous updates", unit="updates", low=1)
    claimed_up_to: float = parameter(
        0.13, doc="largest load at which theory and simulation are compared", low=0.0, high=0.137
    )
    lost_from: float = parameter(
        0.2, doc="smallest load at which the memory must be lost", low=0.138, high=1.0
    )

    def check(self) -> None:
        """Every load has patterns enough for its cues."""
        check_cues(self.n_cues, (round(load * self.n_units) for load in self.loads))

    def predict(self) -> xr.Dataset:
        """Overlap at the loads and along the branch, and both capacities."""
        loads = np.array([round(load * self.n_units) / self.n_units for load in self.loads])
        m = retrieval_overlap(loads)
        fold = capacity()
        # Without the feedback of the noise (r = 1) the overlap would solve m = erf(m/sqrt(2 alpha)).
        without = erf(erf(1 / np.sqrt(2 * loads)) / np.sqrt(2 * loads))
        branch = retrieval_branch(np.linspace(0.6, 3.6, 201))
        return xr.Dataset(
            {
                **predicted_variable(
                    "predicted_overlap",
                    Prediction(m, np.where(m > 0, 0.1 * (1 - m), 0.0), _METASTABLE),
                    ("load",),
                    long_name="overlap m",
                ),
                "feedback": (
                    "load",
                    without - m,
                    {"long_name": "overlap that the feedback of the noise takes off", "units": "1"},
                ),
                "branch_load": ("y", branch.load, {"long_name": "load alpha along the branch", "units": "1"}),
                "branch_overlap": (
                    "y",
                    branch.overlap,
                    {"long_name": "overlap along the branch", "units": "1"},
                ),
                "capacity": ((), fold.load, {"long_name": "capacity (replica theory)", "units": "1"}),
                "capacity_overlap": ((), fold.overlap, {"long_name": "overlap at capacity", "units": "1"}),
                "dynamical_capacity": (
                    (),
                    dynamical_capacity("auto").load,
                    {"long_name": "capacity (recursion of Amari and Maginu)", "units": "1"},
                ),
            },
            coords={
                "load": ("load", loads, {"long_name": "load alpha = P/N", "units": "1"}),
                "y": ("y", np.linspace(0.6, 3.6, 201), {"long_name": "y = m/sqrt(2 alpha r)", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Final overlaps of all cues, of those that keep their pattern, and how many do."""
        overlaps, kept, fractions = [], [], []
        n_drawn = round(max(self.loads) * self.n_units)
        for index, load in enumerate(self.loads):
            ensemble = Ensemble(self.n_units, round(load * self.n_units), n_drawn, self.n_cues, "auto")
            key_load = jax.random.fold_in(key, index)
            label = f"load {load:g}"
            final = run_ensemble(
                run, key_load, ensemble, (1.0,), self.n_steps, self.n_sets, label, every=self.n_steps
            )[:, -1, 0]
            stays = final > _KEPT
            overlaps.append(final.mean(1))
            fractions.append(stays.mean(1))
            kept.append(ratio_samples(final, stays))

        def stored(name: str, samples: list[np.ndarray], long_name: str) -> dict[str, xr.Variable]:
            return measured_variables(
                name, estimate(np.array(samples), axis=1), ("load",), long_name=long_name
            )

        return xr.Dataset(
            {
                **stored("overlap", overlaps, "overlap of all cues"),
                **stored("kept_overlap", kept, "overlap of the cues that keep their pattern"),
                **stored("kept_fraction", fractions, "fraction of cues that keep their pattern"),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Overlaps below capacity; kept below it; lost above it."""
        made = []
        below = [float(load) for load in record["load"].values if load <= self.claimed_up_to]
        for load in below:
            at = record.sel(load=load)
            expected = read_predicted(at, "predicted_overlap")
            made.append(
                compare(
                    expected,
                    read_measured(at, "kept_overlap"),
                    statement=f"At load {load:g} the memory's overlap is that of the replica theory.",
                    system="C1",
                    resolution=max(0.002, float(at["feedback"])),
                )
            )
        highest = max(below)
        made.append(
            at_least(
                0.9,
                read_measured(record.sel(load=highest), "kept_fraction"),
                statement=f"At load {highest:g} nearly all cues keep their pattern.",
                system="C1",
            )
        )
        for load in (float(value) for value in record["load"].values if value >= self.lost_from):
            made.append(
                at_most(
                    float(record["capacity_overlap"]) / 2,
                    read_measured(record.sel(load=load), "overlap"),
                    statement=f"At load {load:g}, above capacity, the memory is lost.",
                    system="C1",
                    reason="half the overlap at capacity",
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Overlap and kept fraction against load."""
        figure, axes = panels(2)
        left, right = axes[0]
        load, branch = record["load"].values, record["branch_overlap"].values
        stable = branch >= float(record["capacity_overlap"])
        theory(left, record["branch_load"].values[stable], branch[stable], label="theory, stable")
        theory(
            left,
            record["branch_load"].values[~stable],
            branch[~stable],
            1,
            label="theory, unstable",
            linewidth=1.0,
        )
        for index, (name, label) in enumerate((("overlap", "all cues"), ("kept_overlap", "cues kept"))):
            shown = read_measured(record, name)
            wanted = (
                record["kept_fraction"].values > 0 if name == "kept_overlap" else np.ones(len(load), bool)
            )
            simulation(
                left, load[wanted], shown.mean[wanted], shown.standard_error[wanted], index, label=label
            )
        left.set_xlabel("load α = P/N")
        left.set_ylabel("overlap m with the pattern")
        left.set_xlim(0, float(load.max()) * 1.05)
        left.set_ylim(0, 1.05)
        left.legend(loc="lower left", fontsize="small")
        fraction = read_measured(record, "kept_fraction")
        simulation(right, load, fraction.mean, fraction.standard_error, 2, label=f"N = {self.n_units}")
        for name, line, label in (
            ("capacity", "-", "capacity, replica theory"),
            ("dynamical_capacity", ":", "capacity, Amari and Maginu"),
        ):
            right.axvline(float(record[name]), color=COLOURS[0], linestyle=line, label=label)
        right.set_xlabel("load α = P/N")
        right.set_ylabel("fraction of cues that keep their pattern")
        right.set_ylim(-0.05, 1.05)
        right.legend(loc="lower left", fontsize="small")
        return figure
