"""Distance of two signals against depth, in the ordered and the chaotic phase."""

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
from neuromanifold.experiments.signals._curves import (
    NEXT_ORDER,
    Curve,
    curve,
    curve_claims,
    rate_of_means,
    simulate_networks,
)
from neuromanifold.networks.random import sphere_inputs
from neuromanifold.theory.meanfield import activation, fixed_point


@experiment(
    Card(
        name="signal-correlation",
        title="Two signals in a deep random network: do they meet or part?",
        topic="signals",
        lecture="B",
        systems=("B15",),
        idea=(
            "Two signals go through the same random layers, and the mean square of their difference is "
            "followed with depth. With small weights all signals become one and the same, with large "
            "weights any two end at the same distance, however near they began: order and chaos. Theory "
            "gives the whole curve, the distance in the end, and the depth over which the network forgets. "
            "At finite width chaos makes the fluctuations of the distance large, and they shift its mean by "
            "an amount of order one over the width that the theory of infinite width leaves out; the "
            "derived shift is part of the comparison."
        ),
        equations=(
            (
                "Distance",
                r"D_{l+1} = E\left(\varphi(U) - \varphi(V)\right)^2, \quad E(U - V)^2 = \sigma_w^2 D_l",
            ),
            ("Slope at zero", r"\chi_1 = \sigma_w^2 E \varphi'(U)^2"),
            (
                "Depth scale",
                r"\xi_c = -\frac{1}{\ln \chi_c}, \quad \chi_c = \sigma_w^2 E \varphi'(U) \varphi'(V)",
            ),
        ),
        sources=("amari1974", "poole2016", "schoenholz2017"),
        caption=(
            "Distance D of two signals against depth in two phases, from two initial correlations. "
            "Lines: theory at infinite width; dotted: with the shift of finite width; points: networks; "
            "grey line: the distance D* in the end."
        ),
    ),
    full={"n_units": 2000, "n_networks": 60},
)
class SignalCorrelation:
    """Distance of two signals against depth."""

    n_units: int = parameter(300, doc="units a layer", low=50)
    depth: int = parameter(12, doc="layers", unit="layers", low=8)
    n_networks: int = parameter(32, doc="independent networks", low=4)
    activation: str = parameter("tanh", doc="activation", choices=("tanh", "erf"))
    sigma_w_ordered: float = parameter(1.2, doc="scale of the weights, ordered phase", low=0.0, open_low=True)
    sigma_w_chaotic: float = parameter(2.5, doc="scale of the weights, chaotic phase", low=0.0, open_low=True)
    sigma_b: float = parameter(0.3, doc="scale of the biases", low=0.0)
    activity: float = parameter(1.0, doc="activity of both inputs", low=0.0, open_low=True)
    correlations: tuple[float, ...] = parameter(
        (0.6, 0.98), doc="initial correlations", low=-0.99, high=0.9999
    )

    def check(self) -> None:
        """Each phase is what it is called."""
        for name, sigma_w in self._phases():
            chi = float(fixed_point(activation(self.activation), sigma_w, self.sigma_b).chi_1)
            rule = f"give chi_1 {'below' if name == 'ordered' else 'above'} 1"
            require((chi < 1) == (name == "ordered"), f"sigma_w_{name}", rule, sigma_w)

    def _phases(self) -> tuple[tuple[str, float], ...]:
        return (("ordered", self.sigma_w_ordered), ("chaotic", self.sigma_w_chaotic))

    def _coordinates(self) -> dict[str, Any]:
        return {
            "correlation": (
                "correlation",
                np.array(self.correlations),
                {"long_name": "initial correlation", "units": "1"},
            ),
            "depth": ("depth", np.arange(self.depth + 1), {"long_name": "depth", "units": "layers"}),
        }

    def _rate(self, made: Curve) -> Prediction:
        """Decay of ln D per layer over the second half of the depth."""
        first = self.depth // 2
        pair = made.at_width(self.n_units, 2)
        low, high = (float(pair.value[i]) for i in (first, self.depth))
        errors = np.asarray(pair.error)
        error = (errors[first] / low + errors[self.depth] / high) / (self.depth - first)
        return Prediction(np.asarray(np.log(high / low) / (self.depth - first)), error, NEXT_ORDER)

    def predict(self) -> xr.Dataset:
        """Curves, end points and depth scales."""
        variables: dict[str, xr.Variable] = {}
        for phase, sigma_w in self._phases():
            end = fixed_point(activation(self.activation), sigma_w, self.sigma_b)
            curves = [
                curve(
                    self.activation,
                    sigma_w,
                    self.sigma_b,
                    (self.activity, self.activity, 2 * self.activity * (1 - c)),
                    self.depth,
                )
                for c in self.correlations
            ]
            finite = [c.at_width(self.n_units, 2) for c in curves]
            dims = ("correlation", "depth")
            variables |= predicted_variable(
                f"{phase}_wide",
                Prediction(np.stack([c.mean[:, 2] for c in curves])),
                dims,
                long_name=f"distance, {phase}, infinite width",
            )
            error = np.stack([np.asarray(p.error) for p in finite])
            variables |= predicted_variable(
                f"{phase}_finite",
                Prediction(np.stack([p.value for p in finite]), error, NEXT_ORDER),
                dims,
                long_name=f"distance, {phase}, with 1/width",
            )
            numbers = {
                "end": (end.distance, "distance in the end D*"),
                "chi_1": (end.chi_1, "chi_1"),
                "depth_scale": (end.depth_scale_correlation, "depth scale xi_c"),
            }
            for what, (value, text) in numbers.items():
                units = "layers" if what == "depth_scale" else "1"
                variables |= predicted_variable(
                    f"{phase}_{what}",
                    Prediction(np.asarray(value)),
                    long_name=f"{text}, {phase}",
                    units=units,
                )
            if phase == "ordered":
                variables |= predicted_variable(
                    "rate_predicted",
                    self._rate(curves[0]),
                    long_name="ln D per layer, ordered",
                    units="1/layer",
                )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks of both phases; one reference input and one at every initial correlation."""
        key_inputs, *keys = jax.random.split(key, 3)
        given = np.array([1.0, *self.correlations])
        # Inputs x_i = c_i x + sqrt(1 - c_i^2) e_i with independent e_i.
        gram = np.outer(given, given)
        np.fill_diagonal(gram, 1.0)
        inputs = sphere_inputs(key_inputs, self.n_units, self.activity, gram)
        variables: dict[str, xr.Variable] = {}
        for (phase, sigma_w), key_phase in zip(self._phases(), keys, strict=True):
            _, distance = simulate_networks(
                run,
                key_phase,
                self.activation,
                sigma_w,
                self.sigma_b,
                inputs,
                self.depth,
                self.n_networks,
                f"correlation-{phase}",
            )
            variables |= measured_variables(
                f"{phase}_distance",
                estimate(np.moveaxis(distance, 1, 2)),
                ("correlation", "depth"),
                long_name=f"distance, {phase}",
            )
            if phase == "ordered":
                first = self.depth // 2
                rate, error = rate_of_means(distance[:, [first, self.depth], 0], self.depth - first)
                variables |= measured_variables(
                    "rate_measured",
                    Estimate(np.asarray(rate), np.asarray(error), self.n_networks),
                    long_name="ln D per layer, ordered",
                    units="1/layer",
                )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The curves at several depths, and the rate at which order forgets."""
        made = []
        last = int(record.depth[-1])
        for phase in ("ordered", "chaotic"):
            made += curve_claims(record, phase, "distance", "correlation", (1, 4, last), "B15", 0.5)
        made.append(
            compare(
                read_predicted(record, "rate_predicted"),
                read_measured(record, "rate_measured"),
                statement="ordered: distance decays at the predicted rate per layer",
                system="B15",
                resolution=0.1,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """One panel a phase."""
        figure, axes = panels(2)
        for axis, phase in zip(axes.flat, ("ordered", "chaotic"), strict=True):
            for index, correlation in enumerate(record.correlation.values):
                at = record.sel(correlation=correlation)
                theory(axis, at.depth, at[f"{phase}_wide"], index)
                grey = {"color": "0.3", "linestyle": ":", "linewidth": 1.0}
                theory(axis, at.depth, at[f"{phase}_finite"], label="" if index else "with 1/width", **grey)
                measured = read_measured(at, f"{phase}_distance")
                label = f"from correlation {correlation:g}"
                simulation(axis, at.depth, measured.mean, measured.standard_error, index, label=label)
            chi, end = float(record[f"{phase}_chi_1"]), float(record[f"{phase}_end"])
            if end > 0:
                axis.axhline(end, color="0.5", linewidth=1, label=f"D* = {end:.3f}")
            scale = float(record[f"{phase}_depth_scale"])
            axis.set(
                title=f"{phase}: chi_1 = {chi:.3f}, depth scale {scale:.1f} layers",
                xlabel="depth (layers)",
                ylabel="distance D",
                yscale="log",
            )
            axis.legend(frameon=False, fontsize=8)
        return figure
