"""Activity of random +-1 networks in time, and the mean weight at which it sustains itself."""

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
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.neurodynamics._binary import (
    NEXT_ORDER,
    curve,
    reference_and_others,
    simulate_networks,
    spread_samples,
)
from neuromanifold.theory.meanfield import activity_fixed_points, critical_mean_w


@experiment(
    Card(
        name="activity-law",
        title="Does the activity of a random network live on?",
        topic="neurodynamics",
        lecture="A",
        systems=("A12", "B10"),
        idea=(
            "The activity of a network of +-1 units is the mean of its units. Layer after layer it follows "
            "one curve, the error function, whatever the single random weights are. Below a critical mean "
            "weight every activity dies out; above it two active states exist, one the mirror image of the "
            "other, and a mean bias chooses between them. Curves in time, the activity at the end over a "
            "range of mean weights, and the scatter between networks of finite size, which is derived, are "
            "compared."
        ),
        equations=(
            (
                "Activity",
                r"X' = \mathrm{erf}\left(\frac{\bar{w} X + s}{\sqrt{2 (\sigma_w^2 + \sigma_b^2)}}\right)",
            ),
            (
                "Critical mean weight",
                r"\bar{w}_c = \sqrt{\frac{\pi}{2} (\sigma_w^2 + \sigma_b^2)}, \quad s = 0",
            ),
            (
                "Scatter",
                r"S_{t+1} = \left(\frac{dX'}{dX}\right)^2 S_t + 1 - X'^2, \quad \mathrm{Var} X_t = "
                r"\frac{S_t}{n}",
            ),
        ),
        sources=("amari1974", "amariyoshidakanatani1977"),
        caption=(
            "Left: activity against time from one start, without and with a mean bias; line: theory, points: "
            "networks. Right: activity in the end against the mean weight; line: stable, dashed: unstable "
            "fixed points; points: networks after the same number of steps, crosses: theory at that step."
        ),
    ),
    full={"n_units": 2000, "n_networks": 40, "mean_weights": (0.6, 1.0, 1.2, 1.3, 1.4, 1.6, 2.0, 2.5, 3.0)},
)
class ActivityLaw:
    """Activity in time and in the end."""

    n_units: int = parameter(200, doc="units n", low=50)
    n_networks: int = parameter(60, doc="independent networks", low=4)
    n_steps: int = parameter(8, doc="steps", unit="steps", low=6)
    mean_w: float = parameter(2.0, doc="mean weight w_bar times n, curves in time", low=0.0)
    biases: tuple[float, ...] = parameter((0.0, 0.3), doc="mean biases s, curves in time", low=-3.0, high=3.0)
    start: float = parameter(0.35, doc="initial activity, curves in time", low=-1.0, high=1.0)
    mean_weights: tuple[float, ...] = parameter(
        (0.8, 1.6, 2.5), doc="mean weights w_bar, activity in the end, s = 0", low=0.0, high=10.0
    )
    high_start: float = parameter(0.9, doc="initial activity, activity in the end", low=0.1, high=1.0)
    sigma_b: float = parameter(0.0, doc="noise of the biases, in units of sigma_w", low=0.0)

    def check(self) -> None:
        """Some mean weight lies on each side of the critical one."""
        critical = critical_mean_w(1.0, self.sigma_b)
        both = min(self.mean_weights) < critical < max(self.mean_weights)
        require(
            both, "mean_weights", f"lie on both sides of the critical one, {critical:.4f}", self.mean_weights
        )

    def _settings(self) -> list[tuple[float, float, float]]:
        """(w_bar, s, start) of all runs, curves in time first."""
        curves = [(self.mean_w, s, self.start) for s in self.biases]
        return curves + [(w, 0.0, self.high_start) for w in self.mean_weights]

    def _activity(self, start: float) -> float:
        return float(reference_and_others(self.n_units, (), start)[0].astype(float).mean())

    def predict(self) -> xr.Dataset:
        """Curves in time with scatter, activity in the end, fixed points."""
        made = [
            curve(
                (self._activity(start),), self.n_steps, sigma_w=1.0, sigma_b=self.sigma_b, mean_w=w, mean_b=s
            )
            for w, s, start in self._settings()
        ]
        n = len(self.biases)
        means = [c.at_size(self.n_units, 0) for c in made]
        spreads = [c.spread_at_size(self.n_units, 0) for c in made[:n]]

        def stacked(parts: list[Prediction]) -> Prediction:
            return Prediction(
                np.stack([p.value for p in parts]), np.stack([p.error for p in parts]), NEXT_ORDER
            )

        end = stacked(means[n:])
        fine = np.linspace(0.0, 1.1 * max(self.mean_weights), 221)
        branches = np.full((fine.size, 3), np.nan)
        slopes = np.full((fine.size, 3), np.nan)
        for row, w in enumerate(fine):
            points = activity_fixed_points(sigma_w=1.0, sigma_b=self.sigma_b, mean_w=float(w))
            columns = (1,) if len(points) == 1 else (0, 1, 2)
            for column, point in zip(columns, points, strict=True):
                branches[row, column], slopes[row, column] = point.value, point.slope
        variables = {
            **predicted_variable(
                "activity_predicted", stacked(means[:n]), ("bias", "time"), long_name="activity X"
            ),
            **predicted_variable(
                "spread_predicted",
                stacked(spreads),
                ("bias", "time"),
                long_name="standard deviation of X over networks",
            ),
            **predicted_variable(
                "end_predicted",
                Prediction(end.value[:, -1], np.asarray(end.error)[:, -1], NEXT_ORDER),
                ("mean_weight",),
                long_name="activity in the end",
            ),
            "branch": (("line", "root"), branches, {"long_name": "fixed point X*", "units": "1"}),
            "branch_slope": (("line", "root"), slopes, {"long_name": "slope at X*", "units": "1"}),
            "critical": (
                (),
                critical_mean_w(1.0, self.sigma_b),
                {"long_name": "critical mean weight", "units": "1"},
            ),
        }
        coordinates = {
            "bias": ("bias", np.array(self.biases), {"long_name": "mean bias s", "units": "1"}),
            "time": ("time", np.arange(self.n_steps + 1), {"long_name": "time", "units": "steps"}),
            "mean_weight": (
                "mean_weight",
                np.array(self.mean_weights),
                {"long_name": "mean weight w_bar", "units": "1"},
            ),
            "line": ("line", fine, {"long_name": "mean weight w_bar", "units": "1"}),
        }
        return xr.Dataset(variables, coordinates)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks of fresh weights at every setting."""
        samples = []
        for index, (mean_w, mean_b, start) in enumerate(self._settings()):
            (activity, _), _ = simulate_networks(
                run,
                jax.random.fold_in(key, index),
                reference_and_others(self.n_units, (), start),
                self.n_steps,
                self.n_networks,
                f"run {index}, mean weight {mean_w:g}, mean bias {mean_b:g}",
                sigma_w=1.0,
                sigma_b=self.sigma_b,
                mean_w=mean_w,
                mean_b=mean_b,
            )
            samples.append(activity[:, :, 0])
        n = len(self.biases)
        curves = np.stack(samples[:n], axis=1)
        spread, error = spread_samples(curves)
        ends = np.stack([made[:, -1] for made in samples[n:]], axis=1)
        return xr.Dataset(
            {
                **measured_variables("activity", estimate(curves), ("bias", "time"), long_name="activity X"),
                **measured_variables(
                    "spread",
                    Estimate(spread, error, self.n_networks),
                    ("bias", "time"),
                    long_name="standard deviation of X over networks",
                ),
                **measured_variables(
                    "end", estimate(ends), ("mean_weight",), long_name="activity in the end"
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Curves, scatter after one step, and both sides of the critical mean weight."""
        made = []
        for bias in record.bias.values:
            for time in (1, 2, 4, int(record.time[-1])):
                at = record.sel(bias=bias, time=time)
                made.append(
                    compare(
                        read_predicted(at, "activity_predicted"),
                        read_measured(at, "activity"),
                        statement=f"w_bar = {self.mean_w:g}, s = {bias:g}: activity after {time} steps",
                        system="A12",
                        resolution=0.08,
                    )
                )
        at = record.sel(bias=record.bias.values[0], time=2)
        made.append(
            compare(
                read_predicted(at, "spread_predicted"),
                read_measured(at, "spread"),
                statement="standard deviation of the activity over networks after two steps",
                system="B10",
                # Fluctuations of the last step alone, or of an independent +-1 sum, are further off.
                resolution=0.75 * float(at["spread_predicted"]),
            )
        )
        for mean_w in record.mean_weight.values:
            at = record.sel(mean_weight=mean_w)
            side = "below" if mean_w < float(record["critical"]) else "above"
            made.append(
                compare(
                    read_predicted(at, "end_predicted"),
                    read_measured(at, "end"),
                    statement=f"w_bar = {mean_w:g}, {side} critical: activity after {self.n_steps} steps",
                    system="A12",
                    resolution=0.1,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Activity against time, and in the end against the mean weight."""
        figure, axes = panels(2)
        left, right = axes[0]
        for index, bias in enumerate(record.bias.values):
            at = record.sel(bias=bias)
            shown = read_measured(at, "activity")
            theory(left, record.time, at["activity_predicted"], index)
            simulation(left, record.time, shown.mean, shown.standard_error, index, label=f"s = {bias:g}")
        left.set(xlabel="time (steps)", ylabel="activity X", title=f"w̄ = {self.mean_w:g}")
        left.legend(frameon=False, fontsize=8, loc="lower right")
        stable = np.abs(record["branch_slope"].values) < 1
        for root in range(3):
            for wanted, index, label in ((True, 0, "stable X*"), (False, 1, "unstable X*")):
                values = np.where(stable[:, root] == wanted, record["branch"].values[:, root], np.nan)
                theory(right, record.line, values, index, label=label if root == 1 else None)
        right.plot(
            record.mean_weight,
            record["end_predicted"],
            "kx",
            markersize=9,
            label=f"theory after {self.n_steps} steps",
        )
        shown = read_measured(record, "end")
        simulation(right, record.mean_weight, shown.mean, shown.standard_error, 2, label="networks")
        right.axvline(float(record["critical"]), color="0.5", linewidth=0.8)
        right.set(xlabel="mean weight w̄ (times n)", ylabel="activity X", title="s = 0")
        right.legend(frameon=False, fontsize=8, loc="lower left")
        return figure
