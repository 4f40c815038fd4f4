"""Activity against depth for three activations, and the bias of finite width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
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
from neuromanifold.experiments.signals._curves import (
    NEXT_ORDER,
    UNITS,
    curve,
    curve_claims,
    simulate_networks,
)
from neuromanifold.networks.random import sphere_inputs


@experiment(
    Card(
        name="signal-length",
        title="The length of a signal in a deep random network",
        topic="signals",
        lecture="B",
        systems=("B11",),
        idea=(
            "A signal goes through many layers of random weights, and its activity, the mean square of the "
            "units, is followed with depth. In a wide network the activity of a layer is a function of the "
            "activity of the layer before, whatever the signal was, so all signals end at the same activity. "
            "A network of finite width fluctuates about this curve, and because the curve of the map is bent "
            "the fluctuations also shift its mean, by a derived amount proportional to one over the width. "
            "Networks of a few units show the shift; the theory of infinite width misses it."
        ),
        equations=(
            ("Activity", r"A_{l+1} = \int \varphi\left(\sqrt{\sigma_w^2 A_l + \sigma_b^2}\, z\right)^2 Dz"),
            (
                "Finite width n",
                r"E A_l = m_l + \frac{b_l}{n}, \quad b_{l+1} = F'(m_l) b_l + \frac{1}{2} F''(m_l) S_l, \quad "
                r"S_{l+1} = F'(m_l)^2 S_l + E\varphi^4 - (E\varphi^2)^2",
            ),
        ),
        sources=("amari1974", "poole2016", "amarikarakidaoizumi2019"),
        caption=(
            "Activity against depth from several initial activities, one panel an activation; lines: theory "
            "at infinite width, points: networks. Last: shift of the mean activity at the last layer against "
            "width."
        ),
    ),
    full={"n_units": 2000, "n_networks": 60, "n_small": 50_000},
)
class SignalLength:
    """Activity against depth, and its finite-width bias."""

    n_units: int = parameter(300, doc="units a layer", low=50)
    depth: int = parameter(10, doc="layers", unit="layers", low=4)
    n_networks: int = parameter(24, doc="independent networks", low=4)
    starts: tuple[float, ...] = parameter((0.05, 1.0, 3.0), doc="initial activities", low=0.0, open_low=True)
    sigma_w_tanh: float = parameter(1.5, doc="scale of the weights, tanh", low=0.0, open_low=True)
    sigma_w_erf: float = parameter(2.0, doc="scale of the weights, erf", low=0.0, open_low=True)
    sigma_w_relu: float = parameter(
        1.0,
        doc="scale of the weights, ReLU; the length diverges from sqrt 2 on",
        low=0.0,
        high=1.4,
        open_low=True,
    )
    sigma_b: float = parameter(0.3, doc="scale of the biases", low=0.0)
    small_widths: tuple[int, ...] = parameter((12, 24, 36), doc="widths at which the bias is measured", low=4)
    n_small: int = parameter(5_000, doc="independent networks at each of these widths", low=100)
    sigma_w_small: float = parameter(1.3, doc="scale of the weights there (tanh, no biases)", low=1.05)

    def _settings(self) -> tuple[tuple[str, float], ...]:
        return (("tanh", self.sigma_w_tanh), ("erf", self.sigma_w_erf), ("relu", self.sigma_w_relu))

    def _coordinates(self) -> dict[str, Any]:
        return {
            "start": ("start", np.array(self.starts), {"long_name": "initial activity", "units": "1"}),
            "depth": ("depth", np.arange(self.depth + 1), {"long_name": "depth", "units": "layers"}),
            "width": ("width", np.array(self.small_widths), {"long_name": "width n", "units": "units"}),
        }

    def predict(self) -> xr.Dataset:
        """Curves at infinite width and at the width simulated, and the coefficient of the bias."""
        variables: dict[str, xr.Variable] = {}
        for name, sigma_w in self._settings():
            curves = [curve(name, sigma_w, self.sigma_b, (start,), self.depth) for start in self.starts]
            wide = Prediction(np.stack([c.mean[:, 0] for c in curves]))
            finite = [c.at_width(self.n_units, 0) for c in curves]
            here = Prediction(
                np.stack([p.value for p in finite]),
                np.stack([np.asarray(p.error) for p in finite]),
                NEXT_ORDER,
            )
            dims = ("start", "depth")
            variables |= predicted_variable(
                f"{name}_wide", wide, dims, long_name=f"activity, {name}, infinite width"
            )
            variables |= predicted_variable(
                f"{name}_finite", here, dims, long_name=f"activity, {name}, with 1/width"
            )
        small = curve("tanh", self.sigma_w_small, 0.0, (1.0,), self.depth)
        variables |= predicted_variable(
            "small_wide", Prediction(small.mean[-1, 0]), long_name="activity, infinite width"
        )
        variables |= predicted_variable(
            "bias_coefficient", Prediction(small.bias[-1, 0]), long_name="width times bias of the activity"
        )
        shifted = [small.at_width(width, 0)[-1] for width in self.small_widths]
        finite = Prediction(
            np.array([p.value for p in shifted]), np.array([np.asarray(p.error) for p in shifted]), NEXT_ORDER
        )
        variables |= predicted_variable(
            "small_finite", finite, ("width",), long_name="activity, with 1/width"
        )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks of the main width, and many of the small widths."""
        keys = jax.random.split(key, 8)
        variables: dict[str, xr.Variable] = {}
        one = np.eye(len(self.starts)) * 0.5 + 0.5
        unit = sphere_inputs(keys[0], self.n_units, 1.0, one)
        inputs = unit * np.sqrt(np.array(self.starts, dtype=np.float32))[:, None]
        for index, (name, sigma_w) in enumerate(self._settings()):
            activity, _ = simulate_networks(
                run,
                keys[1 + index],
                name,
                sigma_w,
                self.sigma_b,
                inputs,
                self.depth,
                self.n_networks,
                f"length-{name}",
            )
            measured = estimate(np.moveaxis(activity, 1, 2))
            variables |= measured_variables(
                f"{name}_activity", measured, ("start", "depth"), long_name=f"activity, {name}"
            )
        means, errors = [], []
        for index, width in enumerate(self.small_widths):
            key_width = jax.random.fold_in(keys[5], index)
            start = sphere_inputs(keys[6], width, 1.0, [[1.0]])
            activity, _ = simulate_networks(
                run,
                key_width,
                "tanh",
                self.sigma_w_small,
                0.0,
                start,
                self.depth,
                self.n_small,
                f"length-width-{width}",
            )
            last = estimate(activity[:, -1, 0])
            means.append(last.mean)
            errors.append(last.standard_error)
        small = Estimate(np.array(means), np.array(errors), self.n_small)
        variables |= measured_variables(
            "small_activity", small, ("width",), long_name="activity at the last layer"
        )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Curves at three depths from every start; coefficient and exponent of the bias."""
        made = []
        last = int(record.depth[-1])
        for name in UNITS:
            made += curve_claims(record, name, "activity", "start", (1, 3, last), "B11", 0.25)
        for width in record.width.values:
            at = record.sel(width=width)
            prediction = read_predicted(at, "small_finite")
            made.append(
                compare(
                    prediction,
                    read_measured(at, "small_activity"),
                    statement=f"tanh: mean activity of networks of {width} units, shifted by b/n",
                    system="B11",
                    # The theory of infinite width misses by the whole shift.
                    resolution=abs(float(prediction.value) - float(record.small_wide)),
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Three panels of curves and one of the bias."""
        figure, axes = panels(2, 2, height=3.2)
        for axis, name in zip(axes.flat, UNITS, strict=False):
            for index, start in enumerate(record.start.values):
                at = record.sel(start=start)
                theory(axis, at.depth, at[f"{name}_wide"], index)
                measured = read_measured(at, f"{name}_activity")
                simulation(
                    axis, at.depth, measured.mean, measured.standard_error, index, label=f"from A = {start:g}"
                )
            axis.set(title=name, xlabel="depth (layers)", ylabel="activity A", yscale="log")
        axes[0, 0].legend(frameon=False, fontsize=8)
        axis, widths, shift = axes[1, 1], record.width.values, _shift(record)
        fine = np.geomspace(widths.min() / 1.2, widths.max() * 1.2, 50)
        coefficient = abs(float(record.bias_coefficient))
        theory(axis, fine, coefficient / fine, label="theory, |b|/n")
        simulation(axis, widths, np.abs(shift.mean), shift.standard_error, label="networks")
        axis.set(
            title="bias of finite width, tanh",
            xlabel="width n (units)",
            ylabel="shift of mean activity",
            xscale="log",
            yscale="log",
            xticks=widths,
            xticklabels=[str(w) for w in widths],
        )
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
        return figure


def _shift(record: xr.Dataset) -> Estimate:
    measured = read_measured(record, "small_activity")
    return Estimate(measured.mean - float(record.small_wide), measured.standard_error, measured.n)
