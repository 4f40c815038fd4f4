"""Deep linear networks: every descent ends at the best map, every other critical point is a saddle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    compare,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.learning import backpropagation, learner
from neuromanifold.networks.perceptron import DeepLinear, deep_linear, linear_loss
from neuromanifold.theory.landscape import critical_points, global_optimum_low_rank

# Losses this near, relative to the loss of doing nothing, are one critical value.
_NEAR = 1e-9
# Steps of a search.
_SEARCH = 200


class _Loss(eqx.Module):
    """Half the sum of squares."""

    x: Array
    y: Array

    def __call__(self, network: Any, batch: Any, key: Any) -> Any:
        return linear_loss(network, self.x, self.y)


class _Descent(eqx.Module):
    """Gradient descent from a random network."""

    process: Process
    sizes: tuple[int, ...] = eqx.field(static=True)

    def init(self, key: Key[Array, ""], x0: Any) -> Any:
        return self.process.init(key, deep_linear(key, self.sizes))


class _Search(eqx.Module):
    """Damped Newton steps (Levenberg, Marquardt) to where the gradient vanishes; the state is a vector."""

    loss: _Loss
    sizes: tuple[int, ...] = eqx.field(static=True)

    def _value(self, weights: Array) -> Array:
        first = self.sizes[1] * self.sizes[0]
        return self.loss(
            DeepLinear(
                [
                    weights[:first].reshape(self.sizes[1], self.sizes[0]),
                    weights[first:].reshape(self.sizes[2], self.sizes[1]),
                ]
            ),
            None,
            None,
        )

    def init(self, key: Key[Array, ""], x0: Any) -> Array:
        n = self.sizes[0] * self.sizes[1] + self.sizes[1] * self.sizes[2]
        return jax.random.normal(key, (n,))

    def step(self, key: Key[Array, ""], t: Any, weights: Array) -> tuple[Array, None]:
        values, vectors = jnp.linalg.eigh(jax.hessian(self._value)(weights))
        inside = vectors.T @ jax.grad(self._value)(weights)
        # Along flat directions, in which the layers trade scale, nothing is lost by the damping.
        step = values * inside / (values**2 + jnp.linalg.norm(inside) + 1e-30)
        return weights - vectors @ step, None

    def look(self, weights: Array) -> dict[str, Array]:
        return {
            "loss": self._value(weights),
            "slope": jnp.linalg.norm(jax.grad(self._value)(weights)),
            "lowest": jnp.linalg.eigvalsh(jax.hessian(self._value)(weights))[0],
        }


class _Seen(eqx.Module):
    """The loss of a network that learns."""

    loss: _Loss

    def __call__(self, state: Any) -> Array:
        return self.loss(state.params, None, None)


@experiment(
    Card(
        name="deep-linear-minima",
        title="Deep linear networks have no bad minima",
        topic="wide",
        lecture="B",
        systems=("B8",),
        idea=(
            "The map of a deep linear network is linear, but its loss is no convex function of the weights: "
            "there are critical points wherever the map picks up some singular directions of the problem and "
            "leaves others. Gradient descent from random weights always ends at the best map of the rank "
            "that the network has. Newton's method, which is drawn to critical points of every kind, finds "
            "the others; each has a predicted loss, and each but the best has a direction that leads down."
        ),
        equations=(
            ("Loss", r"E = \frac{1}{2} |W_2 W_1 X - Y|^2"),
            ("Critical values", r"E_I = \frac{1}{2} \left(|Y|^2 - \sum_{i \in I} s_i^2\right)"),
        ),
        sources=("baldi1989", "kawaguchi2016"),
        caption=(
            "Left: loss above the best against steps of gradient descent, one line a start. Right: loss and "
            "lowest curvature of the critical points that Newton's method found; lines: predicted losses."
        ),
    ),
    full={"n_starts": 200, "n_searches": 1000},
)
class DeepLinearMinima:
    """Ends of descents, and critical points of every kind."""

    n_inputs: int = parameter(4, doc="inputs", low=1, high=8)
    n_hidden: int = parameter(2, doc="hidden units", low=1, high=8)
    n_outputs: int = parameter(3, doc="outputs", low=1, high=8)
    n_examples: int = parameter(20, doc="examples", low=8)
    n_starts: int = parameter(20, doc="descents", low=2)
    n_searches: int = parameter(120, doc="searches for critical points", low=10)
    n_steps: int = parameter(1500, doc="steps of gradient descent", unit="steps", low=100)
    rate: float = parameter(0.01, doc="rate of learning", low=0.0, open_low=True)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        return self.n_inputs, self.n_hidden, self.n_outputs

    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns with mean squares of order 1/n_examples: X X^T near the identity."""
        random = np.random.default_rng(3)
        scale = 1.0 / np.sqrt(self.n_examples)
        x, y = (scale * random.standard_normal((n, self.n_examples)) for n in (self.n_inputs, self.n_outputs))
        return x, random.standard_normal((self.n_outputs, self.n_inputs)) @ x + 0.3 * y

    def predict(self) -> xr.Dataset:
        """The best loss, and all critical values."""
        x, y = self._data()
        best = global_optimum_low_rank(x, y, self.n_hidden)
        points = critical_points(x, y, self.n_hidden)
        variables = predicted_variable(
            "best", Prediction(best.loss, 1e-13, "rounding of sums in float64"), long_name="best loss"
        )
        variables |= predicted_variable(
            "critical",
            Prediction([p.loss for p in points]),
            ("point",),
            long_name="critical value of the loss",
        )
        variables |= predicted_variable(
            "is_minimum", Prediction([p.kind == "minimum" for p in points]), ("point",), long_name="a minimum"
        )
        return xr.Dataset(variables)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Descents from random weights, and Newton's method from random weights."""
        x, y = self._data()
        key_descent, key_search = jax.random.split(key)
        every = max(1, self.n_steps // 50)
        with jax.enable_x64(True):
            loss = _Loss(jnp.asarray(x), jnp.asarray(y))
            descent = _Descent(learner(backpropagation(loss), optax.sgd(self.rate, 0.95)), self._sizes)
            curves = run(
                Process(descent.init, descent.process.step),
                key_descent,
                0.0,
                self.n_steps,
                observe=_Seen(loss),
                every=every,
                replicas=self.n_starts,
                label="deep-linear-descent",
            ).values
            search = _Search(loss, self._sizes)
            found = run(
                Process(search.init, search.step),
                key_search,
                0.0,
                _SEARCH,
                observe=search.look,
                every=_SEARCH,
                replicas=self.n_searches,
                label="deep-linear-search",
            ).values
        curves = np.asarray(curves)
        ends = {name: np.asarray(value)[:, -1] for name, value in found.items()}
        critical = ends["slope"] < 1e-10
        variables = measured_variables(
            "end_loss", Estimate(curves[:, -1], 0.0, 1), ("start",), long_name="loss at the end of a descent"
        )
        variables |= measured_variables(
            "curve", Estimate(curves, 0.0, 1), ("start", "step"), long_name="loss in descent"
        )
        variables |= measured_variables(
            "found_loss", Estimate(ends["loss"][critical], 0.0, 1), ("search",), long_name="loss found"
        )
        variables |= measured_variables(
            "found_lowest",
            Estimate(ends["lowest"][critical], 0.0, 1),
            ("search",),
            long_name="lowest curvature of a critical point",
        )
        steps = np.arange(curves.shape[1]) * every
        attributes = {"long_name": "step of gradient descent", "units": "steps"}
        return xr.Dataset(variables, {"step": ("step", steps, attributes)})

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Ends, values and kinds."""
        best = read_predicted(record, "best")
        ends = read_measured(record, "end_loss")
        worst = ends[int(np.argmax(np.abs(ends.mean - float(best.value))))]
        n = len(ends.mean)
        made = [
            compare(
                best,
                worst,
                statement=f"the end of {n} descents farthest from the best loss is the best loss",
                system="B8",
                resolution=1e-10,
            )
        ]
        values, kinds = record.critical.values, record.is_minimum.values > 0.5
        losses, lowest = record.found_loss.values, record.found_lowest.values
        apart = np.abs(losses[:, None] - values[None])
        which = apart.argmin(1)
        unknown = int(np.sum(apart.min(1) > _NEAR * values.max()))
        total = len(losses)
        made.append(
            never(
                unknown,
                total,
                statement="a critical point has no other loss than those predicted",
                system="B8",
                rate=0.1,
            )
        )
        saddle = ~kinds[which]
        wrong = int(np.sum(lowest[saddle] > -_NEAR))
        statement = "a critical point that is not the best has no direction down"
        made.append(never(wrong, int(saddle.sum()), statement=statement, system="B8", rate=0.1))
        kinds_found = Estimate(float(len(set(which.tolist()))), 0.0, total)
        made.append(
            compare(
                Prediction(float(len(values))),
                kinds_found,
                statement="all predicted critical values are found",
                system="B8",
                resolution=0.5,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Descents, and critical points."""
        figure, axes = panels(2)
        left, right = axes.flat
        above = np.maximum(record.curve.values - float(record.best), 1e-16)
        for k, curve in enumerate(above):
            left.plot(record.step, curve, color="0.4", linewidth=0.7, label="" if k else "a descent")
        left.set(yscale="log", xlabel="step of gradient descent (steps)", ylabel="loss above the best")
        left.legend(frameon=False, fontsize=8)
        low, high = float(record.found_lowest.min()), 0.05 * abs(float(record.found_lowest.min()))
        for k, value in enumerate(record.critical.values):
            theory(right, [value, value], [low, high], 0, label="" if k else "predicted losses")
        losses, curvature = record.found_loss.values, record.found_lowest.values
        simulation(right, losses, curvature, np.zeros(len(losses)), 1, label="found by Newton's method")
        right.set(xlabel="loss of a critical point", ylabel="lowest curvature")
        right.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return figure
