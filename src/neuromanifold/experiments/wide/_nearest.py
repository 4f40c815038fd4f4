"""Nearest solutions of wide random networks: any targets, a change of order 1/width."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_most,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
    scales,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.perceptron import nearest_solution, wide_perceptron
from neuromanifold.theory.wide import Dense, Erf, serial


def _erf(u: Array) -> Array:
    return jax.scipy.special.erf(u / math.sqrt(2.0))


@functools.partial(jax.jit, static_argnums=(0, 2))
def _solved(widths: tuple[int, ...], keys: Any, sigma_w: float, x: Array, y: Array) -> dict[str, Array]:
    """Nearest solutions of networks with f = sum_i v_i phi(w_i . x), v_i ~ N(0, 1/n), in units of v."""
    root = math.sqrt(widths[1])

    def one(key: Any) -> dict[str, Array]:
        network = wide_perceptron(key, widths, _erf, 1.0, 0.0)
        # The first layer's scale stands in the inputs: w . x sigma_w / sqrt(d).
        found = nearest_solution(network, sigma_w * x, y)
        change, weights = found.change / root, network.weights[-1] / root
        return {
            "length": jnp.linalg.norm(change),
            "relative": jnp.linalg.norm(change) / jnp.linalg.norm(weights),
            "error": jnp.max(jnp.abs(jax.vmap(found.network)(sigma_w * x) - y)),
        }

    return jax.lax.map(one, keys)


@experiment(
    Card(
        name="nearest-solutions",
        title="Any target lies near a wide random network",
        topic="wide",
        lecture="B",
        systems=("B17",),
        idea=(
            "A network of one hidden layer with random weights is given examples with random targets. Among "
            "all changes of its last layer that fit them exactly, the least is found. The wider the network, "
            "the less each weight has to change: in proportion to one over the width, while the weights "
            "themselves fall as one over its root. The length of the change is predicted from the covariance "
            "of the hidden layer at infinite width, whose least eigenvalue sets how wide is wide."
        ),
        equations=(
            ("Least change", r"\Delta v = \Phi^T (\Phi \Phi^T)^{-1} (y - f_0)"),
            (
                "Its length",
                r"n E|\Delta v|^2 \to y^T G^{-1} y + N, \quad G = E \varphi(w \cdot x) \varphi(w \cdot x')",
            ),
        ),
        sources=("amari2020",),
        caption=(
            "Root mean square change of a weight, and length of the change relative to that of the weights, "
            "against width. Lines: theory at infinite width; points: networks."
        ),
    ),
    full={"widths": (200, 2000, 20000), "n_networks": 200},
)
class NearestSolutions:
    """The least change against width."""

    widths: tuple[int, ...] = parameter((400, 2000, 10000), doc="units of the hidden layer", low=20)
    n_networks: int = parameter(60, doc="independent networks of each width", low=4)
    n_inputs: int = parameter(3, doc="inputs of a network", low=1)
    n_examples: int = parameter(10, doc="examples", low=1, high=20)
    sigma_w: float = parameter(4.0, doc="scale of the first layer's weights", low=0.0, open_low=True)

    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(1)
        return random.standard_normal((self.n_examples, self.n_inputs)), random.standard_normal(
            (self.n_examples, 1)
        )

    def _coordinates(self) -> dict[str, Any]:
        return {"width": ("width", np.array(self.widths), {"long_name": "width", "units": "units"})}

    def predict(self) -> xr.Dataset:
        """Length of the change from the covariance of the hidden layer."""
        with jax.enable_x64(True):
            x, y = self._data()
            kernel_fn = jax.jit(serial(Dense(1, self.sigma_w), Erf(b=2**-0.5)).kernel_fn, static_argnums=2)
            kernel = np.asarray(kernel_fn(x, None, "nngp"))
        values, vectors = np.linalg.eigh(kernel)
        squared = float(np.sum((vectors.T @ y[:, 0]) ** 2 / values)) + self.n_examples
        widths = np.array(self.widths)
        length = np.sqrt(squared / widths)
        # The inverse of a covariance of N values from n Gaussian samples is n/(n - N - 1) times too great.
        near = (self.n_examples + 1) / widths
        why = "the inverse covariance of a layer of finite width, (N + 1)/n"
        variables = predicted_variable(
            "change",
            Prediction(length / np.sqrt(widths), near * length / np.sqrt(widths), why),
            ("width",),
            long_name="root mean square change of a weight",
        )
        variables |= predicted_variable(
            "ratio",
            Prediction(length, near * length, why),
            ("width",),
            long_name="relative length of the change",
        )
        bend = float(near.max()) / math.log(max(self.widths) / min(self.widths))
        for name, value in {"change": -1.0, "ratio": -0.5}.items():
            variables |= predicted_variable(
                f"{name}_exponent", Prediction(value, bend, why), long_name=f"exponent of {name} in width"
            )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The least change of networks of every width."""
        x, y = self._data()
        lengths, ratios, errors = [], [], []
        with jax.enable_x64(True):
            for width, part in zip(self.widths, jax.random.split(key, len(self.widths)), strict=True):
                keys = jax.random.split(part, self.n_networks)
                scale = self.sigma_w
                made = _solved((self.n_inputs, width, 1), keys, scale, jnp.asarray(x), jnp.asarray(y))
                lengths.append(_root_mean_square(np.asarray(made["length"]) / math.sqrt(width)))
                ratios.append(_root_mean_square(np.asarray(made["relative"])))
                errors.append(float(jnp.max(made["error"])))
        variables = {}
        for name, values, text in (
            ("change", lengths, "root mean square change of a weight"),
            ("ratio", ratios, "relative length of the change"),
        ):
            stacked = Estimate([v.mean for v in values], [v.standard_error for v in values], self.n_networks)
            variables |= measured_variables(f"{name}_measured", stacked, ("width",), long_name=text)
        worst = Estimate(errors, 0.0, self.n_networks)
        variables |= measured_variables(
            "error_measured", worst, ("width",), long_name="largest training error"
        )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Exponents, lengths at the greatest width, and exact fits."""
        texts = {
            "change": "the root mean square change of a weight falls as 1/width",
            "ratio": "the change relative to the weights falls as 1/sqrt(width)",
        }
        made = []
        for name, text in texts.items():
            measured = read_measured(record, f"{name}_measured")
            exponent = read_predicted(record, f"{name}_exponent")
            made.append(
                scales(exponent, record.width.values, measured, statement=text, system="B17", resolution=0.25)
            )
            expected = read_predicted(record, name)[-1]
            made.append(
                compare(
                    expected,
                    measured[-1],
                    statement=f"{'size' if name == 'change' else 'ratio'} of the change in the widest",
                    system="B17",
                    resolution=0.4 * float(expected.value),
                )
            )
        errors = read_measured(record, "error_measured")
        for k, width in enumerate(record.width.values):
            made.append(
                at_most(
                    1e-10,
                    errors[k],
                    statement=f"width {width}: all examples are fitted to 1e-10",
                    system="B17",
                    sigmas=0.0,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Both sizes against width."""
        figure, axes = panels(2)
        for axis, (name, label) in zip(
            axes.flat,
            (("change", "root mean square change of a weight"), ("ratio", "length, relative to the weights")),
            strict=True,
        ):
            theory(axis, record.width, record[name], label="infinite width")
            value = read_measured(record, f"{name}_measured")
            simulation(axis, record.width, value.mean, value.standard_error, 1, label="networks")
            axis.set(xscale="log", yscale="log", xlabel="width (units)", ylabel=label)
            axis.legend(frameon=False, fontsize=8)
        return figure


def _root_mean_square(values: np.ndarray) -> Estimate:
    squares = estimate(values**2)
    root = math.sqrt(float(squares.mean))
    return Estimate(root, float(squares.standard_error) / (2 * root), len(values))
