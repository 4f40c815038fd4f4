"""Families of patterns: memories, the concept that forms by itself, and recall that passes near it."""

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
from neuromanifold.experiments.memory._concept_figure import KINDS, draw_diagram
from neuromanifold.experiments.memory._ensemble import check_cues, ratio_samples
from neuromanifold.experiments.memory._families import FamilyEnsemble, family_overlaps, tree_overlaps
from neuromanifold.theory.memory import concept_branch, family_states, memory_branch, phase_diagram

# A start that has kept its state is told from one that lost it; theory ends above .96, remanence is below .8.
_KEPT = 0.9
# Replicas move together while their patterns take no more than this.
_BYTES = 5e8
_QUANTITIES = ("memory", "sibling", "concept")
_METASTABLE = (
    "a tenth of the wrong units: recall ends in metastable states, whose overlap is not exactly that of the "
    "self-consistent theory"
)


_RELATIONS = ("child, parent", "leaf, root", "siblings", "cousins", "strangers")


@experiment(
    Card(
        name="memory-concept",
        title="A concept that nobody stored",
        topic="memory",
        lecture="C",
        systems=("C2", "C3"),
        idea=(
            "Patterns come in families: the children of a family are noisy copies of a parent that is not "
            "stored. Hebb's rule stores the children alone, yet their majority, the mixed state, becomes an "
            "attractor too: a concept. With few patterns both a memory and its family's concept hold. As the "
            "load grows one of them is lost first: the concept where children differ much, the memory where "
            "they are alike. The self-consistent signal-to-noise theory gives the overlaps of both states "
            "and the loads where they end. Recall from a noisy child first moves towards the concept, "
            "overlaps with the siblings rise, and then leaves it for the child: the general comes "
            "before the detail. Theory and simulation are compared where states are well below the "
            "end of their branch; near it some networks of finite size lose them, and above it "
            "part of the start remains, a remanence that zero temperature cannot forget, while the theory "
            "has no such state at all."
        ),
        equations=(
            ("Child of a parent", r"P(\xi_i^{p,c} = \pm 1) = \frac{1 \pm b \xi_i^p}{2}"),
            ("Concept", r"\eta_i = \mathrm{sgn} \sum_{c=1}^{s} \xi_i^{p,c}"),
            (
                "Overlaps",
                r"m_v = \left\langle \xi_v \, \mathrm{erf} \frac{S}{\sqrt{2} \sigma} \right\rangle, "
                r"\quad S = \sum_v m_v \xi_v",
            ),
            (
                "Noise",
                r"\sigma^2 = \frac{\alpha}{s} \left[ \frac{l_1^2}{(1 - U l_1)^2} + "
                r"\frac{(s - 1) l_2^2}{(1 - U l_2)^2} \right]",
            ),
            (
                "Susceptibility",
                r"U = \sqrt{\frac{2}{\pi}} \frac{1}{\sigma} \left\langle e^{-S^2 / 2 \sigma^2} \right\rangle"
                r", \quad l_1 = 1 + (s - 1) b^2, \quad l_2 = 1 - b^2",
            ),
        ),
        sources=("amari1977concept", "okada1996", "shiinofukai1992", "toyafukushimakabashimaokada2000"),
        caption=(
            "Left: recall from a noisy child; middle: overlap kept by memory (with the child) and by concept "
            "(with the mixed state) against load, lines: theory, points: all starts; right: which states the "
            "theory calls attractors, with the simulated loads (filled: kept by most starts)."
        ),
    ),
    full={
        "n_units": 5000,
        "n_sets": 24,
        "n_cues": 12,
        "n_steps": 60,
        "loads": (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
        "n_trees": 1000,
        "diagram_points": 61,
    },
)
class MemoryConcept:
    """Memories and concepts of families: equilibrium overlaps, recall in time, phase diagram."""

    n_units: int = parameter(3000, doc="number of units N", low=300)
    branching: int = parameter(3, doc="children a family s, odd", low=3)
    correlation: float = parameter(0.4, doc="overlap b of child and parent", low=0.0, high=1.0)
    loads: tuple[float, ...] = parameter(
        (0.03, 0.05, 0.075, 0.12), doc="loads alpha = P/N", low=0.0, high=1.0, open_low=True
    )
    claimed: float = parameter(
        0.88,
        doc="theory and simulation are compared up to this part of the load where a state ends",
        low=0.0,
        high=1.0,
    )
    lost: float = parameter(
        1.2, doc="a state must be lost from this multiple of the load where it ends", low=1.0
    )
    n_sets: int = parameter(20, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(6, doc="families of each set that are recalled", low=1)
    n_steps: int = parameter(24, doc="synchronous updates", unit="updates", low=2)
    recall_load: float = parameter(
        0.03, doc="load, one of `loads`, of recall in time", low=0.0, high=1.0, open_low=True
    )
    recall_overlap: float = parameter(
        0.22, doc="initial overlap with the child, recall in time", low=0.0, high=1.0, open_low=True
    )
    shown_steps: int = parameter(12, doc="updates shown, recall in time", unit="updates", low=3)
    n_trees: int = parameter(200, doc="trees of patterns drawn for their overlaps", low=2)
    diagram_points: int = parameter(25, doc="correlations of the phase diagram", low=2)

    def check(self) -> None:
        """Families are odd and enough for the cues; recall is shown at one of the loads."""
        require(self.branching % 2 == 1, "branching", "be odd, for a majority to exist", self.branching)
        check_cues(self.n_cues, map(self._families, self.loads), "families")
        require(
            self.recall_load in self.loads, "recall_load", f"be one of loads {self.loads}", self.recall_load
        )

    def _families(self, load: float) -> int:
        return round(load * self.n_units / self.branching)

    def predict(self) -> xr.Dataset:
        """Overlaps at the loads and along the branches, their ends, phase diagram, overlaps of trees."""
        s, b = self.branching, self.correlation
        counts = np.array([self._families(load) for load in self.loads])
        loads = counts * s / self.n_units
        x = np.geomspace(0.3, 40.0, 300)
        diagram_b = np.linspace(0.0, 0.8, self.diagram_points)
        diagram_load = np.linspace(0.001, 0.201, 201)
        diagram = phase_diagram(diagram_load, diagram_b, s)
        variables: dict[str, Any] = {
            "code": (
                ("diagram_load", "diagram_b"),
                diagram.memory + 2 * diagram.concept,
                {"long_name": "attractors: 0 neither, 1 memory, 2 concept, 3 both", "units": "1"},
            )
        }
        for kind, branch in (("memory", memory_branch(x, b, s)), ("concept", concept_branch(x, b, s))):
            # A family is no part of its own noise.
            values = np.array([self._overlap(kind, (count - 1) * s / self.n_units) for count in counts])
            variables |= predicted_variable(
                f"predicted_{kind}",
                Prediction(values, np.where(values > 0, 0.1 * (1 - values), 0.0), _METASTABLE),
                ("load",),
                long_name=f"overlap of the {kind} state, 0 where there is none",
            )
            shown = branch.overlap if kind == "memory" else branch.concept
            for name, line in (("load", branch.load), ("overlap", shown)):
                drawn = np.where(branch.attractor, line, np.nan)
                variables[f"{kind}_branch_{name}"] = (
                    "x",
                    drawn,
                    {"long_name": f"{name}, {kind}", "units": "1"},
                )
            ends = branch.load[branch.attractor]
            variables[f"{kind}_end"] = (
                (),
                ends.max() if len(ends) else 0.0,
                {"long_name": f"load where the {kind} state ends", "units": "1"},
            )
            variables[f"{kind}_shift"] = (
                "load",
                np.abs(values - self._without_correlation(kind, loads)),
                {"long_name": f"what the correlation of patterns changes, {kind}", "units": "1"},
            )
        first, second = self._tree()
        exact = np.array([second, first * second, second**2, (first * second) ** 2, 0.0])
        variables |= predicted_variable(
            "predicted_relation",
            Prediction(exact, 0.0, "exact"),
            ("relation",),
            long_name="overlap in a tree",
        )
        return xr.Dataset(
            variables,
            coords={
                "load": ("load", loads, {"long_name": "load alpha = P/N", "units": "1"}),
                "x": ("x", x, {"long_name": "x = m/sigma", "units": "1"}),
                "diagram_load": ("diagram_load", diagram_load, {"long_name": "load alpha", "units": "1"}),
                "diagram_b": ("diagram_b", diagram_b, {"long_name": "correlation b", "units": "1"}),
            },
        )

    def _overlap(self, kind: str, load: float, correlation: float | None = None) -> float:
        """Largest overlap of an attractor of a kind with what it stands for, 0 without one."""
        b = self.correlation if correlation is None else correlation
        states = family_states(load, b, self.branching, kind)
        shown = states.overlap if kind == "memory" else states.concept
        return float(np.max(shown[states.attractor], initial=0.0))

    def _without_correlation(self, kind: str, loads: np.ndarray) -> np.ndarray:
        """The overlaps of as many patterns without correlation."""
        return np.array([self._overlap(kind, float(load), 0.0) for load in loads])

    def _tree(self) -> tuple[float, float]:
        return 0.8, self.correlation

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """States kept from memory and concept at each load; recall in time; overlaps in trees."""
        key_recall, key_tree = jax.random.split(key)
        ensemble = FamilyEnsemble(
            self.n_units,
            tuple(self._families(load) for load in self.loads),
            self.branching,
            self.correlation,
            self.n_cues,
        )
        # Patterns as float32, once for every load that stores them.
        each = 4.0 * sum(ensemble.n_families) * self.branching * self.n_units
        made = run(
            ensemble.process(),
            key_recall,
            jnp.asarray([[self.recall_overlap, 0.0], [1.0, 0.0], [0.0, 1.0]], jnp.float32),
            self.n_steps,
            observe=family_overlaps,
            replicas=self.n_sets,
            memory_budget=None if each * self.n_sets <= _BYTES else max(_BYTES, 8.0 * each),
            keep_state=False,
            label="families",
        )
        # Axes: set, time, quantity, load, start, cue.
        values = np.asarray(made.values, np.float64)
        variables: dict[str, Any] = {}

        # No wrong units seen are not no wrong units: two in the whole sample, as in `proportion`.
        least = 4.0 / (self.n_sets * self.n_cues * self.n_units)

        def store(name: str, samples: Any, dims: tuple[str, ...], long_name: str, least: float = 0.0) -> None:
            measured = estimate(samples, least=least)
            variables.update(measured_variables(name, measured, dims, long_name=long_name))

        for kind, final in (("memory", values[:, -1, 0, :, 1]), ("concept", values[:, -1, 2, :, 2])):
            stays = final > _KEPT
            kept = [ratio_samples(final[:, i], stays[:, i]) for i in range(len(self.loads))]
            store(f"{kind}_all", final.mean(-1), ("load",), f"overlap kept of the {kind} state, all starts")
            told = f"overlap of starts that keep the {kind} state"
            store(f"{kind}_kept", np.stack(kept, 1), ("load",), told, least)
            store(f"{kind}_fraction", stays.mean(-1), ("load",), f"fraction that keeps the {kind} state")
        curves = values[:, :, :, self.loads.index(self.recall_load), 0].mean(-1)
        store("recall", curves, ("time", "quantity"), "overlap with child, siblings, concept")
        mean = curves.mean(0)
        for column in (1, 2):
            peak = int(np.argmax(mean[:, column]))
            ratio = mean[peak, column] / mean[-1, column]
            # Linearised (delta method): samples with the mean and the scatter of the ratio of means.
            each = ratio + (curves[:, peak, column] - ratio * curves[:, -1, column]) / mean[-1, column]
            store(f"{_QUANTITIES[column]}_peak", each, (), "peak over final overlap")
        drawn = tree_overlaps(key_tree, self.n_units, self.n_trees, self._tree())
        store("relations", drawn, ("relation",), "overlap in a tree")
        return xr.Dataset(variables, coords={"quantity": list(_QUANTITIES), "relation": list(_RELATIONS)})

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Overlaps in trees; states below and beyond their ends; the concept first, then the child."""
        made = []
        for index, relation in enumerate(_RELATIONS):
            at = record.isel(relation=index)
            made.append(
                compare(
                    read_predicted(at, "predicted_relation"),
                    read_measured(at, "relations"),
                    statement=f"Overlap in trees ({relation}) is the product of the correlations between.",
                    system="C2",
                    resolution=4 / np.sqrt(self.n_units),
                )
            )
        for kind in KINDS:
            end = float(record[f"{kind}_end"])
            for load in (float(value) for value in record["load"].values):
                at = record.sel(load=load)
                if load <= self.claimed * end:
                    expected = read_predicted(at, f"predicted_{kind}")
                    made.append(
                        compare(
                            expected,
                            read_measured(at, f"{kind}_kept"),
                            statement=f"At load {load:g} the {kind}'s overlap is that of the theory.",
                            system="C3",
                            resolution=max(0.002, float(at[f"{kind}_shift"])),
                        )
                    )
                    made.append(
                        at_least(
                            0.5,
                            read_measured(at, f"{kind}_fraction"),
                            statement=f"At load {load:g} most starts in the {kind} stay there.",
                            system="C3",
                            reason="the theory calls it an attractor",
                        )
                    )
                elif load >= self.lost * end:
                    made.append(
                        at_most(
                            _KEPT,
                            read_measured(at, f"{kind}_all"),
                            statement=f"At load {load:g} the {kind} is lost.",
                            system="C3",
                            reason="below every overlap that the theory allows the state; remanence remains",
                        )
                    )
        for name, label, bound in (("sibling", "siblings", 1.2), ("concept", "concept", 1.0)):
            made.append(
                at_least(
                    bound,
                    read_measured(record, f"{name}_peak"),
                    statement=f"Recall from a noisy child first nears the {label}, then leaves.",
                    system="C3",
                    reason="peak over final overlap",
                )
            )
        last = record.isel(time=-1)
        final = read_measured(last, "recall")
        child = Estimate(final.mean[0], final.standard_error[0], final.n)
        made.append(
            at_least(0.9, child, statement="Recall from a noisy child ends at that child.", system="C3")
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Recall in time, equilibrium against load, phase diagram."""
        figure, axes = panels(3, width=4.4)
        left, middle, right = axes[0]
        time = np.arange(min(self.shown_steps, self.n_steps) + 1)
        recall = read_measured(record.isel(time=time), "recall")
        for index, label in enumerate(("the child", "its siblings", "the concept")):
            simulation(
                left,
                time,
                recall.mean[:, index],
                recall.standard_error[:, index],
                index,
                label=label,
                linestyle=":",
            )
        left.set_xlabel("time t (updates)")
        left.set_ylabel("overlap with")
        left.set_ylim(0, 1.2)
        left.set_title(
            f"s = {self.branching}, b = {self.correlation:g}, α = {self.recall_load:g}", fontsize="medium"
        )
        left.legend(loc="upper center", fontsize="small", ncols=3)
        load = record["load"].values
        for index, kind in enumerate(KINDS):
            theory(
                middle,
                record[f"{kind}_branch_load"].values,
                record[f"{kind}_branch_overlap"].values,
                index,
                label=f"{kind}, theory",
            )
            shown = read_measured(record, f"{kind}_all")
            simulation(
                middle, load, shown.mean, shown.standard_error, index, label=f"{kind}, N = {self.n_units}"
            )
        middle.set_xlabel("load α = P/N")
        middle.set_ylabel("overlap kept")
        middle.set_xlim(0, 1.08 * load.max())
        middle.set_ylim(0, 1.05)
        middle.set_title(f"s = {self.branching}, b = {self.correlation:g}", fontsize="medium")
        middle.legend(loc="lower left", fontsize="small")
        draw_diagram(right, record, self.branching, self.correlation)
        return figure
