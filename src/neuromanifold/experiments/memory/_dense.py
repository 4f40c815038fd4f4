"""Dense associative memories: errors of one update against the exact law, and recall far above N patterns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold.data import overlap_cue, random_patterns
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
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
from neuromanifold.networks.memory import DenseAssociativeMemory, asynchronous, synchronous
from neuromanifold.theory.memory import bit_error, exponential_capacity

_MOST_CUES = 100


@experiment(
    Card(
        name="memory-dense",
        title="Dense memories hold more patterns than units",
        topic="memory",
        lecture="C",
        systems=("C1", "A25"),
        idea=(
            "An energy that rewards the overlap with a pattern by its n-th power instead of its square "
            "stores of the order of N^(n-1) patterns; one that rewards it exponentially stores "
            "exponentially many. The first update from a stored pattern is compared with the law of the "
            "crosstalk at finite N, which is known exactly; the formula of large N errs by up to a third in "
            "a network of sixty units. Then the same number of patterns, several times the number of units, "
            "is given to memories of rising order: Hebb's rule (n = 2) fails, the others correct a cue with "
            "many flipped units."
        ),
        equations=(
            (
                "Energy",
                r"E = -\frac{1}{n N^{n-1}} \sum_{\mu=1}^{K} (\xi^\mu \cdot x)^n, \quad "
                r"E = -\ln \sum_\mu e^{\xi^\mu \cdot x}",
            ),
            ("Update", r"x_i \leftarrow \mathrm{sgn} \, (E(x_i = -1) - E(x_i = +1))"),
            (
                "Error of a unit",
                r"P \left( D(N-1) + \sum_{\mu=2}^{K} a_\mu D(w_\mu) < 0 \right), \quad "
                r"D(w) = (w+1)^n - (w-1)^n",
            ),
            ("Large N", r"P \approx Q \left( \sqrt{\frac{N^{n-1}}{(2n-3)!! \, K}} \right)"),
        ),
        sources=("krotovhopfield2016", "demircigil2017"),
        caption=(
            "Left: share of wrong units after one update from a pattern against the number of patterns, "
            "scaled so that the limit of large N (dotted) is one curve; lines: exact, points: simulation. "
            "Right: overlap with the pattern, before and after recall from a cue with flipped units, for "
            "memories of rising order that hold the same patterns."
        ),
    ),
    full={"n_units": 100, "scaled_loads": (0.1, 0.125, 0.16, 0.2, 0.25, 0.33), "n_sets": 160, "n_crowd": 400},
)
class MemoryDense:
    """Errors of dense memories of several orders, and recall above N patterns."""

    n_units: int = parameter(60, doc="number of units N", low=20, high=2000)
    orders: tuple[int, ...] = parameter((2, 3, 4), doc="orders n of the energy", low=2, high=8)
    scaled_loads: tuple[float, ...] = parameter((0.2, 0.35), doc="(2n-3)!! K/N^(n-1)", low=0.02, high=2.0)
    n_sets: int = parameter(80, doc="independent sets of patterns, the independent samples", low=10)
    n_cues: int = parameter(40, doc="patterns of each set from which an update is made", low=1, high=100)
    n_crowd: int = parameter(180, doc="patterns that all memories hold in the comparison of orders", low=10)
    cue_overlap: float = parameter(0.8, doc="overlap of its cues with their patterns", low=0.05, high=1.0)
    n_steps: int = parameter(6, doc="synchronous updates of its recall", unit="updates", low=1)
    n_many: int = parameter(1000, doc="patterns in the exponential memory", low=2)
    n_few_units: int = parameter(60, doc="units of the exponential memory", low=10)
    many_overlap: float = parameter(0.8, doc="overlap of its cues with their patterns", low=0.05, high=1.0)

    def _count(self, order: int, load: float) -> int:
        scale = np.prod(np.arange(1, 2 * order - 2, 2))
        return max(2, round(load * self.n_units ** (order - 1) / scale))

    def predict(self) -> xr.Dataset:
        """Errors, exact and in the limit; the capacity of the exponential memory."""
        counts = np.array([[self._count(n, load) for load in self.scaled_loads] for n in self.orders])
        rows = list(zip(self.orders, counts, strict=True))
        exact, limit = (
            [[bit_error(self.n_units, int(k), n, method=method) for k in row] for n, row in rows]
            for method in ("exact", "limit")
        )
        fine = np.geomspace(0.06, 0.5, 12)
        lines = [[bit_error(self.n_units, self._count(n, x), n) for x in fine] for n in self.orders]
        scaled = 10**7
        limit_line = [bit_error(scaled, round(x * scaled), 2, method="limit") for x in fine]
        return xr.Dataset(
            {
                **predicted_variable(
                    "exact_error",
                    Prediction(exact),
                    ("order", "scaled_load"),
                    long_name="share of wrong units",
                ),
                "limit_error": (
                    ("order", "scaled_load"),
                    limit,
                    {"long_name": "share of wrong units, large N", "units": "1"},
                ),
                "line": (("order", "fine"), lines, {"long_name": "share of wrong units", "units": "1"}),
                "limit_line": (
                    "fine",
                    limit_line,
                    {"long_name": "share of wrong units, large N", "units": "1"},
                ),
                "exponential_patterns": (
                    (),
                    float(np.exp(self.n_few_units * exponential_capacity((1 - self.many_overlap) / 2))),
                    {"long_name": "patterns that the exponential memory is sure to correct", "units": "1"},
                ),
            },
            coords={
                "order": ("order", list(self.orders), {"long_name": "order n", "units": "1"}),
                "scaled_load": (
                    "scaled_load",
                    list(self.scaled_loads),
                    {"long_name": "(2n-3)!! K/N^(n-1)", "units": "1"},
                ),
                "fine": ("fine", fine, {"long_name": "(2n-3)!! K/N^(n-1)", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """One update from patterns; recall at rising order; one update of the exponential one; energies."""
        key_errors, key_crowd, key_many, key_energy = jax.random.split(key, 4)

        def recall(key: Array, ensemble: DenseEnsemble, n_steps: int, label: str) -> np.ndarray:
            """Overlaps before and after, shape (n_sets, 2, n_cues)."""
            made = run(
                ensemble.process(),
                key,
                0.0,
                n_steps,
                observe=ensemble.overlap,
                every=n_steps,
                replicas=self.n_sets,
                label=label,
            )
            return np.asarray(made.values, np.float64)

        def ensemble(kind: str, order: int, n_units: int, count: int, overlap: float) -> DenseEnsemble:
            drawn = most if n_units == self.n_units else count
            return DenseEnsemble(kind, order, n_units, count, drawn, min(self.n_cues, count), overlap)

        counts = [self._count(order, load) for order in self.orders for load in self.scaled_loads]
        most = max(*counts, self.n_crowd, self.n_cues)
        wrong = []
        for order in self.orders:
            for load in self.scaled_loads:
                of = ensemble("polynomial", order, self.n_units, self._count(order, load), 1.0)
                label = f"order {order}, load {load:g}"
                wrong.append((1 - recall(key_errors, of, 1, label)[:, -1].mean(1)) / 2)
        wrong = np.array(wrong).reshape(len(self.orders), len(self.scaled_loads), -1)
        crowd = []
        for order, kind in [(n, "polynomial") for n in self.orders] + [(2, "exponential")]:
            of = ensemble(kind, order, self.n_units, self.n_crowd, self.cue_overlap)
            crowd.append(
                recall(key_crowd, of, self.n_steps, f"{self.n_crowd} patterns, {kind} {order}").mean(2)
            )
        of = ensemble("exponential", 2, self.n_few_units, self.n_many, self.many_overlap)
        many = recall(key_many, of, 1, "exponential memory")[:, -1]
        rises, updates = self._energies(key_energy, run)
        crowd = np.array(crowd)

        def stored(name: str, samples: Any, dims: tuple[str, ...], long_name: str) -> dict[str, xr.Variable]:
            return measured_variables(name, estimate(samples, axis=len(dims)), dims, long_name=long_name)

        return xr.Dataset(
            {
                **stored("wrong", wrong, ("order", "scaled_load"), "share of wrong units after one update"),
                **stored("crowd_overlap", crowd[:, :, 1], ("kind",), "overlap after recall"),
                **stored("crowd_start", crowd[:, :, 0], ("kind",), "overlap of the cue"),
                "many_failed": ((), int(np.sum(many < 1)), {"long_name": "cues not corrected", "units": "1"}),
                "many_cues": ((), many.size, {"long_name": "cues", "units": "1"}),
                "rises": ((), rises, {"long_name": "updates that raised the energy", "units": "1"}),
                "updates": ((), updates, {"long_name": "updates that changed a unit", "units": "1"}),
            },
            coords={
                "kind": (
                    "kind",
                    [f"n = {n}" for n in self.orders] + ["exp"],
                    {"long_name": "energy", "units": "1"},
                )
            },
        )

    def _energies(self, key: Key[Array, ""], run: Callable[..., Any]) -> tuple[int, int]:
        """Single-unit updates of the memory of highest order from random states."""
        key_patterns, key_cues, key_run = jax.random.split(key, 3)
        memory = DenseAssociativeMemory(
            random_patterns(key_patterns, self.n_crowd, self.n_units), order=max(self.orders)
        )
        cues = random_patterns(key_cues, 50, self.n_units)
        process = asynchronous(memory, "uniform", 1)
        made = run(
            process,
            key_run,
            cues,
            3 * self.n_units,
            observe=process.descends,
            observe_info=_changed,
            label="energy",
        )
        energies = np.asarray(made.values, np.float64)
        # A sum of float32 terms is known to some units in the last place.
        rounding = 1e-5 * np.abs(energies).max()
        return int(np.sum(np.diff(energies, axis=0) > rounding)), int(np.asarray(made.infos).sum())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The exact error; where the limit fails; recall above N patterns; energies that never rise."""
        made = []
        for order in record["order"].values:
            for load in record["scaled_load"].values:
                at = record.sel(order=order, scaled_load=load)
                exact = read_predicted(at, "exact_error")
                made.append(
                    compare(
                        exact,
                        read_measured(at, "wrong"),
                        statement=f"n = {order}, scaled load {load:g}: share of wrong units.",
                        system="C1",
                        resolution=max(0.5 * float(exact.value), 0.005),
                    )
                )
        crowd = read_measured(record, "crowd_overlap")
        start = float(record["crowd_start"].values.mean())
        words = f"{self.n_crowd} patterns in {self.n_units} units"
        made.append(
            at_most(
                start,
                crowd[0],
                statement=f"{words}: n = {record['order'].values[0]} loses the cue's overlap of {start:.2g}.",
                system="C1",
            )
        )
        for index in range(1, crowd.shape[0]):
            made.append(
                at_least(
                    start,
                    crowd[index],
                    statement=f"{words}: {record['kind'].values[index]} recalls from a cue of {start:.2g}.",
                    system="C1",
                )
            )
        made.append(
            never(
                int(record["many_failed"]),
                int(record["many_cues"]),
                statement=(
                    f"{self.n_many} patterns in {self.n_few_units} units: one update of the exponential "
                    f"memory corrects cues of overlap {self.many_overlap:g}."
                ),
                system="C1",
            )
        )
        made.append(
            never(
                int(record["rises"]),
                int(record["updates"]),
                statement="No update of a single unit raises the energy of order n.",
                system="A25",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Errors against load; recall at rising order."""
        figure, axes = panels(2)
        left, right = axes[0]
        wrong = read_measured(record, "wrong")
        for index, order in enumerate(record["order"].values):
            theory(left, record["fine"].values, record["line"].values[index], index)
            simulation(
                left,
                record["scaled_load"].values,
                wrong.mean[index],
                wrong.standard_error[index],
                index,
                label=f"n = {order}",
            )
        theory(left, record["fine"].values, record["limit_line"].values, 6, linestyle=":", label="large N")
        left.set_yscale("log")
        left.set_xscale("log")
        left.set_xticks([0.06, 0.1, 0.2, 0.4], ["0.06", "0.1", "0.2", "0.4"])
        left.minorticks_off()
        left.set_ylim(1e-4, 0.2)
        left.set_xlabel("scaled number of patterns (2n−3)!! K / N$^{n−1}$")
        left.set_ylabel("share of wrong units after one update")
        left.legend(loc="lower right", fontsize="small")
        place = np.arange(record.sizes["kind"])
        for index, (name, label) in enumerate((("crowd_start", "cue"), ("crowd_overlap", "after recall"))):
            shown = read_measured(record, name)
            simulation(right, place, shown.mean, shown.standard_error, index, label=label)
        right.set_xticks(place, record["kind"].values)
        right.set_xlim(-0.5, len(place) - 0.5)
        right.set_ylim(0, 1.08)
        right.set_xlabel("energy of the memory")
        right.set_ylabel(f"overlap, {self.n_crowd} patterns in {self.n_units} units")
        right.legend(loc="lower right", fontsize="small")
        return figure


class DenseState(NamedTuple):
    """One set of patterns as a memory, and the states recalled from it."""

    memory: DenseAssociativeMemory
    units: Float[Array, "n_cues n_units"]


class DenseEnsemble(eqx.Module):
    """Synchronous recall in a dense memory that is drawn anew for each replica.

    Of `n_drawn` patterns the first `n_patterns` are stored, so that one program draws for all memories; cues
    belong to the first `n_cues`.
    """

    interaction: str = eqx.field(static=True)
    order: int = eqx.field(static=True)
    n_units: int = eqx.field(static=True)
    n_patterns: int = eqx.field(static=True)
    n_drawn: int = eqx.field(static=True)
    n_cues: int = eqx.field(static=True)
    cue_overlap: float

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> DenseState:
        """Draw patterns, store them, draw a cue of each of the first."""
        del x0
        patterns, units = _draw(key, self.n_drawn, self.n_units, self.cue_overlap)
        kept = patterns[: self.n_patterns]
        memory = DenseAssociativeMemory(kept, self.interaction, order=self.order, storage="float32")
        return DenseState(memory, units[: self.n_cues])

    def step(self, key: Key[Array, ""], t: Any, state: DenseState) -> tuple[DenseState, None]:
        """One synchronous update of all cues."""
        units, _ = synchronous(state.memory).step(key, t, state.units)
        return DenseState(state.memory, units), None

    def overlap(self, state: DenseState) -> Float[Array, " n_cues"]:
        """Overlap of each state with its pattern."""
        wanted = state.memory.memory.select(jnp.arange(self.n_cues))
        return jnp.mean(state.units * wanted, axis=-1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _draw(key: Array, n_patterns: int, n_units: int, overlap: Any) -> tuple[Array, Array]:
    """Patterns, and a cue of each of the first hundred."""
    key_patterns, key_cues = jax.random.split(key)
    patterns = random_patterns(key_patterns, n_patterns, n_units)
    first = patterns[:_MOST_CUES]
    cues = jax.vmap(overlap_cue, (0, 0, None))(jax.random.split(key_cues, len(first)), first, overlap)
    return patterns, cues.astype(jnp.float32)


def _changed(info: Any) -> Array:
    return info.changed
