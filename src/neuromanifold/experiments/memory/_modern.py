"""Modern Hopfield memory: three kinds of fixed point against beta, and exponentially many patterns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure
from scipy.optimize import brentq

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    at_least,
    at_most,
    estimate,
    measured_variables,
    never,
    read_measured,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.networks.memory import ModernHopfield
from neuromanifold.theory.memory import exponential_load, group_limits, group_weights

# Rounding of float32 moves a weight by less than this away from the points where a fixed point is lost.
_ROUNDING = 1e-4


@experiment(
    Card(
        name="memory-modern",
        title="A continuous memory whose update is attention",
        topic="memory",
        lecture="C",
        systems=("C1",),
        idea=(
            "A continuous memory moves to the average of its patterns, weighted by a softmax of their "
            "products with the state: the update of an attention layer. What it ends in depends on the "
            "inverse temperature beta: the mean of all patterns where it is small, the mean of a group of "
            "patterns that are alike, a single pattern where it is large. For groups of patterns the "
            "weights obey a law of their own, exactly. For exponentially many random patterns the others "
            "act as a random energy model, and beyond one beta a pattern holds against all of them."
        ),
        equations=(
            ("Update", r"x \leftarrow \sum_\mu p_\mu \xi^\mu, \quad p = \mathrm{softmax}(\beta \Xi x)"),
            (
                "Energy",
                r"E = -\frac{1}{\beta} \ln \sum_\mu e^{\beta \xi^\mu \cdot x} + \frac{1}{2} x \cdot x",
            ),
            (
                "Load of patterns on a sphere",
                r"\alpha = \beta (1 - \rho) - \frac{1}{2} \ln(1 - \rho^2), \quad "
                r"\frac{\rho}{1 - \rho^2} = \beta",
            ),
        ),
        sources=("ramsauer2021", "lucibellomezard2024"),
        caption=(
            "Left: weights after recall from a pattern against beta, patterns in groups; lines: exact law, "
            "points: simulation; dotted: where the mean of all, and of a group, ceases to be stable. Right: "
            "overlap after recall from a pattern among exponentially many, for two sizes; the line is where "
            "a pattern holds in an infinite memory."
        ),
    ),
    full={"sizes": (12, 20, 28), "n_sets": 48, "n_cues": 64},
)
class MemoryModern:
    """Fixed points of a modern Hopfield memory against beta."""

    n_groups: int = parameter(4, doc="groups of patterns", low=2)
    group_size: int = parameter(5, doc="patterns of a group", low=2)
    correlation: float = parameter(
        0.7, doc="product of two patterns of a group, of norm 1", low=0.0, high=1.0, open_high=True
    )
    n_components: int = parameter(64, doc="components of these patterns", low=4)
    betas: tuple[float, ...] = parameter(
        (1.0, 2.0, 3.5, 6.0, 7.5, 9.0, 10.5, 14.5, 18.0, 24.0, 32.0),
        doc="inverse temperatures",
        low=0.0,
        open_low=True,
    )
    n_steps: int = parameter(200, doc="updates", unit="updates", low=1)
    sizes: tuple[int, ...] = parameter(
        (12, 24), doc="components N of random patterns, P = 2^(N/2)", low=4, high=32
    )
    random_betas: tuple[float, ...] = parameter(
        (0.15, 0.25, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0),
        doc="inverse temperatures for them",
        low=0.0,
        open_low=True,
    )
    n_sets: int = parameter(16, doc="independent sets of random patterns, the independent samples", low=2)
    n_cues: int = parameter(32, doc="patterns of each set that are recalled", low=1, high=64)

    def check(self) -> None:
        """Components enough for orthonormal directions."""
        needed = self.n_groups * (self.group_size + 1)
        require(self.n_components >= needed, "n_components", f"be at least {needed}", self.n_components)

    def predict(self) -> xr.Dataset:
        """Weights of the groups, limits of stability, and the critical beta of random patterns."""
        design = (self.n_groups, self.group_size, self.correlation)
        fine = np.geomspace(min(self.betas), max(self.betas), 200)
        at, curve = group_weights(np.array(self.betas), *design), group_weights(fine, *design)
        kept: Any = brentq(
            lambda b: float(exponential_load(b, "sphere")) - np.log(2) / 2, 1e-3, 10.0, xtol=1e-12
        )
        names = (("own", "weight of the pattern"), ("group", "weight of another of its group"))
        return xr.Dataset(
            {
                **{
                    f"predicted_{name}": ("beta", getattr(at, name), {"long_name": words, "units": "1"})
                    for name, words in names
                },
                **{
                    f"{name}_line": ("fine", getattr(curve, name), {"long_name": words, "units": "1"})
                    for name, words in names
                },
                "limits": (
                    "limit",
                    list(group_limits(*design)),
                    {"long_name": "end of stability", "units": "1"},
                ),
                "critical_beta": (
                    (),
                    kept,
                    {"long_name": "beta above which a random pattern holds", "units": "1"},
                ),
            },
            coords={
                "beta": ("beta", list(self.betas), {"long_name": "inverse temperature β", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "inverse temperature β", "units": "1"}),
                "limit": ("limit", ["mean of all", "mean of a group"], {"long_name": "state", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recall from every pattern of the groups; recall among random patterns."""
        key_groups, key_random = jax.random.split(key)
        patterns = _groups(key_groups, self.n_groups, self.group_size, self.correlation, self.n_components)
        memory = ModernHopfield(patterns, jnp.asarray(self.betas)[:, None])
        cues = jnp.broadcast_to(patterns, (len(self.betas), *patterns.shape))
        made = run(memory.process(), key, cues, self.n_steps, observe=memory.energy, label="groups")
        weights = np.asarray(memory.weights(made.state), np.float64)  # (beta, cue, pattern)
        own = np.diagonal(weights, axis1=1, axis2=2)
        mates = weights.reshape(len(self.betas), -1, self.n_groups, self.group_size)
        of_cue = np.repeat(np.arange(self.n_groups), self.group_size)
        whole = np.stack([mates[:, cue, group].sum(-1) for cue, group in enumerate(of_cue)], 1)
        counts = np.asarray(memory.participants(made.state))
        energies = np.asarray(made.values, np.float64)
        rises = int(np.sum(np.diff(energies, axis=0) > 1e-5))
        variables = {
            **measured_variables("own", estimate(own, axis=1), ("beta",), long_name="weight of the pattern"),
            **measured_variables(
                "group",
                estimate((whole - own) / (self.group_size - 1), axis=1),
                ("beta",),
                long_name="weight of another of its group",
            ),
            **measured_variables(
                "participants",
                estimate(counts, axis=1),
                ("beta",),
                long_name="patterns that carry 90 % of the weight",
            ),
            "rises": ((), rises, {"long_name": "updates that raised the energy", "units": "1"}),
            "updates": ((), energies[1:].size, {"long_name": "updates", "units": "1"}),
        }
        overlaps = []
        betas = jnp.asarray(self.random_betas, jnp.float32)[:, None]
        for index, size in enumerate(self.sizes):
            ensemble = SphereEnsemble(size, 2 ** (size // 2), self.n_cues, betas)
            made = run(
                ensemble.process(),
                jax.random.fold_in(key_random, index),
                0.0,
                20,
                observe=ensemble.overlap,
                every=20,
                replicas=self.n_sets,
                label=f"{2 ** (size // 2)} random patterns",
            )
            overlaps.append(np.asarray(made.values, np.float64)[:, -1].mean(-1).T)
        variables |= measured_variables(
            "random_overlap",
            estimate(np.array(overlaps), axis=2),
            ("size", "random_beta"),
            long_name="overlap with the pattern after recall",
        )
        return xr.Dataset(
            variables,
            coords={
                "size": ("size", list(self.sizes), {"long_name": "components N", "units": "1"}),
                "random_beta": (
                    "random_beta",
                    list(self.random_betas),
                    {"long_name": "inverse temperature β", "units": "1"},
                ),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The exact weights; the kinds of fixed point; random patterns above and below the critical beta."""
        own, group = read_measured(record, "own"), read_measured(record, "group")
        count = record["participants"].values
        beta = record["beta"].values
        limits = record["limits"].values
        everyone = int(np.ceil(0.9 * self.n_groups * self.group_size))
        made = []
        for name, measured, words in (
            ("own", own, "its own weight"),
            ("group", group, "the weight of its group"),
        ):
            gap = np.abs(measured.mean - record[f"predicted_{name}"].values).max()
            made.append(
                at_most(
                    _ROUNDING,
                    Estimate(gap, 0.0, len(beta)),
                    statement=f"Recall from a pattern among groups: {words} obeys the exact law.",
                    system="C1",
                    sigmas=0.0,
                    reason="rounding of float32",
                )
            )
        for words, expected, wanted in (
            ("mean of all patterns", everyone, beta < 0.8 * limits[0]),
            ("single pattern", 1, beta > 1.2 * limits[1]),
        ):
            wrong = int(np.sum(count[wanted] != expected))
            made.append(
                at_most(
                    0.5,
                    Estimate(wrong, 0.0, max(int(wanted.sum()), 1)),
                    statement=f"Beta {'below' if expected > 1 else 'above'} its limit: a {words}.",
                    system="C1",
                    sigmas=0.0,
                )
            )
        between = np.isclose(count, int(np.ceil(0.9 * self.group_size)))
        made.append(
            at_least(
                0.5,
                Estimate(int(between.sum()), 0.0, len(beta)),
                statement="Some beta in between ends in the mean of a group, a metastable state.",
                system="C1",
                sigmas=0.0,
            )
        )
        made.append(
            never(
                int(record["rises"]),
                int(record["updates"]),
                statement="No update raises the energy.",
                system="C1",
            )
        )
        overlap = read_measured(record.isel(size=-1), "random_overlap")
        size = int(record["size"].values[-1])
        critical = float(record["critical_beta"])
        for index, value in enumerate(record["random_beta"].values):
            words = f"{2 ** (size // 2)} random patterns of {size} components, beta = {value:.2f}:"
            if value >= 1.9 * critical:
                made.append(at_least(0.9, overlap[index], statement=f"{words} a pattern holds.", system="C1"))
            elif value <= 0.55 * critical:
                made.append(at_most(0.5, overlap[index], statement=f"{words} it is lost.", system="C1"))
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Weights against beta; overlap among random patterns."""
        figure, axes = panels(2)
        left, right = axes[0]
        for index, (name, label) in enumerate(
            (("own", "the pattern itself"), ("group", "another of its group"))
        ):
            theory(left, record["fine"].values, record[f"{name}_line"].values, index)
            shown = read_measured(record, name)
            simulation(left, record["beta"].values, shown.mean, shown.standard_error, index, label=label)
        for value in record["limits"].values:
            left.axvline(float(value), color=COLOURS[6], linestyle=":", linewidth=1.0)
        left.set_xscale("log")
        left.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        left.minorticks_off()
        left.set_ylim(-0.03, 1.05)
        left.set_xlabel("inverse temperature β")
        left.set_ylabel("weight after recall")
        left.legend(loc="upper left", fontsize="small")
        overlap = read_measured(record, "random_overlap")
        for index, size in enumerate(record["size"].values):
            simulation(
                right,
                record["random_beta"].values,
                overlap.mean[index],
                overlap.standard_error[index],
                index,
                label=f"N = {size}, P = {2 ** (size // 2)}",
            )
        right.axvline(
            float(record["critical_beta"]), color=COLOURS[6], linestyle=":", label="limit of large N"
        )
        right.set_ylim(0, 1.05)
        right.set_xlabel("inverse temperature β")
        right.set_ylabel("overlap with the pattern after recall")
        right.legend(loc="lower right", fontsize="small")
        return figure


def _groups(key: Array, n_groups: int, group_size: int, correlation: float, n_components: int) -> Array:
    """Patterns sqrt(c) u_g + sqrt(1-c) v_gj with u, v random orthonormal directions."""
    count = n_groups * (group_size + 1)
    directions = jnp.linalg.qr(jax.random.normal(key, (n_components, count)))[0].T
    means = jnp.repeat(directions[:n_groups], group_size, axis=0)
    return jnp.sqrt(correlation) * means + jnp.sqrt(1 - correlation) * directions[n_groups:]


class SphereState(NamedTuple):
    """A memory of random patterns, and the states recalled from it at each beta."""

    memory: ModernHopfield
    states: Float[Array, "n_betas n_cues n_components"]


class SphereEnsemble(eqx.Module):
    """Recall from patterns on a sphere of norm sqrt(N), drawn anew for each replica."""

    n_components: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)
    betas: Float[Array, "n_betas 1"]

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> SphereState:
        """Draw patterns; begin in the first of them."""
        del x0
        drawn = jax.random.normal(key, (self.n_patterns, self.n_components))
        norms = jnp.linalg.norm(drawn, axis=-1, keepdims=True)
        patterns = drawn * jnp.sqrt(float(self.n_components)) / norms
        first = patterns[: self.n_cues]
        return SphereState(
            ModernHopfield(patterns, self.betas), jnp.broadcast_to(first, (len(self.betas), *first.shape))
        )

    def step(self, key: Key[Array, ""], t: Any, state: SphereState) -> tuple[SphereState, None]:
        """One update of all states."""
        states, _ = state.memory.step(key, t, state.states)
        return SphereState(state.memory, states), None

    def overlap(self, state: SphereState) -> Float[Array, "n_betas n_cues"]:
        """x.xi/N of each state with its pattern."""
        return (
            jnp.einsum("bcn,cn->bc", state.states, state.memory.patterns[: self.n_cues]) / self.n_components
        )
