"""How deep a network can be and still learn digits: the depth scale of correlations says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Int, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import Digits, load_mnist_subset, resize, split, standardise
from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    at_most,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation
from neuromanifold.learning import Batch, LearnerState, Minibatches, backpropagation, learner
from neuromanifold.theory.meanfield import activation, critical_sigma_w, fixed_point

# Shown in place of an infinite depth scale.
_ENDLESS = 1e4


class _Ensemble(eqx.Module):
    """Deep tanh networks of many depths and scales side by side; layers beyond a network's depth pass on.

    Args:
        first: weights and biases of the first layer, shape (nets, n, inputs + 1).
        hidden: of the layers between, shape (nets, layers, n, n + 1).
        last: of the output, shape (nets, classes, n + 1).
        depths: hidden layers of each network.
    """

    first: Float[Array, "nets n inputs"]
    hidden: Float[Array, "nets layers n below"]
    last: Float[Array, "nets classes below"]
    depths: Int[Array, " nets"]

    def __call__(self, inputs: Float[Array, "batch inputs"]) -> Float[Array, "nets batch classes"]:
        """Outputs of all networks."""

        def one(first: Array, hidden: Array, last: Array, depth: Array) -> Array:
            def layer(x: Array, given: tuple[Array, Array]) -> tuple[Array, None]:
                weight, index = given
                return jnp.where(index < depth, jnp.tanh(_affine(weight, x)), x), None

            x = jnp.tanh(_affine(first, inputs))
            x, _ = jax.lax.scan(layer, x, (hidden, jnp.arange(1, len(hidden) + 1)))
            return _affine(last, x)

        return jax.vmap(one)(self.first, self.hidden, self.last, self.depths)


def _affine(weight: Float[Array, "n below"], x: Float[Array, "batch m"]) -> Float[Array, "batch n"]:
    return x @ weight[:, :-1].T + weight[:, -1][None, :]


def _random_ensemble(
    key: Key[Array, ""],
    depths: Sequence[int],
    sigma_w: Sequence[float],
    sigma_b: float,
    n: int,
    n_inputs: int,
) -> _Ensemble:
    """Hidden weights sigma_w times orthogonal matrices; others Gaussian, of variance 1/n at the output."""
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    nets, layers = len(depths), max(depths) - 1
    scale = np.asarray(sigma_w)

    def draw(strength: np.ndarray, *shape: int) -> np.ndarray:
        normal = random.standard_normal((nets, *shape[:-1], shape[-1] + 1))
        normal[..., :-1] *= strength.reshape(-1, *(1,) * len(shape)) / math.sqrt(shape[-1])
        normal[..., -1] *= sigma_b
        return normal.astype(np.float32)

    first, hidden = draw(scale, n, n_inputs), draw(scale, layers, n, n)
    turned = np.linalg.qr(hidden[..., :-1])[0]
    hidden[..., :-1] = turned * scale.reshape(-1, 1, 1, 1)
    parts = first, hidden, draw(np.ones(nets), 10, n), np.asarray(depths, np.int32)
    return _Ensemble(*(jnp.asarray(part) for part in parts))


def _costs(
    outputs: Float[Array, "nets batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, "nets batch"]:
    chosen = jnp.take_along_axis(outputs, labels[None, :, None], axis=2)[..., 0]
    return jax.nn.logsumexp(outputs, axis=2) - chosen


def _loss(ensemble: _Ensemble, batch: Batch, key: Any) -> Float[Array, ""]:
    """Sum over networks of their mean costs: each network's gradient is its own."""
    del key
    inputs, labels = batch.data
    return jnp.sum(_costs(ensemble(inputs), labels) @ batch.weights) / jnp.sum(batch.weights)


class _Watch(eqx.Module):
    """Digits classified rightly by each network, learned and held out."""

    inputs: Array
    labels: Array
    n_training: int = eqx.field(static=True)

    def __call__(self, state: LearnerState) -> tuple[Array, Array]:
        right = jnp.argmax(state.params(self.inputs), axis=2) == self.labels[None, :]
        return jnp.sum(right[:, : self.n_training], axis=1), jnp.sum(right[:, self.n_training :], axis=1)


def _rows(digits: Digits, size: int, reference: np.ndarray | None) -> np.ndarray:
    pictures = resize(digits.images, size, 4)
    return standardise(pictures, reference).reshape(len(digits), -1)


@experiment(
    Card(
        name="trainable-depth",
        title="How deep can a network be and still learn?",
        topic="geometry",
        lecture="B",
        systems=("B15",),
        idea=(
            "Two signals forget how similar they were over a number of layers that theory computes, the "
            "depth scale of correlations. A network much deeper cannot tell its inputs apart, or tears "
            "neighbours apart, and gradients vanish or explode as fast. So networks learn when their "
            "depth is less than about six such scales, and at the edge of chaos, where the scale is "
            "infinite, far deeper. Plain networks of several depths and scales of weights learn real "
            "handwritten digits by the same number of steps of stochastic gradient descent, from orthogonal "
            "weights between layers."
        ),
        equations=(
            ("Depth scale", r"\xi_c = -\frac{1}{\ln \chi_c}"),
            ("Trainable", r"L \lesssim 6 \xi_c"),
        ),
        sources=("schoenholz2017", "lecun1998"),
        caption=(
            "Training digits classified rightly after the same number of steps, against the scale of the "
            "weights, for several depths; held-out digits against the depth in units of the depth scale. "
            "Points: means over networks; the infinite scale at the edge of chaos stands as 10,000."
        ),
    ),
    full={"depths": (4, 30, 60), "n_networks": 6, "n_steps": 2000, "learning_rate": 0.003},
)
class TrainableDepth:
    """Accuracy over depth and scale of the weights."""

    size: int = parameter(8, doc="pixels on a side of a digit", unit="pixels", low=5, high=20)
    width: int = parameter(32, doc="units a layer", low=10)
    depths: tuple[int, ...] = parameter((4, 30), doc="hidden layers", unit="layers", low=3)
    sigma_w: tuple[float, ...] = parameter(
        (0.8, 3.5), doc="scales of the weights, beside the critical one", low=0.0, open_low=True
    )
    sigma_b: float = parameter(0.2236, doc="scale of the biases", low=0.01)
    n_training: int = parameter(400, doc="digits to learn", low=50)
    n_test: int = parameter(500, doc="digits held out", low=20)
    n_steps: int = parameter(400, doc="steps of gradient descent", low=10)
    batch_size: int = parameter(32, doc="digits of a step", low=5)
    learning_rate: float = parameter(0.03, doc="rate of a step", low=0.0, open_low=True)
    n_networks: int = parameter(3, doc="networks of each kind", low=2)

    def check(self) -> None:
        """Depths rise."""
        rising = all(a < b for a, b in itertools.pairwise(self.depths))
        require(rising and len(self.depths) >= 2, "depths", "rise, two or more", self.depths)

    def _scales(self) -> np.ndarray:
        critical = float(critical_sigma_w(activation("tanh"), self.sigma_b))
        return np.unique(np.append(np.array(self.sigma_w), round(critical, 4)))

    def _coordinates(self) -> dict[str, Any]:
        return {
            "sigma_w": (
                "sigma_w",
                self._scales(),
                {"long_name": "scale of the weights sigma_w", "units": "1"},
            ),
            "depth": ("depth", np.array(self.depths), {"long_name": "hidden layers", "units": "layers"}),
        }

    def predict(self) -> xr.Dataset:
        """Depth scales, and the edge."""
        phi, scales = activation("tanh"), self._scales()
        critical = np.asarray(critical_sigma_w(phi, self.sigma_b))
        off = np.abs(scales - critical) > 1e-3
        xi = np.full(scales.size, np.inf)
        xi[off] = np.asarray(
            fixed_point(phi, scales[off], self.sigma_b, tolerance=1e-6).depth_scale_correlation
        )
        return xr.Dataset(
            {
                **predicted_variable(
                    "depth_scale",
                    Prediction(np.minimum(np.where(np.isfinite(xi), xi, _ENDLESS), _ENDLESS)),
                    ("sigma_w",),
                    long_name="depth scale xi_c, 10,000 for infinite",
                    units="layers",
                ),
                **predicted_variable(
                    "critical",
                    Prediction(critical),
                    long_name="critical scale of the weights",
                ),
            },
            self._coordinates(),
        )

    def _digits(self, key: Key[Array, ""]) -> tuple[Digits, Digits]:
        rest, held_out = split(key, load_mnist_subset(), self.n_test)
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 1), len(rest)))
        return rest.take(np.sort(order[: self.n_training])), held_out

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """All networks learn side by side."""
        key_digits, key_weights, key_order, key_run = jax.random.split(key, 4)
        training, held_out = self._digits(key_digits)
        reference = resize(training.images, self.size, 4)
        parts = [
            (jnp.asarray(_rows(part, self.size, reference)), jnp.asarray(part.labels))
            for part in (training, held_out)
        ]
        kinds = list(itertools.product(self._scales(), self.depths))
        each = [kind for kind in kinds for _ in range(self.n_networks)]
        ensemble = _random_ensemble(
            key_weights,
            [depth for _, depth in each],
            [float(scale) for scale, _ in each],
            self.sigma_b,
            self.width,
            self.size**2,
        )
        shape = (len(self._scales()), len(self.depths), self.n_networks)
        stream = Minibatches(parts[0], self.batch_size, key=key_order)
        rule = optax.sgd(self.learning_rate)
        process = learner(backpropagation(_loss, stream), rule)
        inputs, labels = (jnp.concatenate(x) for x in zip(*parts, strict=True))
        ran = run(
            process,
            key_run,
            ensemble,
            self.n_steps,
            observe=_Watch(inputs, labels, len(training)),
            every=self.n_steps,
            label="training",
        )
        variables: dict[str, xr.Variable] = {}
        for name, right, n in zip(
            ("training", "held_out"), ran.values, (len(training), len(held_out)), strict=True
        ):
            counts = np.asarray(right[-1]).reshape(shape)
            over_networks = estimate(np.moveaxis(counts / n, 2, 0))
            text = f"{name.replace('_', ' ')} digits classified rightly"
            variables |= measured_variables(
                f"{name}_right", over_networks, ("sigma_w", "depth"), long_name=text
            )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Networks learn well within six depth scales, and stay at guessing beyond."""
        made = []
        for scale in record.sigma_w.values:
            at = record.sel(sigma_w=scale)
            reach = 6 * float(at.depth_scale)
            right = read_measured(at, "training_right")
            for index, depth in enumerate(record.depth.values):
                where = f"sigma_w = {scale:g}: {depth} layers"
                if depth < 0.5 * reach:
                    text, side, bound = f"{where}, well within 6 depth scales, learn", at_least, 0.7
                elif depth > 1.2 * reach:
                    text, side, bound = f"{where}, beyond 6 depth scales, do not learn", at_most, 0.3
                else:
                    continue
                reason = "guessing finds 0.1 of the digits"
                made.append(side(bound, right[index], statement=text, system="B15", reason=reason))
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Accuracy against the scale of the weights, and against depth."""
        figure, axes = panels(2)
        left, right = axes.flat
        for index, depth in enumerate(record.depth.values):
            measured = read_measured(record.sel(depth=depth), "training_right")
            simulation(
                left,
                record.sigma_w,
                100 * measured.mean,
                100 * measured.standard_error,
                index,
                label=f"{depth} layers",
                linestyle="-",
            )
        left.axvline(float(record.critical), color="0.5", linewidth=0.8)
        left.axhline(10, color="0.7", linewidth=0.8)
        left.set(
            xlabel="scale of the weights sigma_w",
            ylabel="training digits classified rightly (%)",
            ylim=(0, 103),
            title="; ".join(
                f"xi_c({s:g}) = {x:.3g}"
                for s, x in zip(record.sigma_w.values, record.depth_scale.values, strict=True)
                if x < 1e3
            ),
        )
        left.title.set_fontsize(8)
        left.legend(frameon=False, fontsize=8)
        for index, depth in enumerate(record.depth.values):
            at = record.sel(depth=depth)
            measured = read_measured(at, "held_out_right")
            simulation(
                right,
                depth / at.depth_scale,
                100 * measured.mean,
                100 * measured.standard_error,
                index,
                label=f"{depth} layers",
            )
        right.axvline(6, color="0.5", linewidth=0.8, label="6 depth scales")
        right.set(
            xlabel="layers over the depth scale xi_c",
            ylabel="held-out digits classified rightly (%)",
            xscale="log",
            ylim=(0, 103),
        )
        right.legend(frameon=False, fontsize=8)
        return figure
