"""Layers with lateral and feedback connections: contraction to one state, and chaos of a lateral layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    estimate,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.random import RecurrentLayered
from neuromanifold.theory.meanfield import activation, fixed_point

_CONTRACTING_STEPS = 16
_SECOND_ORDER = "terms of order 1/n^2 that the extrapolation leaves; those of order 1/n are at most 5/n"


class _Together(eqx.Module):
    """Many states of one network under one input."""

    network: RecurrentLayered
    signal: Float[Array, " n_inputs"]

    def init(self, key: Any, starts: Any) -> Any:
        del key
        return starts

    def step(self, key: Any, t: Any, states: Any) -> tuple[Any, None]:
        del key, t
        return jax.vmap(lambda layers: self.network.step(self.signal, layers))(states), None


def _gaps(states: Any) -> tuple[Array, Array]:
    """Euclidean distance of state k from state K + k, and the last layer of all."""
    rows = jnp.concatenate(states, axis=1)
    first, second = jnp.split(rows, 2)
    return jnp.linalg.norm(first - second, axis=1), states[-1]


class _LateralState(NamedTuple):
    network: RecurrentLayered
    units: Float[Array, "n_states n_units"]
    tangent: Float[Array, "n_states n_units"]


class _Lateral(eqx.Module):
    """One layer of random asymmetric lateral connections, drawn for each replica, and small perturbations."""

    n_units: int = eqx.field(static=True)
    n_states: int = eqx.field(static=True)
    gain: Float[Array, ""]
    scale: Float[Array, ""]

    def init(self, key: Key[Array, ""], x0: Any) -> _LateralState:
        del x0
        # One draw for all: each generator costs time to compile.
        normal = jax.random.normal(key, (self.n_units + 2 * self.n_states, self.n_units))
        couplings, units, tangent = jnp.split(normal, [self.n_units, self.n_units + self.n_states])
        network = RecurrentLayered(
            [jnp.zeros((self.n_units, 1))], lateral=[self.gain * couplings / np.sqrt(self.n_units)]
        )
        return _LateralState(network, self.scale * units, _unit(tangent))

    def step(self, key: Any, t: Any, state: _LateralState) -> tuple[_LateralState, tuple[Array, Array]]:
        """The next units; the information is their activity and the stretching of the perturbation."""
        del key, t

        def forward(x: Array) -> Array:
            return state.network.step(jnp.zeros(1), (x,))[0]

        units, tangent = jax.vmap(lambda x, v: jax.jvp(forward, (x,), (v,)))(state.units, state.tangent)
        stretched = jnp.linalg.norm(tangent, axis=1)
        return _LateralState(state.network, units, _unit(tangent)), (jnp.mean(units**2, axis=1), stretched)


def _unit(rows: Array) -> Array:
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def _seen(info: Any) -> Any:
    return info


@experiment(
    Card(
        name="lateral-feedback",
        title="Layers that talk sideways and back",
        topic="neurodynamics",
        lecture="B",
        systems=("B2",),
        idea=(
            "Give a layered network connections within its layers and from each layer back to the one "
            "below, and it becomes a dynamical system under its input. Without these connections it is the "
            "feed-forward network after as many steps as it has layers. If the matrix of all its "
            "connections is small enough, every step brings any two states closer by at least a known "
            "factor, and there is one state it settles in. One random layer of lateral connections alone "
            "shows the opposite: beyond gain one its activity lives for ever, and small perturbations grow "
            "by a factor that mean-field theory computes. Networks of two sizes are simulated and "
            "extrapolated to infinite size before they are compared."
        ),
        equations=(
            (
                "Network",
                r"x^l_{t+1} = \varphi\left(W^l x^{l-1}_t + L^l x^l_t + F^l x^{l+1}_t + b^l\right)",
            ),
            ("Contraction", r"\sup|\varphi'| \, \lVert M \rVert_2 < 1"),
            (
                "Lateral layer",
                r"x_{t+1} = \tanh(g J x_t), \quad A^* = \int \tanh^2\left(g \sqrt{A^*} z\right) Dz",
            ),
            (
                "Growth of a perturbation",
                r"\sqrt{\chi_1}, \quad \chi_1 = g^2 \int \varphi'\left(g \sqrt{A^*} z\right)^2 Dz",
            ),
        ),
        sources=("sompolinskycrisantisommers1988", "amari1974"),
        caption=(
            "Left: distance of pairs of states under one input in a contracting network; line: the bound. "
            "Middle and right: activity of a random lateral layer and growth of a perturbation a step "
            "against the gain; line: mean-field theory, points: networks, extrapolated to infinite size."
        ),
    ),
    full={"sizes": (500, 1000), "n_networks": 100, "n_pairs": 200, "n_steps": 60},
)
class LateralFeedback:
    """Contraction with lateral and feedback connections, chaos of a lateral layer."""

    layers: tuple[int, ...] = parameter((20, 30, 25, 10), doc="units of the input and of each layer", low=2)
    norm: float = parameter(
        0.8, doc="spectral norm of all connections, contracting network", low=0.1, high=0.95
    )
    n_pairs: int = parameter(40, doc="pairs of states, contracting network", low=20)
    gains: tuple[float, ...] = parameter(
        (0.8, 1.5, 2.5), doc="gains g of the lateral layer", low=0.1, high=5.0
    )
    sizes: tuple[int, ...] = parameter((100, 200), doc="units of the lateral layer, n and 2n", low=40)
    n_networks: int = parameter(150, doc="independent lateral layers a size", low=10)
    n_states: int = parameter(4, doc="states followed in each lateral layer", low=1)
    n_steps: int = parameter(
        30, doc="steps of the lateral layer, the first third left out", unit="steps", low=15
    )

    def check(self) -> None:
        """Two sizes, one twice the other; no gain at the transition; several layers."""
        two = len(self.sizes) == 2 and self.sizes[1] == 2 * self.sizes[0]
        require(two, "sizes", "hold n and 2n", self.sizes)
        require(len(self.layers) >= 3, "layers", "hold an input and at least two layers", self.layers)
        away = all(abs(g - 1) > 0.1 for g in self.gains)
        require(away, "gains", "stay away from the transition at 1 by more than 0.1", self.gains)

    def predict(self) -> xr.Dataset:
        """Bound of the contraction; activity and growth of the lateral layer."""
        fine = np.linspace(0.1, 1.1 * max(self.gains), 60)
        made = fixed_point(activation("tanh"), np.append(np.array(self.gains), fine), 0.0)
        n = len(self.gains)
        activity, growth = np.asarray(made.activity), 0.5 * np.log(np.asarray(made.chi_1))
        error = (5.0 / min(self.sizes)) ** 2
        steps = np.arange(_CONTRACTING_STEPS + 1)
        return xr.Dataset(
            {
                "bound": ("step", self.norm**steps, {"long_name": "bound of the distance", "units": "1"}),
                "factor_bound": ((), self.norm, {"long_name": "bound of the factor a step", "units": "1"}),
                **predicted_variable(
                    "activity_predicted",
                    Prediction(activity[:n], error, _SECOND_ORDER),
                    ("gain",),
                    long_name="activity A*",
                ),
                **predicted_variable(
                    "growth_predicted",
                    Prediction(growth[:n], error, _SECOND_ORDER),
                    ("gain",),
                    long_name="ln sqrt(chi_1)",
                    units="1/step",
                ),
                "activity_line": ("line", activity[n:], {"long_name": "activity A*", "units": "1"}),
                "growth_line": ("line", growth[n:], {"long_name": "ln sqrt(chi_1)", "units": "1/step"}),
            },
            {
                "gain": ("gain", np.array(self.gains), {"long_name": "gain g", "units": "1"}),
                "line": ("line", fine, {"long_name": "gain g", "units": "1"}),
                "step": ("step", steps, {"long_name": "time", "units": "steps"}),
            },
        )

    def _network(self, key: Key[Array, ""]) -> tuple[RecurrentLayered, RecurrentLayered, np.ndarray]:
        """A network scaled to the norm asked for, the same without lateral and feedback, and an input."""
        seeds = np.asarray(jax.random.key_data(key)).astype(np.uint64).tolist()
        rng = np.random.default_rng(seeds)
        sizes = self.layers
        forward = [rng.normal(size=(k, j)) / np.sqrt(j) for j, k in itertools.pairwise(sizes)]
        lateral = [rng.normal(size=(k, k)) / np.sqrt(k) for k in sizes[1:]]
        feedback = [rng.normal(size=(j, k)) / np.sqrt(k) for j, k in itertools.pairwise(sizes[1:])]
        scale = self.norm / RecurrentLayered(forward, lateral, feedback).contraction()
        forward[1:] = [scale * w for w in forward[1:]]
        scaled = RecurrentLayered(forward, [scale * w for w in lateral], [scale * w for w in feedback])
        plain = RecurrentLayered(forward, [0 * w for w in lateral], [0 * w for w in feedback])
        return scaled, plain, rng.normal(size=sizes[0])

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Pairs of states in a contracting network; lateral layers of two sizes."""
        key_network, key_starts, key_lateral = jax.random.split(key, 3)
        network, plain, signal = self._network(key_network)
        n_states = 2 * self.n_pairs
        ends = np.cumsum(self.layers[1:])
        rows = jax.random.uniform(key_starts, (n_states, int(ends[-1])), minval=-1.0, maxval=1.0)
        starts = tuple(jnp.split(rows, ends[:-1].tolist(), axis=1))
        gaps, last = {}, {}
        for name, made in (("contracting", network), ("plain", plain)):
            moved = _Together(made, jnp.asarray(signal, jnp.float32))
            process = Process(moved.init, moved.step)
            gap, outputs = run(process, key, starts, _CONTRACTING_STEPS, observe=_gaps, label=name).values
            gaps[name], last[name] = np.asarray(gap, np.float64), np.asarray(outputs, np.float64)
        through = signal
        for matrix in plain.forward:
            through = np.tanh(np.asarray(matrix, np.float64) @ through)
        feedforward = np.abs(last["plain"][len(self.layers) - 1] - through[None, :]).max()
        # Below this distance rounding of float32 decides the ratio.
        counted = gaps["contracting"][:-1] > 1e-3
        factors = np.where(counted, gaps["contracting"][1:] / gaps["contracting"][:-1], 0.0)
        settled = network.settle(signal, 1e-6)
        variables: dict[str, Any] = {
            "gap": (
                ("step", "pair"),
                gaps["contracting"] / gaps["contracting"][:1],
                {"long_name": "distance of a pair over the initial one", "units": "1"},
            ),
            "feedforward_gap": (
                (),
                feedforward,
                {"long_name": "difference from the feed-forward net", "units": "1"},
            ),
            "largest_factor": ((), factors.max(), {"long_name": "largest factor a step", "units": "1"}),
            "n_factors": ((), int(counted.sum()), {"long_name": "factors seen", "units": "1"}),
            "n_above": (
                (),
                int((factors > self.norm).sum()),
                {"long_name": "factors above bound", "units": "1"},
            ),
            "settled": ((), int(settled.settled), {"long_name": "whether the network settled", "units": "1"}),
            "end_gap": (
                (),
                np.abs(last["contracting"][-1] - np.asarray(settled.layers[-1])[None, :]).max(),
                {"long_name": "largest distance of an end from the fixed point", "units": "1"},
            ),
        }
        activities, growths = [], []
        for index, gain in enumerate(self.gains):
            parts = [
                self._lateral(run, jax.random.fold_in(key_lateral, 2 * index + j), gain, size)
                for j, size in enumerate(self.sizes)
            ]
            (small_a, small_g), (large_a, large_g) = parts
            activities.append(_extrapolated(small_a, large_a))
            growths.append(_extrapolated(small_g, large_g))
        for name, made, text, units in (
            ("activity", activities, "activity, extrapolated", "1"),
            ("growth", growths, "ln of the growth a step, extrapolated", "1/step"),
        ):
            joined = Estimate([e.mean for e in made], [e.standard_error for e in made], self.n_networks)
            variables |= measured_variables(name, joined, ("gain",), long_name=text, units=units)
        return xr.Dataset(variables)

    def _lateral(
        self, run: Callable[..., Any], key: Key[Array, ""], gain: float, size: int
    ) -> tuple[Estimate, Estimate]:
        # Below the transition units start small: tanh then is linear, as it is in the end.
        moved = _Lateral(size, self.n_states, jnp.asarray(gain), jnp.asarray(1.0 if gain > 1 else 1e-3))
        made = run(
            Process(moved.init, moved.step),
            key,
            None,
            self.n_steps,
            observe_info=_seen,
            replicas=self.n_networks,
            label=f"lateral layer, g = {gain:g}, n = {size}",
        ).infos
        first = self.n_steps // 3
        # Growth below the transition is taken early: late, the largest eigenvalue of one matrix decides.
        window = slice(first, None) if gain > 1 else slice(0, first)
        activity, stretched = (np.asarray(x, np.float64)[:, window] for x in made)
        return estimate(activity.mean((1, 2))), estimate(np.log(stretched).mean((1, 2)))

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Feed-forward limit, contraction, and the lateral layer."""
        once = {
            name: Estimate(float(record[name]), 0.0, 1) for name in ("feedforward_gap", "end_gap", "settled")
        }
        bound = float(record["factor_bound"])
        made = [
            at_most(
                1e-5,
                once["feedforward_gap"],
                statement="without lateral and feedback connections the output is the feed-forward one",
                system="B2",
                sigmas=0,
                reason="rounding of float32",
            ),
            never(
                int(record["n_above"]),
                int(record["n_factors"]),
                statement=f"no step stretches a pair by more than sup|phi'| |M| = {bound:g}",
                system="B2",
                rate=0.02,
            ),
            at_least(
                1.0,
                once["settled"],
                statement="the contracting network settles",
                system="B2",
                sigmas=0,
            ),
            at_most(
                1e-4,
                once["end_gap"],
                statement="every start ends in the one fixed point",
                system="B2",
                sigmas=0,
                reason="rounding of float32, and tolerance over 1 - |M|",
            ),
        ]
        for gain in record["gain"].values:
            at = record.sel(gain=gain)
            for name, text, resolution in (
                ("activity", "activity", 0.05),
                ("growth", "growth of a perturbation", 0.05),
            ):
                made.append(
                    compare(
                        read_predicted(at, f"{name}_predicted"),
                        read_measured(at, name),
                        statement=f"lateral layer of gain {gain:g}: {text}",
                        system="B2",
                        resolution=resolution,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Contraction, activity, growth."""
        figure, axes = panels(3, width=4.0)
        left, middle, right = axes[0]
        shown = record["gap"].values[:, :12]
        left.plot(record.step, np.where(shown > 1e-5, shown, np.nan), color="0.6", linewidth=0.8)
        left.plot([], [], color="0.6", label="pairs of states")
        theory(left, record.step, record["bound"], label="bound")
        left.set(xlabel="time (steps)", ylabel="distance over the initial one", yscale="log", ylim=(1e-5, 2))
        left.legend(frameon=False, fontsize=8)
        measured = read_measured(record, "activity")
        theory(middle, record.line, record["activity_line"], label="theory")
        simulation(middle, record.gain, measured.mean, measured.standard_error, 1, label="networks")
        middle.set(xlabel="gain g", ylabel="activity A*")
        middle.legend(frameon=False, fontsize=8, loc="upper left")
        measured = read_measured(record, "growth")
        theory(right, record.line, np.exp(record["growth_line"]), label="√χ₁")
        mean = np.exp(measured.mean)
        simulation(right, record.gain, mean, mean * measured.standard_error, 1, label="networks")
        right.axhline(1.0, color="0.5", linewidth=0.8)
        right.set(xlabel="gain g", ylabel="growth of a perturbation a step")
        right.legend(frameon=False, fontsize=8, loc="upper left")
        return figure


def _extrapolated(small: Estimate, large: Estimate) -> Estimate:
    """2 X(2n) - X(n), from which terms of order 1/n cancel."""
    error = np.sqrt(4 * large.standard_error**2 + small.standard_error**2)
    return Estimate(2 * large.mean - small.mean, error, large.n)
