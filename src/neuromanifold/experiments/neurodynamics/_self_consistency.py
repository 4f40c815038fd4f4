"""Whether the macroscopic law survives the reuse of weights: fresh, the same asymmetric, symmetric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import random_patterns
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
    scales,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.neurodynamics._binary import NEXT_ORDER, curve, simulate_networks
from neuromanifold.networks.random import BinaryState

KINDS = ("fresh", "same", "symmetric")
_LABELS = {"fresh": "fresh weights", "same": "one matrix reused", "symmetric": "one symmetric matrix"}


def _pairs(state: BinaryState) -> Array:
    """Hamming distance of row k from row K + k."""
    first, second = jnp.split(state.units, 2)
    return jnp.mean(first != second, axis=1, dtype=state.units.dtype)


@experiment(
    Card(
        name="self-consistency",
        title="When does a macroscopic law hold?",
        topic="neurodynamics",
        lecture="B",
        systems=("B10", "A12"),
        idea=(
            "A macroscopic law gives the next distance of two states from the present one. It is derived "
            "for weights that are new at every step. A brain uses the same weights again and again: does "
            "the law still hold after several steps? With one asymmetric matrix it does: the deviation from"
            " the law shrinks as one over the square root of the number of units, as with fresh weights. "
            "With a symmetric matrix it does not: the deviation stays however large the network is, because"
            " the network returns to where it was two steps before. The overlap of a state with the one two"
            " steps earlier shows this. All of it is about a fixed number of steps in large networks."
        ),
        equations=(
            ("Micro", r"x(t+1) = T_W x(t) = \mathrm{sgn}(W x(t) + b)"),
            ("Macro", r"D(t+1) = F(D(t)) = \frac{2}{\pi} \arcsin\left(c \sqrt{D(t)}\right)"),
            (
                "Question",
                r"D\left(T_W^t x, T_W^t y\right) = F^t\left(D(x, y)\right) + O\left(n^{-1/2}\right)",
            ),
        ),
        sources=("amari1974", "amariyoshidakanatani1977"),
        caption=(
            "Left: root mean square deviation of the distance from the law after some steps, against the "
            "number of units; line: derived deviation. Right: overlap of a state with the one two steps "
            "before, without biases."
        ),
    ),
    full={"sizes": (250, 500, 1000, 2000), "n_networks": 100, "n_pairs": 16, "n_return": 40},
)
class SelfConsistency:
    """Deviation from the macroscopic law against the number of units, for three kinds of weights."""

    sizes: tuple[int, ...] = parameter((80, 160, 320), doc="numbers of units n", low=40)
    n_networks: int = parameter(60, doc="independent networks a size", low=10)
    n_pairs: int = parameter(8, doc="pairs of states sent through each network", low=1)
    n_steps: int = parameter(4, doc="steps after which the deviation is taken", unit="steps", low=2)
    sigma_b: float = parameter(0.5, doc="noise of the biases, in units of sigma_w", low=0.0, open_low=True)
    start: float = parameter(0.1, doc="initial distance of every pair", low=0.02, high=0.9)
    n_return: int = parameter(16, doc="steps over which returns are followed", unit="steps", low=8)

    def check(self) -> None:
        """Enough sizes for an exponent."""
        enough = len(set(self.sizes)) == len(self.sizes) >= 3
        require(enough, "sizes", "hold at least three different sizes", self.sizes)

    def _distance(self, size: int) -> float:
        return round(self.start * size) / size

    def predict(self) -> xr.Dataset:
        """The law, its derived scatter, the exponent, and the return overlap of independent steps."""
        law = {"sigma_w": 1.0, "sigma_b": self.sigma_b}
        curves = [curve((0.0, 0.0, self._distance(size)), self.n_steps, **law) for size in self.sizes]
        expected, rms, error = [], [], []
        for size, made in zip(self.sizes, curves, strict=True):
            expected.append(made.mean[-1, 2])
            square = made.variance[-1, 2] / size + (made.bias[-1, 2] / size) ** 2
            rms.append(np.sqrt(square))
            error.append(np.asarray(made.spread_at_size(size, 2).error)[-1])
        exponent = Prediction(
            -0.5, 0.03, "the next order in 1/n, at most 6 % of the variance at the smallest size"
        )
        return xr.Dataset(
            {
                "law": ("size", np.array(expected), {"long_name": "distance by the law", "units": "1"}),
                **predicted_variable(
                    "deviation_predicted",
                    Prediction(np.array(rms), np.array(error), NEXT_ORDER),
                    ("size",),
                    long_name="rms deviation, fresh weights",
                ),
                **predicted_variable("exponent", exponent, long_name="exponent of the deviation"),
                # Without biases the overlap with any earlier state is mapped from 0 to 0.
                **predicted_variable(
                    "return_predicted",
                    Prediction(0.0, 1.0 / max(self.sizes), "one unit's share, reuse of the weights"),
                    long_name="overlap with two steps before, asymmetric weights",
                ),
            },
            {
                "size": ("size", np.array(self.sizes), {"long_name": "units n", "units": "1"}),
                "step": ("step", np.arange(2, self.n_return + 1), {"long_name": "time", "units": "steps"}),
            },
        )

    def _starts(self, key: Key[Array, ""], size: int) -> Array:
        """Random states, and each once more with some units flipped; units are exchangeable."""
        first = random_patterns(key, self.n_pairs, size)
        flips = jnp.where(jnp.arange(size) < round(self.start * size), -1, 1).astype(first.dtype)
        return jnp.concatenate([first, first * flips[None, :]])

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Distances after some steps at every size, and the overlap with two steps before at the largest."""
        variables: dict[str, xr.Variable] = {}
        largest = max(self.sizes)
        starts = {size: self._starts(jax.random.fold_in(key, size), size) for size in self.sizes}
        for number, weights in enumerate(KINDS):
            key_kind = jax.random.fold_in(key, number)
            ends = []
            for index, size in enumerate(self.sizes):
                distance, _ = simulate_networks(
                    run,
                    jax.random.fold_in(key_kind, index),
                    starts[size],
                    self.n_steps,
                    self.n_networks,
                    f"{weights}, n = {size}",
                    weights=weights,
                    observe=_pairs,
                    sigma_w=1.0,
                    sigma_b=self.sigma_b,
                )
                ends.append(distance[:, -1])
            variables[f"{weights}_samples"] = xr.Variable(
                ("size", "network", "pair"),
                np.stack(ends),
                {"long_name": f"distances in the end, {weights}", "units": "1"},
            )
            if weights == "fresh":
                continue
            _, back = simulate_networks(
                run,
                jax.random.fold_in(key_kind, len(self.sizes)),
                starts[largest],
                self.n_return,
                self.n_networks,
                f"{weights}, returns",
                weights=weights,
                observe=_pairs,
                sigma_w=1.0,
            )
            variables |= measured_variables(
                f"{weights}_return",
                estimate(back[:, 1:, : self.n_pairs].mean(2)),
                ("step",),
                long_name=f"overlap with two steps before, {weights}",
            )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Deviations, their exponents, and returns."""
        made = []
        size = record["size"].values
        deviations = {weights: _deviation(record, weights) for weights in KINDS}
        expected = read_predicted(record, "deviation_predicted")
        for index, n in enumerate(size):
            made.append(
                compare(
                    expected[index],
                    deviations["fresh"][index],
                    statement=f"fresh weights, n = {n}: rms deviation after {self.n_steps} steps",
                    system="B10",
                    resolution=0.35 * float(expected.value[index]),
                )
            )
        for weights in ("fresh", "same"):
            made.append(
                scales(
                    read_predicted(record, "exponent"),
                    size,
                    deviations[weights],
                    statement=f"{_LABELS[weights]}: the deviation from the law falls as n^(-1/2)",
                    system="B10",
                    resolution=0.3,
                )
            )
        ends = estimate(record["symmetric_samples"].values.mean(2), axis=1)
        for index, n in enumerate(size):
            gap = Estimate(record["law"].values[index] - ends.mean[index], ends.standard_error[index], ends.n)
            made.append(
                at_least(
                    0.04,
                    gap,
                    statement=f"a symmetric matrix, n = {n}: the mean distance stays below the law",
                    system="B10",
                    reason="a deviation that does not fall with n; with other weights it is of order 1/n",
                )
            )
        end = record.isel(step=-1)
        made.append(
            compare(
                read_predicted(record, "return_predicted"),
                read_measured(end, "same_return"),
                statement="one asymmetric matrix: a state has no overlap with the one two steps before",
                system="A12",
                resolution=0.1,
            )
        )
        made.append(
            at_least(
                0.9,
                read_measured(end, "symmetric_return"),
                statement="a symmetric matrix: the network returns to the state of two steps before",
                system="A12",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Deviation against n, and returns against time."""
        figure, axes = panels(2)
        left, right = axes[0]
        size = record["size"].values
        theory(left, size, record["deviation_predicted"], label="derived, fresh weights")
        for index, weights in enumerate(KINDS):
            shown = _deviation(record, weights)
            simulation(left, size, shown.mean, shown.standard_error, index, label=_LABELS[weights])
        left.set(
            xscale="log", yscale="log", xlabel="number of units n", ylabel="rms deviation of D from the law"
        )
        left.set_xticks(size, [f"{int(n)}" for n in size])
        left.set_xticks([], minor=True)
        left.legend(frameon=False, fontsize=8, loc="lower left")
        for index, weights in ((1, "same"), (2, "symmetric")):
            shown = read_measured(record, f"{weights}_return")
            simulation(right, record.step, shown.mean, shown.standard_error, index, label=_LABELS[weights])
        theory(right, record.step, np.zeros(record.sizes["step"]), 0, label="theory, asymmetric")
        right.set(xlabel="time t (steps)", ylabel="overlap of x(t) with x(t − 2)", ylim=(-0.1, 1.05))
        right.legend(frameon=False, fontsize=8, loc="center right")
        return figure


def _deviation(record: xr.Dataset, weights: str) -> Estimate:
    """Root mean square of the distances' deviations from the law; networks are the independent samples."""
    gap = record[f"{weights}_samples"].values - record["law"].values[:, None, None]
    squares = estimate((gap**2).mean(2), axis=1)
    rms = np.sqrt(squares.mean)
    return Estimate(rms, squares.standard_error / (2 * rms), squares.n)
