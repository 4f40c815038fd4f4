"""A recurrent auto-encoder: its decoder becomes the transpose of its encoder, and what is unstable in it."""

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
from neuromanifold.dynamics import SolveError, solve
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.energy import AutoencoderWeights, RecurrentAutoencoder
from neuromanifold.theory.energy import linear_autoencoder, step_autoencoder

_SOLVED = "the tolerance of the solver"


@experiment(
    Card(
        name="recurrent-autoencoder",
        title="A recurrent auto-encoder finds its own transpose, and needs saturation",
        topic="energy",
        lecture="A",
        systems=("A8",),
        idea=(
            "Signals go up by one matrix and down by another until they settle; both matrices then learn by "
            "the same rule of Hebb. Their difference decays exactly as exp(-t), for any nonlinearity, so the "
            "decoder becomes the transpose of the encoder. A linear network has no other stable state than "
            "silence: above a threshold of the singular value the loop becomes unstable, and the simulation "
            "stops there by itself. A step unit stores one pattern, beside a silent state in a window of "
            "thresholds."
        ),
        equations=(
            ("Signals", r"\dot h = -h + f(W v - \theta), \quad \dot v = -v + g(S^T h) + a"),
            (
                "Learning",
                r"\dot W = -W + c \langle h v^T \rangle, \quad \dot S = -S + c \langle h v^T \rangle",
            ),
            ("Difference", r"W(t) - S(t) = e^{-t} (W(0) - S(0))"),
            ("Linear", r"\dot s = s \left( -1 + \frac{c \lambda}{(1 - s^2)^2} \right)"),
        ),
        sources=("amari1983",),
        caption=(
            "Left: size of W - S while a tanh network learns, against exp(-t). Middle: singular value of a "
            "linear network from starts below and above the threshold (grey); those above run to the border "
            "1, where the loop is unstable. Right: states in which a step unit rests, from silent and from "
            "active starts, against its threshold; between the dotted lines both hold."
        ),
    ),
    full={"n_inputs": 20, "n_hidden": 6, "n_visible": 8},
)
class RecurrentAutoencoderLearning:
    """Decay of W - S, the linear threshold, the window of a step unit."""

    n_inputs: int = parameter(5, doc="inputs", low=1)
    n_hidden: int = parameter(3, doc="hidden units k", low=1)
    n_visible: int = parameter(4, doc="visible units n", low=1)
    gain: float = parameter(0.5, doc="gain c of learning", low=0.05, high=0.95)
    variance: float = parameter(0.5, doc="variance lambda of the linear input", low=0.01)
    loop: float = parameter(
        0.9, doc="largest singular value of the first weights of the tanh network", low=0.0, open_low=True
    )
    horizon: float = parameter(3.0, doc="learning time", unit="time", low=0.5)
    starts: tuple[float, ...] = parameter(
        (0.4, 0.69, 0.72, 0.8),
        doc="first singular values of the linear network",
        low=0.0,
        high=0.99,
        open_low=True,
    )

    def check(self) -> None:
        """A linear network with a threshold, and starts on both sides of it."""
        product = self.gain * self.variance
        require(product < 1, "variance", "keep gain * variance below 1", product)
        s = linear_autoencoder(self.gain, self.variance).threshold
        sides = min(self.starts) < s < max(self.starts)
        require(sides, "starts", f"lie on both sides of the threshold {s:.5f}", self.starts)

    def _thresholds(self) -> np.ndarray:
        """Thresholds of the step unit, in units of |a|^2: below, inside and above the window."""
        made = step_autoencoder(self.gain)
        return np.array(
            [
                0.7 * made.low,
                0.75 * made.low + 0.25 * made.high,
                0.5 * (made.low + made.high),
                1.2 * made.high,
            ]
        )

    def predict(self) -> xr.Dataset:
        """The factor of decay, the threshold, amplitudes and the window."""
        linear = linear_autoencoder(self.gain, self.variance)
        step = step_autoencoder(self.gain)
        ratio = self._thresholds()
        times = np.linspace(0.0, self.horizon, 13)
        inside = (ratio >= step.low) & (ratio < step.high)
        return xr.Dataset(
            {
                **predicted_variable(
                    "decay_expected",
                    Prediction(np.exp(-times), 1e-6, _SOLVED),
                    ("time",),
                    long_name="|W - S| in units of its beginning",
                ),
                "grows_expected": (
                    "start",
                    (np.array(self.starts) > linear.threshold).astype(int),
                    {"long_name": "whether the singular value grows", "units": "1"},
                ),
                "threshold": ((), linear.threshold, {"long_name": "threshold s*", "units": "1"}),
                **predicted_variable(
                    "rate_expected",
                    Prediction(linear.rate, 1e-3, "the width of the difference quotient"),
                    long_name="rate of growth from the threshold",
                    units="1/time",
                ),
                **predicted_variable(
                    "amplitude_expected",
                    Prediction(np.where(ratio < step.high, step.amplitude, 0.0), 1e-5, _SOLVED),
                    ("ratio",),
                    long_name="w in units of a, from an active start",
                ),
                "bistable_expected": (
                    "ratio",
                    inside.astype(int),
                    {"long_name": "whether both states hold", "units": "1"},
                ),
            },
            coords={
                "time": ("time", times, {"long_name": "learning time", "units": "time"}),
                "start": ("start", list(self.starts), {"long_name": "first singular value", "units": "1"}),
                "ratio": ("ratio", ratio, {"long_name": "threshold over |a|^2", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The slow flows of three networks."""
        times = np.linspace(0.0, self.horizon, 13)
        with jax.enable_x64(True):
            keys = jax.random.split(key, 3)
            shape = (self.n_hidden, self.n_visible)
            inputs = jax.random.normal(keys[0], (self.n_inputs, self.n_visible), float)
            # The largest singular value of a Gaussian matrix of unit entries is about this sum of roots.
            scale = self.loop / (np.sqrt(self.n_hidden) + np.sqrt(self.n_visible))
            begun = AutoencoderWeights(*(scale * jax.random.normal(k, shape, float) for k in keys[1:]))
            tanh = RecurrentAutoencoder("tanh", "tanh", gain=self.gain)
            moved = solve(tanh.learning(inputs), begun, times, rtol=1e-9, atol=1e-11).states
            apart = np.linalg.norm(np.asarray(moved.up - moved.down), axis=(1, 2))
            linear = RecurrentAutoencoder("identity", "identity", gain=self.gain)
            flow = linear.learning(np.array([[np.sqrt(self.variance)]]))
            paths = [_linear_path(flow, s, times) for s in self.starts]
            step = 1e-3
            middle = np.sqrt(1 - np.sqrt(self.gain * self.variance))
            slopes = [float(flow.velocity(0.0, _pair(middle + x)).up[0, 0]) for x in (step, -step)]
            a = np.zeros(self.n_visible)
            a[0] = 1.0
            silent, active, bistable = [], [], []
            for ratio in self._thresholds():
                unit = RecurrentAutoencoder("step", "identity", gain=self.gain, threshold=float(ratio))
                ends = []
                for h0, w0 in ((0.0, 0.0), (1.0, self.gain / (1 - self.gain))):
                    # An active start: the unit fires, with the weights of one who has fired for long.
                    weights = AutoencoderWeights(*(jnp.asarray([w0 * a], float),) * 2)
                    ends.append(_settled_learning(unit, weights, a, h0))
                silent.append(ends[0])
                active.append(ends[1])
                learnt = self.gain / (1 - self.gain) * jnp.asarray(a[None])
                bistable.append(unit.is_bistable(AutoencoderWeights(learnt, learnt), jnp.asarray(a)))
        return xr.Dataset(
            {
                **measured_variables(
                    "decay",
                    Estimate(apart / apart[0], 0.0, 1),
                    ("time",),
                    long_name="|W - S| in units of its beginning",
                ),
                "path": (
                    ("start", "time"),
                    np.array(paths),
                    {"long_name": "singular value s; none after the loop became unstable", "units": "1"},
                ),
                "rate": (
                    (),
                    (slopes[0] - slopes[1]) / (2 * step),
                    {"long_name": "rate of growth from the threshold", "units": "1/time"},
                ),
                "silent": ("ratio", silent, {"long_name": "w in units of a, from silence", "units": "1"}),
                **measured_variables(
                    "amplitude",
                    Estimate(active, 0.0, 1),
                    ("ratio",),
                    long_name="w in units of a, from an active start",
                ),
                "bistable": (
                    "ratio",
                    np.array(bistable, int),
                    {"long_name": "whether both states hold", "units": "1"},
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Decay, threshold, window."""
        gap = np.abs(record["decay"].values / record["decay_expected"].values - 1).max()
        made = [
            at_most(
                1e-6,
                Estimate(gap, 0.0, 1),
                statement="W - S decays as exp(-t) at every time, with tanh both ways.",
                system="A8",
                reason="relative error, " + _SOLVED,
            ),
            compare(
                read_predicted(record, "rate_expected"),
                Estimate(float(record["rate"]), 0.0, 1),
                statement="Linear network: it leaves the threshold at the rate of the theory, not to return.",
                system="A8",
                resolution=0.1,
            ),
        ]
        for index, start in enumerate(record["start"].values):
            path = record["path"].values[index]
            grows = bool(np.isnan(path[-1]) or path[-1] > path[0])
            word = "loses its stable loop" if record["grows_expected"].values[index] else "falls silent"
            made.append(
                compare(
                    Prediction(float(record["grows_expected"].values[index])),
                    Estimate(float(grows), 0.0, 1),
                    statement=f"Linear network begun at s = {start:g}: it {word}.",
                    system="A8",
                    resolution=0.5,
                )
            )
        for index, ratio in enumerate(record["ratio"].values):
            made.append(
                compare(
                    read_predicted(record, "amplitude_expected")[index],
                    read_measured(record, "amplitude")[index],
                    statement=f"Step unit, theta = {ratio:.3g} |a|^2: w from an active start.",
                    system="A8",
                    resolution=0.1,
                )
            )
            made.append(
                compare(
                    Prediction(float(record["bistable_expected"].values[index])),
                    Estimate(float(record["bistable"].values[index]), 0.0, 1),
                    statement=f"Step unit, theta = {ratio:.3g} |a|^2: whether both states hold.",
                    system="A8",
                    resolution=0.5,
                )
            )
        made.append(
            at_most(
                1e-12,
                Estimate(float(record["silent"].max()), 0.0, 1),
                statement="Step unit: with a positive threshold and no weights silence stays.",
                system="A8",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Decay, linear paths, states of the step unit."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        theory(left, record["time"], record["decay_expected"], label="exp(−t)")
        simulation(left, record["time"], record["decay"], 0 * record["decay"], 1, label="tanh network")
        left.set(xlabel="learning time", ylabel="|W − S| / |W − S| at 0", yscale="log")
        left.legend(fontsize="small")
        middle.axhline(float(record["threshold"]), color="0.6", linewidth=3, label="threshold s*")
        middle.axhline(1.0, color="0.2", linewidth=1, linestyle=":", label="border")
        for index, start in enumerate(record["start"].values):
            path = record["path"].values[index]
            simulation(middle, record["time"], path, 0 * path, index, label=f"from {start:g}")
        middle.set(xlabel="learning time", ylabel="singular value s", ylim=(0, 1.05))
        middle.legend(fontsize="small")
        ratio = record["ratio"].values
        made = step_autoencoder(self.gain)
        for edge in (made.low, made.high):
            right.axvline(edge, color="0.4", linestyle=":")
        theory(
            right, [0, made.high, made.high], [made.amplitude, made.amplitude, 0], 0, label="active, theory"
        )
        simulation(right, ratio, record["amplitude"], 0 * ratio, 1, label="from an active start")
        simulation(right, ratio, record["silent"], 0 * ratio, 2, label="from silence")
        right.set(xlabel="threshold θ / |a|²", ylabel="weight, in units of a", xlim=(0, 1.3 * made.high))
        right.legend(fontsize="small")
        return figure


def _pair(s: float) -> AutoencoderWeights:
    value = jnp.asarray([[s]], float)
    return AutoencoderWeights(value, value)


def _linear_path(flow: Any, s: float, times: np.ndarray) -> np.ndarray:
    """The singular value in time; NaN from where the loop no longer settles."""
    path = np.full(len(times), np.nan)
    path[0] = s
    for number in range(1, len(times)):
        try:
            moved = solve(flow, _pair(s), times[number - 1 : number + 1], rtol=1e-7, atol=1e-9, max_steps=300)
        except SolveError:
            break
        s = path[number] = float(moved.states.up[-1, 0, 0])
    return path


def _settled_learning(unit: RecurrentAutoencoder, weights: Any, a: np.ndarray, hidden: float) -> float:
    """W along a after long learning, in units of a."""
    flow = unit.learning(a[None], hidden=[[hidden]])
    moved = solve(flow, weights, [0.0, 16.0], dt=0.05)
    return float(moved.states.up[-1, 0] @ a)
