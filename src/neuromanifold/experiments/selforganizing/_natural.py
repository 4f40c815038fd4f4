"""Receptive fields learnt from patches of natural pictures, and from pictures with scrambled phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import cut_patches, natural_pictures, scramble_phases, whiten_picture
from neuromanifold.dynamics import Flow, solve
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
from neuromanifold.experiments._figure import panels, simulation
from neuromanifold.learning.hebbian import sanger_velocity
from neuromanifold.networks.selforganizing import HebbPopulation, Inputs

_WORLDS = ("natural", "scrambled")


@experiment(
    Card(
        name="hebb-natural-patches",
        title="Receptive fields from natural pictures",
        topic="selforganizing",
        lecture="A",
        systems=("A2", "A5"),
        idea=(
            "Patches are cut from a natural picture. Linear Hebbian neurons find the principal components of "
            "the patches, smooth waves that depend on correlations of pairs of pixels alone. Neurons with "
            "a threshold and learned inhibition are given patches of a picture whose spectrum was flattened, "
            "all of one length. Their fields are oriented edges, wide or narrow as the ratio of the "
            "learning rates has it. To such a field most patches of the natural picture say little and a few "
            "say much: the fourth moment of the answers is above that of Gaussian noise. For a picture with "
            "the same spectrum and random phases it is below: what the neurons have found is not in the "
            "spectrum."
        ),
        equations=(
            ("Linear", r"\dot W = W C - \mathrm{tril}(W C W^\top) W, \quad w_k \to e_k, \ \lambda_k"),
            ("With threshold", r"v \in R \Leftrightarrow v \cdot E[v \mid R] > \lambda"),
            ("Fourth moment", r"\langle y^4 \rangle / \langle y^2 \rangle^2, \quad y = w \cdot v"),
        ),
        sources=("amaritakeuchi1978", "sanger1989", "olshausenfield1997"),
        caption=(
            "Fields as pictures. First: principal components, in order. Second and third: fields of neurons "
            "with learned inhibition, from the natural picture and from one with scrambled phases; a row "
            "for each ratio of the learning rates. Last: fourth moment of the answers to fresh patches."
        ),
    ),
    full={"n_patches": 20000, "n_neurons": 16, "size": 12, "n_components": 12},
)
class HebbNaturalPatches:
    """Principal components and thresholded fields of natural patches."""

    pictures: tuple[str, ...] = parameter(("grace_hopper",), doc="pictures, as of `natural_pictures`")
    size: int = parameter(10, doc="side of a patch", unit="pixels", low=6, high=20)
    n_patches: int = parameter(3000, doc="patches, for learning and again for testing", low=500)
    n_components: int = parameter(6, doc="linear neurons", low=2)
    compared: int = parameter(3, doc="how many of their variances are compared", low=1)
    ratios: tuple[float, ...] = parameter(
        (0.15, 0.2, 0.25), doc="ratios lambda of learned inhibition, ascending", low=0.05, high=0.5
    )
    n_neurons: int = parameter(8, doc="neurons of each ratio", low=2)
    sharpness: float = parameter(0.3, doc="b/|w| of the starts, at single patches", low=0.1, high=0.9)
    least_contrast: float = parameter(
        0.5, doc="share of the patches of low contrast that is left out", low=0.0, high=0.9
    )
    duration: float = parameter(30.0, doc="time of learning", unit="decay times", low=10.0)
    dt: float = parameter(0.25, doc="length of a step", unit="decay times", low=0.0, open_low=True, high=0.5)
    n_blocks: int = parameter(10, doc="blocks of fresh patches, the independent samples", low=5)

    def check(self) -> None:
        """Ratios ascend; some components are compared."""
        require(all(np.diff(self.ratios) > 0), "ratios", "ascend", self.ratios)
        require(self.compared <= self.n_components, "compared", "be at most n_components", self.compared)
        natural_pictures(self.pictures)

    def predict(self) -> xr.Dataset:
        """Variances of the principal components over every second place of the pictures."""
        total, n = np.zeros((self.size**2,) * 2), 0
        for picture in natural_pictures(self.pictures).values():
            windows = np.lib.stride_tricks.sliding_window_view(picture, (self.size, self.size))[::2, ::2]
            flat = windows.reshape(-1, self.size**2)
            flat = flat - flat.mean(1, keepdims=True)
            total += flat.T @ flat
            n += len(flat)
        values = np.linalg.eigvalsh(total / n)[::-1][: self.n_components]
        return xr.Dataset(
            predicted_variable(
                "variance_expected",
                Prediction(values, 0.02 * values, "every second place"),
                ("component",),
                long_name="variance along the component",
            ),
            {
                "component": (
                    "component",
                    np.arange(1, self.n_components + 1),
                    {"long_name": "linear neuron", "units": "1"},
                )
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Linear neurons on patches as they are; thresholded ones in both worlds."""
        del run
        keys = jax.random.split(key, 8)
        pictures = list(natural_pictures(self.pictures).values())
        learnt, fresh = (self._cut(keys[i], pictures) for i in (0, 1))
        covariance = jnp.asarray(learnt.T @ learnt / len(learnt))
        # In units of the first variance, which an ascent by hand would guess from the patches' power.
        scale = float(jnp.trace(covariance))
        begin = 0.1 * jax.random.normal(keys[2], (self.n_components, self.size**2))
        found = solve(
            Flow(_Sanger(covariance / scale).velocity), begin, [0.0, 3000.0], solver=diffrax.Euler(), dt=0.5
        ).states[-1]
        components = np.asarray(found, np.float64)
        answers = fresh @ components.T
        variables: dict[str, Any] = measured_variables(
            "variance", estimate(answers**2), ("component",), long_name="variance of the answer"
        )
        worlds = {
            "natural": pictures,
            "scrambled": [scramble_phases(jax.random.fold_in(keys[3], i), p) for i, p in enumerate(pictures)],
        }
        fields, consistent, fired, fourth = [], [], [], []
        for number, world in enumerate(_WORLDS):
            white = [whiten_picture(picture) for picture in worlds[world]]
            learnt, fresh = (self._unit(self._cut(keys[4 + 2 * number + i], white)) for i in (0, 1))
            weights, fires = self._learn(learnt)
            gathered = fires.T @ learnt / np.maximum(fires.sum(0), 1)[:, None]
            expected = learnt @ gathered.T > np.repeat(self.ratios, self.n_neurons)
            consistent.append((expected == fires).mean())
            fields.append(weights)
            fired.append(fires.mean(0).reshape(len(self.ratios), -1).mean(1))
            y = (fresh @ weights.T).reshape(self.n_blocks, -1, len(self.ratios), self.n_neurons)
            moments = (y**4).mean(1) / (y**2).mean(1) ** 2
            fourth.append(estimate(moments.mean(-1)))
        names = ("world", "ratio")
        variables |= measured_variables(
            "fourth",
            Estimate([e.mean for e in fourth], [e.standard_error for e in fourth], self.n_blocks),
            names,
            long_name="fourth moment of the answer",
        )
        variables |= measured_variables(
            "fired", Estimate(np.array(fired), 0.0, 1), names, long_name="share of patches in a field"
        )
        variables |= measured_variables(
            "consistent",
            Estimate(np.array(consistent), 0.0, 1),
            ("world",),
            long_name="share of patches as said",
        )
        shape = (len(_WORLDS), len(self.ratios), self.n_neurons, self.size, self.size)
        about = {"long_name": "weight", "units": "1"}
        variables["fields"] = ((*names, "neuron", "row", "column"), np.array(fields).reshape(shape), about)
        variables["components"] = (
            ("component", "row", "column"),
            components.reshape(-1, self.size, self.size),
            about,
        )
        return xr.Dataset(
            variables,
            {
                "world": ("world", list(_WORLDS), {"long_name": "picture", "units": "1"}),
                "ratio": ("ratio", list(self.ratios), {"long_name": "ratio lambda", "units": "1"}),
            },
        )

    def _cut(self, key: Key[Array, ""], pictures: list[np.ndarray]) -> np.ndarray:
        n = self.n_patches // self.n_blocks * self.n_blocks
        # As many more as are left out for want of contrast.
        more = int(np.ceil(n / (1 - self.least_contrast))) + 1
        return cut_patches(key, pictures, more, self.size).reshape(more, -1)

    def _unit(self, patches: np.ndarray) -> np.ndarray:
        """The patches of highest contrast, all of length one, in the order of their drawing."""
        n = self.n_patches // self.n_blocks * self.n_blocks
        contrast = np.linalg.norm(patches, axis=1)
        kept = np.sort(np.argsort(contrast)[-n:])
        return patches[kept] / contrast[kept, None]

    def _learn(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights, and for which patches neurons fire; each begins at a patch of its own."""
        ratios = np.repeat(self.ratios, self.n_neurons)
        population, inputs = HebbPopulation(ratios=ratios), Inputs(patches)
        scale = 0.1
        start = population.start(
            inputs, scale * patches[: len(ratios)], np.full(len(ratios), scale * self.sharpness)
        )
        path = solve(
            population.flow(inputs), start, [0.0, self.duration], solver=diffrax.Euler(), dt=self.dt
        ).states
        last = jax.tree.map(lambda x: x[-1], path)
        return np.asarray(last.excitatory, np.float64), np.asarray(population.fires(last, inputs.points))

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Variances, consistency of the fields, their size, and what scrambling takes away."""
        made = []
        variance, expected = read_measured(record, "variance"), read_predicted(record, "variance_expected")
        for index in range(self.compared):
            made.append(
                compare(
                    expected[index],
                    variance[index],
                    statement=f"Linear neuron {index + 1} answers with the variance of its component.",
                    system="A5",
                    resolution=0.6 * float(variance.mean[index]),
                )
            )
        fourth = read_measured(record, "fourth")
        for number, world in enumerate(_WORLDS):
            made.append(
                at_least(
                    0.99,
                    read_measured(record, "consistent")[number],
                    statement=f"{world}: a neuron fires for the patches with v.E[v|R] > lambda.",
                    system="A2",
                    sigmas=0,
                    reason="learning of finite duration",
                )
            )
            made.append(
                at_most(
                    0.0,
                    Estimate(np.diff(record["fired"].values[number]).max(), 0.0, 1),
                    statement=f"{world}: the higher the ratio, the smaller the field.",
                    system="A2",
                    sigmas=0,
                )
            )
        for index, ratio in enumerate(record["ratio"].values):
            gap = fourth.mean[0, index] - fourth.mean[1, index]
            error = float(np.hypot(*fourth.standard_error[:, index]))
            made.append(
                at_least(
                    0.2,
                    Estimate(gap, error, self.n_blocks),
                    statement=f"lambda = {ratio:g}: the fourth moment exceeds that of scrambled phases.",
                    system="A5",
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Fields as pictures, and the fourth moments."""
        figure, axes = panels(4, width=4.2)
        first, second, third, last = axes[0]
        rows = 2 if record.sizes["component"] % 2 == 0 else 1
        parts = record["components"].values
        _mosaic(first, parts.reshape(rows, -1, *parts.shape[1:]))
        first.set(xlabel="linear neurons, in order", ylabel="fields as pictures", xticks=[], yticks=[])
        for axis, world in ((second, "natural"), (third, "scrambled")):
            fields = record["fields"].sel(world=world).values
            _mosaic(axis, fields)
            side = fields.shape[2] + 1
            axis.set_yticks(side * (np.arange(len(self.ratios)) + 0.5), [f"{x:g}" for x in self.ratios])
            axis.set(xlabel=f"neurons, {world} phases", ylabel="ratio of learning rates λ", xticks=[])
        fourth = read_measured(record, "fourth")
        for index, world in enumerate(_WORLDS):
            simulation(
                last, record["ratio"], fourth.mean[index], fourth.standard_error[index], index, label=world
            )
        last.axhline(3, color="0.5", linewidth=1)
        last.text(float(record["ratio"][0]), 3.04, "Gaussian", color="0.3", fontsize="small")
        last.set(xlabel="ratio of learning rates λ", ylabel="fourth moment of the answers")
        last.legend(frameon=False)
        return figure


class _Sanger(eqx.Module):
    covariance: Float[Array, "n n"]

    def velocity(self, t: Any, weights: Array) -> Array:
        del t
        return sanger_velocity(weights, self.covariance)


def _mosaic(axis: Axes, pictures: np.ndarray) -> None:
    """Pictures of shape (rows, columns, height, width) in grey, each from its lowest to its highest value."""
    rows, columns, height, width = pictures.shape
    low = pictures.min((2, 3), keepdims=True)
    grey = (pictures - low) / np.maximum(np.ptp(pictures, axis=(2, 3), keepdims=True), 1e-12)
    framed = np.pad(grey, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=1.0)
    sheet = framed.transpose(0, 2, 1, 3).reshape(rows * (height + 1), columns * (width + 1))
    axis.grid(visible=False)
    axis.imshow(sheet, cmap="gray", interpolation="nearest", extent=(0, sheet.shape[1], sheet.shape[0], 0))
