"""Training of wide networks against the linearised one: kernel, drift, errors, outputs, distance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Process
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
from neuromanifold.geometry import empirical_ntk_fn
from neuromanifold.learning import LearnerState, backpropagation, learner
from neuromanifold.networks.perceptron import WidePerceptron, wide_perceptron
from neuromanifold.theory.wide import Dense, Erf, predict, serial

# Steps between two looks.
EVERY = 10


def _erf(u: Array) -> Array:
    return jax.scipy.special.erf(u / math.sqrt(2.0))


def _outputs(network: Any, x: Any) -> Any:
    return jax.vmap(network)(x)


_drawn = jax.jit(wide_perceptron, static_argnums=(1, 2, 3, 4))


class _Loss(eqx.Module):
    """Half the sum of squared errors on the training set."""

    x: Array
    y: Array

    def __call__(self, network: Any, batch: Any, key: Any) -> Any:
        return 0.5 * jnp.sum((_outputs(network, self.x) - self.y) ** 2)


class _State(NamedTuple):
    """The network as it learns, and as it began."""

    now: LearnerState
    begun: WidePerceptron


class _Training(eqx.Module):
    """Gradient descent from a random network that the key of the run draws."""

    process: Process
    widths: tuple[int, ...] = eqx.field(static=True)
    sigma_w: float = eqx.field(static=True)
    sigma_b: float = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Any) -> _State:
        network = _drawn(key, self.widths, _erf, self.sigma_w, self.sigma_b)
        return _State(self.process.init(key, network), network)

    def step(self, key: Key[Array, ""], t: Any, state: _State) -> tuple[_State, Any]:
        now, info = self.process.step(key, t, state.now)
        return _State(now, state.begun), info


class _Look(eqx.Module):
    """Outputs on all inputs."""

    x: Array

    def __call__(self, state: _State) -> Array:
        return _outputs(state.now.params, self.x)[:, 0]


@functools.partial(jax.jit, static_argnums=3)
def _compared(begun: Any, now: Any, x: Array, n_train: int) -> dict[str, Array]:
    """Kernels of all inputs with the training set before and after, and how far the first layer has moved."""
    ntk_fn = empirical_ntk_fn(_outputs, vmap_axes=0, implementation=1)

    def one(pair: Any) -> dict[str, Array]:
        first, last = (pair[0].weights[0], pair[1].weights[0])
        return {
            "begun": ntk_fn(x, x[:n_train], pair[0]),
            "now": ntk_fn(x[:n_train], x[:n_train], pair[1]),
            "moved": jnp.linalg.norm(last - first),
            "length": jnp.linalg.norm(first),
        }

    return jax.lax.map(one, (begun, now))


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def _kernels(widths: tuple[int, ...], keys: Any, x: Any, sigma_w: float, sigma_b: float) -> Any:
    """Tangent kernels of networks as drawn, one after the other."""

    def one(key: Any) -> Any:
        network = wide_perceptron(key, widths, _erf, sigma_w, sigma_b)
        return empirical_ntk_fn(_outputs, vmap_axes=0, implementation=1)(x, None, network)

    return jax.lax.map(one, keys)


def _data(n_examples: int, n_inputs: int, n_test: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.standard_normal((n_examples, n_inputs))
    x = np.concatenate([x, random.standard_normal((n_test, n_inputs))])
    return 2.0 * x / np.linalg.norm(x, axis=1, keepdims=True), random.standard_normal((n_examples, 1))


@functools.cache
def _limit(
    n_examples: int, n_inputs: int, n_test: int, sigma_w: float, sigma_b: float
) -> dict[str, np.ndarray]:
    dense = Dense(1, sigma_w, sigma_b)
    kernel_fn = jax.jit(serial(dense, Erf(b=2**-0.5), dense).kernel_fn, static_argnums=2)
    with jax.enable_x64(True):
        made = kernel_fn(_data(n_examples, n_inputs, n_test)[0], None, ("nngp", "ntk"))
    return {"nngp": np.asarray(made.nngp), "ntk": np.asarray(made.ntk)}


@experiment(
    Card(
        name="lazy-training",
        title="A wide network hardly moves while it learns",
        topic="wide",
        lecture="B",
        systems=("B8", "B16", "B17"),
        idea=(
            "Networks of growing width are drawn at random and trained by gradient descent until they fit "
            "their examples. Their tangent kernel, which says how the outputs answer to a step, scatters "
            "from network to network as one over the root of the width about the kernel of infinite width. "
            "During training it drifts far less, as one over the width, so that the errors follow a linear "
            "law with the kernel at the start, and outputs on new inputs are those of a linear model. Over "
            "many networks the outputs after training, extrapolated to infinite width, have the mean that "
            "theory predicts."
        ),
        equations=(
            ("Tangent kernel", r"K(x, x') = \partial_\theta f(x) \cdot \partial_\theta f(x')"),
            ("Errors", r"e(t) = (I - \eta K)^t e(0)"),
            (
                "New inputs",
                r"f_t(x) = f_0(x) - k(x)^T K^{-1} \left(I - (I - \eta K)^t\right) e(0)",
            ),
        ),
        sources=("jacot2018", "lee2019"),
        caption=(
            "Left: scatter of the kernel between networks, its drift in training, and the largest deviation "
            "of errors and of outputs on new inputs from the linear law, against width; lines have the "
            "predicted slopes. Right: training loss, networks against the linear law of infinite width."
        ),
    ),
    full={"widths": (64, 256, 1024, 4096), "n_networks": 64, "n_steps": 4000, "two_layers": True},
)
class LazyTraining:
    """Kernel, drift and deviations against width."""

    widths: tuple[int, ...] = parameter((80, 240, 640), doc="widths of the hidden layer", low=16)
    n_networks: int = parameter(64, doc="independent networks of each width", low=4)
    n_inputs: int = parameter(4, doc="inputs of a network", low=1)
    n_examples: int = parameter(6, doc="training examples", low=2)
    n_test: int = parameter(3, doc="new inputs", low=1)
    n_steps: int = parameter(700, doc="steps of gradient descent", unit="steps", low=EVERY)
    followed: int = parameter(
        200, doc="steps over which errors are followed, a multiple of 10", unit="steps", low=EVERY
    )
    rate: float = parameter(
        1.0, doc="rate times the greatest eigenvalue", low=0.0, high=2.0, open_low=True, open_high=True
    )
    two_layers: bool = parameter(False, doc="look at networks of two hidden layers too, as drawn")
    sigma_w: float = parameter(1.5, doc="scale of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.3, doc="scale of the biases", low=0.0)

    def check(self) -> None:
        """Errors are followed to a step that is looked at."""
        fits = self.followed <= self.n_steps and self.followed % EVERY == 0
        require(
            fits, "followed", f"be a multiple of {EVERY}, at most n_steps = {self.n_steps}", self.followed
        )

    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        """All inputs, those of the test last, of length 2; and targets."""
        return _data(self.n_examples, self.n_inputs, self.n_test)

    def _limit(self) -> dict[str, np.ndarray]:
        """Kernels of all inputs at infinite width."""
        return _limit(self.n_examples, self.n_inputs, self.n_test, self.sigma_w, self.sigma_b)

    def _eta(self) -> float:
        """The rate, from the kernel of infinite width."""
        train = self._limit()["ntk"][: self.n_examples, : self.n_examples]
        return self.rate / float(np.linalg.eigvalsh(train)[-1])

    def _coordinates(self) -> dict[str, Any]:
        steps = np.arange(0, self.n_steps + 1, EVERY)
        return {
            "width": ("width", np.array(self.widths), {"long_name": "width", "units": "units"}),
            "step": ("step", steps, {"long_name": "step of gradient descent", "units": "steps"}),
            "test": ("test", np.arange(self.n_test), {"long_name": "new input", "units": "1"}),
            "entry": ("entry", np.arange(self.n_examples), {"long_name": "training input", "units": "1"}),
        }

    def predict(self) -> xr.Dataset:
        """Kernel, outputs after training and loss at infinite width, and the exponents."""
        _, y = self._data()
        m, limit = self.n_examples, self._limit()
        kernel, prior = limit["ntk"][:, :m], limit["nngp"][:m, :m]
        values, vectors = np.linalg.eigh(kernel[:m])
        train, cross = (
            {name: k[part, :m] for name, k in limit.items()} for part in (slice(m), slice(m, None))
        )
        with jax.enable_x64(True):
            end = np.asarray(predict.gp_inference(train, y)("ntk", cross))[:, 0]
        begun = vectors.T @ (prior + y @ y.T) @ vectors
        steps = np.arange(0, self.n_steps + 1, EVERY)[:, None]
        loss = 0.5 * np.sum((1 - self._eta() * values) ** (2 * steps) * np.diag(begun), 1)
        variables = predicted_variable(
            "kernel", Prediction(kernel[: self.n_examples]), ("entry", "other"), long_name="tangent kernel"
        )
        variables |= predicted_variable(
            "end", Prediction(end), ("test",), long_name="mean output on new inputs after training"
        )
        variables |= predicted_variable(
            "loss", Prediction(loss), ("step",), long_name="mean training loss at infinite width"
        )
        for name, value in {"scatter": -0.5, "drift": -1.0, "error": -1.0, "new": -1.0, "moved": 0.0}.items():
            variables |= predicted_variable(
                f"{name}_exponent",
                Prediction(value),
                long_name=f"exponent of {name} in width",
            )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks of every width, trained; and kernels of networks of two hidden layers as drawn."""
        x, y = self._data()
        m = self.n_examples
        found: dict[str, list[Estimate]] = {}
        losses = []
        key_deep, *keys = jax.random.split(key, 1 + len(self.widths))
        with jax.enable_x64(True):
            rule = learner(backpropagation(_Loss(jnp.asarray(x[:m]), jnp.asarray(y))), optax.sgd(self._eta()))
            look = _Look(jnp.asarray(x))
            for width, key_width, key_two in zip(
                self.widths, keys, jax.random.split(key_deep, len(self.widths)), strict=True
            ):
                training = _Training(rule, (self.n_inputs, width, 1), self.sigma_w, self.sigma_b)
                made = run(
                    Process(training.init, training.step),
                    key_width,
                    0.0,
                    self.n_steps,
                    observe=look,
                    every=EVERY,
                    replicas=self.n_networks,
                    label=f"lazy-{width}",
                )
                outputs = np.asarray(made.values)
                seen = _compared(made.state.begun, made.state.now.params, jnp.asarray(x), m)
                seen = {name: np.asarray(value) for name, value in seen.items()}
                of_width = _deviations(
                    outputs, seen["begun"], seen["now"], y[:, 0], self._eta(), m, self.followed
                )
                of_width["moved"], of_width["length"] = estimate(seen["moved"]), estimate(seen["length"])
                if self.two_layers:
                    some = jax.random.split(key_two, self.n_networks)
                    two = (self.n_inputs, width, width, 1)
                    deep = _kernels(two, some, jnp.asarray(x[:m]), self.sigma_w, self.sigma_b)
                    of_width["scatter_two"] = _scatter(np.asarray(deep))
                for name, value in of_width.items():
                    found.setdefault(name, []).append(value)
                losses.append(0.5 * np.sum((outputs[:, :, :m] - y[None, None, :, 0]) ** 2, -1))
        names = {
            "scatter": "relative scatter of the kernel between networks, one hidden layer",
            "scatter_two": "relative scatter of the kernel between networks, two hidden layers",
            "drift": "relative drift of the kernel in training",
            "error": f"largest deviation of errors from the linear law in {self.followed} steps, relative",
            "new": "largest deviation of outputs on new inputs from the linear law",
            "moved": "distance that the first layer's weights moved",
            "length": "length of the first layer's weights",
            "last_loss": "largest training loss at the end",
        }
        variables: dict[str, xr.Variable] = {}
        for name, text in names.items():
            if name not in found:
                continue
            variables |= measured_variables(
                name + "_measured", _stack(found[name]), ("width",), long_name=text
            )
        variables |= measured_variables(
            "kernel_mean",
            found["mean"][-1],
            ("entry", "other"),
            long_name="mean kernel at the greatest width",
        )
        variables |= measured_variables(
            "end_measured",
            _at_infinite_width(self.widths, found["end"]),
            ("test",),
            long_name="mean output on new inputs after training, extrapolated to infinite width",
        )
        variables |= measured_variables(
            "loss_mean", estimate(losses[-1]), ("step",), long_name="mean training loss, greatest width"
        )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Exponents, the end of training, and means against infinite width."""
        statements = {
            "scatter": ("scatter", "one hidden layer: the kernel scatters as 1/sqrt(width)", "B16"),
            "scatter_two": (
                "scatter",
                "two hidden layers: the kernel scatters as 1/sqrt(width)",
                "B16",
            ),
            "drift": ("drift", "the kernel drifts in training as 1/width", "B16"),
            "error": ("error", "errors leave the linear law by an amount of order 1/width", "B16"),
            "new": ("new", "outputs on new inputs leave the linear law as 1/width", "B16"),
            "moved": ("moved", "the weights move by a distance that does not grow with width", "B17"),
        }
        # What the kernel drifts at the smallest width is the relative size of the next order: over the widths
        # it bends the line. As drawn, a kernel of one hidden layer is a mean of independent terms: no bend.
        widths = record.width.values
        bend = float(record.drift_measured[0]) / math.log(widths[-1] / widths[0])
        reason = "the next order in 1/width, as the kernel drifts at the smallest width"
        made = [
            scales(
                Prediction(float(record[f"{exponent}_exponent"]), 0.0 if name == "scatter" else bend, reason),
                record.width.values,
                read_measured(record, f"{name}_measured"),
                statement=statement,
                system=system,
                resolution=0.45,
            )
            for name, (exponent, statement, system) in statements.items()
            if f"{name}_measured" in record
        ]
        last = read_measured(record, "last_loss_measured")
        for k, width in enumerate(record.width.values):
            made.append(
                at_most(
                    1e-15,
                    last[k],
                    statement=f"width {width}: every network fits: training loss below 1e-15",
                    system="B8",
                    sigmas=0.0,
                )
            )
        kernel, mean = read_predicted(record, "kernel"), read_measured(record, "kernel_mean")
        for i, j in ((0, 0), (0, 1), (1, 2)):
            made.append(
                compare(
                    kernel[i, j],
                    mean[i, j],
                    statement=f"the mean kernel of inputs {i} and {j} is that of infinite width",
                    system="B16",
                    resolution=0.15 * abs(float(kernel.value[0, 0])),
                )
            )
        for k in range(record.sizes["test"]):
            made.append(
                compare(
                    read_predicted(record, "end")[k],
                    read_measured(record, "end_measured")[k],
                    statement=f"trained networks, extrapolated to infinite width, have the predicted mean "
                    f"output on new input {k}",
                    system="B16",
                    resolution=0.5 * float(np.abs(record.end).max()),
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Deviations against width, and the loss."""
        figure, axes = panels(2)
        left, right = axes.flat
        shown = {
            "scatter": "scatter between networks",
            "drift": "drift in training",
            "error": "errors off the linear law",
            "new": "new inputs off the linear law",
        }
        widths = record.width.values
        for index, (name, label) in enumerate(shown.items()):
            value = read_measured(record, f"{name}_measured")
            simulation(left, widths, value.mean, value.standard_error, index, label=label)
            slope = float(record[f"{name}_exponent"])
            centre = np.exp(np.mean(np.log(value.mean))), np.exp(np.mean(np.log(widths)))
            theory(left, widths, centre[0] * (widths / centre[1]) ** slope, index)
        left.set(xscale="log", yscale="log", xlabel="width (units)", ylabel="relative deviation")
        left.set_xticks(widths, [str(width) for width in widths])
        left.minorticks_off()
        left.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        theory(right, record.step, record.loss, label="infinite width")
        mean = read_measured(record, "loss_mean")
        some = slice(None)
        label = f"networks of {widths[-1]} units"
        simulation(right, record.step[some], mean.mean[some], mean.standard_error[some], 1, label=label)
        # Later the mean over networks is that of the slowest one.
        shown_until = record.loss.sel(step=self.followed)
        right.set(yscale="log", xlabel="step of gradient descent (steps)", ylabel="training loss")
        right.set(xlim=(-8, 1.05 * self.followed), ylim=(0.2 * float(shown_until), 5 * float(record.loss[0])))
        right.legend(frameon=False, fontsize=8)
        return figure


def _stack(values: list[Estimate]) -> Estimate:
    return Estimate([v.mean for v in values], [v.standard_error for v in values], values[0].n)


def _at_infinite_width(widths: Sequence[int], values: list[Estimate]) -> Estimate:
    """Where a straight line in 1/width meets 0, by weighted least squares; one estimate for each width."""
    design = np.stack([np.ones(len(widths)), 1.0 / np.array(widths)], 1)
    mean, error = (np.stack([getattr(v, name) for v in values]) for name in ("mean", "standard_error"))
    found, errors = [], []
    for k in range(mean.shape[1]):
        weighted = design / error[:, k, None]
        covariance = np.linalg.inv(weighted.T @ weighted)
        found.append((covariance @ weighted.T @ (mean[:, k] / error[:, k]))[0])
        errors.append(math.sqrt(covariance[0, 0]))
    return Estimate(np.array(found), np.array(errors), sum(v.n for v in values))


def _typical(values: np.ndarray) -> Estimate:
    """Geometric mean: of numbers whose spread is a factor, it has the smaller error."""
    logarithm = estimate(np.log(values))
    centre = math.exp(float(logarithm.mean))
    return Estimate(centre, centre * float(logarithm.standard_error), len(values))


def _scatter(kernels: np.ndarray) -> Estimate:
    """Root mean square distance of kernels (network, i, j) from their mean, relative to it."""
    n = len(kernels)
    mean = kernels.mean(0)
    squares = np.sum((kernels - mean) ** 2, (1, 2)) / np.sum(mean**2) * n / (n - 1)
    of_squares = estimate(squares)
    root = math.sqrt(float(of_squares.mean))
    return Estimate(root, float(of_squares.standard_error) / (2 * root), n)


def _deviations(
    outputs: np.ndarray,
    begun: np.ndarray,
    ended: np.ndarray,
    y: np.ndarray,
    eta: float,
    m: int,
    followed: int,
) -> dict[str, Estimate]:
    """What networks (network, time, input) did, against the linear law with the kernel each began with."""
    errors = outputs[:, :, :m] - y[None, None]
    values, vectors = np.linalg.eigh(begun[:, :m])
    steps = EVERY * np.arange(outputs.shape[1])
    left = (1 - eta * values)[:, None] ** steps[None, :, None]
    inside = np.einsum("nji,nj->ni", vectors, errors[:, 0])
    law = np.einsum("nij,ntj->nti", vectors, left * inside[:, None])
    answer = (1 - left) / values[:, None] * inside[:, None]
    new = outputs[:, :1, m:] - np.einsum("naj,nji,nti->nta", begun[:, m:], vectors, answer)
    early = steps <= followed
    off = np.linalg.norm(errors - law, axis=-1)[:, early].max(1) / np.linalg.norm(errors[:, 0], axis=-1)
    change = np.linalg.norm(ended - begun[:, :m], axis=(1, 2))
    loss = 0.5 * np.sum(errors[:, -1] ** 2, -1).max()
    return {
        "scatter": _scatter(begun[:, :m]),
        "mean": estimate(begun[:, :m]),
        "drift": _typical(change / np.linalg.norm(begun[:, :m], axis=(1, 2))),
        "error": _typical(off),
        "new": _typical(np.abs(outputs[:, :, m:] - new).max((1, 2))),
        "end": estimate(outputs[:, -1, m:]),
        "last_loss": Estimate(loss, 0.0, len(outputs)),
    }
