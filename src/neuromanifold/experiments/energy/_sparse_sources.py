"""One-sided sources, and units 0 and 1 with biases that tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure
from scipy import optimize

from neuromanifold.dynamics import Flow, solve
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
from neuromanifold.experiments._figure import COLOURS, LINES, panels, simulation, theory
from neuromanifold.networks.energy import (
    AveragedLearning,
    Bernoulli,
    Gaussian,
    RestrictedBoltzmann,
    unmixing_error,
)
from neuromanifold.theory.energy import source, two_gaussians

KINDS = ("exponential", "bernoulli")
# Nodes below this probability are left out.
_RARE = 1e-6


@experiment(
    Card(
        name="sparse-sources",
        title="Rarely active sources, separated by units 0 and 1 with biases",
        topic="energy",
        lecture="A",
        systems=("A10",),
        idea=(
            "Hidden signs separate sources that are flatter than Gaussian ones, and so not the sparse ones "
            "that are mostly silent. Units 0 and 1 with biases do separate these where they are one-sided: "
            "to every source such a unit fits two Gaussians, one for silence and one for activity, and two "
            "different sources are kept apart where a criterion on that fit is positive. Here the flow of "
            "maximum likelihood, in couplings and all biases, is solved from small random couplings on "
            "two mixed sources, exponential ones and ones that are active with a small probability. The "
            "data are all pairs of nodes with their probabilities, so that nothing is sampled. Exponential "
            "sources are separated from every start. Others may rest elsewhere, at a lower likelihood."
        ),
        equations=(
            ("Machine", r"q(v \mid h) = N(W^T h + b, \sigma^2), \quad h \in \{0, 1\}^2"),
            ("Learning", r"\dot\theta = -\sigma^2 \nabla_\theta KL[p : q], \quad \theta = (W, b, c)"),
            ("One source", r"q(s) = (1 - \pi) N(\mu_0, \sigma^2) + \pi N(\mu_1, \sigma^2)"),
            (
                "Kept apart",
                r"\langle \phi' \rangle \langle s^2 \rangle - \langle \phi s \rangle > 0, "
                r"\quad \phi = -(\log q)'",
            ),
        ),
        sources=("karakidaokadaamari2016", "amarichencichocki1997"),
        caption=(
            "Left: Amari's index of the mixture that is left, while the flow is solved from several starts; "
            "0 is separation. Right: size of the weights of both units on the sources at the end, one point "
            "a unit and start, and the amplitude of the theory for sources that are active with a small "
            "probability."
        ),
    ),
    full={"n_nodes": 32, "n_starts": 10},
)
class SparseSources:
    """Ends of learning on exactly weighted data."""

    sigma: float = parameter(
        0.5, doc="standard deviation of visible units given hidden ones", low=0.3, high=0.7
    )
    share: float = parameter(0.15, doc="probability that a two-valued source is active", low=0.05, high=0.4)
    n_nodes: int = parameter(16, doc="nodes of Gauss and Laguerre for exponential sources", low=10, high=60)
    angles: tuple[float, ...] = parameter(
        (0.6, 0.25 * np.pi), doc="angles of the mixing", unit="radians", low=0.0, high=0.8
    )
    n_starts: int = parameter(3, doc="starts for each kind and angle", low=1)
    horizon: float = parameter(400.0, doc="learning time", unit="time", low=50.0)

    def predict(self) -> xr.Dataset:
        """Amplitude and criterion of the two Gaussians fitted to one source."""
        found = [two_gaussians(source(kind, self.share), self.sigma) for kind in KINDS]
        return xr.Dataset(
            {
                **predicted_variable(
                    "amplitude_expected",
                    Prediction([one.high - one.low for one in found], 1e-4, "the tolerance of the solver"),
                    ("kind",),
                    long_name="distance of the two Gaussians",
                ),
                "criterion": (
                    ("kind",),
                    [one.criterion for one in found],
                    {"long_name": "criterion, > 0 where sources are kept apart", "units": "1"},
                ),
            },
            coords={"kind": ("kind", list(KINDS), {"long_name": "kind of source", "units": "1"})},
        )

    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of nodes of each kind, and their probabilities; rows of probability zero fill up."""
        nodes, weights = np.polynomial.laguerre.laggauss(self.n_nodes)
        kept = weights > _RARE
        w = weights[kept] / weights[kept].sum()
        s = nodes[kept] - w @ nodes[kept]
        exponential = s / np.sqrt(w @ s**2), w
        p = self.share
        bernoulli = (np.array([0.0, 1.0]) - p) / np.sqrt(p * (1 - p)), np.array([1 - p, p])
        n = kept.sum() ** 2
        points, shares = np.zeros((2, n, 2)), np.zeros((2, n))
        for place, (s, w) in enumerate((exponential, bernoulli)):
            pairs = np.stack(np.meshgrid(s, s, indexing="ij"), -1).reshape(-1, 2)
            points[place, : len(pairs)] = pairs
            shares[place, : len(pairs)] = np.outer(w, w).ravel()
        return points, shares

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The flow from small random couplings, and where it comes to rest, in all cases together."""
        points, shares = self._data()
        c, s = np.cos(self.angles), np.sin(self.angles)
        mixing = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], 1)
        shape = len(KINDS), len(self.angles), self.n_starts
        n_cases = int(np.prod(shape))
        times = np.linspace(0.0, self.horizon, 31)
        with jax.enable_x64(True):
            shown = [
                AveragedLearning(points[kind] @ matrix.T, shares[kind])
                for kind in range(len(KINDS))
                for matrix in mixing
                for _ in range(self.n_starts)
            ]
            learning: AveragedLearning = jax.tree.map(lambda *leaves: jnp.stack(leaves), *shown)
            couplings = 0.3 * jax.random.normal(key, (n_cases, 2, 2), float)
            biases = jnp.zeros((n_cases, 2))
            velocity = _Biased(learning, self.sigma)
            found = solve(Flow(velocity), (couplings, biases, biases), times, rtol=1e-8, atol=1e-10)
            # The last of the way is slow, as all biases wait for each other: a root finder goes it at once.
            last = np.concatenate([np.asarray(part[-1]).reshape(n_cases, -1) for part in found.states], 1)
            made = [_at_rest(velocity, number, start) for number, start in enumerate(last)]
        likelihood = np.array([one.likelihood for one in made]).reshape(shape)
        way = np.asarray(found.states[0]).reshape(len(times), *shape, 2, 2)
        rests = np.array([one.state[:4] for one in made]).reshape(1, *shape, 2, 2)
        weights = np.concatenate([way, rests])
        index = np.empty(weights.shape[:4])
        for place in np.ndindex(index.shape):
            index[place] = unmixing_error(weights[place], mixing[place[2]])
        onto = np.abs(np.einsum("kasij,ajl->kasil", weights[-1], mixing))
        # The amplitude of the likeliest rest of each kind: the larger weight of its units.
        best = [np.unravel_index(one.argmax(), one.shape) for one in likelihood]
        amplitude = [onto[(kind, *place)].max(-1).mean() for kind, place in enumerate(best)]
        axes = ("kind", "angle", "start")
        return xr.Dataset(
            {
                "index": (
                    ("time", *axes),
                    index[:-1],
                    {"long_name": "Amari's index of what is left mixed", "units": "1"},
                ),
                "rest": (axes, index[-1], {"long_name": "Amari's index at rest", "units": "1"}),
                "moved": (
                    (),
                    np.abs(weights[-1] - weights[-2]).max(),
                    {"long_name": "largest way of a coupling from the end of the flow to rest", "units": "1"},
                ),
                "growth": (
                    (),
                    max(one.growth for one in made),
                    {"long_name": "largest rate of the linearised flow at rest", "units": "1/time"},
                ),
                "residual": (
                    (),
                    max(one.residual for one in made),
                    {"long_name": "largest velocity at rest", "units": "1/time"},
                ),
                "likelihood": (axes, likelihood, {"long_name": "mean log likelihood", "units": "nats"}),
                "onto": (
                    (*axes, "unit", "source"),
                    onto,
                    {"long_name": "size of the weight of a unit on a source, at rest", "units": "1"},
                ),
                **measured_variables(
                    "amplitude",
                    Estimate(amplitude, 0.0, 1),
                    ("kind",),
                    long_name="weight on its source at the likeliest rest",
                ),
            },
            coords={
                "time": ("time", times, {"long_name": "learning time", "units": "time"}),
                "angle": ("angle", list(self.angles), {"long_name": "angle of mixing", "units": "radians"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Separation of exponential sources; the likeliest end of two-valued ones."""
        ends = record["rest"].values
        likelihood = record["likelihood"].values[1].ravel()
        reason = "the tolerance of the solver; the bound of the specification"
        return [
            at_most(
                1e-4,
                Estimate(ends[0].max(), 0.0, 1),
                statement="Exponential sources: separated at rest, from every start.",
                system="A10",
                reason=reason,
            ),
            at_most(
                1e-4,
                Estimate(ends[1].ravel()[likelihood.argmax()], 0.0, 1),
                statement=f"Sources active with probability {self.share:g}: separated at the likeliest rest.",
                system="A10",
                reason=reason,
            ),
            at_most(
                1e-9,
                Estimate(float(record["residual"]), 0.0, 1),
                statement="The rests are rests: nothing moves there.",
                system="A10",
                reason="the tolerance of the root finder",
            ),
            at_most(
                0.0,
                Estimate(float(record["growth"]), 0.0, 1),
                statement="All rests are stable: no rate of the linearised flow is above zero.",
                system="A10",
            ),
            compare(
                read_predicted(record.sel(kind="bernoulli"), "amplitude_expected"),
                read_measured(record.sel(kind="bernoulli"), "amplitude"),
                statement=f"Sources active with probability {self.share:g}: the amplitude of separated ones.",
                system="A10",
                resolution=0.01,
            ),
        ]

    def draw(self, record: xr.Dataset) -> Figure:
        """Index in time; weights at the end."""
        figure, axes = panels(2)
        left, right = axes[0]
        times = record["time"].values
        for index, kind in enumerate(record["kind"].values):
            for number, path in enumerate(record["index"].values[:, index].reshape(len(times), -1).T):
                label = None if number else str(kind)
                left.plot(
                    times,
                    np.maximum(path, 1e-10),
                    color=COLOURS[index],
                    linestyle=LINES[index],
                    linewidth=1.0,
                    label=label,
                )
            pairs = record["onto"].values[index].reshape(-1, 2)
            simulation(right, pairs[:, 0], pairs[:, 1], 0 * pairs[:, 0], index, label=str(kind))
        left.set_yscale("log")
        left.set(xlabel="learning time", ylabel="index of what is left mixed")
        left.legend(fontsize="small")
        level = float(record["amplitude_expected"].sel(kind="bernoulli"))
        theory(
            right,
            [0, level],
            [level, 0],
            6,
            linestyle="none",
            marker="+",
            markersize=16,
            label="theory, bernoulli",
        )
        right.set(xlabel="weight on source 1", ylabel="weight on source 2")
        right.legend(fontsize="small")
        return figure


class _Biased(eqx.Module):
    """Velocity of machines with units 0 and 1, each with its own data: couplings, visible, hidden biases."""

    learning: AveragedLearning
    sigma: float = eqx.field(static=True)

    def __call__(self, t: Any, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        def one(learning: AveragedLearning, *parts: Array) -> tuple[Array, Array, Array]:
            change = learning.velocity(t, self._machine(*parts))
            return change.couplings, change.visible_bias, change.hidden_bias

        return jax.vmap(one)(self.learning, *state)

    def _machine(self, couplings: Array, visible_bias: Array, hidden_bias: Array) -> RestrictedBoltzmann:
        units = Gaussian(2, self.sigma**2), Bernoulli(2)
        return RestrictedBoltzmann(*units, couplings, visible_bias, hidden_bias)

    @eqx.filter_jit
    def of_case(self, number: Array, flat: Array) -> tuple[Array, Array]:
        """Velocity and likelihood of one case, its state a vector of couplings, visible and hidden biases."""
        learning = jax.tree.map(lambda leaf: leaf[number], self.learning)
        machine = self._machine(flat[:4].reshape(2, 2), flat[4:6], flat[6:])
        change = learning.velocity(0.0, machine)
        moves = jnp.concatenate([change.couplings.ravel(), change.visible_bias, change.hidden_bias])
        return moves, learning.log_likelihood(machine)

    @eqx.filter_jit
    def slope_of_case(self, number: Array, flat: Array) -> Array:
        """Derivative of the velocity of one case in its state."""
        return jax.jacfwd(lambda x: self.of_case(number, x)[0])(flat)


class _Rest(NamedTuple):
    """Where a flow comes to rest, what still moves there, the largest rate of change, the likelihood."""

    state: np.ndarray
    residual: float
    growth: float
    likelihood: float


def _at_rest(velocity: _Biased, number: int, start: np.ndarray) -> _Rest:
    def at(x: np.ndarray) -> tuple[np.ndarray, float]:
        moves, likelihood = velocity.of_case(jnp.asarray(number), jnp.asarray(x))
        return np.asarray(moves), float(likelihood)

    def slope(x: np.ndarray) -> np.ndarray:
        return np.asarray(velocity.slope_of_case(jnp.asarray(number), jnp.asarray(x)))

    x = optimize.root(lambda x: at(x)[0], start, jac=slope, tol=1e-13).x
    jacobian: Any = slope(x)
    moves, likelihood = at(x)
    return _Rest(x, float(np.abs(moves).max()), float(np.linalg.eigvals(jacobian).real.max()), likelihood)
