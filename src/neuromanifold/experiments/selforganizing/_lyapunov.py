"""What Hebbian learning climbs: Lyapunov functions along averaged rules, and mean shift as their limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
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
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.selforganizing import HebbNeuron, Inputs, mean_shift_step
from neuromanifold.theory.selforganizing import mean_shift, two_point_descent

_RULES = ("plain", "normalised", "shift")


@experiment(
    Card(
        name="hebb-lyapunov",
        title="What a Hebbian neuron climbs, and a rule that climbs nothing",
        topic="selforganizing",
        lecture="A",
        systems=("A3",),
        idea=(
            "Three of the averaged rules are gradients: each has a function L that never falls, and rises as "
            "the square of the speed. Neurons learn from random points of a sphere, and L is followed along "
            "their way. A fourth rule, decay only while the neuron fires with a fixed threshold, is often "
            "said to climb the first one's L; two inputs are enough to see L fall. With a threshold that "
            "follows the length of the weights the rule is mean shift: a small receptive field moves up the "
            "gradient of the logarithm of the density, by d^2/(m+2) times it."
        ),
        equations=(
            (
                "Plain decay",
                r"L = c \langle (w \cdot v - \tau)^+ \rangle - \frac{1}{2} |w|^2, \quad \dot L = |\dot w|^2",
            ),
            ("Normalised", r"L = \langle (w \cdot v - \tau)^+ \rangle, \quad |w| = \mathrm{const}"),
            ("Shift", r"L = \langle (c \, w \cdot v - \frac{1}{2} |w|^2 - \kappa)^+ \rangle"),
            (
                "Mean shift",
                r"E[v \mid |v - w| < d] - w = \frac{d^2}{m+2} \nabla \ln p(w) + O(d^4)",
            ),
        ),
        sources=("amaritakeuchi1978", "cheng1995"),
        caption=(
            "Left: L along the way of one neuron for each rule that has one, from its start to its end. "
            "Middle: the plain rule's L along the gated rule, which lowers it. Right: the step of a mean "
            "shift in three dimensions against the radius of the ball; lines: leading order, dotted: with "
            "the next, points: random points of the ball, weighted by the density."
        ),
    ),
    full={"n_points": 20000, "n_starts": 64, "n_replicas": 64, "n_ball": 8000},
)
class HebbLyapunov:
    """Lyapunov functions, the counter-example, the mean-shift limit."""

    n_points: int = parameter(2000, doc="random points of the sphere", low=100)
    n_dimensions: int = parameter(3, doc="dimension of the space of the sphere", low=2, high=20)
    crowding: float = parameter(1.0, doc="how much denser they lie on one side", low=0.0, high=5.0)
    n_starts: int = parameter(16, doc="random starts for each rule", low=2)
    threshold: float = parameter(
        0.05, doc="threshold tau of the plain and normalised rule", low=0.0, high=0.2
    )
    kappa: float = parameter(0.2, doc="constant kappa of the shift", low=0.0, high=0.4)
    duration: float = parameter(3.0, doc="time of learning", unit="decay times", low=0.5)
    dt: float = parameter(0.01, doc="length of a step", unit="decay times", low=1e-4, high=0.05)
    pair_threshold: float = parameter(0.1, doc="threshold in the counter-example", low=0.02, high=0.45)
    pair_start: float = parameter(0.5, doc="weight at the start of the counter-example", low=0.5, high=0.9)
    variances: tuple[float, ...] = parameter((1.0, 0.5, 2.0), doc="variances of the Gaussian", low=0.1)
    place: tuple[float, ...] = parameter((0.7, -0.5, 0.9), doc="centre of the ball", low=-3.0, high=3.0)
    radii: tuple[float, ...] = parameter(
        (0.2, 0.3, 0.4), doc="radii of the ball, ascending", low=0.05, high=0.8
    )
    n_ball: int = parameter(2000, doc="pairs of opposite points in the ball", low=100)
    n_replicas: int = parameter(20, doc="independent sets of them", low=4)

    def check(self) -> None:
        """The Gaussian has a centre; radii ascend; the pair's neuron fires at the start."""
        same = len(self.variances) == len(self.place)
        require(same, "place", f"have {len(self.variances)} components", self.place)
        require(all(np.diff(self.radii) > 0), "radii", "ascend", self.radii)

    def predict(self) -> xr.Dataset:
        """The counter-example, and the mean shift to two orders."""
        before, after = two_point_descent(self.pair_start, self.pair_threshold)
        fine = np.linspace(0.02, max(self.radii) * 1.1, 30)
        names = ("radius", "component")
        variances, place = np.array(self.variances), np.array(self.place)

        def orders(radii: Any) -> tuple[np.ndarray, np.ndarray]:
            both = [mean_shift(float(d), -place / variances, -np.diag(1 / variances)) for d in radii]
            return np.array([one for one, _ in both]), np.array([two for _, two in both])

        first, second = orders(self.radii)
        first_line, second_line = orders(fine)
        # What is left out is smaller than the last term kept by the ratio of that to the one before.
        left = np.abs(second) * (np.abs(second).max(1) / np.abs(first).max(1))[:, None]
        variables: dict[str, Any] = {
            **predicted_variable(
                "shift_expected",
                Prediction(first + second, left, "terms of the order d^6"),
                names,
                long_name="step of the mean shift",
            ),
            "leading": (names, first, {"long_name": "its leading order", "units": "1"}),
            "leading_line": (("fine", "component"), first_line, {"long_name": "leading order", "units": "1"}),
            "second_line": (
                ("fine", "component"),
                first_line + second_line,
                {"long_name": "two orders", "units": "1"},
            ),
            **predicted_variable("pair_before", Prediction(before), long_name="L at the start"),
            **predicted_variable("pair_after", Prediction(after), long_name="L at the end"),
        }
        return xr.Dataset(
            variables,
            {
                "radius": ("radius", list(self.radii), {"long_name": "radius d", "units": "1"}),
                "component": (
                    "component",
                    np.arange(1, len(place) + 1),
                    {"long_name": "component", "units": "1"},
                ),
                "fine": ("fine", fine, {"long_name": "radius d", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """L along each rule; the counter-example; steps of mean shifts."""
        del run
        key_points, key_starts, key_ball = jax.random.split(key, 3)
        points = jax.random.normal(key_points, (self.n_points, self.n_dimensions))
        points = points.at[:, 0].add(self.crowding)
        inputs = Inputs(points / jnp.linalg.norm(points, axis=1, keepdims=True))
        starts = 0.3 * jax.random.normal(key_starts, (self.n_starts, self.n_dimensions))
        times = np.arange(round(self.duration / self.dt) + 1) * self.dt
        variables: dict[str, Any] = {}
        courses, least, unlike, fastest, gained = [], [], [], [], []
        for rule in _RULES:
            neuron = HebbNeuron(1.0, self.kappa if rule == "shift" else self.threshold, rule)
            # On the sphere, where the inputs are, for rules to which the length at the start matters.
            begin = starts if rule == "plain" else starts / jnp.linalg.norm(starts, axis=1, keepdims=True)
            many = _Neurons(neuron, inputs)
            path = solve(Flow(many.velocity), begin, times, solver=diffrax.Euler(), dt=self.dt).states
            heights, squares = (np.asarray(x, np.float64) for x in _along(many, path))
            rises = np.diff(heights, axis=0)
            courses.append(heights[:, 0])
            gained.append((heights[-1] - heights[0]).mean())
            least.append(rises.min())
            fastest.append(squares.max())
            unlike.append(np.abs(rises.sum(0) - self.dt * (squares[1:] + squares[:-1]).sum(0) / 2))
        pair = Inputs(np.array([[1.0], [0.0]]))
        gated, plain = (HebbNeuron(1.0, self.pair_threshold, rule) for rule in ("gated", "plain"))
        way = solve(
            gated.flow(pair),
            jnp.asarray([self.pair_start]),
            np.linspace(0, 40, 81),
            solver=diffrax.Euler(),
            dt=0.1,
        )
        pair_course = np.asarray(_Heights(plain, pair)(way.states), np.float64)
        steps = self._balls(key_ball)
        exact = {
            "least_rise": (np.array(least), ("rule",), "smallest change of L in a step"),
            "mismatch": (np.array([u.max() for u in unlike]), ("rule",), "rise of L less that by |dw/dt|^2"),
            "fastest": (np.array(fastest), ("rule",), "largest |dw/dt|^2"),
            "gained": (np.array(gained), ("rule",), "mean rise of L from start to end"),
            "pair_first": (pair_course[0], (), "plain rule's L at the start of the gated rule"),
            "pair_last": (pair_course[-1], (), "plain rule's L at its end"),
        }  # fmt: skip
        for name, (values, dims, long_name) in exact.items():
            variables |= measured_variables(name, Estimate(values, 0.0, 1), dims, long_name=long_name)
        variables |= measured_variables(
            "shift", estimate(steps), ("radius", "component"), long_name="step of the mean shift"
        )
        variables["course"] = (("rule", "time"), np.array(courses), {"long_name": "L", "units": "1"})
        variables["pair_course"] = (
            "pair_time",
            pair_course,
            {"long_name": "the plain rule's L", "units": "1"},
        )
        about = {"long_name": "time", "units": "decay times"}
        return xr.Dataset(
            variables,
            {
                "rule": ("rule", list(_RULES), {"long_name": "rule", "units": "1"}),
                "time": ("time", times, about),
                "pair_time": ("pair_time", way.times, about),
            },
        )

    def _balls(self, key: Key[Array, ""]) -> np.ndarray:
        """Steps of mean shifts with a Gaussian, shape (n_replicas, n_radii, n_components)."""
        m = len(self.place)
        random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        place, variances = np.array(self.place), np.array(self.variances)
        made = []
        for _ in range(self.n_replicas):
            direction = random.normal(size=(self.n_ball, m))
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            unit = direction * random.random((self.n_ball, 1)) ** (1 / m)
            # Opposite points: without the density's slope they would have no mean at all.
            ball = np.concatenate([unit, -unit])
            for radius in self.radii:
                x = place + radius * ball
                density = np.exp(-0.5 * np.sum(x**2 / variances, 1))
                inputs = Inputs(x.astype(np.float32), density / density.sum())
                made.append(_step(jnp.asarray(place, jnp.float32), inputs, radius * (1 + 1e-4)) - place)
        return np.array(made, np.float64).reshape(self.n_replicas, len(self.radii), m)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """L never falls and rises as it should; where it falls; the mean shift."""
        made = []
        for rule in _RULES:
            at = record.sel(rule=rule)
            # Sums of float32 terms of order one, each known to 6e-8.
            rounding = 3e-7
            made += [
                at_least(
                    -rounding,
                    read_measured(at, "least_rise"),
                    statement=f"{rule}: L falls in no step of any neuron.",
                    system="A3",
                    sigmas=0,
                    reason="round-off of float32",
                ),
                at_most(
                    self.dt * float(at["fastest"]) + 3 * rounding,
                    read_measured(at, "mismatch"),
                    statement=f"{rule}: L rises by the time integral of |dw/dt|^2.",
                    system="A3",
                    sigmas=0,
                    reason="steps of length dt: dt times the largest |dw/dt|^2",
                ),
            ]
        for expected, measured, words in (
            ("pair_before", "pair_first", "start"),
            ("pair_after", "pair_last", "end"),
        ):
            made.append(
                compare(
                    Prediction(read_predicted(record, expected).value, 1e-5, "round-off of float32"),
                    read_measured(record, measured),
                    statement=f"Two inputs: the plain rule's L at the {words} of the gated rule.",
                    system="A3",
                    resolution=0.02,
                )
            )
        made.append(
            at_most(
                float(record["pair_before"]),
                read_measured(record, "pair_last"),
                statement="Two inputs: the gated rule with a fixed threshold lowers L.",
                system="A3",
                sigmas=0,
            )
        )
        shift, expected = read_measured(record, "shift"), read_predicted(record, "shift_expected")
        for row, radius in enumerate(record["radius"].values):
            for column in range(record.sizes["component"]):
                made.append(
                    compare(
                        expected[row, column],
                        shift[row, column],
                        statement=f"Mean shift, d = {radius:g}: component {column + 1} of the step.",
                        system="A3",
                        resolution=0.1 * float(np.abs(record["leading"].values[row]).max()),
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """L along the rules, L along the gated rule, steps of mean shifts."""
        figure, axes = panels(3, width=4.3)
        left, middle, right = axes[0]
        for index, rule in enumerate(_RULES):
            course = record["course"].sel(rule=rule).values
            theory(left, record["time"], (course - course[0]) / np.ptp(course), index, label=rule)
        left.set(
            xlabel="time (decay times)", ylabel="rise of L, in units of the whole rise", ylim=(-0.05, 1.05)
        )
        left.legend(frameon=False, loc="lower right")
        shown = record["pair_time"].values <= 20
        middle.plot(
            record["pair_time"].values[shown],
            record["pair_course"].values[shown],
            "o",
            color="0.3",
            markersize=3,
        )
        for name, words in (("pair_before", "theory, start"), ("pair_after", "theory, end")):
            index = int(name == "pair_after")
            theory(middle, [0, 20], [float(record[name])] * 2, index, label=words)
        middle.set(xlabel="time (decay times)", ylabel="the plain rule's L, gated rule", ylim=(-0.07, 0.1))
        middle.legend(frameon=False)
        measured = read_measured(record, "shift")
        for column in range(record.sizes["component"]):
            theory(right, record["fine"], record["leading_line"][:, column], column, linestyle="-")
            theory(right, record["fine"], record["second_line"][:, column], column, linestyle=":")
            simulation(
                right,
                record["radius"],
                measured.mean[:, column],
                measured.standard_error[:, column],
                column,
                label=f"component {column + 1}",
            )
        right.set(xlabel="radius d of the ball", ylabel="step of the mean shift")
        right.legend(frameon=False, loc="upper left")
        return figure


class _Neurons(eqx.Module):
    """One rule from many starts."""

    neuron: HebbNeuron
    inputs: Inputs

    def velocity(self, t: Any, weights: Array) -> Array:
        del t
        return jax.vmap(self.neuron.velocity, (0, None))(weights, self.inputs)


class _Heights(eqx.Module):
    """L along a path of weights."""

    neuron: HebbNeuron
    inputs: Inputs

    def __call__(self, path: Array) -> Array:
        return jax.vmap(self.neuron.lyapunov, (0, None))(path, self.inputs)


@eqx.filter_jit
def _along(many: _Neurons, path: Array) -> tuple[Array, Array]:
    """L and |dw/dt|^2 at every time of every neuron."""

    def at(weights: Array) -> tuple[Array, Array]:
        heights = _Heights(many.neuron, many.inputs)(weights)
        return heights, jnp.sum(many.velocity(0.0, weights) ** 2, axis=-1)

    return jax.lax.map(at, path)


@jax.jit
def _step(place: Array, inputs: Inputs, radius: Any) -> Array:
    return mean_shift_step(place, inputs, radius)
