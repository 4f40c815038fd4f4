"""Learning rules side by side: how much each holds, how well it recalls, and the bound for all of them."""

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
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments.memory._rule_ensemble import (
    RULES,
    RecallEnsemble,
    largest_stabilities,
    overlaps_by_rule,
    served_fraction,
)
from neuromanifold.experiments.memory._rules_figure import SHORT, draw_rules, named
from neuromanifold.theory.memory import (
    gardner_capacity,
    optimal_stability,
    retrieval_overlap,
    rule_first_step,
    separable_fraction,
)

_PREDICTED = ("hebb", "pseudo-inverse", "pseudo-inverse with diagonal")
# Replicas move together while their couplings take no more than this.
_BYTES = 5e8


@experiment(
    Card(
        name="memory-rules",
        title="What a learning rule can do for a memory",
        topic="memory",
        lecture="C",
        systems=("C1", "A25"),
        idea=(
            "The same random patterns are learnt by Hebb's rule, by Storkey's, by the pseudo-inverse with "
            "and without its diagonal, and by perceptron learning. Hebb's rule loses its memories near "
            "alpha = 0.138. Storkey's lasts longer. The pseudo-inverse keeps every pattern without error as "
            "long as patterns are linearly independent, alpha < 1; but what its diagonal holds in place it "
            "also holds in error, so that with self-coupling fewer cues find their pattern. What one step "
            "makes of a damaged pattern follows from the distribution of stabilities alone and is compared "
            "with the simulation for the three rules for which it is known. The AdaTron finds the largest "
            "stability that any couplings can have: extrapolated to infinite size it is Gardner's. "
            "Perceptron learning ends below alpha = 2 and goes on for ever above, with Cover's exact "
            "fraction of learnable units in between for a finite network; after a finite number of passes a "
            "few that could be learnt are not yet, so that this fraction is a bound."
        ),
        equations=(
            ("Pseudo-inverse", r"J = \frac{1}{N} \Xi^T C^{-1} \Xi, \quad C = \frac{1}{N} \Xi \Xi^T"),
            (
                "Storkey",
                r"\Delta J_{ij} = \frac{1}{N} \left( \xi_i \xi_j - \xi_i h_{ji} - h_{ij} \xi_j \right)",
            ),
            (
                "First step",
                r"m_1 = \int \rho(\Delta) \, \mathrm{erf}\left( \frac{m_0 \Delta}{\sqrt{2 (1 - m_0^2)}} "
                r"\right) d\Delta",
            ),
            (
                "Gardner's bound",
                r"\frac{1}{\alpha_c(\kappa)} = \int_{-\kappa}^{\infty} (t + \kappa)^2 \frac{e^{-t^2/2}}"
                r"{\sqrt{2 \pi}} dt",
            ),
        ),
        sources=(
            "amari1972",
            "personnazguyondreyfus1985",
            "kantersompolinsky1987",
            "storkey1997",
            "gardner1988",
            "cover1965",
            "anlaufbiehl1989",
            "keplerabbott1988",
        ),
        caption=(
            "Top left: overlap after recall from the pattern itself against load; line: replica theory of "
            "Hebb's rule. Top right: overlap after one step from a damaged pattern; lines: theory. Bottom "
            "left: largest stability of all patterns, by the AdaTron; line: Gardner's theory. Bottom right: "
            "fraction of units that perceptron learning served; line: Cover's fraction of those it can."
        ),
    ),
    full={
        "n_units": 1000,
        "loads": (0.05, 0.1, 0.13, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        "n_sets": 20,
        "n_cues": 20,
        "n_steps": 40,
        "stability_sizes": (100, 200),
        "stability_loads": (0.25, 0.5, 0.75, 1.0, 1.25),
        "stability_sweeps": 1500,
        "learning_units": 60,
        "learning_loads": (1.0, 1.25, 1.5, 1.75, 1.9, 2.0, 2.1, 2.25, 2.5),
        "learning_sweeps": 5000,
    },
)
class MemoryRules:
    """Retrieval, first steps, stabilities and convergence under several rules, with their theories."""

    n_units: int = parameter(200, doc="number of units N", low=50)
    loads: tuple[float, ...] = parameter(
        (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8), doc="loads alpha = P/N", low=0.0, high=0.95, open_low=True
    )
    start: float = parameter(0.7, doc="overlap of the damaged cue", low=0.3, high=0.95)
    compared: tuple[float, ...] = parameter(
        (0.2, 0.4, 0.6), doc="loads, of `loads`, at which first steps are compared", low=0.0, high=0.95
    )
    hebb_lost: float = parameter(
        0.3, doc="load, of `loads`, at which Hebb's memory is lost and Storkey's is not", low=0.2, high=0.4
    )
    held: float = parameter(
        0.4, doc="load, of `loads`, at which the diagonal keeps cues from recall", low=0.3, high=0.5
    )
    n_sets: int = parameter(12, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(10, doc="patterns of each set that are recalled", low=1)
    n_steps: int = parameter(10, doc="synchronous updates", unit="updates", low=1)
    stability_sizes: tuple[int, ...] = parameter(
        (32, 64), doc="two numbers of units, one twice the other, for the largest stability", low=20
    )
    stability_loads: tuple[float, ...] = parameter(
        (0.25, 0.5, 0.75), doc="loads for the largest stability", low=0.1, high=1.5
    )
    stability_sweeps: int = parameter(60, doc="passes of the AdaTron", unit="passes", low=10)
    learning_units: int = parameter(30, doc="number of units for perceptron learning", low=20)
    learning_loads: tuple[float, ...] = parameter(
        (1.0, 1.5, 2.0, 2.5), doc="loads P/(N - 1) for perceptron learning, ascending", low=0.5, high=4.0
    )
    learning_sweeps: int = parameter(120, doc="passes of perceptron learning", unit="passes", low=10)
    n_learning_sets: int = parameter(20, doc="independent sets of patterns that are learnt", low=2)

    def check(self) -> None:
        """Loads that are named exist; loads ascend; one size is twice the other; cues have patterns."""
        for name, values in (
            ("compared", self.compared),
            ("hebb_lost", (self.hebb_lost,)),
            ("held", (self.held,)),
        ):
            require(set(values) <= set(self.loads), name, f"be among the loads {self.loads}", values)
        for name, values in (("loads", self.loads), ("learning_loads", self.learning_loads)):
            require(all(np.diff(values) > 0), name, "ascend", values)
        twice = len(self.stability_sizes) == 2 and self.stability_sizes[1] == 2 * self.stability_sizes[0]
        require(twice, "stability_sizes", "be one number and its double", self.stability_sizes)
        smallest = self._counts()[0]
        require(
            self.n_cues <= smallest,
            "n_cues",
            f"be at most the smallest number of patterns, {smallest}",
            self.n_cues,
        )

    def _counts(self) -> list[int]:
        return [round(load * self.n_units) for load in self.loads]

    def _learning_counts(self) -> list[int]:
        return [round(load * (self.learning_units - 1)) for load in self.learning_loads]

    def predict(self) -> xr.Dataset:
        """First steps, the replica overlap, Gardner's stability and Cover's fraction."""
        n = self.n_units
        loads = np.array(self._counts()) / n
        # The overlap that a whole number of flips leaves.
        start = 1.0 - 2.0 * round(n * (1.0 - self.start) / 2.0) / n
        line = np.linspace(0.02, 0.95, 94)
        variables: dict[str, Any] = {}
        for rule, short in zip(_PREDICTED, SHORT, strict=False):
            value = rule_first_step(rule, loads, start)
            variables |= predicted_variable(
                f"{short}_expected",
                Prediction(value, *_first_step_error(rule, loads, start, n)),
                ("load",),
                long_name=f"overlap after one step, {rule}, theory",
            )
            variables[f"{short}_line"] = ("line", rule_first_step(rule, line, start), named("overlap"))
        variables["replica_overlap"] = ("line", retrieval_overlap(line), named("overlap, replica theory"))
        variables |= predicted_variable(
            "stability_expected",
            Prediction(optimal_stability(np.array(self.stability_loads))),
            ("stability_load",),
            long_name="largest stability, theory",
        )
        kappa = np.linspace(0.0, 2.5, 101)
        variables["bound_load"] = ("kappa", gardner_capacity(kappa), named("load of Gardner's bound"))
        counts = np.array(self._learning_counts())
        variables |= predicted_variable(
            "learnable",
            Prediction(separable_fraction(counts, self.learning_units - 1)),
            ("learning_load",),
            long_name="fraction of units that can be learnt",
        )
        dense = np.arange(round(0.9 * counts[0]), round(1.1 * counts[-1]))
        variables["learnable_line"] = (
            "count",
            separable_fraction(dense, self.learning_units - 1),
            named("fraction of units that can be learnt"),
        )
        return xr.Dataset(
            variables,
            {
                "load": ("load", loads, named("load alpha = P/N")),
                "line": ("line", line, named("load alpha = P/N")),
                "stability_load": ("stability_load", np.array(self.stability_loads), named("load P/N")),
                "kappa": ("kappa", kappa, named("stability")),
                "learning_load": (
                    "learning_load",
                    counts / (self.learning_units - 1),
                    named("load P/(N - 1)"),
                ),
                "count": ("count", dense / (self.learning_units - 1), named("load P/(N - 1)")),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recall under all rules, largest stabilities, and what perceptron learning serves."""
        key_recall, key_stability, key_learning = jax.random.split(key, 3)
        counts = self._counts()
        ensemble = RecallEnsemble(jnp.array(counts), self.n_units, counts[-1], self.n_cues)
        # Six factors of every load and a matrix, float32.
        bytes_of_a_set = 4.0 * len(counts) * self.n_units * (6 * counts[-1] + self.n_units)
        made = run(
            ensemble.process(),
            key_recall,
            jnp.array([1.0, self.start], jnp.float32),
            self.n_steps,
            observe=overlaps_by_rule,
            replicas=self.n_sets,
            memory_budget=None if bytes_of_a_set * self.n_sets < _BYTES else max(_BYTES, 4 * bytes_of_a_set),
            keep_state=False,
            label="recall",
        )
        variables: dict[str, Any] = {}
        for rule, short in zip(RULES, SHORT, strict=True):
            seen = np.asarray(made.values[rule], np.float64)  # set, time, load, start, cue
            for name, values, told in (
                ("first", seen[:, 1, :, 1], "one step from the damaged pattern"),
                ("kept", seen[:, -1, :, 0], "recall from the pattern"),
                ("found", seen[:, -1, :, 1], "recall from the damaged pattern"),
            ):
                variables |= measured_variables(
                    f"{short}_{name}",
                    estimate(values.mean(-1)),
                    ("load",),
                    long_name=f"overlap after {told}, {rule}",
                )
        exact = np.asarray(made.values["pseudo-inverse"], np.float64)[:, 1, :, 0]
        variables["unstable"] = ((), int(np.sum(exact < 1)), named("patterns that are no fixed points"))
        variables["patterns_tried"] = ((), exact.size, named("patterns tried"))
        variables |= largest_stabilities(
            run,
            key_stability,
            self.stability_sizes,
            self.stability_loads,
            self.stability_sweeps,
            self.n_learning_sets,
        )
        variables |= served_fraction(
            run,
            key_learning,
            self.learning_units,
            self._learning_counts(),
            self.learning_sweeps,
            self.n_learning_sets,
        )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """First steps, capacities, the diagonal's harm, Gardner's stability, the perceptron's limits."""
        made = []
        for load in self.compared:
            at = record.sel(load=load, method="nearest")
            for rule, short in zip(_PREDICTED, SHORT, strict=False):
                made.append(
                    compare(
                        read_predicted(at, f"{short}_expected"),
                        read_measured(at, f"{short}_first"),
                        statement=f"At load {load:g} one step of the {rule} rule is that of the theory.",
                        system="A25",
                        resolution=0.05,
                    )
                )
        made.append(
            never(
                int(record["unstable"]),
                int(record["patterns_tried"]),
                statement="Under the pseudo-inverse every pattern is a fixed point, at every load below one.",
                system="C1",
            )
        )
        lost = record.sel(load=self.hebb_lost, method="nearest")
        made.append(
            at_most(
                0.7,
                read_measured(lost, "hebb_kept"),
                statement=f"At load {self.hebb_lost:g} Hebb's rule has lost its memories.",
                system="C1",
                reason="far below the overlap .967 at capacity",
            )
        )
        made.append(
            at_least(
                0.95,
                read_measured(lost, "storkey_kept"),
                statement=f"At load {self.hebb_lost:g} Storkey's rule still has them.",
                system="C1",
            )
        )
        held = record.sel(load=self.held, method="nearest")
        free, stuck = read_measured(held, "projection_found"), read_measured(held, "held_found")
        gain = Estimate(free.mean - stuck.mean, np.hypot(free.standard_error, stuck.standard_error), free.n)
        made.append(
            at_least(
                0.03,
                gain,
                statement=(
                    f"At load {self.held:g}, from overlap {self.start:g}, the pseudo-inverse recalls better "
                    "without its diagonal than with it."
                ),
                system="C1",
                reason="difference of the overlaps reached",
            )
        )
        for load in self.stability_loads:
            at = record.sel(stability_load=load)
            made.append(
                compare(
                    read_predicted(at, "stability_expected"),
                    read_measured(at, "stability_limit"),
                    statement=f"At load {load:g} the largest stability is Gardner's, extrapolated in 1/N.",
                    system="C1",
                    resolution=0.05,
                )
            )
        return made + self._about_learning(record)

    def _about_learning(self, record: xr.Dataset) -> list[Claim]:
        made = []
        for load in record["learning_load"].values:
            at = record.sel(learning_load=load)
            served, possible = read_measured(at, "served"), float(at["learnable"])
            if load <= 1.1:
                made.append(
                    at_least(
                        0.97,
                        served,
                        statement=f"At load {load:.3g} perceptron learning serves nearly every unit.",
                        system="C1",
                        reason="Cover's fraction is one",
                    )
                )
            elif load >= 1.95:
                made.append(
                    at_most(
                        possible + 0.12,
                        served,
                        statement=f"At load {load:.3g} it serves no more units than can be served.",
                        system="C1",
                        reason="Cover's fraction, exact in general position, and .12 for chance",
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Retrieval, first steps, stability and convergence."""
        return draw_rules(record, self.start, self.stability_sizes[1], self.learning_sweeps)


def _first_step_error(rule: str, loads: np.ndarray, start: float, n: int) -> tuple[np.ndarray, str]:
    """What finite N moves the formulas by."""
    if rule == "hebb":
        fewer = rule_first_step(rule, loads - 1.0 / n, start)
        return np.abs(
            fewer - rule_first_step(rule, loads, start)
        ), "the pattern itself, one of P, is no noise"
    spread = np.sqrt(2.0 * loads * (1.0 - loads) / n)
    up, down = (
        rule_first_step(rule, np.clip(loads + s * spread, 1e-6, 1 - 1e-6), start) for s in (1.0, -1.0)
    )
    bend = np.abs(up + down - 2.0 * rule_first_step(rule, loads, start)) / 2.0
    return bend + 1.0 / n, "J_ii differs from unit to unit by sqrt(2 alpha (1 - alpha)/N); one flip in a cue"
