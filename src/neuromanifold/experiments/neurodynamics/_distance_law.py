"""Hamming distance of two states of a random +-1 network, one layer and many."""

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
    curve,
    order_parameters,
    reference_and_others,
    simulate_networks,
    spread_samples,
)
from neuromanifold.theory.meanfield import hamming_fixed_point, hamming_map

_REUSED = "terms of order 1/n that reuse of the weights adds, taken as one unit's share 1/n"


@experiment(
    Card(
        name="distance-law",
        title="How far apart two states of a random network end",
        topic="neurodynamics",
        lecture="A",
        systems=("A12",),
        idea=(
            "Two states of random +-1 units go through the same random layer. The fraction of units in "
            "which they differ, the Hamming distance, follows a law that knows nothing of the single "
            "weights: an arcsine of a square root. Its slope at zero is infinite, so that no difference "
            "stays small; with random biases every pair ends at one distance below a half. The law of one "
            "layer is exact at every size, its fluctuations are derived too, and it still holds after many "
            "steps when one and the same matrix of independent weights is used at each of them. Where "
            "weights or biases have a mean the arcsine gives way to an integral, which is tested as well."
        ),
        equations=(
            ("Network", r"x'_i = \mathrm{sgn}\left(\sum_j W_{ij} x_j + b_i\right)"),
            (
                "Distance",
                r"D' = \frac{2}{\pi} \arcsin\left(c \sqrt{D}\right), \quad c = \frac{1}{\sqrt{1 + "
                r"\sigma_b^2 / \sigma_w^2}}",
            ),
            (
                "Fluctuation",
                r"S_{t+1} = \left(\frac{dD'}{dD}\right)^2 S_t + D'(1 - D'), \quad \mathrm{Var} D_t = "
                r"\frac{S_t}{n}",
            ),
        ),
        sources=("amari1974", "amariyoshidakanatani1977"),
        caption=(
            "Left: the law of one layer for several noises of the biases and, grey, for weights and biases "
            "with means; thin line: D' = D. Right: distance against time from a small one; line: theory, "
            "points: networks of fresh weights and of one matrix reused; dotted: the distance D* in the "
            "end."
        ),
    ),
    full={"n_units": 4000, "n_networks": 12, "n_reused": 40, "n_small": 4000, "depth": 12},
)
class DistanceLaw:
    """Hamming distance after one layer, after many, and how much it scatters."""

    n_units: int = parameter(400, doc="units of the networks followed in time", low=100)
    n_networks: int = parameter(24, doc="networks of fresh weights followed in time", low=4)
    n_reused: int = parameter(60, doc="networks of one reused matrix followed in time", low=4)
    depth: int = parameter(10, doc="steps followed", unit="steps", low=4)
    sigma_b: float = parameter(
        0.5, doc="noise of the biases of the networks followed in time", low=0.0, open_low=True
    )
    start: float = parameter(
        0.02, doc="initial distance of the networks followed in time", low=0.005, high=0.9
    )
    ratios: tuple[float, ...] = parameter((0.0, 0.5, 1.0), doc="sigma_b/sigma_w, law of one layer", low=0.0)
    distances: tuple[float, ...] = parameter(
        (0.01, 0.1, 0.25, 0.5, 0.8), doc="distances, law of one layer", low=0.0, high=1.0, open_low=True
    )
    n_small: int = parameter(600, doc="small networks, law of one layer and its scatter", low=100)
    small_units: int = parameter(100, doc="units of a small network", low=50)
    mean_w: float = parameter(1.5, doc="mean weight w_bar times n, the case with means")
    mean_b: float = parameter(0.3, doc="mean bias s, the case with means")
    activity: float = parameter(
        0.4, doc="activity of the first state, the case with means", low=-0.9, high=0.9
    )

    def check(self) -> None:
        """The distances followed are ones that the networks can have."""
        least = min(float(self._starts(activity)[1][:, 2].min()) for activity in (1.0, self.activity))
        require(least > 0, "distances", "be at least one unit of small_units", self.distances)
        require(round(self.start * self.n_units) > 0, "start", "be at least one unit of n_units", self.start)

    def _typical(self) -> int:
        """The first distance that is not of few units."""
        return int(np.argmax(np.array(self.distances) * self.small_units >= 5))

    def _means(self) -> dict[str, Any]:
        return {"sigma_w": 1.0, "mean_w": self.mean_w, "mean_b": self.mean_b}

    def _starts(self, activity: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Small states and the (X, Y, D) of each against the first."""
        states = reference_and_others(self.small_units, self.distances, activity)
        return states, np.array([order_parameters(states, i) for i in range(1, len(states))])

    def predict(self) -> xr.Dataset:
        """Laws of one layer, curves in time, fixed point, scatter."""
        exact = self._starts()[1][:, 2]
        one = np.stack([hamming_map(exact, sigma_w=1.0, sigma_b=r) for r in self.ratios])
        scatter = np.sqrt(one * (1 - one) / self.small_units)
        triples = self._starts(self.activity)[1]
        fine = np.linspace(0.0, 1.0, 201)
        # Another state that differs in the same share of +1 and -1 units has activity X (1 - 2D).
        others = self.activity * (1 - 2 * fine)
        law = {"sigma_w": 1.0, "sigma_b": self.sigma_b}
        pair = order_parameters(reference_and_others(self.n_units, (self.start,)), 1)
        followed = curve((0.0, 0.0, pair[2]), self.depth, **law)
        small = curve((0.0, 0.0, float(exact[self._typical()])), self.depth, **law)
        with_means = hamming_map(
            np.append(triples[:, 2], fine),
            activity_1=np.append(triples[:, 0], np.full(fine.size, self.activity)),
            activity_2=np.append(triples[:, 1], others),
            **self._means(),
        )
        in_time = followed.at_size(self.n_units, 2)
        reused = np.where(np.arange(self.depth + 1) > 1, 1.0 / self.n_units, 0.0)
        last = small.spread_at_size(self.small_units, 2)[3]
        variables = {
            **predicted_variable("one_law", Prediction(one), ("ratio", "distance"), long_name="distance D'"),
            **predicted_variable(
                "one_law_spread",
                Prediction(scatter),
                ("ratio", "distance"),
                long_name="standard deviation of D'",
            ),
            **predicted_variable(
                "means_law",
                Prediction(with_means[: len(triples)]),
                ("distance",),
                long_name="distance D', with means",
            ),
            "line_law": (
                ("ratio", "line"),
                np.stack([hamming_map(fine, sigma_w=1.0, sigma_b=r) for r in self.ratios]),
                {"long_name": "distance D'", "units": "1"},
            ),
            "line_means": (
                "line",
                with_means[len(triples) :],
                {"long_name": "distance D', with means", "units": "1"},
            ),
            "end": ((), hamming_fixed_point(1.0, self.sigma_b).value, {"long_name": "D*", "units": "1"}),
            **predicted_variable("fresh_predicted", in_time, ("time",), long_name="distance, fresh weights"),
            **predicted_variable(
                "same_predicted",
                Prediction(followed.mean[:, 2], np.abs(followed.bias[:, 2]) / self.n_units + reused, _REUSED),
                ("time",),
                long_name="distance, one matrix reused",
            ),
            **predicted_variable(
                "late_spread_predicted", last, long_name="standard deviation of D after 3 steps"
            ),
        }
        coordinates = {
            "ratio": ("ratio", np.array(self.ratios), {"long_name": "sigma_b/sigma_w", "units": "1"}),
            "distance": ("distance", np.array(self.distances), {"long_name": "distance D", "units": "1"}),
            "line": ("line", fine, {"long_name": "distance D", "units": "1"}),
            "time": ("time", np.arange(self.depth + 1), {"long_name": "time", "units": "steps"}),
        }
        return xr.Dataset(variables, coordinates)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Small networks for the law of one layer and its scatter, larger ones followed in time."""
        key_small, key_long = jax.random.split(key)
        variables: dict[str, xr.Variable] = {}
        states, _ = self._starts()
        means, spreads, errors = [], [], []
        late: Estimate | None = None
        for index, ratio in enumerate((*self.ratios, self.sigma_b)):
            (_, moved), _ = simulate_networks(
                run,
                jax.random.fold_in(key_small, index),
                states,
                3,
                self.n_small,
                f"one layer {index}, sigma_b = {ratio:g}",
                sigma_w=1.0,
                sigma_b=ratio,
            )
            if index < len(self.ratios):
                means.append(moved[:, 1])
                spread, error = spread_samples(moved[:, 1])
                spreads.append(spread)
                errors.append(error)
            else:
                spread, error = spread_samples(moved[:, 3, self._typical()])
                late = Estimate(spread, error, self.n_small)
        variables |= measured_variables(
            "one", estimate(np.stack(means, 1)), ("ratio", "distance"), long_name="distance D'"
        )
        variables |= measured_variables(
            "one_spread",
            Estimate(np.stack(spreads), np.stack(errors), self.n_small),
            ("ratio", "distance"),
            long_name="standard deviation of D'",
        )
        assert late is not None
        variables |= measured_variables(
            "late_spread", late, long_name="standard deviation of D after 3 steps"
        )
        with_means, _ = self._starts(self.activity)
        (_, moved), _ = simulate_networks(
            run, key_small, with_means, 3, self.n_small, "one layer, with means", **self._means()
        )
        variables |= measured_variables(
            "means", estimate(moved[:, 1]), ("distance",), long_name="distance D', with means"
        )
        pair = reference_and_others(self.n_units, (self.start,))
        for index, (weights, count) in enumerate((("fresh", self.n_networks), ("same", self.n_reused))):
            (_, moved), _ = simulate_networks(
                run,
                jax.random.fold_in(key_long, index),
                pair,
                self.depth,
                count,
                weights,
                weights=weights,
                sigma_w=1.0,
                sigma_b=self.sigma_b,
            )
            variables |= measured_variables(
                weights, estimate(moved[:, :, 0]), ("time",), long_name=f"distance, {weights} weights"
            )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """One layer, its scatter, the case with means, and the curves in time."""
        made = []
        for ratio in record.ratio.values:
            for distance in record.distance.values:
                at = record.sel(ratio=ratio, distance=distance)
                made.append(
                    compare(
                        read_predicted(at, "one_law"),
                        read_measured(at, "one"),
                        statement=f"one layer, sigma_b/sigma_w = {ratio:g}: distance from D = {distance:g}",
                        system="A12",
                        resolution=0.03,
                    )
                )
        for distance in record.distance.values[self._typical() :]:
            at = record.sel(ratio=self.ratios[0], distance=distance)
            made.append(
                compare(
                    read_predicted(at, "one_law_spread"),
                    read_measured(at, "one_spread"),
                    statement=f"one layer: standard deviation of the distance from D = {distance:g}",
                    system="A12",
                    resolution=0.3 * float(at["one_law_spread"]),
                )
            )
        made.append(
            compare(
                read_predicted(record, "late_spread_predicted"),
                read_measured(record, "late_spread"),
                statement="three steps: standard deviation of the distance, carried through the law",
                system="A12",
                # Without what earlier steps add the theory would miss by a fifth.
                resolution=0.2 * float(record["late_spread_predicted"]),
            )
        )
        for distance in record.distance.values:
            at = record.sel(distance=distance)
            made.append(
                compare(
                    read_predicted(at, "means_law"),
                    read_measured(at, "means"),
                    statement=f"one layer with mean weight and mean bias: distance from D = {distance:g}",
                    system="A12",
                    resolution=0.03,
                )
            )
        for weights in ("fresh", "same"):
            for time in (1, 2, 4, int(record.time[-1])):
                at = record.sel(time=time)
                made.append(
                    compare(
                        read_predicted(at, f"{weights}_predicted"),
                        read_measured(at, weights),
                        statement=f"{weights} weights: distance after {time} steps from {self.start:g}",
                        system="A12",
                        resolution=0.06,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """The law of one layer, and distance against time."""
        figure, axes = panels(2)
        left, right = axes[0]
        left.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
        for index, ratio in enumerate(record.ratio.values):
            at = record.sel(ratio=ratio)
            theory(left, record.line, at["line_law"], index)
            shown = read_measured(at, "one")
            simulation(
                left, record.distance, shown.mean, shown.standard_error, index, label=f"σ_b/σ_w = {ratio:g}"
            )
        index = len(record.ratio)
        theory(left, record.line, record["line_means"], index, color="0.4")
        shown = read_measured(record, "means")
        simulation(
            left,
            record.distance,
            shown.mean,
            shown.standard_error,
            index,
            color="0.4",
            label="with means, σ_b = 0",
        )
        left.set(
            xlabel="distance D (fraction of units)", ylabel="distance D′ one layer on", xlim=(-0.02, 1.02)
        )
        left.legend(frameon=False, fontsize=8)
        theory(right, record.time, record["fresh_predicted"], label="theory")
        for index, weights in enumerate(("fresh", "same")):
            shown = read_measured(record, weights)
            label = "fresh weights" if weights == "fresh" else "one matrix, reused"
            simulation(
                right, record.time + 0.12 * index, shown.mean, shown.standard_error, index + 1, label=label
            )
        right.axhline(
            float(record["end"]), color="0.4", linestyle=":", label=f"D* = {float(record['end']):.4f}"
        )
        right.set(xlabel="time (steps)", ylabel="distance D (fraction of units)", ylim=(0, None))
        right.legend(frameon=False, fontsize=8, loc="lower right")
        return figure
