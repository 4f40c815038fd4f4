"""Drift diffusion to two bounds: choices, times, and what steps of finite length do to them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure
from scipy.integrate import quad

from neuromanifold._base import require
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    proportion,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.decision import DriftDiffusion
from neuromanifold.theory.decision import choice_probability, decision_density, mean_decision_time

_STEP = "a step's length and what is undecided at the end: terms of order dt"
# -zeta(1/2)/sqrt(2 pi), of the theory of the overshoot.
_OVERSHOOT = 0.5826


@experiment(
    Card(
        name="decision-diffusion",
        title="Deciding between two: how often, how fast",
        topic="decision",
        lecture="A",
        systems=("A24",),
        idea=(
            "The lecture speaks in words of a dynamics that commits itself before one is aware of it. What "
            "follows is an interpretation: evidence drifts and diffuses until it meets one of two bounds. "
            "How often each bound is met, how long it takes on average, and the density of the times have "
            "closed forms. A simulation in steps decides too late, by an amount of the order of the square "
            "root of the step; bounds moved inwards by 0.5826 standard deviations of a step repair this. "
            "Corrected and uncorrected simulations are compared with what theory says of each."
        ),
        equations=(
            ("Evidence", r"dX = \mu \, dt + s \, dB, \quad |X| < a"),
            ("Choice", r"P(+) = \frac{1}{1 + e^{-2 \mu a / s^2}}"),
            ("Mean time", r"E T = \frac{a}{\mu} \tanh \frac{\mu a}{s^2}"),
            ("Corrected bound", r"a - 0.5826 \, s \sqrt{dt}"),
        ),
        sources=("ratcliff1978", "broadieglassermankou1997", "libet1985"),
        caption=(
            "Left: probability of the upper bound against the drift. Middle: mean decision time against the"
            " step, corrected and not; lines: theory. Right: density of the decision times at both bounds; "
            "lines: theory, points: corrected simulation."
        ),
    ),
    full={"n_paths": 100000, "steps": (0.04, 0.01, 0.0025, 0.001), "drifts": (0.0, 0.25, 0.5, 1.0, 1.5)},
)
class DecisionDiffusion:
    """Choice probability, mean time and its density; bias of steps of finite length."""

    noise: float = parameter(1.0, doc="noise s", low=0.0, open_low=True)
    bound: float = parameter(1.0, doc="bound a", low=0.0, open_low=True)
    drift: float = parameter(0.5, doc="drift of the comparison of steps", low=0.0)
    drifts: tuple[float, ...] = parameter((0.0, 1.0), doc="further drifts", low=-5.0, high=5.0)
    steps: tuple[float, ...] = parameter(
        (0.04, 0.01), doc="lengths of a step, falling", unit="time", low=1e-4, high=0.2
    )
    n_paths: int = parameter(10000, doc="paths", low=1000)
    horizon: float = parameter(9.0, doc="time followed, in a^2/s^2", low=4.0)
    n_bins: int = parameter(10, doc="bins of the decision times", low=4)
    latest: float = parameter(3.0, doc="end of the last bin, in a^2/s^2", low=1.0)

    def check(self) -> None:
        """Steps fall, and leave room between corrected bounds."""
        require(all(np.diff(self.steps) < 0), "steps", "fall", self.steps)
        largest = (0.5 * self.bound / _OVERSHOOT / self.noise) ** 2
        require(max(self.steps) < largest, "steps", f"be below {largest:g}", self.steps)

    def _drifts(self) -> list[float]:
        return sorted({self.drift, *self.drifts})

    def _scale(self) -> float:
        return (self.bound / self.noise) ** 2

    def _edges(self) -> np.ndarray:
        """Edges of bins that are whole steps of the finest length."""
        dt = min(self.steps)
        width = max(1, round(self.latest * self._scale() / self.n_bins / dt)) * dt
        return width * np.arange(self.n_bins + 1)

    def predict(self) -> xr.Dataset:
        """Closed forms, for corrected bounds and for bounds that lie further out."""
        drifts, steps, finest = np.array(self._drifts()), np.array(self.steps), min(self.steps)
        s, a = self.noise, self.bound
        out = a + _OVERSHOOT * s * np.sqrt(steps)
        edges = self._edges()
        middle = 0.5 * (edges[1:] + edges[:-1])
        shares = {
            choice: np.array(
                [
                    quad(
                        lambda t, c=choice: float(decision_density(t, self.drift, s, a, choice=c)),
                        max(low, 1e-9),
                        high,
                    )[0]
                    for low, high in itertools.pairwise(edges)
                ]
            )
            for choice in ("upper", "lower")
        }
        fine = np.linspace(1e-3, edges[-1], 200)
        dense = np.linspace(min(drifts) - 0.2, max(drifts) + 0.2, 60)
        variables: dict[str, Any] = {
            **predicted_variable(
                "choice_predicted",
                Prediction([choice_probability(m, s, a) for m in drifts], finest / self._scale(), _STEP),
                ("drift",),
                long_name="probability of the upper bound",
            ),
            **predicted_variable(
                "time_predicted",
                Prediction([mean_decision_time(m, s, a) for m in drifts], finest, _STEP),
                ("drift",),
                long_name="mean decision time",
                units="time",
            ),
            **predicted_variable(
                "corrected_predicted",
                Prediction(np.full(steps.size, mean_decision_time(self.drift, s, a)), steps, _STEP),
                ("step",),
                long_name="mean decision time, corrected bounds",
                units="time",
            ),
            **predicted_variable(
                "uncorrected_predicted",
                Prediction([mean_decision_time(self.drift, s, float(b)) for b in out], steps, _STEP),
                ("step",),
                long_name="mean decision time, uncorrected bounds",
                units="time",
            ),
            "choice_line": (
                "dense",
                np.array([choice_probability(float(m), s, a) for m in dense]),
                {"long_name": "probability of the upper bound", "units": "1"},
            ),
        }
        for choice, share in shares.items():
            # A step's length shifts the edges of a bin against the density.
            slope = np.abs(np.diff(share, prepend=0.0)) + np.abs(np.diff(share, append=0.0))
            variables |= predicted_variable(
                f"{choice}_share_predicted",
                Prediction(share, slope * finest / (edges[1] - edges[0]), _STEP),
                ("bin",),
                long_name=f"share of decisions, {choice} bound",
            )
            variables[f"{choice}_density"] = (
                "fine",
                decision_density(fine, self.drift, s, a, choice=choice),
                {"long_name": f"density, {choice} bound", "units": "1/time"},
            )
        return xr.Dataset(
            variables,
            {
                "drift": ("drift", drifts, {"long_name": "drift mu", "units": "1/time"}),
                "dense": ("dense", dense, {"long_name": "drift mu", "units": "1/time"}),
                "step": ("step", steps, {"long_name": "length of a step dt", "units": "time"}),
                "bin": ("bin", middle, {"long_name": "decision time", "units": "time"}),
                "fine": ("fine", fine, {"long_name": "decision time", "units": "time"}),
            },
        )

    def _paths(
        self, run: Callable[..., Any], key: Key[Array, ""], drift: float, dt: float, corrected: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        model = DriftDiffusion(drift, self.noise, self.bound, dt=dt, corrected=corrected)
        made = run(
            model.process(),
            key,
            jnp.zeros(self.n_paths),
            round(self.horizon * self._scale() / dt),
            label=f"drift {drift:g}, dt {dt:g}, {'corrected' if corrected else 'plain'}",
        ).state
        return np.asarray(made.choice), np.asarray(made.time, np.float64)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Paths at every drift, step, with and without correction."""
        finest = min(self.steps)
        ups, times = [], []
        edges = self._edges()
        variables: dict[str, xr.Variable] = {}
        keys = iter(jax.random.split(key, len(self._drifts()) + 2 * len(self.steps)))
        at_finest: tuple[np.ndarray, np.ndarray] | None = None
        for drift in self._drifts():
            choice, time = self._paths(run, next(keys), drift, finest, True)
            ups.append(proportion(int((choice == 1).sum()), self.n_paths))
            times.append(estimate(time))
            if drift == self.drift:
                at_finest = choice, time
        assert at_finest is not None
        for name, side in (("upper", 1), ("lower", -1)):
            wanted = at_finest[1][at_finest[0] == side]
            # Decided at whole steps: half a step keeps rounding off the edges.
            counts, _ = np.histogram(wanted, edges + 0.5 * finest)
            shares = [proportion(int(count), self.n_paths) for count in counts]
            variables |= measured_variables(
                f"{name}_share", _joined(shares), ("bin",), long_name=f"share of decisions, {name} bound"
            )
        for corrected in (True, False):
            means = []
            for dt in self.steps:
                if corrected and dt == finest:
                    means.append(estimate(at_finest[1]))
                    continue
                means.append(estimate(self._paths(run, next(keys), self.drift, dt, corrected)[1]))
            name = "corrected" if corrected else "uncorrected"
            variables |= measured_variables(
                name, _joined(means), ("step",), long_name=f"mean decision time, {name} bounds", units="time"
            )
        variables |= measured_variables(
            "choice", _joined(ups), ("drift",), long_name="probability of the upper bound"
        )
        variables |= measured_variables(
            "time", _joined(times), ("drift",), long_name="mean decision time", units="time"
        )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Choices, times, steps, density."""
        made = []
        scale = self._scale()
        for drift in record["drift"].values:
            at = record.sel(drift=drift)
            made.append(
                compare(
                    read_predicted(at, "choice_predicted"),
                    read_measured(at, "choice"),
                    statement=f"drift {drift:g}: probability of the upper bound",
                    system="A24",
                    resolution=0.05,
                )
            )
            made.append(
                compare(
                    read_predicted(at, "time_predicted"),
                    read_measured(at, "time"),
                    statement=f"drift {drift:g}: mean decision time",
                    system="A24",
                    resolution=0.08 * scale,
                )
            )
        coarse = record.isel(step=0)
        # The two differ by the whole effect of the correction.
        effect = float(coarse["uncorrected_predicted"] - coarse["corrected_predicted"])
        for name in ("corrected", "uncorrected"):
            made.append(
                compare(
                    read_predicted(coarse, f"{name}_predicted"),
                    read_measured(coarse, name),
                    statement=f"steps of {float(coarse['step']):g}, {name} bounds: mean decision time",
                    system="A24",
                    resolution=0.7 * effect,
                )
            )
        for name in ("upper", "lower"):
            for index in range(0, record.sizes["bin"], 2):
                at = record.isel(bin=index)
                made.append(
                    compare(
                        read_predicted(at, f"{name}_share_predicted"),
                        read_measured(at, f"{name}_share"),
                        statement=f"{name} bound: share of decisions around time {float(at['bin']):.2f}",
                        system="A24",
                        resolution=0.06,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Choice, time against step, densities."""
        figure, axes = panels(3, width=4.1)
        left, middle, right = axes[0]
        theory(left, record["dense"], record["choice_line"], label="theory")
        shown = read_measured(record, "choice")
        simulation(left, record["drift"], shown.mean, shown.standard_error, 1, label="paths")
        left.set(xlabel="drift μ (1/time)", ylabel="probability of the upper bound")
        left.legend(frameon=False, fontsize=8)
        for index, (name, label) in enumerate(
            (("corrected", "corrected bounds"), ("uncorrected", "plain bounds"))
        ):
            shown = read_measured(record, name)
            theory(middle, record["step"], record[f"{name}_predicted"], index)
            simulation(middle, record["step"], shown.mean, shown.standard_error, index, label=label)
        middle.set(xlabel="length of a step dt (time)", ylabel="mean decision time (time)", xscale="log")
        middle.set_xticks(record["step"].values, [f"{dt:g}" for dt in record["step"].values])
        middle.set_xticks([], minor=True)
        middle.legend(frameon=False, fontsize=8)
        width = float(record["bin"][1] - record["bin"][0])
        for index, name in enumerate(("upper", "lower")):
            shown = read_measured(record, f"{name}_share")
            theory(right, record["fine"], record[f"{name}_density"], index)
            simulation(
                right,
                record["bin"],
                shown.mean / width,
                shown.standard_error / width,
                index,
                label=f"{name} bound",
            )
        right.set(xlabel="decision time (time)", ylabel="density (1/time)", ylim=(0, None))
        right.legend(frameon=False, fontsize=8)
        return figure


def _joined(parts: list[Estimate]) -> Estimate:
    return Estimate([e.mean for e in parts], [e.standard_error for e in parts], min(e.n for e in parts))
