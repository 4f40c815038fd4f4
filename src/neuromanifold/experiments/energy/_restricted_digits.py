"""A restricted machine learns digits, and everything it is said to have learned is summed exactly."""

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
from scipy.special import expit

from neuromanifold._base import require
from neuromanifold.data import load_mnist_subset
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
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.learning import Minibatches, learner
from neuromanifold.learning.contrastive import contrastive_divergence, persistent_divergence
from neuromanifold.networks.energy import (
    Bernoulli,
    RestrictedBoltzmann,
    annealed_partition,
)
from neuromanifold.theory.energy import (
    independent_log_likelihood,
    restricted_hidden,
    restricted_law,
    restricted_log_weight,
)

_N_SHOWN = 18
# Couplings, visible and hidden biases.
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


@experiment(
    Card(
        name="restricted-digits",
        title="What a restricted Boltzmann machine learns about digits",
        topic="energy",
        lecture="A",
        systems=("A6",),
        idea=(
            "Learning lowers the divergence between data and model by the difference of two averages of h v, "
            "and the second, over the model, is the hard one. Contrastive divergence takes it after a few "
            "Gibbs steps from the data, persistent chains go on from step to step. Both learn the same small "
            "pictures of real digits, with so few hidden units that the sum over their states can be done. "
            "So the likelihood that each reaches is known exactly, and so is what is left of the "
            "difference that was to vanish: contrastive divergence, whose chains have not left the data far "
            "behind, stops further from zero. The sum also judges annealed importance sampling, "
            "which measures likelihoods and averages of machines of any size."
        ),
        equations=(
            ("Law", r"q(v, h) = e^{b \cdot v + c \cdot h + h^T W v - \Psi}"),
            (
                "Learning",
                r"\dot W = \langle h v^T \rangle_p - \langle h v^T \rangle_q, \quad "
                r"\langle h v^T \rangle_q = \partial \Psi / \partial W",
            ),
            (
                "Annealed importance",
                r"e^{\Psi} = e^{\Psi_0} \left\langle \prod_t \frac{q^*_{t+1}(v_t)}{q^*_t(v_t)} \right\rangle",
            ),
        ),
        sources=("hinton2002", "tieleman2008", "salakhutdinovmurray2008"),
        caption=(
            "Left: log likelihood of digits that were not learned, summed exactly, while each rule learns; "
            "mean and error over starts. Grey: independent pixels. Middle: log Z by annealed importance "
            "sampling less the exact one, for the machines of the first start. Right: digits that were not "
            "learned, and the ends of annealed chains of the machine that learned with persistent ones."
        ),
    ),
    full={"side": 12, "n_hidden": 12, "n_cd": (1, 10), "n_steps": 10_000, "n_annealing": 2000},
)
class RestrictedDigits:
    """Contrastive divergence and persistent chains, judged by exact sums."""

    side: int = parameter(8, doc="side of a picture, a divisor of 24", unit="pixels", low=4, high=24)
    ink: int = parameter(100, doc="grey level above which a pixel is on", low=0, high=254)
    n_hidden: int = parameter(8, doc="hidden units", low=2, high=16)
    batch_size: int = parameter(50, doc="digits of a step, and persistent chains", low=10)
    n_cd: tuple[int, ...] = parameter((1,), doc="Gibbs steps k of CD-k, rising from 1", unit="steps", low=1)
    n_steps: int = parameter(1000, doc="steps of learning", unit="steps", low=100)
    rate: float = parameter(0.3, doc="rate of the first step, falling along a cosine", low=0.0, open_low=True)
    n_starts: int = parameter(16, doc="starts of each rule", low=3)
    n_annealing: int = parameter(300, doc="temperatures of annealed importance sampling", low=10)
    n_chains: int = parameter(200, doc="chains of annealed importance sampling", low=20)

    def check(self) -> None:
        """Blocks of whole pixels; CD-1 is what the others are compared with."""
        require(24 % self.side == 0, "side", "divide 24", self.side)
        require(self.n_cd[0] == 1 and all(np.diff(self.n_cd) > 0), "n_cd", "rise from 1", self.n_cd)

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules."""
        return (*(f"CD-{k}" for k in self.n_cd), "PCD")

    def _pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Digits to learn and held out; they come sorted by class, so that every fifth is of all classes."""
        # The border of two pixels is free in nearly all of them; blocks of what is left are averaged.
        inner = load_mnist_subset().images[:, 2:26, 2:26]
        block = 24 // self.side
        grey = inner.reshape(-1, self.side, block, self.side, block).mean((2, 4))
        on = (grey.reshape(len(grey), -1) > self.ink).astype(np.float32)
        return on[np.arange(len(on)) % 5 != 0], on[::5]

    def predict(self) -> xr.Dataset:
        """The rules; what is exact here are sums over machines that have yet to learn."""
        return xr.Dataset(coords={"rule": ("rule", list(self.rules), {"long_name": "rule", "units": "1"})})

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Machines along their learning, judged by sums; annealed log Z, averages and pictures."""
        key_order, key_learn, key_anneal = jax.random.split(key, 3)
        training, held_out = self._pictures()
        batches = Minibatches(training, self.batch_size, key=key_order)
        share = np.clip(training.mean(0, dtype=np.float64), 0.01, 0.99)
        start = _Start(jnp.asarray(np.log(share / (1 - share)), jnp.float32), self.n_hidden)
        schedule = optax.cosine_decay_schedule(self.rate, self.n_steps)
        every = max(1, self.n_steps // 5)
        signals = (
            *(contrastive_divergence(batches, k) for k in self.n_cd),
            persistent_divergence(batches, jnp.asarray(training[: self.batch_size])),
        )
        likelihoods, gaps, ends = [], [], []
        for rule, signal in zip(self.rules, signals, strict=True):
            process = learner(signal, optax.sgd(schedule))
            made = run(
                Process(_Begun(start, process).init, process.step),
                key_learn,
                0.0,
                self.n_steps,
                observe=_parameters,
                every=every,
                replicas=self.n_starts,
                label=rule,
            )
            starts = [_unstacked(one) for one in _unstacked(made.values)]
            likelihoods.append([[_log_likelihood(m, held_out) for m in machines] for machines in starts])
            gaps.append([_moment_gap(machines[-1], training) for machines in starts])
            ends.append(jax.tree.map(lambda leaf: leaf[0], made.state.params))
        annealed = [
            annealed_partition(
                machine,
                jax.random.fold_in(key_anneal, number),
                n_steps=self.n_annealing,
                n_chains=self.n_chains,
                base_bias=start.bias,
                run=run,
                label=f"annealing of {self.rules[number]}",
            )
            for number, machine in enumerate(ends)
        ]
        laws = [restricted_law(*_parameters_of(machine)) for machine in ends]
        machine, law = ends[-1], laws[-1]
        w, b, _ = _parameters_of(machine)
        v = annealed[-1].visible.astype(np.float64)
        h = restricted_hidden(*_parameters_of(machine), v)
        drawn = np.stack([held_out[:: len(held_out) // _N_SHOWN][:_N_SHOWN], v[:_N_SHOWN]])
        # <h W v> with the weights of the chains; their mean is one.
        bonds, weights = ((h @ w) * v).sum(1), annealed[-1].weights
        bond = np.mean(weights * bonds)
        spread = np.sqrt(np.mean((weights * (bonds - bond)) ** 2) / (self.n_chains - 1))
        reached = np.array(likelihoods)
        return xr.Dataset(
            {
                **measured_variables(
                    "likelihood",
                    estimate(reached, axis=1),
                    ("rule", "step"),
                    long_name="log likelihood of a digit not learned",
                    units="nats",
                ),
                "last": (
                    ("rule", "start"),
                    reached[:, :, -1],
                    {"long_name": "log likelihood after learning", "units": "nats"},
                ),
                "gap": (
                    ("rule", "start"),
                    np.array(gaps),
                    {"long_name": "size of <h v>_p - <h v>_q after learning", "units": "1"},
                ),
                "independent": (
                    (),
                    independent_log_likelihood(share, held_out.mean(0, dtype=np.float64)),
                    {"long_name": "log likelihood of independent pixels", "units": "nats"},
                ),
                **predicted_variable(
                    "log_partition_expected",
                    Prediction([one.log_partition for one in laws], 1e-3, "sums of floats in the chains"),
                    ("rule",),
                    long_name="log Z by the sum",
                    units="nats",
                ),
                **measured_variables(
                    "log_partition",
                    Estimate(
                        [a.value for a in annealed], [a.standard_error for a in annealed], self.n_chains
                    ),
                    ("rule",),
                    long_name="log Z by annealed importance sampling",
                    units="nats",
                ),
                "effective": (
                    ("rule",),
                    np.array([a.effective / self.n_chains for a in annealed]),
                    {"long_name": "share of chains that carry log Z", "units": "1"},
                ),
                **predicted_variable(
                    "bond_expected",
                    Prediction((law.moments * w).sum()),
                    long_name="mean of h W v under the law",
                ),
                **measured_variables(
                    "bond", Estimate(bond, spread, self.n_chains), long_name="mean of h W v over chains"
                ),
                "free_bond": (
                    (),
                    0.5 * float((w @ expit(b)).sum()),
                    {"long_name": "mean of h W v without couplings and hidden biases", "units": "1"},
                ),
                "picture": (
                    ("origin", "number", "pixel"),
                    drawn.astype(np.int8),
                    {"long_name": "pixel on", "units": "1"},
                ),
            },
            coords={
                "step": (
                    "step",
                    every * np.arange(reached.shape[2]),
                    {"long_name": "step of learning", "units": "steps"},
                ),
                "origin": ("origin", ["digits", "machine"], {"long_name": "origin", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Annealed chains against sums; what each rule reaches and leaves."""
        made = []
        for rule in record["rule"].values:
            at = record.sel(rule=rule)
            made.append(
                compare(
                    read_predicted(at, "log_partition_expected"),
                    read_measured(at, "log_partition"),
                    statement=f"{rule}: log Z by annealed importance sampling is that of the sum.",
                    system="A6",
                    # What a hidden unit that is forgotten, or one counted twice, would change at least.
                    resolution=float(np.log(2)),
                )
            )
        made.append(
            compare(
                read_predicted(record, "bond_expected"),
                read_measured(record, "bond"),
                statement="PCD: mean of h W v over the annealed chains with their weights, as in the sum.",
                system="A6",
                resolution=abs(float(record["bond_expected"]) - float(record["free_bond"])),
            )
        )
        last, gap = record["last"], record["gap"]
        made += [
            at_least(
                float(record["independent"]),
                estimate(last.sel(rule=rule).values),
                statement=f"{rule}: digits that were not learned are likelier than under independent pixels.",
                system="A6",
            )
            for rule in record["rule"].values
        ]
        made += [
            at_most(
                0.0,
                estimate(gap.sel(rule=rule).values - gap.sel(rule="CD-1").values),
                statement=f"{rule} leaves less of <h v>_p - <h v>_q than CD-1, from the same starts.",
                system="A6",
            )
            for rule in self.rules[1:]
        ]
        made.append(
            at_least(
                0.0,
                estimate(last.sel(rule="PCD").values - last.sel(rule="CD-1").values),
                statement="PCD reaches a higher likelihood than CD-1, from the same starts.",
                system="A6",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Likelihoods, errors of log Z, pictures."""
        figure, axes = panels(3, width=4.3)
        left, middle, right = axes[0]
        left.axhline(float(record["independent"]), color="0.7", linewidth=3)
        shown = read_measured(record, "likelihood")
        steps = record["step"].values
        for index, rule in enumerate(record["rule"].values):
            theory(left, steps, shown.mean[index], index, linewidth=0.9)
            simulation(left, steps, shown.mean[index], shown.standard_error[index], index, label=str(rule))
        left.set(xlabel="step of learning", ylabel="log likelihood of a digit (nats)")
        left.legend(fontsize="small", loc="center right")
        found = read_measured(record, "log_partition")
        off = found.mean - record["log_partition_expected"].values
        place = np.arange(len(off))
        middle.axhline(0, color="black", linewidth=1.2)
        simulation(middle, place, off, found.standard_error, 1)
        middle.set_xticks(place, [str(rule) for rule in record["rule"].values])
        middle.set(xlabel="rule", ylabel="log Z, annealed less exact (nats)", xlim=(-0.5, len(off) - 0.5))
        side, columns = self.side, 6
        rows = _N_SHOWN // columns
        sheet = np.full((2 * rows * (side + 1), columns * (side + 1)), np.nan)
        for k, one in enumerate(record["picture"].values.reshape(2 * _N_SHOWN, -1)):
            top, begin = (k // columns) * (side + 1), (k % columns) * (side + 1)
            sheet[top : top + side, begin : begin + side] = one.reshape(side, side)
        right.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
        right.axhline(rows * (side + 1) - 1, color=COLOURS[1], linewidth=2)
        middles = (np.array([0.5, 1.5]) * rows * (side + 1)).tolist()
        right.set_yticks(middles, [str(name) for name in record["origin"].values], rotation=90, va="center")
        right.set(xlabel="pixel", ylabel="drawn from", xticks=[])
        right.grid(visible=False)
        return figure


class _Start(eqx.Module):
    """Machines with small random couplings and pixels as bright as those of the data."""

    bias: Array
    n_hidden: int = eqx.field(static=True)

    def __call__(self, key: Any) -> RestrictedBoltzmann:
        units = Bernoulli(self.bias.shape[0]), Bernoulli(self.n_hidden)
        return eqx.tree_at(lambda m: m.visible_bias, RestrictedBoltzmann.random(key, *units, 0.1), self.bias)


class _Begun(eqx.Module):
    """Learning that begins at a machine drawn with the key of its replica."""

    start: _Start
    process: Process

    def init(self, key: Any, x0: Any) -> Any:
        """A random machine and what its learning carries."""
        return self.process.init(key, self.start(key))


def _parameters(state: Any) -> tuple[Array, Array, Array]:
    machine = state.params
    return machine.couplings, machine.visible_bias, machine.hidden_bias


def _parameters_of(machine: RestrictedBoltzmann) -> _Parts:
    w, b, c = machine.couplings, machine.visible_bias, machine.hidden_bias
    return np.asarray(w, np.float64), np.asarray(b, np.float64), np.asarray(c, np.float64)


def _unstacked(parts: _Parts) -> list[_Parts]:
    return list(zip(*parts, strict=True))


def _log_likelihood(machine: _Parts, rows: np.ndarray) -> float:
    return float(restricted_log_weight(*machine, rows).mean() - restricted_law(*machine).log_partition)


def _moment_gap(machine: _Parts, rows: np.ndarray) -> float:
    """Length of <h v^T>_p - <h v^T>_q, what maximum likelihood brings to zero."""
    seen = restricted_hidden(*machine, rows).T @ rows / len(rows)
    return float(np.linalg.norm(seen - restricted_law(*machine).moments))
