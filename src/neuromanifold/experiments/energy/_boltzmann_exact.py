"""Boltzmann machines small enough to be summed: the law of the chain, and learning with hidden units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    proportion,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.learning import Batch, learner
from neuromanifold.learning.contrastive import likelihood
from neuromanifold.networks.energy import BoltzmannMachine
from neuromanifold.theory.energy import boltzmann_law, shared_code_levels

_TASKS = ("xor", "encoder")
# Couplings of the machine whose law is checked do not depend on the seed of the run.
_SEED = 1985


@experiment(
    Card(
        name="boltzmann-exact",
        title="Boltzmann machines: law of the chain, and codes that hidden units find",
        topic="energy",
        lecture="D",
        systems=("D4",),
        idea=(
            "A network of 0/1 units with symmetric couplings and noise visits its states with the Boltzmann "
            "law. Small machines can be summed exactly: samples of the chain are counted against the law at "
            "several temperatures. Learning lowers the divergence between data and the law of the visible "
            "units; hidden units make it possible to learn what pairs alone cannot show, the exclusive or of "
            "two bits, and to squeeze four patterns through two hidden units (the 4-2-4 encoder). Some "
            "starts stop at levels that the theory knows: those where patterns share a code."
        ),
        equations=(
            ("Law", r"p(u) = \frac{1}{Z} e^{-E(u)/T}, \quad E = -\sum_{i<j} w_{ij} u_i u_j - \sum_i b_i u_i"),
            ("Unit", r"P(u_i = 1) = \frac{1}{1 + e^{-I_i/T}}, \quad I_i = \sum_j w_{ij} u_j + b_i"),
            (
                "Learning",
                r"\Delta w_{ij} = \frac{\lambda}{T} \left( \langle u_i u_j \rangle_{\mathrm{clamped}} - "
                r"\langle u_i u_j \rangle_{\mathrm{free}} \right)",
            ),
            ("Shared codes", r"\sum_g \frac{c_g}{n} \ln c_g"),
        ),
        sources=("ackleyhintonsejnowski1985",),
        caption=(
            "Left: share of samples in each state against its probability, at three temperatures. Middle: "
            "divergence while learning exclusive or and the 4-2-4 encoder from several starts; grey: levels "
            "where patterns share codes. Right: mean hidden units of the best encoder when each of the four "
            "patterns is shown: a corner of its own for each."
        ),
    ),
    full={"n_samples": 40_000, "n_starts": 24, "n_steps": 3000},
)
class BoltzmannExact:
    """Counts of a chain against the law, and learning of two small tasks from many starts."""

    n_units: int = parameter(6, doc="units of the machine that is sampled", low=2, high=12)
    temperatures: tuple[float, ...] = parameter((0.4, 1.0, 5.0), doc="temperatures T", low=0.0, open_low=True)
    n_samples: int = parameter(5000, doc="independent chains, one sample each", low=1000)
    n_sweeps: int = parameter(40, doc="sweeps of each chain", unit="sweeps", low=1)
    n_starts: int = parameter(8, doc="starts of each task", low=2)
    n_steps: int = parameter(1000, doc="steps of learning, Adam", unit="steps", low=100)
    rate: float = parameter(0.1, doc="rate of Adam", low=0.0, open_low=True)
    scale: float = parameter(0.5, doc="standard deviation of the first couplings", low=0.0, open_low=True)

    def _couplings(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(_SEED)
        upper = np.triu(random.normal(size=(self.n_units, self.n_units)), 1).round(3)
        return upper + upper.T, (0.5 * random.normal(size=self.n_units)).round(3)

    def predict(self) -> xr.Dataset:
        """The law at every temperature; the levels of shared codes."""
        law = [boltzmann_law(*self._couplings(), t) for t in self.temperatures]
        return xr.Dataset(
            {
                "law": (("temperature", "state"), law, {"long_name": "probability of a state", "units": "1"}),
                "levels": (
                    "level",
                    shared_code_levels(4),
                    {"long_name": "divergence where patterns share codes", "units": "nats"},
                ),
            },
            coords={
                "temperature": (
                    "temperature",
                    list(self.temperatures),
                    {"long_name": "temperature T", "units": "1"},
                )
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """States of chains; divergences of both tasks; the code of the best encoder."""
        couplings, bias = self._couplings()
        key_chain, key_learn = jax.random.split(key)
        counts = []
        for number, temperature in enumerate(self.temperatures):
            machine = BoltzmannMachine(couplings, bias, n_visible=self.n_units, temperature=temperature)
            made = run(
                machine.process(),
                jax.random.fold_in(key_chain, number),
                np.zeros(self.n_units, np.float32),
                self.n_sweeps,
                replicas=self.n_samples,
                label=f"temperature {temperature:g}",
            ).state
            states = np.asarray(made).astype(int) @ (1 << np.arange(self.n_units))
            counts.append(np.bincount(states, minlength=2**self.n_units))
        every = max(1, self.n_steps // 50)
        losses, ends = [], {}
        for number, task in enumerate(_TASKS):
            data, n_units, connected = _task(task)
            begin = _Starts(data, connected, n_units, self.scale)
            process = learner(likelihood(_Law(jnp.asarray(data))), optax.adam(self.rate))
            made = run(
                Process(_Begun(begin, process).init, process.step),
                jax.random.fold_in(key_learn, number),
                0.0,
                self.n_steps,
                observe_info=_loss,
                every=every,
                replicas=self.n_starts,
                label=task,
            )
            losses.append(np.asarray(made.infos, np.float64) - np.log(len(data)))
            ends[task] = made.state.params
        best = int(np.argmin(losses[1][:, -1]))
        encoder = jax.tree.map(lambda leaf: leaf[best], ends["encoder"])
        return xr.Dataset(
            {
                "counts": (
                    ("temperature", "state"),
                    np.array(counts),
                    {"long_name": "samples in a state", "units": "1"},
                ),
                "divergence": (
                    ("task", "start", "step"),
                    np.array(losses),
                    {"long_name": "KL[data : visible law]", "units": "nats"},
                ),
                "code": (
                    ("pattern", "hidden"),
                    _code(encoder, _task("encoder")[0]),
                    {"long_name": "mean hidden unit of the best encoder", "units": "1"},
                ),
            },
            coords={
                "task": ("task", list(_TASKS), {"long_name": "task", "units": "1"}),
                "step": (
                    "step",
                    every * (1 + np.arange(losses[0].shape[1])),
                    {"long_name": "step of learning", "units": "steps"},
                ),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Chi-square of the chains; divergences of the best starts; levels; corners of the code."""
        made = []
        for temperature in record["temperature"].values:
            at = record.sel(temperature=temperature)
            statistic, freedom = _chi_square(at["counts"].values, at["law"].values)
            made.append(
                compare(
                    Prediction(freedom),
                    Estimate(statistic, np.sqrt(2 * freedom), int(at["counts"].sum())),
                    statement=f"T = {temperature:g}: chi-square of the chain's states against the law.",
                    system="D4",
                    resolution=6 * np.sqrt(2 * freedom),
                )
            )
        last = record["divergence"].isel(step=-1)
        for task in _TASKS:
            made.append(
                at_most(
                    0.01,
                    Estimate(float(last.sel(task=task).min()), 0.0, 1),
                    statement=f"{task}: the best start learns to a divergence below .01 nats.",
                    system="D4",
                    reason="the data are deterministic, and the gradient is exact",
                )
            )
        ends = last.sel(task="encoder").values
        levels = record["levels"].values
        # A level is approached from above as couplings grow; it is not passed.
        above = np.array([end - levels[levels <= end + 1e-4].max() for end in ends])
        made.append(
            at_most(
                0.05,
                Estimate(above.max(), 0.0, 1),
                statement="encoder: every start rests just above a level of shared codes.",
                system="D4",
                reason="couplings are still growing",
            )
        )
        made.append(
            at_least(
                0.8,
                Estimate(np.abs(2 * record["code"].values - 1).min(), 0.0, 1),
                statement="encoder: hidden units of the best start are decided for every pattern.",
                system="D4",
            )
        )
        corners = {tuple(row) for row in (record["code"].values > 0.5).tolist()}
        made.append(
            compare(
                Prediction(4.0),
                Estimate(len(corners), 0.0, 1),
                statement="encoder: the best start has a code of its own for every pattern.",
                system="D4",
                resolution=0.5,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Counts, divergences, code."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        low = float(record["law"].where(record["law"] > 3e-4).min())
        theory(left, [low, 1], [low, 1], 6, linewidth=1.0, label="the law")
        for index, temperature in enumerate(record["temperature"].values):
            at = record.sel(temperature=temperature)
            n = int(at["counts"].sum())
            shown = at["counts"].values > 0
            shares = [proportion(int(c), n) for c in at["counts"].values[shown]]
            simulation(
                left,
                at["law"].values[shown],
                [s.mean for s in shares],
                [s.standard_error for s in shares],
                index,
                label=f"T = {temperature:g}",
            )
        left.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1))
        left.set(xlabel="probability of a state", ylabel="share of samples")
        left.legend(fontsize="small")
        for level in record["levels"].values[1:3]:
            middle.axhline(level, color="0.6", linewidth=3)
        for index, task in enumerate(_TASKS):
            for start, path in enumerate(record["divergence"].sel(task=task).values):
                label = task if start == 0 else None
                theory(middle, record["step"], path, index, linewidth=1.0, label=label)
        middle.set(yscale="log", xlabel="step of learning", ylabel="KL[data : visible law] (nats)")
        middle.legend(fontsize="small")
        for pattern, (x, y) in enumerate(record["code"].values):
            simulation(right, [x], [y], [0.0], pattern, markersize=9, label=f"pattern {pattern + 1}")
        right.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
        right.set(xlabel="mean of hidden unit 1", ylabel="mean of hidden unit 2")
        right.legend(fontsize="small", loc="center")
        return figure


class _Law(eqx.Module):
    """Equally likely patterns, at every step."""

    patterns: Float[Array, "n_patterns n_visible"]

    def __call__(self, t: Any) -> Batch:
        return Batch(self.patterns, jnp.ones(len(self.patterns)) / len(self.patterns))


class _Starts(eqx.Module):
    """Machines with random couplings where units are connected."""

    data: Any
    connected: Any
    n_units: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __call__(self, key: Any) -> BoltzmannMachine:
        n = self.n_units
        empty = BoltzmannMachine(
            np.zeros((n, n), np.float32), n_visible=self.data.shape[1], connected=self.connected
        )
        draws = self.scale * jax.random.normal(key, empty.weights.shape, empty.weights.dtype)
        return eqx.tree_at(lambda m: m.weights, empty, jnp.where(empty.connected, draws, 0.0))


class _Begun(eqx.Module):
    """Learning that begins at a machine drawn with the key of its replica."""

    starts: _Starts
    process: Process

    def init(self, key: Any, x0: Any) -> Any:
        """A random machine and what its learning carries."""
        return self.process.init(key, self.starts(key))


def _loss(info: Any) -> Array:
    return info.loss


def _task(name: str) -> tuple[np.ndarray, int, np.ndarray]:
    """Visible patterns, number of units, and which are connected."""
    if name == "xor":
        bits = np.array([[a, b, a ^ b] for a in (0, 1) for b in (0, 1)], np.float32)
        return bits, 4, ~np.eye(4, dtype=bool)
    patterns = np.concatenate([np.eye(4), np.eye(4)], 1).astype(np.float32)
    connected = ~np.eye(10, dtype=bool)
    connected[:4, 4:8] = connected[4:8, :4] = False
    return patterns, 10, connected


def _code(machine: BoltzmannMachine, patterns: np.ndarray) -> np.ndarray:
    """<h> given each pattern, summed over hidden states."""
    hidden = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    rows = np.array([np.concatenate([v, h]) for v in patterns for h in hidden])
    logs = np.asarray(machine.log_joint(jnp.asarray(rows)), np.float64).reshape(len(patterns), len(hidden))
    weight = np.exp(logs - logs.max(1, keepdims=True))
    return weight @ hidden / weight.sum(1, keepdims=True)


def _chi_square(counts: np.ndarray, law: np.ndarray) -> tuple[float, int]:
    """The statistic and its degrees of freedom; states expected fewer than five times are taken together."""
    expected = counts.sum() * law
    rare = expected < 5
    seen, wanted = counts[~rare].astype(float), expected[~rare]
    if expected[rare].sum() >= 5:
        seen, wanted = np.append(seen, counts[rare].sum()), np.append(wanted, expected[rare].sum())
    else:
        smallest = np.argmin(wanted)
        seen[smallest] += counts[rare].sum()
        wanted[smallest] += expected[rare].sum()
    return float(((seen - wanted) ** 2 / wanted).sum()), len(seen) - 1
