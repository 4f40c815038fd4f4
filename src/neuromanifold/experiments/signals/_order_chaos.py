"""The phase diagram of order and chaos, and the growth of small perturbations on both sides."""

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
from neuromanifold.experiments.signals._curves import (
    NEXT_ORDER,
    UNITS,
    curve,
    rate_of_means,
    simulate_networks,
)
from neuromanifold.experiments.signals._ring import distance_modes, perturbed_at_one_position, ring_network
from neuromanifold.networks.random import sphere_inputs
from neuromanifold.theory.meanfield import (
    activation,
    critical_sigma_w,
    fixed_point,
    window_modes,
)


@experiment(
    Card(
        name="order-chaos",
        title="The edge of chaos of deep random networks",
        topic="signals",
        lecture="B",
        systems=("B12", "B15"),
        idea=(
            "A tiny perturbation of a signal is stretched by every layer by a factor chi_1, which theory "
            "computes from the scale of weights and biases. Below one it dies out, above one it grows: the "
            "line between is the edge of chaos, where very deep networks can be trained. Networks on both "
            "sides of the line are simulated, and the growth of a perturbation per layer is compared with "
            "ln chi_1. Finite width shifts it by an amount of order one over the width, which is derived "
            "and included. In a convolutional network a perturbation at one position spreads to its "
            "neighbours as it grows: each of its Fourier modes has a chi of its own, chi_1 times the "
            "window's, and the uniform one travels deepest."
        ),
        equations=(
            ("Stretching", r"\chi_1 = \sigma_w^2 \int \varphi'\left(\sqrt{q^*} z\right)^2 Dz"),
            ("Length", r"q^* = \sigma_w^2 \int \varphi\left(\sqrt{q^*} z\right)^2 Dz + \sigma_b^2"),
            ("Edge", r"\chi_1 = 1"),
            (
                "Convolution of window w",
                r"\hat D_k \to \lambda_k \chi_1 \hat D_k, \quad "
                r"\lambda_k = \frac{1}{w} \sum_{|o| \leq (w-1)/2} \cos\frac{2\pi k o}{P}",
            ),
        ),
        sources=("poole2016", "schoenholz2017", "amarikarakidaoizumi2019", "xiao2018"),
        caption=(
            "Left: chi_1 over the scales of weights and biases, the edge of chaos, and the points simulated. "
            "Middle: growth of a small squared distance per layer; line: ln chi_1, points: networks. Right: "
            "Fourier modes of a perturbation at one position of a convolutional network at some depths, over "
            "the growth of dense layers; lines: powers of lambda_k, points: networks."
        ),
    ),
    full={"n_units": 2000, "n_networks": 60, "resolution": 200},
)
class OrderChaos:
    """chi_1 over (sigma_w, sigma_b), and the growth of perturbations."""

    activation: str = parameter("tanh", doc="activation", choices=("tanh", "erf"))
    sigma_b: float = parameter(0.3, doc="scale of the biases of the simulated points", low=0.01)
    factors: tuple[float, ...] = parameter(
        (0.7, 0.85, 1.0, 1.2, 1.5, 1.8),
        doc="weight scales simulated, as multiples of the critical one",
        low=0.3,
        high=4.0,
    )
    n_units: int = parameter(300, doc="units a layer", low=50)
    depth: int = parameter(8, doc="layers", unit="layers", low=2)
    n_networks: int = parameter(24, doc="independent networks", low=4)
    n_directions: int = parameter(8, doc="perturbations of each signal", low=1)
    perturbation: float = parameter(
        1e-5, doc="initial squared distance over the activity", low=1e-7, high=1e-3
    )
    n_positions: int = parameter(8, doc="positions of the convolutional networks, a ring", low=3)
    half_width: int = parameter(1, doc="positions of the window on each side", unit="1", low=1)
    n_channels: int = parameter(200, doc="channels of the convolutional networks", low=50)
    n_layers: int = parameter(4, doc="convolutional layers", unit="layers", low=2)
    resolution: int = parameter(60, doc="points a side of the phase diagram", low=10)
    largest: float = parameter(4.0, doc="largest weight scale of the diagram", low=2.0, high=20.0)

    def check(self) -> None:
        """The window fits on the ring, and the channels hold all directions."""
        fits = 2 * self.half_width + 1 <= self.n_positions
        require(fits, "half_width", "give a window that fits on the ring", self.half_width)
        least = self.n_positions + self.n_directions
        rule = f"be at least n_positions + n_directions = {least}"
        require(self.n_channels >= least, "n_channels", rule, self.n_channels)

    def _edge(self) -> float:
        return float(critical_sigma_w(activation(self.activation), self.sigma_b))

    def _sigma_w(self) -> np.ndarray:
        return np.array(self.factors) * self._edge()

    def _points(self) -> dict[str, Any]:
        return {
            "sigma_w": (
                "sigma_w",
                self._sigma_w(),
                {"long_name": "scale of the weights sigma_w", "units": "1"},
            ),
            "mode": (
                "mode",
                np.arange(self.n_positions // 2 + 1),
                {"long_name": "Fourier mode k", "units": "1"},
            ),
            "layer": ("layer", np.arange(self.n_layers + 1), {"long_name": "depth", "units": "layers"}),
        }

    def predict(self) -> xr.Dataset:
        """The phase diagram, both edges, and the growth rates."""
        phi = activation(self.activation)
        grid_w = np.linspace(self.largest / self.resolution, self.largest, self.resolution)
        grid_b = np.linspace(0.02, 0.5 * self.largest, self.resolution)
        points = self._sigma_w()
        dense = np.linspace(0.95 * points.min(), 1.05 * points.max(), 80)
        # The diagram, the simulated points and the line through them, in one call.
        weights = [np.repeat(grid_w, self.resolution), points, dense]
        biases = [np.tile(grid_b, self.resolution), np.full(points.size + dense.size, self.sigma_b)]
        fixed = fixed_point(phi, np.concatenate(weights), np.concatenate(biases), tolerance=1e-8)
        ends = np.cumsum([part.size for part in weights])[:-1]
        grid_chi, point_chi, dense_chi = np.split(np.asarray(fixed.chi_1), ends)
        point_activity = np.split(np.asarray(fixed.activity), ends)[1]
        variables = predicted_variable(
            "chi_1",
            Prediction(grid_chi.reshape(2 * (self.resolution,))),
            ("weight", "bias"),
            long_name="chi_1",
        )
        edge_bias = np.linspace(0.0, 0.5 * self.largest, self.resolution)
        for name in ("tanh", "erf"):
            line = np.asarray(critical_sigma_w(activation(name), np.append(edge_bias, self.sigma_b)))
            variables |= predicted_variable(
                f"edge_{name}", Prediction(line[:-1]), ("edge_bias",), long_name=f"critical sigma_w, {name}"
            )
            variables |= predicted_variable(
                f"critical_{name}",
                Prediction(line[-1]),
                long_name=f"critical sigma_w at the simulated sigma_b, {name}",
            )
        rates, errors = [], []
        for sigma_w, activity in zip(points, point_activity, strict=True):
            begin = (float(activity), float(activity), float(activity) * self.perturbation)
            made = curve(self.activation, float(sigma_w), self.sigma_b, begin, self.depth).at_width(
                self.n_units, 2
            )
            end = float(made.value[-1])
            rates.append(np.log(end / begin[2]) / self.depth)
            errors.append(float(np.asarray(made.error)[-1]) / end / self.depth)
        variables |= predicted_variable(
            "rate_predicted",
            Prediction(np.array(rates), np.array(errors), NEXT_ORDER),
            ("sigma_w",),
            long_name="growth of ln D per layer, with 1/width",
            units="1/layer",
        )
        variables |= predicted_variable(
            "log_chi_1",
            Prediction(np.log(point_chi)),
            ("sigma_w",),
            long_name="ln chi_1",
            units="1/layer",
        )
        variables |= predicted_variable(
            "line_log_chi_1", Prediction(np.log(dense_chi)), ("line",), long_name="ln chi_1", units="1/layer"
        )
        variables |= self._predict_modes()
        coordinates = self._points() | {
            "weight": ("weight", grid_w, {"long_name": "scale of the weights sigma_w", "units": "1"}),
            "bias": ("bias", grid_b, {"long_name": "scale of the biases sigma_b", "units": "1"}),
            "edge_bias": ("edge_bias", edge_bias, {"long_name": "scale of the biases sigma_b", "units": "1"}),
            "line": ("line", dense, {"long_name": "scale of the weights sigma_w", "units": "1"}),
        }
        return xr.Dataset(variables, coordinates)

    def _predict_modes(self) -> dict[str, xr.Variable]:
        """Fourier modes over their start, and the growth of dense layers by which they are divided."""
        begin = (1.0, 1.0, self.perturbation)
        dense = curve(self.activation, self._edge(), self.sigma_b, begin, max(self.depth, self.n_layers)).mean
        growth = dense[: self.n_layers + 1, 2] / self.perturbation
        layers = np.arange(self.n_layers + 1)
        modes = (
            window_modes(self.n_positions, self.half_width)[: self.n_positions // 2 + 1] ** layers[:, None]
        )
        made = Prediction(
            modes, 4.0 / self.n_channels * layers[:, None], "corrections of order depth over width"
        )
        return predicted_variable(
            "modes_predicted", made, ("layer", "mode"), long_name="lambda_k to the depth"
        ) | predicted_variable(
            "dense_growth", Prediction(growth), ("layer",), long_name="growth of dense layers"
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """A signal at its own fixed activity and perturbed copies of it, through networks at every point."""
        key_inputs, key_networks, key_ring, key_layers = jax.random.split(key, 4)
        # |x - y|^2/n = 2 A (1 - c) for copies y_i = c x + sqrt(1 - c^2) e_i.
        c = 1.0 - 0.5 * self.perturbation
        given = np.array([1.0] + [c] * self.n_directions)
        gram = np.outer(given, given)
        np.fill_diagonal(gram, 1.0)
        unit = sphere_inputs(key_inputs, self.n_units, 1.0, gram)
        rates, errors = [], []
        for index, sigma_w in enumerate(self._sigma_w()):
            # The start is the activity at which the networks themselves settle, not that of the theory.
            activity, _ = simulate_networks(
                run,
                jax.random.fold_in(key_networks, 2 * index),
                self.activation,
                float(sigma_w),
                self.sigma_b,
                unit[:1],
                2 * self.depth,
                2,
                f"settle-{index}",
            )
            inputs = unit * np.float32(np.sqrt(activity[:, self.depth :].mean()))
            _, distance = simulate_networks(
                run,
                jax.random.fold_in(key_networks, 2 * index + 1),
                self.activation,
                float(sigma_w),
                self.sigma_b,
                inputs,
                self.depth,
                self.n_networks,
                f"growth-{index}",
            )
            rate, error = rate_of_means(distance.mean(2)[:, [0, self.depth]], self.depth)
            rates.append(rate)
            errors.append(error)
        measured = Estimate(np.array(rates), np.array(errors), self.n_networks)
        variables = measured_variables(
            "rate_measured", measured, ("sigma_w",), long_name="growth of ln D per layer", units="1/layer"
        )
        signals = perturbed_at_one_position(
            key_ring, self.n_positions, self.n_channels, self.n_directions, 1.0, self.perturbation
        )
        modes = run(
            ring_network(UNITS[self.activation], self._edge(), self.sigma_b, self.half_width),
            key_layers,
            signals,
            self.n_layers,
            observe=distance_modes,
            replicas=self.n_networks,
            label="convolutional",
        ).values
        modes = np.asarray(modes, np.float64)
        variables |= measured_variables(
            "modes_measured",
            estimate(modes / modes[0, 0, 0]),
            ("layer", "mode"),
            long_name="Fourier modes of a perturbation at one position, over their start",
        )
        return xr.Dataset(variables, self._points())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Growth rates, and their signs on the two sides of the edge."""
        made = []
        critical = float(record[f"critical_{self.activation}"])
        for sigma_w in record.sigma_w.values:
            at = record.sel(sigma_w=sigma_w)
            measured = read_measured(at, "rate_measured")
            made.append(
                compare(
                    read_predicted(at, "rate_predicted"),
                    measured,
                    statement=f"growth of a perturbation per layer at sigma_w = {sigma_w:.3f}",
                    system="B12",
                    resolution=0.2,
                )
            )
            if abs(sigma_w / critical - 1.0) < 0.1:
                continue
            side = at_least if sigma_w > critical else at_most
            word = "grows beyond" if sigma_w > critical else "dies out before"
            statement = f"a small perturbation {word} the edge, at sigma_w = {sigma_w:.3f}"
            made.append(
                side(0.0, measured, statement=statement, system="B15", reason="chi_1 = 1 at the edge")
            )
        return made + self._mode_claims(record)

    def _mode_claims(self, record: xr.Dataset) -> list[Claim]:
        """Every mode after one layer and after the last."""
        made = []
        for layer in (1, int(record.layer[-1])):
            for k in record.mode.values:
                at = record.sel(layer=layer, mode=k)
                made.append(
                    compare(
                        read_predicted(at, "modes_predicted"),
                        self._scaled(at),
                        statement=f"convolution: mode {k} of a perturbation at one position is "
                        f"lambda_k^{layer} times the growth of dense layers",
                        system="B15",
                        resolution=0.3,
                    )
                )
        return made

    @staticmethod
    def _scaled(record: xr.Dataset) -> Estimate:
        """Modes over the growth of dense layers."""
        measured, growth = read_measured(record, "modes_measured"), record.dense_growth.values
        over = growth.reshape(growth.shape + (1,) * (measured.mean.ndim - growth.ndim))
        return Estimate(measured.mean / over, measured.standard_error / over, measured.n)

    def draw(self, record: xr.Dataset) -> Figure:
        """Phase diagram, growth rates, and Fourier modes."""
        figure, axes = panels(3)
        left, right, modes = axes.flat
        levels = [0.25, 0.5, 0.75, 1.5, 2.0, 3.0]
        lines = left.contour(record.weight, record.bias, record.chi_1.T, levels, colors="0.6", linewidths=0.8)
        left.clabel(lines, fontsize=7)
        for index, name in enumerate(("tanh", "erf")):
            theory(left, record[f"edge_{name}"], record.edge_bias, index, label=f"edge of chaos, {name}")
        bias = np.full(record.sizes["sigma_w"], self.sigma_b)
        left.plot(record.sigma_w, bias, "ko", markersize=4, label="simulated")
        left.set(
            xlabel="scale of the weights sigma_w",
            ylabel="scale of the biases sigma_b",
            title=f"chi_1, {self.activation}",
            xlim=(0, float(record.weight.max())),
            ylim=(0, float(record.bias.max())),
        )
        left.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
        theory(right, record.line, record.line_log_chi_1, label="ln chi_1")
        measured = read_measured(record, "rate_measured")
        simulation(right, record.sigma_w, measured.mean, measured.standard_error, 1, label="networks")
        right.axhline(0.0, color="0.5", linewidth=0.8)
        right.axvline(float(record[f"critical_{self.activation}"]), color="0.5", linewidth=0.8)
        right.set(
            xlabel="scale of the weights sigma_w",
            ylabel="growth of ln D (1/layer)",
            title=f"small perturbations, sigma_b = {self.sigma_b:g}",
        )
        right.legend(frameon=False, fontsize=8)
        scaled = self._scaled(record)
        for index, layer in enumerate((1, 2, int(record.layer[-1]))):
            theory(modes, record.mode, record.modes_predicted.sel(layer=layer), index)
            label = f"{layer} layer" + ("s" if layer > 1 else "")
            simulation(
                modes, record.mode, scaled.mean[layer], scaled.standard_error[layer], index, label=label
            )
        modes.set(
            xlabel="Fourier mode k",
            ylabel="amplitude over growth of dense layers",
            title=f"convolution, {self.n_positions} positions, window {2 * self.half_width + 1}",
            xticks=record.mode.values,
        )
        modes.legend(frameon=False, fontsize=8)
        return figure
