"""A random neural field: positions move together, and the activity of a layer keeps its fluctuations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

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
from neuromanifold.experiments.geometry._carried import UNITS
from neuromanifold.networks.random import random_field, ring_kernel
from neuromanifold.theory.meanfield import activation, field_layer

# Realisations move uncut while their weights take no more than this: to find chunks costs compilations.
_BYTES = 2**28


def _first(signal: Float[Array, "inputs n"]) -> Array:
    return signal[0]


def _field(info: Float[Array, "inputs n"]) -> Array:
    return info[0]


@experiment(
    Card(
        name="random-neural-field",
        title="A random neural field does not average itself out",
        topic="geometry",
        lecture="B",
        systems=("B9",),
        idea=(
            "The units of a layer are positions on a ring, and the weights of nearby positions are alike. "
            "The potentials then are a Gaussian process whose covariance theory gives, before and after the "
            "nonlinearity. In a layer of independent units the activity, their mean square, is sharp when "
            "there are many; in a field of correlated positions it varies from one realisation to the next, "
            "however fine the grid, and only a shorter range of the correlation makes it sharper. The law of "
            "the activity holds for its mean."
        ),
        equations=(
            ("Covariance", r"Q(z_1, z_2) = \sigma_w^2 \kappa(z_1 - z_2) A + \sigma_b^2 \kappa(z_1 - z_2)"),
            ("Mean activity", r"E A' = E\varphi(u)^2, \quad u \sim N(0, \sigma_w^2 A + \sigma_b^2)"),
            (
                "Its variance",
                r"\mathrm{Var} A' = \iint \mathrm{Cov}\left(\varphi(u_1)^2, \varphi(u_2)^2\right) dz_1 dz_2",
            ),
        ),
        sources=("amari1977fields", "amarikarakidaoizumi2019"),
        caption=(
            "Left: covariance against distance on the ring, of potentials and of outputs. Right: standard "
            "deviation of the activity over realisations against the number of positions, for two ranges of "
            "the kernel. Lines: theory; points: networks."
        ),
    ),
    full={"n_realisations": 20_000, "positions": (32, 64, 128, 256), "ranges": (0.08, 0.04, 0.02)},
)
class RandomNeuralField:
    """Covariances and the fluctuation of the activity."""

    activation: str = parameter("erf", doc="activation", choices=("erf", "tanh"))
    sigma_w: float = parameter(1.5, doc="strength of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.3, doc="strength of the bias", low=0.0)
    ranges: tuple[float, ...] = parameter(
        (0.08, 0.04), doc="ranges of the kernel, a layer being 1 long", low=0.005, high=0.12
    )
    positions: tuple[int, ...] = parameter((32, 64), doc="positions on the ring", low=16)
    n_realisations: int = parameter(4000, doc="realisations", low=500)
    offset: float = parameter(0.3, doc="mean of the input, a sine wave", low=0.0)

    def _input(self, n: int) -> np.ndarray:
        return np.sin(2 * np.pi * np.arange(n) / n) + self.offset

    def _lags(self) -> np.ndarray:
        """Some distances on the coarsest ring."""
        return np.arange(0, self.positions[0] // 2 + 1)

    def _coordinates(self) -> dict[str, Any]:
        lag = self._lags() / self.positions[0]
        return {
            "range": ("range", np.array(self.ranges), {"long_name": "range of the kernel", "units": "1"}),
            "position": (
                "position",
                np.array(self.positions),
                {"long_name": "positions on the ring", "units": "1"},
            ),
            "lag": ("lag", lag, {"long_name": "distance on the ring", "units": "1"}),
        }

    def predict(self) -> xr.Dataset:
        """Covariances at some distances; mean and deviation of the activity."""
        phi, lags = activation(self.activation), self._lags()
        mean, deviation, potential, output = [], [], [], []
        for width in self.ranges:
            rows = []
            for n in self.positions:
                activity = float((self._input(n) ** 2).mean())
                layer = field_layer(
                    phi, activity, ring_kernel(n, width), sigma_w=self.sigma_w, sigma_b=self.sigma_b
                )
                rows.append((float(layer.activity), float(layer.activity_deviation)))
                if n == self.positions[0]:
                    potential.append(np.asarray(layer.covariance)[0, lags])
                    output.append(np.asarray(layer.overlap)[0, lags])
            mean.append([row[0] for row in rows])
            deviation.append([row[1] for row in rows])
        both = ("range", "position")
        return xr.Dataset(
            {
                **predicted_variable(
                    "activity_predicted", Prediction(np.array(mean)), both, long_name="mean activity"
                ),
                **predicted_variable(
                    "deviation_predicted",
                    Prediction(np.array(deviation)),
                    both,
                    long_name="standard deviation of the activity",
                ),
                **predicted_variable(
                    "potential_predicted",
                    Prediction(np.stack(potential)),
                    ("range", "lag"),
                    long_name="covariance of potentials",
                ),
                **predicted_variable(
                    "output_predicted",
                    Prediction(np.stack(output)),
                    ("range", "lag"),
                    long_name="overlap of outputs",
                ),
            },
            self._coordinates(),
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """One layer of many realisations for every range and grid."""
        lags, n_r = self._lags(), self.n_realisations
        activity, deviation, potential, output = [], [], [], []
        for index, n in enumerate(self.positions):
            for number, width in enumerate(self.ranges):
                process = random_field(
                    UNITS[self.activation], ring_kernel(n, width), sigma_w=self.sigma_w, sigma_b=self.sigma_b
                )
                uncut = 4 * n_r * n * (n + 1) <= _BYTES
                made = run(
                    process,
                    jax.random.fold_in(key, 100 * index + number),
                    jnp.asarray(self._input(n), jnp.float32),
                    1,
                    observe=_first,
                    observe_info=_field,
                    replicas=n_r,
                    memory_budget=None if uncut else 4.0 * _BYTES,
                    label=f"{n} positions, range {width:g}",
                )
                signal = np.asarray(made.values[:, -1], np.float64)
                u = np.asarray(made.infos[:, -1], np.float64)
                samples = (signal**2).mean(1)
                activity.append(estimate(samples))
                # The variance's own standard error, from the fourth moment.
                centred = (samples - samples.mean()) ** 2
                spread = np.sqrt(centred.sum() / (n_r - 1))
                error = centred.std(ddof=1) / np.sqrt(n_r) / (2 * spread)
                deviation.append(Estimate(spread, error, n_r))
                if index == 0:
                    for series, field in ((potential, u), (output, signal)):
                        # The ring is homogeneous: each realisation's mean over positions.
                        series.append(
                            estimate(np.stack([(field * np.roll(field, -lag, 1)).mean(1) for lag in lags], 1))
                        )
        shape = (len(self.positions), len(self.ranges))

        def grid(items: list[Estimate]) -> Estimate:
            values, errors = (
                np.array([getattr(item, name) for item in items]).reshape(shape).T
                for name in ("mean", "standard_error")
            )
            return Estimate(values, errors, n_r)

        def rows(items: list[Estimate]) -> Estimate:
            return Estimate(
                np.stack([item.mean for item in items]), np.stack([i.standard_error for i in items]), n_r
            )

        both = ("range", "position")
        return xr.Dataset(
            {
                **measured_variables("activity", grid(activity), both, long_name="mean activity"),
                **measured_variables(
                    "deviation", grid(deviation), both, long_name="standard deviation of the activity"
                ),
                **measured_variables(
                    "potential", rows(potential), ("range", "lag"), long_name="covariance of potentials"
                ),
                **measured_variables(
                    "output", rows(output), ("range", "lag"), long_name="overlap of outputs"
                ),
            },
            self._coordinates(),
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Covariances near and far, mean activity, and its deviation on every grid."""
        made = []
        wide = record.isel(range=0)
        for name, text in (("potential", "covariance of potentials"), ("output", "overlap of outputs")):
            scale = float(wide[f"{name}_predicted"][0])
            for lag in (0, 2, -1):
                at = wide.isel(lag=lag)
                made.append(
                    compare(
                        read_predicted(at, f"{name}_predicted"),
                        read_measured(at, name),
                        statement=f"{text} at distance {float(at.lag):.3g}",
                        system="B9",
                        resolution=0.2 * scale,
                    )
                )
        for width in record.range.values:
            for n in record.position.values:
                at = record.sel(range=width, position=n)
                for name, text, share in (
                    ("activity", "mean activity", 0.15),
                    ("deviation", "standard deviation of the activity", 0.3),
                ):
                    prediction = read_predicted(at, f"{name}_predicted")
                    made.append(
                        compare(
                            prediction,
                            read_measured(at, name),
                            statement=f"{text}, {n} positions, range {width:g}",
                            system="B9",
                            resolution=share * float(prediction.value),
                        )
                    )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Covariances, and deviations against the grid."""
        figure, axes = panels(2)
        left, right = axes.flat
        at = record.isel(range=0)
        for index, (name, label) in enumerate((("potential", "potentials u"), ("output", "outputs phi(u)"))):
            measured = read_measured(at, name)
            theory(left, at.lag, at[f"{name}_predicted"], index)
            simulation(left, at.lag, measured.mean, measured.standard_error, index, label=label)
        left.set(xlabel="distance on the ring", ylabel="covariance", title=f"range {float(at.range):g}")
        left.legend(frameon=False, fontsize=8)
        for index, width in enumerate(record.range.values):
            at = record.sel(range=width)
            measured = read_measured(at, "deviation")
            theory(right, at.position, at.deviation_predicted, index)
            label = f"range {width:g}"
            simulation(right, at.position, measured.mean, measured.standard_error, index, label=label)
        right.set(
            xlabel="positions on the ring",
            ylabel="standard deviation of the activity",
            xscale="log",
            xticks=record.position.values,
            xticklabels=[str(n) for n in record.position.values],
            ylim=(0, None),
        )
        right.minorticks_off()
        right.legend(frameon=False, fontsize=8)
        return figure
