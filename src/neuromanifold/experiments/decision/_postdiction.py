"""A hidden state before, at and after the event: prediction, filter, postdiction."""

from __future__ import annotations

import itertools
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
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.decision import LinearGaussian
from neuromanifold.theory.decision import lag_covariances, steady_state

_NAMES = ("decaying", "oscillating")


def _hidden_and_seen(state: tuple[Array, Array]) -> tuple[Array, Array]:
    return state


@experiment(
    Card(
        name="postdiction",
        title="Knowing better afterwards",
        topic="decision",
        lecture="A",
        systems=("A24",),
        idea=(
            "The lecture names prediction, before an event, and postdiction, after it, without an equation."
            " What follows is an interpretation: a hidden state that moves by chance is seen through noise,"
            " and is estimated from the past, from past and present, and from the future, too. The error "
            "falls with every observation that comes after the event, and theory gives each value, from "
            "Riccati's equation to Wiener's two-sided filter. A state that decays and one that oscillates, "
            "of which only one coordinate is seen, are simulated."
        ),
        equations=(
            ("Hidden state", r"x_{t+1} = A x_t + w_t, \quad y_t = C x_t + v_t"),
            ("Before", r"P = A F A^T + Q, \quad F = P - P C^T (C P C^T + R)^{-1} C P"),
            ("After", r"S_{L+1} = F + J (S_L - P) J^T, \quad S_0 = F, \quad J = F A^T P^{-1}"),
        ),
        sources=("rauchtungstriebel1965", "kalman1960", "eaglemansejnowski2000", "shimojo2014"),
        caption=(
            "Mean squared error of the hidden state (first coordinate) against the number of observations "
            "after the event; -1 is prediction, 0 the filter. Line: theory, dashed: all observations; "
            "points: simulation."
        ),
    ),
    full={"n_sequences": 400, "n_times": 2000, "lags": (0, 1, 2, 3, 4, 6, 8)},
)
class Postdiction:
    """Errors of prediction, filter and smoother."""

    decay: float = parameter(0.9, doc="decay a of the hidden state a step", low=0.0, high=0.99)
    period: float = parameter(12.0, doc="period of the oscillating state", unit="steps", low=3.0)
    process_noise: float = parameter(0.19, doc="variance q of the noise of the state", low=0.0, open_low=True)
    output_noise: float = parameter(
        0.5, doc="variance r of the noise of an observation", low=0.0, open_low=True
    )
    lags: tuple[int, ...] = parameter(
        (0, 1, 2, 4), doc="observations after the event, rising", unit="steps", low=0
    )
    n_sequences: int = parameter(100, doc="independent recordings", low=10)
    n_times: int = parameter(300, doc="observations of each", unit="steps", low=100)
    margin: int = parameter(30, doc="observations left out at both ends", unit="steps", low=5)

    def check(self) -> None:
        """Lags rise; the ends leave something between them."""
        require(all(np.diff(self.lags) > 0), "lags", "rise", self.lags)
        require(
            2 * self.margin < self.n_times,
            "margin",
            f"be below n_times/2 = {self.n_times / 2:g}",
            self.margin,
        )
        require(max(self.lags) <= self.margin, "lags", f"be at most margin = {self.margin}", self.lags)

    def _matrices(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A, C, Q, R; both models have two states and two observations, so that one program serves both."""
        if name == "decaying":
            a, c = self.decay * np.eye(2), np.eye(2)
        else:
            w = 2 * np.pi / self.period
            a = self.decay * np.array([[np.cos(w), -np.sin(w)], [np.sin(w), np.cos(w)]])
            c = np.array([[1.0, 0.0], [0.0, 0.0]])
        return a, c, self.process_noise * np.eye(2), self.output_noise * np.eye(2)

    def predict(self) -> xr.Dataset:
        """Steady errors of the first coordinate of both states."""
        made = {name: steady_state(*self._matrices(name)) for name in _NAMES}
        longest = max(self.lags)
        lagged = {name: lag_covariances(*self._matrices(name), lag=longest)[:, 0, 0] for name in _NAMES}
        # A recording forgets its start and its end by |J| < a a step.
        error = self.decay ** (2 * (self.margin - longest)) + 1e-5
        reason = "the ends of a recording, and rounding of float32"

        def held(values: list[float]) -> Prediction:
            return Prediction(np.array(values), error * np.array(values), reason)

        return xr.Dataset(
            {
                **predicted_variable(
                    "before_predicted",
                    held([made[n].prediction[0, 0] for n in _NAMES]),
                    ("model",),
                    long_name="error of the prediction",
                ),
                **predicted_variable(
                    "after_predicted",
                    Prediction(
                        np.stack([lagged[n][list(self.lags)] for n in _NAMES]),
                        error * np.stack([lagged[n][list(self.lags)] for n in _NAMES]),
                        reason,
                    ),
                    ("model", "lag"),
                    long_name="error after the event",
                ),
                **predicted_variable(
                    "all_predicted",
                    held([made[n].smoothing[0, 0] for n in _NAMES]),
                    ("model",),
                    long_name="error from all observations",
                ),
                "line": (
                    ("model", "every_lag"),
                    np.stack([np.append(made[n].prediction[0, 0], lagged[n]) for n in _NAMES]),
                    {"long_name": "error", "units": "1"},
                ),
            },
            {
                "model": ("model", list(_NAMES)),
                "lag": ("lag", np.array(self.lags), {"long_name": "lag", "units": "steps"}),
                "every_lag": (
                    "every_lag",
                    np.arange(-1, longest + 1),
                    {"long_name": "lag", "units": "steps"},
                ),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Hidden states drawn from the models, and their estimates from what was seen."""
        before, after, whole, gains = [], [], [], []
        inner = slice(self.margin, self.n_times - self.margin)
        for index, name in enumerate(_NAMES):
            model = LinearGaussian(*self._matrices(name))
            made = run(
                model.process(self.n_sequences),
                jax.random.fold_in(key, index),
                None,
                self.n_times - 1,
                observe=_hidden_and_seen,
                label=name,
            ).values
            hidden, seen = (np.moveaxis(np.asarray(v), 0, 1) for v in made)

            def error(mean: Array, hidden: np.ndarray = hidden) -> np.ndarray:
                gap = np.asarray(mean - hidden, np.float64)[:, inner, 0]
                return (gap**2).mean(1)

            parts = [error(model.smooth(seen, lag).mean) for lag in self.lags]
            predicted = error(model.predict(seen).mean)
            before.append(predicted)
            after.append(np.stack(parts))
            whole.append(error(model.smooth(seen).mean))
            ladder = [predicted, *parts]
            gains.append(np.stack([a - b for a, b in itertools.pairwise(ladder)]))
        return xr.Dataset(
            {
                **measured_variables(
                    "before", estimate(np.stack(before), 1), ("model",), long_name="error of the prediction"
                ),
                **measured_variables(
                    "after", estimate(np.stack(after), 2), ("model", "lag"), long_name="error after the event"
                ),
                **measured_variables(
                    "whole", estimate(np.stack(whole), 1), ("model",), long_name="error from all observations"
                ),
                **measured_variables(
                    "gain",
                    estimate(np.stack(gains), 2),
                    ("model", "lag"),
                    long_name="fall of the error since the lag before",
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Every error, and its fall."""
        made = []
        for name in _NAMES:
            at = record.sel(model=name)
            before = float(at["before_predicted"])
            for text, expected, measured in (
                ("prediction", read_predicted(at, "before_predicted"), read_measured(at, "before")),
                ("all observations", read_predicted(at, "all_predicted"), read_measured(at, "whole")),
            ):
                made.append(
                    compare(
                        expected,
                        measured,
                        statement=f"{name} state, {text}: mean squared error",
                        system="A24",
                        resolution=0.1 * before,
                    )
                )
            for lag in record["lag"].values:
                there = at.sel(lag=lag)
                made.append(
                    compare(
                        read_predicted(there, "after_predicted"),
                        read_measured(there, "after"),
                        statement=f"{name} state, {lag} observations after the event: mean squared error",
                        system="A24",
                        resolution=0.1 * before,
                    )
                )
            for lag in record["lag"].values[:2]:
                fall: Estimate = read_measured(at.sel(lag=lag), "gain")
                word = "the present observation" if lag == 0 else "observations after the event"
                made.append(
                    at_least(
                        0.0, fall, statement=f"{name} state: {word} lower the error, lag {lag}", system="A24"
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """One panel a model."""
        figure, axes = panels(2, width=4.4)
        for axis, name in zip(axes[0], _NAMES, strict=True):
            at = record.sel(model=name)
            theory(axis, record["every_lag"], at["line"], label="theory")
            axis.axhline(
                float(at["all_predicted"]), color="0.4", linestyle="--", label="all observations, theory"
            )
            lags = np.append(-1, record["lag"].values)
            parts = [read_measured(at, "before"), *read_measured(at, "after")]
            mean, error = (
                np.array([float(p.mean) for p in parts]),
                np.array([float(p.standard_error) for p in parts]),
            )
            simulation(axis, lags, mean, error, 1, label="simulation")
            whole = read_measured(at, "whole")
            last = float(record["every_lag"][-1]) + 0.5
            simulation(axis, [last], [whole.mean], [whole.standard_error], 2, label="all observations")
            axis.set(
                title=f"{name} state",
                xlabel="observations after the event (−1: prediction)",
                ylabel="mean squared error",
                ylim=(0, None),
            )
            axis.legend(frameon=False, fontsize=8, loc="lower left")
        return figure
