"""A machine with Gaussian visible and two-valued hidden units on mixed sources: when it separates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

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
from neuromanifold.networks.energy import (
    AveragedLearning,
    Gaussian,
    RestrictedBoltzmann,
    Spins,
    interaction_matrix,
    interaction_solution,
)
from neuromanifold.theory.energy import mixed_amplitude, pair_interaction, separation, source

KINDS = ("binary", "uniform", "gaussian", "laplace")
RULES = ("ml", "cd")
_MODES = {"rotation": [[0.0, 1.0], [-1.0, 0.0]], "symmetric": [[0.0, 1.0], [1.0, 0.0]]}
_ORIGINS = ("Units on independent sources", "Units that learned from a machine whose units interact")
_FINITE = "the samples' own fluctuation, of order 1/n"


@experiment(
    Card(
        name="ica-machine",
        title="Hidden units that find independent sources, and when they do not",
        topic="energy",
        lecture="A",
        systems=("A10", "A7"),
        idea=(
            "Two independent sources are mixed by a rotation and shown to a machine with two hidden units. "
            "With hidden signs the separated state always exists; it is stable for sources that are flatter "
            "than Gaussian ones (binary, uniform), marginal for Gaussian ones, and unstable for peaked ones "
            "(Laplace), where the units turn to the sum and the difference of the sources. Amplitudes and "
            "rates of the theory are one-dimensional averages; the simulation solves the learning flow on "
            "finite samples. At rest the weights are those that the interaction R of the hidden units "
            "demands: each follows the signals that excite it, and they hold each other off where they fire "
            "together. Units that found independent sources do not interact. Shown samples of a machine "
            "whose units do, the learned units interact as much, by the model's own law and in the data."
        ),
        equations=(
            ("Learning", r"\dot W = \langle \tanh(W v / \sigma^2) v^T \rangle - R W"),
            ("Interaction", r"R = \langle h h^T \rangle_q"),
            ("Amplitude", r"\langle s \tanh(a s / \sigma^2) \rangle = a"),
            ("Un-mixing", r"\kappa / \sigma^2 - 1"),
            ("Slope", r"\kappa = \langle \mathrm{sech}^2(a s / \sigma^2) \rangle"),
            ("At rest", r"W = R^{-1} \langle h v^T \rangle_p"),
            ("Two units", r"R_{12} = \tanh(w_1 \cdot w_2 / \sigma^2)"),
        ),
        sources=("karakidaokadaamari2016", "amarichencichocki1997"),
        caption=(
            "Left: rate at which a small turn of the two units grows, by maximum likelihood and CD-1, for "
            "four kinds of sources; below zero the sources are separated. Right: weights of both units on "
            "the sources after learning, for uniform and for Laplace sources; one point a unit and sample."
        ),
    ),
    full={"n_sets": 24, "n_points": 8000},
)
class IcaMachine:
    """Amplitudes, rates and ends of learning for several sources."""

    sigma: float = parameter(
        0.5, doc="standard deviation of visible units given hidden ones", low=0.1, high=0.9
    )
    angle: float = parameter(0.6, doc="angle of the mixing", unit="radians", low=0.0, high=0.7)
    interaction: float = parameter(
        0.8, doc="w_1 . w_2 / sigma^2 of the machine that makes data", low=0.1, high=1.5
    )
    n_points: int = parameter(2000, doc="signals of a sample", low=200)
    n_sets: int = parameter(6, doc="independent samples", low=3)
    horizon: float = parameter(60.0, doc="learning time", unit="time", low=10.0)

    def predict(self) -> xr.Dataset:
        """Amplitudes, rates, and the amplitude of the mixed state, by quadrature."""
        found = [separation(source(kind), self.sigma) for kind in KINDS]
        slack = 20.0 / self.n_points
        return xr.Dataset(
            {
                **predicted_variable(
                    "amplitude_expected",
                    Prediction([one.amplitude for one in found], slack, _FINITE),
                    ("kind",),
                    long_name="amplitude a of a separated source",
                ),
                **predicted_variable(
                    "rotation_expected",
                    Prediction([one.rotation for one in found], slack, _FINITE),
                    ("kind",),
                    long_name="rate of the mode that mixes by turning",
                    units="1/time",
                ),
                **predicted_variable(
                    "symmetric_expected",
                    Prediction([one.symmetric for one in found], 5 * slack, _FINITE),
                    ("kind",),
                    long_name="rate of symmetric mixing",
                    units="1/time",
                ),
                **predicted_variable(
                    "mixed_expected",
                    Prediction(mixed_amplitude(source("laplace"), self.sigma) / np.sqrt(2), slack, _FINITE),
                    long_name="weight on either Laplace source",
                ),
                **predicted_variable(
                    "together_expected",
                    Prediction([0.0, pair_interaction(self._made(), self.sigma)], slack, _FINITE),
                    ("origin",),
                    long_name="interaction of the two units",
                ),
            },
            coords={"kind": ("kind", list(KINDS), {"long_name": "kind of source", "units": "1"})},
        )

    def _made(self) -> np.ndarray:
        """Couplings of the machine that makes data: rows of length 2 sigma."""
        c = self.interaction / 4
        return 2 * self.sigma * np.array([[1.0, 0.0], [c, np.sqrt(1 - c**2)]])

    def _samples(self, key: Key[Array, ""]) -> np.ndarray:
        """Draws of that machine, hidden units first, shape (n_sets, n_points, 2)."""
        w = self._made()
        states = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        law = jnp.asarray(((states @ w) ** 2).sum(1) / (2 * self.sigma**2))
        key_hidden, key_visible = jax.random.split(key)
        shape = (self.n_sets, self.n_points)
        h = states[np.asarray(jax.random.categorical(key_hidden, law, shape=shape))]
        return h @ w + self.sigma * np.asarray(jax.random.normal(key_visible, (*shape, 2)), np.float64)

    def _sources(self, key: Key[Array, ""], kind: str) -> np.ndarray:
        """Samples of pairs of sources, shape (n_sets, n_points, 2)."""
        shape = (self.n_sets, self.n_points, 2)
        if kind == "binary":
            return np.asarray(jax.random.rademacher(key, shape), np.float64)
        if kind == "uniform":
            return np.asarray(jax.random.uniform(key, shape, minval=-1, maxval=1), np.float64) * np.sqrt(3)
        if kind == "gaussian":
            return np.asarray(jax.random.normal(key, shape), np.float64)
        return np.asarray(jax.random.laplace(key, shape), np.float64) / np.sqrt(2)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Flows on samples: one unit on one source, rates of two units, ends from small random couplings."""
        keys = jax.random.split(key, 6)
        samples = {kind: self._sources(keys[i], kind) for i, kind in enumerate(KINDS)}
        c, s = np.cos(self.angle), np.sin(self.angle)
        mixing = np.array([[c, -s], [s, c]])
        times = [0.0, self.horizon]
        with jax.enable_x64(True):
            points = jnp.asarray(np.concatenate([samples[kind] for kind in KINDS]))
            single = _Signs(points[..., :1], self.sigma, "ml")
            alone = solve(Flow(single), jnp.full((len(points), 1, 1), 0.5), times, rtol=1e-5, atol=1e-8)
            amplitude = np.asarray(alone.states[-1])[:, 0, 0]
            begin = amplitude[:, None, None] * np.eye(2)
            rates = {
                (mode, rule): np.asarray(_rate(_Signs(points, self.sigma, rule), begin, np.array(direction)))
                for mode, direction in _MODES.items()
                for rule in RULES
            }
            both = np.concatenate([samples["uniform"], samples["laplace"]]) @ mixing.T
            start = 0.1 * jax.random.normal(keys[4], (len(both), 2, 2), float)
            # What learns from the machine's data begins at that machine.
            more = jnp.broadcast_to(jnp.asarray(self._made()), (self.n_sets, 2, 2))
            given = {"cd": (both, start)}
            given["ml"] = np.concatenate([both, self._samples(keys[5])]), jnp.concatenate([start, more])
            ends = {}
            for rule, (points, begun) in given.items():
                flow = Flow(_Signs(jnp.asarray(points), self.sigma, rule))
                ends[rule] = np.asarray(solve(flow, begun, times, rtol=1e-8, atol=1e-11).states[-1])
            kept = [*range(self.n_sets), *range(2 * self.n_sets, 3 * self.n_sets)]
            residual, together = 0.0, np.empty((2, 2, self.n_sets))
            for place, case in enumerate(kept):
                origin, number = divmod(place, self.n_sets)
                w, v = ends["ml"][case], jnp.asarray(given["ml"][0][case])
                machine = _signs(jnp.asarray(w), self.sigma)
                residual = max(
                    residual, float(np.abs(w - np.asarray(interaction_solution(machine, v))).max())
                )
                # Units are known up to their signs: each is turned to the direction that it follows most.
                onto = w @ (mixing if origin == 0 else self._made().T)
                signs = np.sign(onto[np.arange(2), np.abs(onto).argmax(1)]).prod()
                together[origin, :, number] = signs * np.asarray(_interactions(machine, v))

        def by_kind(values: np.ndarray) -> Estimate:
            return estimate(values.reshape(len(KINDS), self.n_sets), axis=1)

        shown = 2 * self.n_sets
        onto = {rule: np.abs(ends[rule][:shown] @ mixing).reshape(2, self.n_sets, 2, 2) for rule in RULES}
        variables = measured_variables(
            "amplitude", by_kind(amplitude), ("kind",), long_name="amplitude a of a separated source"
        )
        for mode in _MODES:
            made = [by_kind(rates[mode, rule]) for rule in RULES]
            variables |= measured_variables(
                mode,
                Estimate([e.mean for e in made], [e.standard_error for e in made], self.n_sets),
                ("rule", "kind"),
                long_name=f"rate of the mode: {mode}",
                units="1/time",
            )
        largest = [onto[rule][0].max(-1).mean(-1) for rule in RULES]
        even = [onto[rule][1].mean((-1, -2)) for rule in RULES]
        variables |= measured_variables(
            "separated",
            estimate(np.array(largest), axis=1),
            ("rule",),
            long_name="larger weight, uniform sources",
        )
        variables |= measured_variables(
            "mixed", estimate(np.array(even), axis=1), ("rule",), long_name="weight on either Laplace source"
        )
        leak = {"uniform": _leak(onto["ml"][0]), "laplace": _leak(onto["ml"][1])}
        variables |= measured_variables(
            "leak",
            estimate(np.array(list(leak.values())), axis=1),
            ("shown",),
            long_name="smaller over larger weight of a unit",
        )
        variables |= measured_variables(
            "together",
            estimate(together, axis=2),
            ("origin", "given"),
            long_name="interaction of the two units",
        )
        return xr.Dataset(
            {
                **variables,
                "residual": (
                    (),
                    residual,
                    {"long_name": "largest |W - R^{-1} <h v^T>| at rest", "units": "1"},
                ),
                "onto": (
                    ("shown", "set", "unit", "source"),
                    np.stack([onto["ml"][0], onto["ml"][1]]),
                    {"long_name": "weight of a unit on a source", "units": "1"},
                ),
            },
            coords={
                "rule": ("rule", ["maximum likelihood", "CD-1"], {"long_name": "rule", "units": "1"}),
                "shown": ("shown", list(leak), {"long_name": "sources", "units": "1"}),
                "origin": ("origin", list(_ORIGINS), {"long_name": "data", "units": "1"}),
                "given": ("given", ["model", "data"], {"long_name": "law of hidden units", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Amplitudes, rates, ends, and the interaction matrix at rest."""
        made = []
        for kind in KINDS:
            at = record.sel(kind=kind)
            made.append(
                compare(
                    read_predicted(at, "amplitude_expected"),
                    read_measured(at, "amplitude"),
                    statement=f"{kind} sources: amplitude of a separated source.",
                    system="A10",
                    resolution=0.08,
                )
            )
            made += [
                compare(
                    read_predicted(at, "rotation_expected"),
                    read_measured(at, "rotation")[rule],
                    statement=f"{kind} sources, {record['rule'].values[rule]}: rate of turning against them.",
                    system="A10",
                    resolution=0.3,
                )
                for rule in range(2)
            ]
            made.append(
                compare(
                    read_predicted(at, "symmetric_expected"),
                    read_measured(at, "symmetric")[0],
                    statement=f"{kind} sources, maximum likelihood: rate of symmetric mixing.",
                    system="A10",
                    resolution=0.7,
                )
            )
        for rule in range(2):
            name = record["rule"].values[rule]
            made.append(
                compare(
                    read_predicted(record.sel(kind="uniform"), "amplitude_expected"),
                    read_measured(record, "separated")[rule],
                    statement=f"Uniform sources, {name}: each unit ends on one source, at the amplitude.",
                    system="A10",
                    resolution=0.08,
                )
            )
            made.append(
                compare(
                    read_predicted(record, "mixed_expected"),
                    read_measured(record, "mixed")[rule],
                    statement=f"Laplace sources, {name}: each unit ends on both, at the mixed amplitude.",
                    system="A10",
                    resolution=0.06,
                )
            )
        for index, (shown, bound) in enumerate((("uniform", 0.2), ("laplace", 0.6))):
            judge, word = (at_most, "") if shown == "uniform" else (at_least, "not ")
            made.append(
                judge(
                    bound,
                    read_measured(record, "leak")[index],
                    statement=f"{shown} sources: after learning they are {word}separated.",
                    system="A10",
                )
            )
        made.append(
            at_most(
                1e-6,
                Estimate(float(record["residual"]), 0.0, 1),
                statement="At rest the weights are R^{-1} <h v^T>, R the interaction of hidden units.",
                system="A7",
                reason="the tolerance of the solver",
            )
        )
        for origin in record["origin"].values:
            at = record.sel(origin=origin)
            made += [
                compare(
                    read_predicted(at, "together_expected"),
                    read_measured(at, "together")[how],
                    statement=f"{origin}: their interaction under the {given}'s law.",
                    system="A7",
                    # The difference between tanh(x) and x for the machine that makes data.
                    resolution=self.interaction - float(np.tanh(self.interaction)),
                )
                for how, given in enumerate(record["given"].values)
            ]
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Rates by kind; weights after learning."""
        figure, axes = panels(2)
        left, right = axes[0]
        place = np.arange(len(KINDS))
        left.axhline(0, color="0.6", linewidth=0.8)
        theory(
            left,
            place,
            record["rotation_expected"],
            6,
            linestyle="none",
            marker="_",
            markersize=22,
            label="theory",
        )
        shown = read_measured(record, "rotation")
        for rule in range(2):
            simulation(
                left,
                place + 0.12 * (2 * rule - 1),
                shown.mean[rule],
                shown.standard_error[rule],
                rule,
                label=str(record["rule"].values[rule]),
            )
        left.set_xticks(place, [f"{kind}" for kind in KINDS])
        left.set(xlabel="kind of source", ylabel="rate of turning (1/time)", xlim=(-0.5, 3.5))
        left.legend(fontsize="small", loc="lower right")
        for index, name in enumerate(record["shown"].values):
            pairs = record["onto"].values[index].reshape(-1, 2)
            simulation(right, pairs[:, 0], pairs[:, 1], 0 * pairs[:, 0], index, label=str(name))
        level = float(record["amplitude_expected"].sel(kind="uniform"))
        mixed = float(record["mixed_expected"])
        theory(
            right,
            [0, level, mixed],
            [level, 0, mixed],
            6,
            linestyle="none",
            marker="+",
            markersize=16,
            label="theory",
        )
        right.set(xlabel="weight on source 1", ylabel="weight on source 2")
        right.legend(fontsize="small")
        return figure


class _Signs(eqx.Module):
    """Velocity of machines with hidden signs and no biases, each with its own sample."""

    points: Float[Array, "cases n_points n"]
    sigma: float = eqx.field(static=True)
    rule: str = eqx.field(static=True)

    def __call__(self, t: Any, couplings: Array) -> Array:
        def one(points: Array, w: Array) -> Array:
            return AveragedLearning(points, rule=self.rule).velocity(t, _signs(w, self.sigma)).couplings

        return jax.vmap(one)(self.points, couplings)


def _signs(w: Any, sigma: float) -> RestrictedBoltzmann:
    return RestrictedBoltzmann(Gaussian(w.shape[1], sigma**2), Spins(w.shape[0]), w)


@jax.jit
def _rate(velocity: _Signs, couplings: Array, direction: Array) -> Array:
    """How fast a small part along a direction grows, for every sample."""
    along = jnp.broadcast_to(direction, couplings.shape)
    change = jax.jvp(lambda w: velocity(0.0, w), (couplings,), (along,))[1]
    return (change * along).sum((1, 2)) / (along**2).sum((1, 2))


@jax.jit
def _interactions(machine: RestrictedBoltzmann, points: Array) -> Array:
    """R_12 under the model's law and in data."""
    given = interaction_matrix(machine), interaction_matrix(machine, "data", points)
    return jnp.stack([matrix[0, 1] for matrix in given])


def _leak(onto: np.ndarray) -> np.ndarray:
    """Smaller over larger weight, mean over units, for every sample."""
    return (onto.min(-1) / onto.max(-1)).mean(-1)
