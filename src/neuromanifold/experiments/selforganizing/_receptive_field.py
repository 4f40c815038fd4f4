"""Receptive fields of Hebbian neurons on the circle: sizes against thresholds, the fold, the separatrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import solve
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
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.learning import learner
from neuromanifold.learning.hebbian import sampled
from neuromanifold.networks.selforganizing import HebbPopulation, circle
from neuromanifold.theory.selforganizing import (
    fold_threshold,
    gated_equilibrium,
    online_shift,
    plain_equilibrium,
)

_GRID = "inputs on points of the circle: an edge of the field is known to pi/n"
_RATE = "steps of finite length: the term of first order in the rate"


@experiment(
    Card(
        name="hebb-receptive-field",
        title="A neuron finds its receptive field",
        topic="selforganizing",
        lecture="A",
        systems=("A1", "A5"),
        idea=(
            "Neurons with different thresholds receive points of the unit circle and change their weights by "
            "Hebb's rule with decay. Each settles on a cap about its weights: its receptive field, the "
            "narrower the higher the threshold. Theory gives the angular radius of the cap, the length of "
            "the weights, the threshold beyond which a neuron with plain decay falls silent for good, and "
            "below it the weights from which it still does. The averaged rule is solved for many neurons "
            "at once, from many starts; beside it the rule learns online, input by input."
        ),
        equations=(
            ("Plain decay", r"\dot w = -w + c \langle h v \rangle, \quad h = 1(w \cdot v - \tau)"),
            ("Gated decay", r"\dot w = \langle h (-w + c v) \rangle"),
            ("Plain: rest", r"\sin 2d = 2 \pi \tau / c, \quad |w| = \frac{c}{\pi} \sin d"),
            ("Gated: rest", r"\frac{\sin 2d}{2d} = \tau / c, \quad |w| = c \, \frac{\sin d}{d}"),
        ),
        sources=("amaritakeuchi1978",),
        caption=(
            "Left: angular radius d of the receptive field against the threshold; lines: theory (dotted: "
            "unstable), points: where neurons settle. Middle: length of weights with plain decay, averaged "
            "and learnt online; dotted line and squares: the start below which a neuron falls silent. "
            "Right: the receptive fields of neurons with plain decay on the circle."
        ),
    ),
    full={
        "n_points": 20000,
        "n_starts": 60,
        "thresholds": (0.02, 0.05, 0.08, 0.1, 0.12, 0.14, 0.15),
        "gated_thresholds": (0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9),
        "n_replicas": 64,
        "rate": 0.005,
    },
)
class HebbReceptiveField:
    """Sizes of receptive fields with plain and gated decay, averaged and online."""

    gain: float = parameter(1.0, doc="gain c", low=0.0, open_low=True)
    thresholds: tuple[float, ...] = parameter(
        (0.02, 0.05, 0.1, 0.14), doc="thresholds tau/c with plain decay, ascending", low=0.01, high=0.155
    )
    gated_thresholds: tuple[float, ...] = parameter(
        (0.1, 0.3, 0.6, 0.9), doc="thresholds tau/c with gated decay, ascending", low=0.05, high=0.95
    )
    silent_threshold: float = parameter(0.165, doc="a threshold tau/c beyond the fold", low=0.162, high=0.5)
    n_online: int = parameter(3, doc="how many of the lowest thresholds learn online", low=2)
    n_points: int = parameter(2000, doc="points of the circle", low=200)
    n_starts: int = parameter(30, doc="starts of each neuron with plain decay", low=10)
    farthest: float = parameter(1.5, doc="longest start, in units of tau/c", low=1.3, high=3.0)
    direction: float = parameter(0.3, doc="direction of the starts", unit="rad", low=0.0, high=3.0)
    duration: float = parameter(60.0, doc="time of learning, averaged", unit="decay times", low=20.0)
    dt: float = parameter(
        0.1, doc="length of a step of it", unit="decay times", low=0.0, open_low=True, high=0.5
    )
    rate: float = parameter(0.02, doc="rate of learning online", low=1e-4, high=0.05)
    batch: int = parameter(8, doc="inputs of a step online", low=1)
    online_duration: float = parameter(30.0, doc="time of learning online", unit="decay times", low=15.0)
    n_replicas: int = parameter(24, doc="independent courses online", low=4)

    def check(self) -> None:
        """Thresholds ascend; some of them learn online."""
        for name in ("thresholds", "gated_thresholds"):
            values = getattr(self, name)
            require(all(np.diff(values) > 0), name, "ascend", values)
        require(self.n_online <= len(self.thresholds), "n_online", "be at most the thresholds", self.n_online)

    def predict(self) -> xr.Dataset:
        """Closed forms."""
        c = self.gain
        edge = math.pi / self.n_points
        plain = [plain_equilibrium(c * x, c) for x in self.thresholds]
        gated = [gated_equilibrium(c * x, c) for x in self.gated_thresholds]
        lost = [plain_equilibrium(c * x, c, "unstable").length / x / c for x in self.thresholds]
        shifts = np.array([online_shift(c * x, self.rate / self.batch, c) for x in self.thresholds])
        online = slice(None, self.n_online)
        fold = fold_threshold(c) / c
        fine, gated_fine = np.linspace(0.004, fold - 1e-6, 120), np.linspace(0.02, 0.98, 80)
        lines = {
            "plain_line": ("fine", [plain_equilibrium(c * x, c).radius for x in fine], "rad"),
            "unstable_line": ("fine", [plain_equilibrium(c * x, c, "unstable").radius for x in fine], "rad"),
            "length_line": ("fine", [plain_equilibrium(c * x, c).length for x in fine], "1"),
            "lost_line": ("fine", [plain_equilibrium(c * x, c, "unstable").length for x in fine], "1"),
            "gated_line": ("gated_fine", [gated_equilibrium(c * x, c).radius for x in gated_fine], "rad"),
        }
        variables: dict[str, Any] = {
            name: (dim, values, {"long_name": name.replace("_", " "), "units": units})
            for name, (dim, values, units) in lines.items()
        }
        variables |= predicted_variable(
            "plain_radius_expected",
            Prediction([r.radius for r in plain], [r.grid_error * edge for r in plain], _GRID),
            ("threshold",),
            long_name="angular radius, plain decay",
            units="rad",
        )
        variables |= predicted_variable(
            "gated_radius_expected",
            Prediction([r.radius for r in gated], [r.grid_error * edge for r in gated], _GRID),
            ("gated_threshold",),
            long_name="angular radius, gated decay",
            units="rad",
        )
        variables |= predicted_variable(
            "length_expected",
            Prediction(
                [r.length for r in plain],
                [(1 + r.grid_error) * edge * c / np.pi * abs(np.cos(r.radius)) for r in plain],
                _GRID,
            ),
            ("threshold",),
            long_name="length of the weights, plain decay",
        )
        spacing = (self.farthest - 1) / (self.n_starts - 1)
        variables |= predicted_variable(
            "lost_expected",
            Prediction(lost, spacing + edge, "starts on a grid"),
            ("threshold",),
            long_name="shortest start that is not lost, in units of the threshold",
        )
        variables |= predicted_variable(
            "online_length_expected",
            Prediction([r.length for r in plain[online]], np.abs(shifts[online]), _RATE),
            ("online",),
            long_name="length of the weights, online",
        )
        return xr.Dataset(
            variables,
            {
                "threshold": ("threshold", list(self.thresholds), _about("threshold tau/c")),
                "gated_threshold": (
                    "gated_threshold",
                    list(self.gated_thresholds),
                    _about("threshold tau/c"),
                ),
                "online": ("online", list(self.thresholds)[online], _about("threshold tau/c")),
                "fine": ("fine", fine, _about("threshold tau/c")),
                "gated_fine": ("gated_fine", gated_fine, _about("threshold tau/c")),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The averaged rules from many starts; the plain rule online."""
        inputs = circle(self.n_points)
        heading = np.array([math.cos(self.direction), math.sin(self.direction)])
        c = self.gain
        levels = np.array([*self.thresholds, self.silent_threshold])
        factors = np.linspace(1.0, self.farthest, self.n_starts)
        # Below a threshold its own starts, and one as long as weights can become.
        lengths = np.concatenate([levels[:, None] * factors, np.full((len(levels), 1), 1.0)], 1) * c
        plain = self._settle(
            HebbPopulation(np.repeat(c * levels, lengths.shape[1]), gain=c), inputs, lengths.ravel(), heading
        ).reshape(*lengths.shape, 2)
        norms = np.linalg.norm(plain, axis=-1)
        alive = norms > levels[:, None] * c
        kept = plain[:-1, -1]
        radius = np.arccos(levels[:-1] * c / norms[:-1, -1])
        gated = np.array(self.gated_thresholds) * c
        settled = self._settle(
            HebbPopulation(gated, gain=c, variant="gated"), inputs, np.full(len(gated), c), heading
        )
        angles = np.arctan2(*np.concatenate([kept, settled]).T[::-1])
        # The shortest start of each neuron that lasts, halfway to the longest that does not.
        first = np.argmax(alive[:-1, :-1], axis=1)
        last_lost = factors[np.maximum(first - 1, 0)]
        online = HebbPopulation(c * levels[: self.n_online], gain=c)
        course = run(
            learner(sampled(online.change, _Points(inputs.points), self.batch), optax.sgd(self.rate)),
            key,
            jnp.asarray(c / math.pi * np.tile(heading, (self.n_online, 1)), inputs.points.dtype),
            round(self.online_duration / self.rate),
            observe=_lengths,
            every=max(1, round(1.0 / self.rate)),
            replicas=self.n_replicas,
            label="online",
        )
        # The first third is the way there.
        seen = np.asarray(course.values, np.float64)
        lengths_online = seen[:, seen.shape[1] // 3 :].mean(1)
        exact = {
            "plain_radius": (radius, ("threshold",), "angular radius, plain decay", "rad"),
            "gated_radius": (
                np.arccos(gated / np.linalg.norm(settled, axis=1)),
                ("gated_threshold",),
                "angular radius, gated decay",
                "rad",
            ),
            "length": (norms[:-1, -1], ("threshold",), "length of the weights, plain decay", "1"),
            "lost": (
                (factors[first] + last_lost) / 2,
                ("threshold",),
                "shortest start that is not lost, in units of the threshold",
                "1",
            ),
            "silent_length": (norms[-1].max(), (), "longest weights beyond the fold", "1"),
            "turned": (np.abs(angles - self.direction).max(), (), "largest turn of the weights", "rad"),
        }
        variables: dict[str, Any] = {}
        for name, (values, dims, long_name, units) in exact.items():
            variables |= measured_variables(
                name, Estimate(values, 0.0, 1), dims, long_name=long_name, units=units
            )
        variables |= measured_variables(
            "online_length", estimate(lengths_online), ("online",), long_name="length of the weights, online"
        )
        return xr.Dataset(variables)

    def _settle(
        self, population: HebbPopulation, inputs: Any, lengths: np.ndarray, heading: np.ndarray
    ) -> np.ndarray:
        start = population.start(inputs, lengths[:, None] * heading)
        path = solve(population.flow(inputs), start, [0.0, self.duration], solver=diffrax.Euler(), dt=self.dt)
        return np.asarray(path.states[-1], np.float64)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Radii, lengths, silence, separatrix, directions; online."""
        made = []
        plain, radius, length = "plain decay", "radius of the field", "length of the weights"
        sized = (
            ("threshold", "plain_radius", f"{plain}: {radius}", 0.03, "A1"),
            ("threshold", "length", f"{plain}: {length}", 0.01, "A1"),
            ("gated_threshold", "gated_radius", f"gated decay: {radius}", 0.03, "A5"),
            ("threshold", "lost", f"{plain}: starts above this multiple of tau last", 0.04, "A1"),
            ("online", "online_length", f"{plain}, online: {length}", 0.02, "A1"),
        )
        for dim, name, words, resolution, system in sized:
            measured = read_measured(record, name)
            predicted = read_predicted(record, f"{name}_expected")
            for index, level in enumerate(record[dim].values):
                made.append(
                    compare(
                        predicted[index],
                        measured[index],
                        statement=f"tau/c = {level:g}, {words}.",
                        system=system,
                        resolution=resolution,
                    )
                )
        made.append(
            at_most(
                1e-3 * self.gain,
                read_measured(record, "silent_length"),
                statement=f"tau/c = {self.silent_threshold:g}, beyond the fold: all weights fade.",
                system="A1",
                sigmas=0,
            )
        )
        made.append(
            at_most(
                math.pi / self.n_points,
                read_measured(record, "turned"),
                statement="The weights keep their direction where all inputs are alike.",
                system="A1",
                sigmas=0,
                reason="the spacing of the points",
            )
        )
        for name, words in (("plain_radius", "plain"), ("gated_radius", "gated")):
            falls = np.diff(record[name].values)
            made.append(
                at_most(
                    0.0,
                    Estimate(falls.max(), 0.0, 1),
                    statement=f"{words.capitalize()} decay: higher thresholds make narrower fields.",
                    system="A1",
                    sigmas=0,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Radius against threshold, length against threshold, fields on the circle."""
        figure, axes = panels(3, width=4.3)
        left, middle, right = axes[0]
        theory(left, record["fine"], record["plain_line"])
        theory(left, record["fine"], record["unstable_line"], linestyle=":")
        theory(left, record["gated_fine"], record["gated_line"], 1)
        for index, (dim, name, label) in enumerate(
            (("threshold", "plain_radius", "plain decay"), ("gated_threshold", "gated_radius", "gated decay"))
        ):
            shown = read_measured(record, name)
            simulation(left, record[dim], shown.mean, shown.standard_error, index, label=label)
        left.set(
            xlabel="threshold τ/c", ylabel="angular radius d of the field (rad)", xlim=(0, 1), ylim=(0, 1.65)
        )
        left.legend(frameon=False)
        theory(middle, record["fine"], record["length_line"], label="theory, rest")
        theory(middle, record["fine"], record["lost_line"], linestyle=":", label="theory, separatrix")
        shown = read_measured(record, "length")
        simulation(middle, record["threshold"], shown.mean, shown.standard_error, label="averaged rule")
        shown = read_measured(record, "online_length")
        simulation(middle, record["online"], shown.mean, shown.standard_error, 2, label="online")
        simulation(
            middle,
            record["threshold"],
            record["lost"] * record["threshold"] * self.gain,
            0 * record["lost"],
            1,
            label="shortest start that lasts",
        )
        middle.set(xlabel="threshold τ/c", ylabel="length of the weights |w|", xlim=(0, None), ylim=(0, 0.36))
        middle.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 0.28))
        turn = np.linspace(0, 2 * np.pi, 200)
        right.plot(np.cos(turn), np.sin(turn), color="0.6", linewidth=1)
        for index, (tau, d) in enumerate(
            zip(record["threshold"].values, record["plain_radius"].values, strict=True)
        ):
            arc = self.direction + np.linspace(-d, d, 100)
            size = 1.08 + 0.1 * index
            theory(right, size * np.cos(arc), size * np.sin(arc), index, label=f"τ/c = {tau:g}")
        right.plot([0, math.cos(self.direction)], [0, math.sin(self.direction)], color="0.3", linewidth=1)
        right.set_aspect("equal")
        right.set(
            xlabel="first component of the input",
            ylabel="second component",
            xlim=(-1.9, 1.9),
            ylim=(-1.9, 1.9),
        )
        right.legend(frameon=False, fontsize="small", loc="lower left", ncols=2)
        return figure


class _Points(eqx.Module):
    """One of equally likely points."""

    points: Array

    def __call__(self, key: Key[Array, ""]) -> Array:
        return self.points[jax.random.randint(key, (), 0, len(self.points))]


def _lengths(state: Any) -> Array:
    return jnp.linalg.norm(state.params, axis=-1)


def _about(long_name: str, units: str = "1") -> dict[str, str]:
    return {"long_name": long_name, "units": units}
