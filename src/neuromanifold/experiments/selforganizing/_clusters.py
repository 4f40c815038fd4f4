"""Learned inhibition and clusters: one ratio sets the field; clusters merge, persist, and multiply states."""

from __future__ import annotations

import math
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
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments.selforganizing._clusters_figure import draw_clusters
from neuromanifold.networks.selforganizing import HebbPopulation, InhibitedWeights, Inputs, circle
from neuromanifold.theory.selforganizing import (
    consistent_sets,
    inhibited_equilibrium,
    merging_distance,
    orthogonal_set_count,
    oscillation_kappa,
    two_cluster_phase,
)

_SPACING = "cosines on a grid"
_GRID = "inputs on points of the circle"
# Time constants of the slow inhibition, in units of the critical one; the last is above it.
_SLOWNESS = (0.4, 0.7, 1.3)


@experiment(
    Card(
        name="hebb-clusters",
        title="One cluster, two, many: what a neuron stands for",
        topic="selforganizing",
        lecture="A",
        systems=("A2", "A4"),
        idea=(
            "A neuron whose inhibition learns too settles on a receptive field that the ratio of the "
            "two learning rates sets alone. On the circle its size has a closed form; with inhibition much "
            "slower than excitation it oscillates. Two point-like clusters are told apart only beyond a "
            "merging distance, and between that and the distance at which they cannot be taken for one, both "
            "kinds of states exist: which is found depends on the start. Many clusters have many stable "
            "states, all of which are counted by enumeration and found by learning from random starts."
        ),
        equations=(
            (
                "Learned inhibition",
                r"\dot w = -w + c \langle h v \rangle, \ \kappa \dot b = -b + c \lambda \langle h \rangle",
            ),
            (
                "Field",
                r"v \in R \Leftrightarrow v \cdot E[v \mid R] > \lambda, \quad \frac{\sin 2d}{2d} = \lambda",
            ),
            ("Merging distance", r"d_0 = \sqrt{2 (1 - 2 \tau / c)}, \quad d_0 = \sqrt{2 (1 - \lambda)}"),
            ("Number of states", r"\sum_{1 \le k < 1/\lambda} \binom{m}{k}"),
        ),
        sources=("amaritakeuchi1978",),
        caption=(
            "Left: angular radius of the field against the ratio of the learning rates; line: theory, "
            "points: where neurons settle. Middle: cosine of two clusters beyond which a neuron that began "
            "on one merges (upper) and below which one that began on both loses them (lower), against the "
            "threshold; lines: theory. Right: stable states of orthonormal clusters, predicted and found "
            "from random starts."
        ),
    ),
    full={
        "n_points": 10000,
        "n_cosines": 201,
        "n_starts": 20000,
        "ratios": (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9),
    },
)
class HebbClusters:
    """Fields under learned inhibition, merging of two clusters, multistability of many."""

    ratios: tuple[float, ...] = parameter((0.3, 0.5, 0.8), doc="ratios lambda", low=0.05, high=0.95)
    n_points: int = parameter(2000, doc="points of the circle", low=200)
    slow_ratio: float = parameter(0.8, doc="ratio of the slow inhibition", low=0.65, high=0.95)
    thresholds: tuple[float, ...] = parameter(
        (0.2, 0.35), doc="thresholds tau/c of the two clusters, ascending", low=0.05, high=0.45
    )
    shares: tuple[float, ...] = parameter(
        (0.5, 0.3), doc="probabilities of the first cluster under learned inhibition", low=0.1, high=0.9
    )
    pair_ratio: float = parameter(0.7, doc="ratio lambda of the two clusters", low=0.3, high=0.9)
    n_cosines: int = parameter(101, doc="cosines of the two clusters, from -1 to 1", low=21)
    clusters: tuple[int, ...] = parameter((5, 5, 6), doc="numbers m of orthonormal clusters", low=2, high=8)
    cluster_ratios: tuple[float, ...] = parameter((0.7, 0.4, 0.3), doc="their ratios lambda", low=0.15)
    n_starts: int = parameter(2000, doc="random starts among many clusters", low=200)
    duration: float = parameter(60.0, doc="time of learning", unit="decay times", low=20.0)
    dt: float = parameter(0.1, doc="length of a step", unit="decay times", low=0.0, open_low=True, high=0.2)

    def check(self) -> None:
        """Thresholds ascend; clusters and their ratios come in pairs."""
        require(all(np.diff(self.thresholds) > 0), "thresholds", "ascend", self.thresholds)
        n = len(self.clusters)
        require(len(self.cluster_ratios) == n, "cluster_ratios", f"be {n}", self.cluster_ratios)

    def _cosines(self) -> np.ndarray:
        # Halfway between round numbers, where equality would be decided by round-off.
        return np.linspace(-1, 1, self.n_cosines)[1:-1] + 0.37 / self.n_cosines

    def predict(self) -> xr.Dataset:
        """Closed forms and enumeration."""
        rests = [inhibited_equilibrium(x) for x in self.ratios]
        slow = inhibited_equilibrium(self.slow_ratio)
        fine = np.linspace(0.02, 0.98, 80)
        edge = math.pi / self.n_points
        cosines = self._cosines()
        half = (cosines[1] - cosines[0]) / 2
        single = [1 - merging_distance(x) ** 2 / 2 for x in self.thresholds]
        merged = [2 * x - 1 for x in self.thresholds]
        learned = np.array(
            [
                [self._edges(cosines, lambda g, p=p: two_cluster_phase(g, p, self.pair_ratio, "inhibited"))]
                for p in self.shares
            ]
        )[:, 0]
        counts = [
            len(consistent_sets(np.eye(m), np.full(m, 1 / m), x, "inhibited"))
            for m, x in zip(self.clusters, self.cluster_ratios, strict=True)
        ]
        variables: dict[str, Any] = {
            **predicted_variable(
                "radius_expected",
                Prediction([r.radius for r in rests], [r.grid_error * edge for r in rests], _GRID),
                ("ratio",),
                long_name="angular radius",
                units="rad",
            ),
            **predicted_variable(
                "length_expected",
                Prediction(
                    [r.length for r in rests],
                    [(1 + r.grid_error) * edge / math.pi for r in rests],
                    _GRID,
                ),
                ("ratio",),
                long_name="length of the weights",
            ),
            **predicted_variable(
                "single_expected",
                Prediction(single, half, _SPACING),
                ("level",),
                long_name="largest cosine of singles",
            ),
            **predicted_variable(
                "merged_expected",
                Prediction(merged, half, _SPACING),
                ("level",),
                long_name="smallest cosine of a merger",
            ),
            **predicted_variable(
                "learned_single_expected",
                Prediction(learned[:, 0], half, _SPACING),
                ("share",),
                long_name="largest cosine of singles, learned inhibition",
            ),
            **predicted_variable(
                "learned_merged_expected",
                Prediction(learned[:, 1], half, _SPACING),
                ("share",),
                long_name="smallest cosine of a merger, learned inhibition",
            ),
            "count_expected": ("case", counts, {"long_name": "stable states", "units": "1"}),
            "count_formula": (
                "case",
                [orthogonal_set_count(m, x) for m, x in zip(self.clusters, self.cluster_ratios, strict=True)],
                {"long_name": "stable states by the sum", "units": "1"},
            ),
            **predicted_variable(
                "slow_length_expected",
                Prediction([slow.length, slow.length, 0.0], (1 + slow.grid_error) * edge / math.pi, _GRID),
                ("slowness",),
                long_name="length of the weights in the end",
            ),
            "radius_line": (
                "fine",
                [inhibited_equilibrium(x).radius for x in fine],
                {"long_name": "angular radius", "units": "rad"},
            ),
        }
        return xr.Dataset(
            variables,
            {
                "ratio": ("ratio", list(self.ratios), {"long_name": "ratio lambda", "units": "1"}),
                "slowness": ("slowness", list(_SLOWNESS), {"long_name": "kappa, critical = 1", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "ratio lambda", "units": "1"}),
                "level": ("level", list(self.thresholds), {"long_name": "threshold tau/c", "units": "1"}),
                "share": ("share", list(self.shares), {"long_name": "probability of A", "units": "1"}),
            },
        )

    @staticmethod
    def _edges(cosines: np.ndarray, phase: Callable[[float], Any]) -> list[float]:
        """Where singles end and where mergers begin, on a fine grid of cosines."""
        fine = np.linspace(-1, 1, 4001)
        phases = [phase(float(g)) for g in fine]
        singles = fine[[p.single_a for p in phases]]
        mergers = fine[[p.merged for p in phases]]
        return [float(singles.max()), float(mergers.min())]

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Neurons on the circle, on two clusters of every cosine, on many clusters from random starts."""
        del run
        variables: dict[str, Any] = {}
        ring = circle(self.n_points)
        population = HebbPopulation(ratios=np.array(self.ratios))
        start = population.start(ring, np.tile([0.5, 0.1], (len(self.ratios), 1)))
        rest = self._settle(population.flow(ring), start)
        length = np.linalg.norm(np.asarray(rest.excitatory, np.float64), axis=1)
        measured = {
            "radius": (np.arccos(np.asarray(rest.inhibition) / length), ("ratio",), "angular radius", "rad"),
            "length": (length, ("ratio",), "length of the weights", "1"),
        }
        # As many neurons as above, all alike, so that the program is the same. Their rests do not depend on
        # kappa, and it is near the rest that a large one shows.
        alike = np.full(len(self.ratios), self.slow_ratio)
        near = self._settle(HebbPopulation(ratios=alike).flow(ring), start)
        near = InhibitedWeights(1.02 * near.excitatory, near.inhibition)
        ends = []
        for slowness in _SLOWNESS:
            kappa = slowness * oscillation_kappa(self.slow_ratio)
            end = self._settle(HebbPopulation(ratios=alike, kappa=kappa).flow(ring), near)
            ends.append(np.linalg.norm(np.asarray(end.excitatory[0], np.float64)))
        measured["slow_length"] = (np.array(ends), ("slowness",), "length of the weights in the end", "1")
        cosines = self._cosines()
        spread = (np.array([True, False]), np.array([True, True]))
        edges = np.array([self._two(x, 0.5, cosines, spread) for x in self.thresholds])
        learned = np.array([self._two(None, p, cosines, spread) for p in self.shares])
        for name, values, dim in (("", edges, "level"), ("learned_", learned, "share")):
            measured[f"{name}single"] = (values[:, 0], (dim,), "largest cosine of singles", "1")
            measured[f"{name}merged"] = (values[:, 1], (dim,), "smallest cosine of a merger", "1")
        found = [
            self._many(jax.random.fold_in(key, n), m, x)
            for n, (m, x) in enumerate(zip(self.clusters, self.cluster_ratios, strict=True))
        ]
        for name, (values, dims, long_name, units) in measured.items():
            variables |= measured_variables(
                name, Estimate(values, 0.0, 1), dims, long_name=long_name, units=units
            )
        variables["count"] = ("case", found, {"long_name": "stable states found", "units": "1"})
        return xr.Dataset(variables)

    def _settle(self, flow: Flow, start: Any, duration: float | None = None, dt: float | None = None) -> Any:
        times = [0.0, self.duration if duration is None else duration]
        path = solve(flow, start, times, solver=diffrax.Euler(), dt=self.dt if dt is None else dt)
        return jax.tree.map(lambda x: x[-1], path.states)

    def _two(
        self,
        threshold: float | None,
        share: float,
        cosines: np.ndarray,
        spread: tuple[np.ndarray, np.ndarray],
    ) -> list[float]:
        """The largest cosine at which a start on A stays there, the smallest at which one on both stays."""
        pairs = np.stack(
            [
                np.stack([np.ones_like(cosines), np.zeros_like(cosines)], 1),
                np.stack([cosines, np.sqrt(1 - cosines**2)], 1),
            ],
            1,
        )
        chances = np.array([share, 1 - share])
        inputs = jax.vmap(lambda points: Inputs(points, jnp.asarray(chances, points.dtype)))(
            jnp.asarray(pairs, jnp.result_type(float))
        )
        if threshold is None:
            population = HebbPopulation(ratios=np.full(2, self.pair_ratio))
        else:
            population = HebbPopulation(np.full(2, threshold))
        # Neuron 0 begins where it would be if it stood for A alone, neuron 1 for both.
        sets = np.stack(spread) * chances
        weights = jnp.asarray(np.einsum("sk,gkd->gsd", sets, pairs), inputs.points.dtype)
        held = jnp.asarray(np.tile(self.pair_ratio * sets.sum(1), (len(cosines), 1)), weights.dtype)
        start = weights if threshold is not None else InhibitedWeights(weights, held)
        rest = self._settle(Flow(_Cases(population, inputs).velocity), start)
        fires = np.asarray(_all_fire(population, rest, inputs))
        stays = [(fires[:, :, k] == spread[k]).all(1) for k in range(2)]
        half = (cosines[1] - cosines[0]) / 2
        return [
            float(cosines[stays[0]].max() + half) if stays[0].any() else -1.0,
            float(cosines[stays[1]].min() - half) if stays[1].any() else 1.0,
        ]

    def _many(self, key: Key[Array, ""], m: int, ratio: float) -> int:
        """How many different sets neurons fire for that began at random."""
        n, most = self.n_starts, max(self.clusters)
        # Clusters that never occur make all cases alike in shape.
        inputs = Inputs(np.eye(most, dtype=np.float32), np.where(np.arange(most) < m, 1 / m, 0.0))
        key_weights, key_share = jax.random.split(key)
        # Each start is drawn to a random set of signals, so that wide sets are begun with as well.
        chosen = jax.random.bernoulli(key_share, 0.5, (n, most))
        weights = jnp.where(chosen, jax.random.uniform(key_weights, (n, most)), 0.0)
        population = HebbPopulation(ratios=np.full(n, ratio))
        rest = self._settle(population.flow(inputs), population.start(inputs, weights))
        fires = np.asarray(_fires(population, rest, inputs)).T[:, :m]
        return len(np.unique(fires[fires.any(1)], axis=0))

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Fields, oscillation, merging, hysteresis, numbers of states."""
        made = []
        compared = (
            ("ratio", "radius", "learned inhibition, lambda = {:g}: radius of the field", 0.03, "A2"),
            ("ratio", "length", "learned inhibition, lambda = {:g}: length of the weights", 0.01, "A2"),
            ("level", "single", "tau/c = {:g}: singles last up to this cosine", 0.06, "A4"),
            ("level", "merged", "tau/c = {:g}: a merger lasts from this cosine on", 0.06, "A4"),
            ("share", "learned_single", "lambda, p_A = {:g}: singles last up to this cosine", 0.06, "A4"),
            ("share", "learned_merged", "lambda, p_A = {:g}: a merger lasts from this cosine on", 0.06, "A4"),
        )
        spacing = float(np.diff(self._cosines()[:2])[0])
        for dim, name, words, resolution, system in compared:
            measured, expected = read_measured(record, name), read_predicted(record, f"{name}_expected")
            for index, level in enumerate(record[dim].values):
                made.append(
                    compare(
                        expected[index],
                        measured[index],
                        statement=words.format(level) + ".",
                        system=system,
                        resolution=max(resolution, 0.6 * spacing),
                    )
                )
        ends, expected = read_measured(record, "slow_length"), read_predicted(record, "slow_length_expected")
        for index, slowness in enumerate(_SLOWNESS):
            outcome = "the neuron stays at rest" if slowness < 1 else "it swings out of the rest into silence"
            made.append(
                compare(
                    expected[index],
                    ends[index],
                    statement=f"kappa {slowness:g} times the critical: {outcome}.",
                    system="A2",
                    resolution=0.01,
                )
            )
        words = [f"m = {m}, lambda = {x:g}" for m, x in zip(self.clusters, self.cluster_ratios, strict=True)]
        rows = [(words[i], "A2", record["count"][i], record["count_expected"][i]) for i in range(len(words))]
        rows.append(
            (f"{words[0]}, by the sum", "A2", record["count_formula"][0], record["count_expected"][0])
        )
        for text, system, number, expected in rows:
            made.append(
                compare(
                    Prediction(float(expected)),
                    Estimate(float(number), 0.0, self.n_starts),
                    statement=f"{text}: number of stable states.",
                    system=system,
                    resolution=0.5,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Radius against ratio, hysteresis, numbers of states."""
        return draw_clusters(record, list(zip(self.clusters, self.cluster_ratios, strict=True)))


@eqx.filter_jit
def _fires(population: HebbPopulation, weights: Any, inputs: Inputs) -> Array:
    return population.fires(weights, inputs.points)


@eqx.filter_jit
def _all_fire(population: HebbPopulation, weights: Any, inputs: Inputs) -> Array:
    return jax.vmap(population.fires)(weights, inputs.points)


class _Cases(eqx.Module):
    """One population in many worlds."""

    population: HebbPopulation
    inputs: Inputs

    def velocity(self, t: Any, weights: Any) -> Any:
        del t
        return jax.vmap(self.population.velocity)(weights, self.inputs)
