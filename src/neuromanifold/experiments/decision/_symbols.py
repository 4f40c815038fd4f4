"""Symbols that act on the patterns they were read from: commitment and intervention."""

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
from neuromanifold.data import random_patterns
from neuromanifold.dynamics import solve
from neuromanifold.evidence import (
    Claim,
    Prediction,
    compare,
    estimate,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, LINES, panels, simulation, theory
from neuromanifold.networks.decision import PatternDynamics
from neuromanifold.theory.decision import (
    commitment_time,
    critical_intervention,
    overlap_flow,
    settled_overlap,
)

_CROSSTALK = "crosstalk of the other patterns, whose fields have relative variance beta^2 (P - 1)/n"
_FROM, _TO = 2, 3


@experiment(
    Card(
        name="decision-symbols",
        title="When logic overrules the dynamics",
        topic="decision",
        lecture="A",
        systems=("A24",),
        idea=(
            "The lecture contrasts a parallel dynamics of excitation patterns, fast and unaware, with logic"
            " on the symbols that are read from it, and gives no equation. What follows is an "
            "interpretation: patterns compete until one overlap reaches a threshold; this is the "
            "commitment, and its symbol is latched. From then on a rule on symbols may act back on the "
            "patterns. Theory gives the time of commitment, the strength that the intervention needs to "
            "overturn what the dynamics has committed to, and the overlap in the end. Below that strength "
            "the rule is known and changes nothing."
        ),
        equations=(
            (
                "Patterns",
                r"\dot{x} = -x + \tanh(K x + \kappa b), \quad K = \frac{\beta}{n} \sum_\mu \xi^\mu \xi^{\mu"
                r" T}",
            ),
            ("Commitment", r"t_c = \int_{m_0}^{\theta} \frac{dm}{\tanh(\beta m) - m}"),
            (
                "Intervention needed",
                r"\kappa_c = \max_{d \leq \theta} \left(\beta d - \mathrm{artanh}\, d\right)",
            ),
        ),
        sources=("hopfield1984", "libet1985"),
        caption=(
            "Left: overlaps with the pattern committed to and with the one that the rule calls up, against "
            "time, below and above the critical intervention; lines: theory, points: one network. Middle: "
            "time of commitment of several networks, line: theory. Right: share of networks turned over "
            "against the strength of the intervention; line: theory."
        ),
    ),
    full={"n_units": 20000, "n_networks": 40, "kappas": (0.0, 0.4, 0.7, 0.9, 1.2, 1.6, 3.0)},
)
class DecisionSymbols:
    """Time of commitment, and interventions below and above the critical strength."""

    n_units: int = parameter(2000, doc="units n", low=200)
    n_patterns: int = parameter(4, doc="patterns P", low=4, high=10)
    beta: float = parameter(2.5, doc="strength of the couplings", low=1.2, high=10.0)
    theta: float = parameter(0.6, doc="overlap of commitment", low=0.3, high=0.9)
    overlap: float = parameter(0.15, doc="initial overlap with pattern 2", low=0.05, high=0.3)
    noise: float = parameter(0.1, doc="initial noise of a unit", low=0.0, high=0.5)
    kappas: tuple[float, ...] = parameter((0.0, 0.4, 1.6, 3.0), doc="strengths of the intervention", low=0.0)
    clear: float = parameter(
        0.15, doc="distance from the critical strength below which nothing is claimed", low=0.1
    )
    horizon: float = parameter(14.0, doc="time followed", unit="time constants", low=8.0)
    n_networks: int = parameter(16, doc="independent sets of patterns", low=4)

    def check(self) -> None:
        """The threshold is reached; there are interventions on both sides."""
        top = settled_overlap(self.beta, 0.0)
        require(self.theta < 0.98 * top, "theta", f"be below {0.98 * top:.4f}", self.theta)
        critical = critical_intervention(self.beta, self.theta)
        both = min(self.kappas) < critical - self.clear and max(self.kappas) > critical + self.clear
        require(both, "kappas", f"lie clearly on both sides of {critical:.4f}", self.kappas)

    def _rule(self) -> tuple[int, ...]:
        return tuple(_TO if symbol == _FROM else symbol for symbol in range(self.n_patterns))

    def _shown(self) -> tuple[float, float]:
        """The intervention closest to the critical one on either side."""
        critical = critical_intervention(self.beta, self.theta)
        below = max(k for k in self.kappas if k < critical - self.clear)
        above = min(k for k in self.kappas if k > critical + self.clear)
        return below, above

    def predict(self) -> xr.Dataset:
        """Commitment, critical intervention, end states, curves."""
        when = commitment_time(self.beta, self.overlap, self.theta)
        crosstalk = self.beta**2 * (self.n_patterns - 1) / self.n_units
        kappas = np.array(self.kappas)
        critical = critical_intervention(self.beta, self.theta)
        ends = np.array([settled_overlap(self.beta, k) for k in kappas])
        before = np.linspace(0.0, when, 121)
        with jax.enable_x64(True):
            start = jnp.array([self.overlap, 0.0])
            rise = np.asarray(solve(overlap_flow(2, self.beta), start, before).states)
            after = np.linspace(when, self.horizon, 121)
            falls = [
                np.asarray(
                    solve(overlap_flow(2, self.beta, kappa, 1), jnp.array([self.theta, 0.0]), after).states
                )
                for kappa in self._shown()
            ]
        curves = np.stack([np.concatenate([rise, fall]) for fall in falls])
        return xr.Dataset(
            {
                **predicted_variable(
                    "commit_predicted",
                    Prediction(when, crosstalk * when, _CROSSTALK),
                    long_name="time of commitment",
                    units="time constants",
                ),
                "critical": ((), critical, {"long_name": "critical intervention kappa_c", "units": "1"}),
                **predicted_variable(
                    "end_predicted",
                    Prediction(ends, 0.5 * crosstalk * (1 - ends) + 1e-4, _CROSSTALK),
                    ("kappa",),
                    long_name="overlap in the end with the pattern called up",
                ),
                "curve": (
                    ("shown", "fine", "pattern"),
                    curves,
                    {"long_name": "overlap, theory", "units": "1"},
                ),
            },
            {
                "kappa": ("kappa", kappas, {"long_name": "strength of the intervention kappa", "units": "1"}),
                "shown": ("shown", np.array(self._shown()), {"long_name": "kappa", "units": "1"}),
                "fine": (
                    "fine",
                    np.concatenate([before, after]),
                    {"long_name": "time", "units": "time constants"},
                ),
                "pattern": ("pattern", np.array([_FROM, _TO])),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks with patterns of their own at every strength."""
        del run  # flows are solved by `dynamics.solve` inside `decide`
        times, symbols, finals, overlaps = [], [], [], []
        kept: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        for number in range(self.n_networks):
            key_patterns, key_noise = jax.random.split(jax.random.fold_in(key, number))
            patterns = random_patterns(key_patterns, self.n_patterns, self.n_units).astype(jnp.float32)
            noise = jax.random.normal(key_noise, (self.n_units,))
            # Noise without overlap with the pattern, which theory takes as given.
            noise = noise - jnp.mean(noise * patterns[_FROM]) * patterns[_FROM]
            start = self.overlap * patterns[_FROM] + self.noise * noise
            row = []
            for kappa in self.kappas:
                thought = PatternDynamics(patterns, self.beta, self._rule(), kappa)
                course = thought.decide(start, self.theta, self.horizon, 41)
                row.append(course)
                if number == 0 and kappa in self._shown():
                    kept[kappa] = (course.times, course.overlaps[:, [_FROM, _TO]])
            times.append([c.commit_time for c in row])
            symbols.append([c.symbol for c in row])
            finals.append([c.symbols[-1] for c in row])
            overlaps.append([c.overlaps[-1, _TO] for c in row])
        commit, final = np.array(times), np.array(finals)
        variables: dict[str, Any] = {
            **measured_variables(
                "commit", estimate(commit[:, 0]), long_name="time of commitment", units="time constants"
            ),
            "commits": (
                "network",
                commit[:, 0],
                {"long_name": "time of commitment", "units": "time constants"},
            ),
            "committed_elsewhere": (
                (),
                int((np.array(symbols) != _FROM).sum()),
                {"long_name": "networks that committed to another pattern", "units": "1"},
            ),
            "turned": (
                "kappa",
                (final == _TO).sum(0),
                {"long_name": "networks turned over to the pattern of the rule", "units": "1"},
            ),
            **measured_variables(
                "end",
                estimate(np.array(overlaps)),
                ("kappa",),
                long_name="overlap in the end with the pattern called up",
            ),
        }
        for index, kappa in enumerate(self._shown()):
            t, m = kept[kappa]
            variables[f"example_time_{index}"] = (
                f"sample_{index}",
                t,
                {"long_name": "time", "units": "time constants"},
            )
            variables[f"example_{index}"] = (
                (f"sample_{index}", "pattern"),
                m,
                {"long_name": "overlap", "units": "1"},
            )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Commitment, and who wins."""
        critical, trials = float(record["critical"]), record.sizes["network"]
        made = [
            compare(
                read_predicted(record, "commit_predicted"),
                read_measured(record, "commit"),
                statement="time of commitment",
                system="A24",
                resolution=0.1,
            ),
            never(
                int(record["committed_elsewhere"]),
                trials * record.sizes["kappa"],
                statement="no network commits to another pattern than the favoured one, whatever the rule",
                system="A24",
                rate=0.11,
            ),
        ]
        below = above = stays = turns = 0
        for kappa in record["kappa"].values:
            at = record.sel(kappa=kappa)
            turned = int(at["turned"])
            if kappa < critical - self.clear:
                below, stays = below + trials, stays + turned
            elif kappa > critical + self.clear:
                above, turns = above + trials, turns + trials - turned
                made.append(
                    compare(
                        read_predicted(at, "end_predicted"),
                        read_measured(at, "end"),
                        statement=f"kappa = {kappa:g}: overlap in the end with the pattern of the rule",
                        system="A24",
                        resolution=0.01,
                    )
                )
        for events, total, text in (
            (stays, below, "below the critical intervention no network is turned over"),
            (turns, above, "above the critical intervention every network is turned over"),
        ):
            made.append(never(events, total, statement=text, system="A24", rate=0.25))
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Courses, commitments, share turned over."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        for index, kappa in enumerate(record["shown"].values):
            for column, pattern in enumerate(record["pattern"].values):
                style = {"color": COLOURS[column], "linestyle": LINES[index]}
                label = f"pattern {pattern}, κ = {kappa:g}"
                left.plot(
                    record["fine"],
                    record["curve"].values[index, :, column],
                    label=label,
                    linewidth=1.3,
                    **style,
                )
                t, m = record[f"example_time_{index}"].values, record[f"example_{index}"].values[:, column]
                left.plot(
                    t[::2], m[::2], "os"[index], color=COLOURS[column], markersize=3, markerfacecolor="white"
                )
        left.axhline(self.theta, color="0.5", linewidth=0.8)
        left.set(xlabel="time (time constants)", ylabel="overlap m", ylim=(-0.15, 1.1), xlim=(0, 8))
        left.legend(fontsize=7, loc="center right")
        shown = read_measured(record, "commit")
        middle.plot(
            np.arange(record.sizes["network"]), record["commits"], "o", color="0.4", markerfacecolor="white"
        )
        middle.axhline(float(record["commit_predicted"]), color=COLOURS[0], label="theory")
        simulation(middle, [record.sizes["network"]], [shown.mean], [shown.standard_error], 1, label="mean")
        middle.set(xlabel="network", ylabel="time of commitment (time constants)")
        middle.legend(fontsize=8)
        fine = np.linspace(0.0, 1.05 * float(record["kappa"].max()), 400)
        theory(right, fine, (fine > float(record["critical"])).astype(float), label="theory")
        share = record["turned"].values / record.sizes["network"]
        error = np.sqrt((share + 0.02) * (1.02 - share) / record.sizes["network"])
        simulation(right, record["kappa"], share, error, 1, label=f"networks, n = {self.n_units}")
        right.set(xlabel="strength of the intervention κ", ylabel="share turned over", ylim=(-0.15, 1.15))
        right.legend(fontsize=8, loc="center right")
        return figure
