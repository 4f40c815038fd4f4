"""The eigenvalues of a random network's Fisher information: nearly all small, a few huge."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from neuromanifold.evidence import (
    Claim,
    Prediction,
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
from neuromanifold.experiments.geometry._carried import UNITS
from neuromanifold.geometry.fisher import FisherInformation, matrix_statistics
from neuromanifold.theory.meanfield import activation, fisher_spectrum

_REASON = "corrections of order 1/width"
_TEXTS = {
    "mean": "mean eigenvalue m",
    "second": "mean squared eigenvalue s",
    "largest": "largest eigenvalue",
}
Parameters = list[tuple[Array, Array]]


def _forward(name: str) -> Callable[[Parameters, Array], Array]:
    phi = UNITS[name]

    def function(parameters: Parameters, x: Array) -> Array:
        for weight, bias in parameters[:-1]:
            x = phi(weight @ x + bias)
        weight, bias = parameters[-1]
        return weight @ x + bias

    return function


# One function for each activation, so that its compiled programs are shared.
_FORWARD = {name: _forward(name) for name in ("linear", "tanh", "relu")}


@partial(jax.jit, static_argnums=0)
def _duals(name: str, parameters: Parameters, inputs: Float[Array, "nets t n"]) -> Float[Array, "nets t t"]:
    """Duals of the Fisher informations of networks, each with inputs of its own."""

    def one(given: tuple[Parameters, Array]) -> Array:
        return FisherInformation(_FORWARD[name], *given).dual()

    return jax.lax.map(one, (parameters, inputs))


@experiment(
    Card(
        name="fisher-eigenvalues",
        title="The Fisher information of a random network: flat almost everywhere, steep in a few directions",
        topic="geometry",
        lecture="B",
        systems=("B14",),
        idea=(
            "The Fisher information of a network says how much its outputs change along each direction "
            "of its parameters. For wide random networks three numbers of its spectrum follow from the order "
            "parameters of signals forward and errors backward. The mean eigenvalue falls as one over the "
            "width while the largest grows with the width, so the space of networks is flat in almost all "
            "directions and very steep in a few, as many as there are outputs; steps of gradient descent "
            "must be smaller than two over the largest. Networks of several widths are compared with all "
            "three numbers."
        ),
        equations=(
            ("Mean", r"m = \kappa_1 C / M"),
            ("Second moment", r"s = \alpha\left(\frac{T-1}{T}\kappa_2^2 + \frac{1}{T}\kappa_1^2\right) C"),
            (
                "Largest",
                r"\lambda_{\max} = \alpha\left(\frac{T-1}{T}\kappa_2 + \frac{1}{T}\kappa_1\right) M",
            ),
            (
                "Order parameters",
                r"\kappa_1 = \sum_l \frac{a_{l-1}}{\alpha} \tilde q_l \hat q_{l-1}, \quad "
                r"\kappa_2 = \sum_l \frac{a_{l-1}}{\alpha} \tilde q^{st}_l \hat q^{st}_{l-1}",
            ),
        ),
        sources=("karakidaakahoamari2019", "amarikarakidaoizumi2019"),
        caption=(
            "Mean, mean square and largest of the eigenvalues of the Fisher information against the width of "
            "the layers. Lines: theory; points: networks, each with inputs of its own."
        ),
    ),
    full={"widths": (200, 400, 800, 1600), "n_networks": 30, "n_samples": 200},
)
class FisherEigenvalues:
    """Three statistics of the spectrum against width."""

    widths: tuple[int, ...] = parameter((50, 100, 200), doc="units of a layer", low=20)
    depth: int = parameter(3, doc="layers of weights L", unit="layers", low=2)
    n_samples: int = parameter(40, doc="inputs T", low=4)
    n_networks: int = parameter(24, doc="independent networks", low=4)
    activation: str = parameter("tanh", doc="activation", choices=("tanh", "relu", "linear"))
    sigma_w: float = parameter(1.7320508, doc="scale of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.8, doc="scale of the biases", low=0.0)

    def _coordinates(self) -> dict[str, Any]:
        return {
            "width": ("width", np.array(self.widths), {"long_name": "units of a layer M", "units": "1"}),
        }

    def predict(self) -> xr.Dataset:
        """Karakida's three statistics at every width."""
        made = []
        for width in self.widths:
            found = fisher_spectrum(
                activation(self.activation),
                width,
                ratios=(1.0,) * self.depth,
                sigma_w=self.sigma_w,
                sigma_b=self.sigma_b,
                n_samples=self.n_samples,
            )
            made.append((found.mean, found.second_moment, found.largest))
        values = np.array(made)
        # Squared lengths fluctuate by 1/M a layer, forward and backward; products of both have both.
        relative = 4.0 * self.depth / np.array(self.widths)
        variables: dict[str, xr.Variable] = {}
        for index, (name, text) in enumerate(_TEXTS.items()):
            factor = 1.0 if name == "mean" else 2.0
            prediction = Prediction(values[..., index], factor * relative * values[..., index], _REASON)
            variables |= predicted_variable(f"{name}_predicted", prediction, ("width",), long_name=text)
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Exact Fisher informations of random networks, by their duals."""
        del run
        found = np.empty((self.n_networks, len(self.widths), 3))
        random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        for w, width in enumerate(self.widths):
            widths = (width,) * self.depth + (1,)
            shapes = [(self.n_networks, above, below + 1) for below, above in itertools.pairwise(widths)]
            normal = [random.standard_normal(shape, np.float32) for shape in shapes]
            scale = self.sigma_w / math.sqrt(width)
            parameters = [(scale * x[..., :-1], self.sigma_b * x[..., -1]) for x in normal]
            inputs = random.standard_normal((self.n_networks, self.n_samples, width), np.float32)
            n_parameters = sum(x[0].size for x in normal)
            for r, dual in enumerate(_duals(self.activation, parameters, inputs)):
                found[r, w] = matrix_statistics(dual, n_parameters)[:3]
        variables: dict[str, xr.Variable] = {}
        for index, (name, text) in enumerate(_TEXTS.items()):
            variables |= measured_variables(name, estimate(found[..., index]), ("width",), long_name=text)
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """All three at the largest width, and how mean and largest scale with it."""
        made = []
        at = record.isel(width=-1)
        for what, text in _TEXTS.items():
            prediction = read_predicted(at, f"{what}_predicted")
            made.append(
                compare(
                    prediction,
                    read_measured(at, what),
                    statement=f"{text} at {int(at.width)} units a layer",
                    system="B14",
                    resolution=0.5 * float(prediction.value),
                )
            )
        for what, exponent in (("mean", -1.0), ("largest", 1.0)):
            made.append(
                scales(
                    Prediction(exponent, 0.1, "corrections of order 1/width at the smallest width"),
                    record.width.values,
                    read_measured(record, what),
                    statement=f"the {_TEXTS[what]} goes as the width to the power {exponent:g}",
                    system="B14",
                    resolution=0.5,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Three panels against width."""
        figure, axes = panels(3, width=3.9)
        for axis, (what, text) in zip(axes.flat, _TEXTS.items(), strict=True):
            measured = read_measured(record, what)
            theory(axis, record.width, record[f"{what}_predicted"], label="theory")
            simulation(axis, record.width, measured.mean, measured.standard_error, 1, label="networks")
            axis.set(
                xlabel="units of a layer M",
                ylabel=text,
                xscale="log",
                yscale="log",
                xticks=record.width.values,
                xticklabels=[str(w) for w in record.width.values],
            )
            axis.xaxis.set_minor_locator(NullLocator())
            axis.legend(frameon=False, fontsize=8)
        return figure
