"""Hetero-association: recall through layers that are used once, and there and back between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
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
from neuromanifold.experiments.memory._ensemble import check_cues
from neuromanifold.experiments.memory._layers_ensemble import (
    Cascade,
    Pair,
    budget,
    cascade_overlap,
    pair_overlaps,
)
from neuromanifold.theory.memory import (
    bidirectional_branch,
    bidirectional_capacity,
    dynamical_branch,
    dynamical_capacity,
    layered_recall,
    there_and_back,
)

_OWN = "terms of order 1/n, taken as large as what one pattern more or less in the noise changes"


@experiment(
    Card(
        name="memory-layers",
        title="Recall from layer to layer, and there and back",
        topic="memory",
        lecture="A",
        systems=("A25",),
        idea=(
            "A pattern in one layer of units calls up another pattern in the next. In a cascade of layers "
            "no connection is used twice, the noise of one layer has never met the patterns of the next, "
            "and two equations for overlap and noise are exact, whatever the sizes of the layers. A "
            "bidirectional memory goes there and back by the same connections: a unit's own state comes "
            "back to it, which the law of layers leaves out. The first trip there and back is exact with "
            "that term and wrong without it. In the end the bidirectional memory keeps its patterns up to a"
            " load of .1998, the cascade up to .2691; at a load of "
            "one quarter the first has lost them and the second has not."
        ),
        equations=(
            (
                "Layers",
                r"m_{l+1} = \mathrm{erf}\left(\frac{m_l}{\sqrt{2} \sigma_l}\right), \quad \sigma_{l+1}^2 = "
                r"\alpha_{l+1} + 4 p(u_l)^2, \quad u_l = \frac{m_l}{\sigma_l}",
            ),
            (
                "There and back",
                r"m_x = \sum_{s = \pm 1} \frac{1 + s m_0}{2} \, \mathrm{erf}\left(\frac{m_y + s \alpha_x "
                r"U}{\sqrt{2} \sigma_y}\right), \quad U = \frac{2 p(u_0)}{\sigma_0}",
            ),
            (
                "In the end",
                r"\sigma^2 = \alpha \frac{1 + C^2}{(1 - C^2)^2}, \quad C = \frac{2 p(u)}{\sigma}",
            ),
        ),
        sources=("domanymeirkinzel1986", "meirdomany1987", "kosko1988"),
        caption=(
            "Left: overlap against layer, layers of different sizes. Middle: bidirectional memory, overlap "
            "after each half step; crosses: exact, line: the law of layers. Right: overlap in the end "
            "against load. Lines: theory (dashed: unstable), points: simulation."
        ),
    ),
    full={
        "sizes": (4000, 3000, 5000) * 4,
        "n_patterns": 800,
        "n_units": 4000,
        "n_sets": 96,
        "n_steps": 40,
        "loads": (0.05, 0.1, 0.15, 0.25, 0.3),
    },
)
class MemoryLayers:
    """A cascade of associative layers and a bidirectional memory."""

    sizes: tuple[int, ...] = parameter(
        (600, 450, 750, 600, 450, 750), doc="units of the layers of the cascade", low=100
    )
    n_patterns: int = parameter(120, doc="patterns P of the cascade", low=20)
    overlaps: tuple[float, ...] = parameter(
        (0.25, 0.7, 0.9), doc="initial overlaps, cascade", low=0.0, high=1.0, open_low=True
    )
    n_units: int = parameter(600, doc="units of each layer of the bidirectional memory", low=100)
    loads: tuple[float, ...] = parameter(
        (0.15, 0.25), doc="loads P/n of the bidirectional memory", low=0.01, high=1.0
    )
    pair_overlaps: tuple[float, ...] = parameter(
        (0.2, 0.4, 1.0), doc="initial overlaps, bidirectional memory", low=0.0, high=1.0, open_low=True
    )
    claimed_up_to: float = parameter(
        0.15, doc="largest load at which the pattern must be kept", low=0.01, high=0.17
    )
    lost_from: float = parameter(
        0.25, doc="smallest load at which the pattern must be lost", low=0.24, high=1.0
    )
    n_steps: int = parameter(16, doc="steps there and back", unit="steps", low=4)
    n_sets: int = parameter(24, doc="independent sets of patterns, the independent samples", low=4)
    n_cues: int = parameter(12, doc="patterns of each set that are recalled", low=1)

    def check(self) -> None:
        """Cues do not outnumber patterns; the bidirectional memory starts from a pattern, too."""
        check_cues(self.n_cues, (self.n_patterns, round(min(self.loads) * self.n_units)))
        require(
            self.pair_overlaps[-1] == 1.0,
            "pair_overlaps",
            "end with 1, the pattern itself",
            self.pair_overlaps,
        )
        require(len(self.sizes) >= 3, "sizes", "hold at least three layers", self.sizes)

    def _loads(self) -> np.ndarray:
        return np.array([round(load * self.n_units) / self.n_units for load in self.loads])

    def predict(self) -> xr.Dataset:
        """Curves through layers, there and back, and the states in the end."""
        layers = np.arange(len(self.sizes))
        # The recalled pattern is no part of the noise: P - 1 others are.
        curves, more = (
            layered_recall((self.n_patterns - k) / np.array(self.sizes), np.array(self.overlaps)).overlap
            for k in (1, 0)
        )
        loads, starts = self._loads(), np.array(self.pair_overlaps)
        first_load = loads[0]
        exact, other = (
            there_and_back(first_load - k / self.n_units, first_load - k / self.n_units, starts)
            for k in (1, 0)
        )
        halves = np.arange(2 * self.n_steps + 2)
        naive = layered_recall(np.full(halves.size, first_load), starts).overlap
        u = np.linspace(0.8, 4.0, 161)
        return xr.Dataset(
            {
                **predicted_variable(
                    "cascade_predicted",
                    Prediction(curves, np.abs(curves - more), _OWN),
                    ("start", "layer"),
                    long_name="overlap, cascade",
                ),
                **predicted_variable(
                    "there",
                    Prediction(exact.second, np.abs(exact.second - other.second), _OWN),
                    ("pair_start",),
                    long_name="overlap m_y",
                ),
                **predicted_variable(
                    "back",
                    Prediction(exact.first, np.abs(exact.first - other.first), _OWN),
                    ("pair_start",),
                    long_name="overlap m_x",
                ),
                "back_without": (
                    "pair_start",
                    exact.first_without,
                    {"long_name": "overlap m_x by the law of layers", "units": "1"},
                ),
                "naive": (
                    ("pair_start", "half"),
                    naive,
                    {"long_name": "overlap, law of layers", "units": "1"},
                ),
                "pair_load": ("u", bidirectional_branch(u).load, {"long_name": "load", "units": "1"}),
                "cascade_load": (
                    "u",
                    dynamical_branch(u, "sequence").load,
                    {"long_name": "load", "units": "1"},
                ),
                "branch_overlap": (
                    "u",
                    bidirectional_branch(u).overlap,
                    {"long_name": "overlap", "units": "1"},
                ),
                "pair_capacity": ((), bidirectional_capacity().load, {"long_name": "capacity", "units": "1"}),
                "pair_fold": (
                    (),
                    bidirectional_capacity().overlap,
                    {"long_name": "overlap there", "units": "1"},
                ),
                "cascade_capacity": (
                    (),
                    dynamical_capacity("sequence").load,
                    {"long_name": "capacity", "units": "1"},
                ),
                "cascade_fold": (
                    (),
                    dynamical_capacity("sequence").overlap,
                    {"long_name": "overlap there", "units": "1"},
                ),
            },
            {
                "layer": ("layer", layers, {"long_name": "layer", "units": "1"}),
                "start": ("start", np.array(self.overlaps), {"long_name": "initial overlap", "units": "1"}),
                "pair_start": ("pair_start", starts, {"long_name": "initial overlap", "units": "1"}),
                "half": ("half", halves, {"long_name": "time", "units": "half steps"}),
                "load": ("load", loads, {"long_name": "load P/n", "units": "1"}),
                "u": ("u", u, {"long_name": "u = m/sigma", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The cascade from several overlaps; the bidirectional memory at several loads."""
        key_cascade, key_pair = jax.random.split(key)
        cascade = Cascade(self.sizes, self.n_patterns, self.n_cues)
        made = run(
            Process(cascade.init, cascade.step),
            key_cascade,
            jnp.asarray(self.overlaps, jnp.float32),
            len(self.sizes) - 1,
            observe=cascade_overlap,
            replicas=self.n_sets,
            memory_budget=budget(4.0 * len(self.sizes) * self.n_patterns * max(self.sizes), self.n_sets),
            keep_state=False,
            label="cascade",
        )
        through = np.moveaxis(np.asarray(made.values, np.float64), 1, 2)
        ends, halves = [], None
        for index, load in enumerate(self._loads()):
            n_patterns = round(load * self.n_units)
            pair = Pair(self.n_units, n_patterns, self.n_cues)
            made = run(
                Process(pair.init, pair.step),
                jax.random.fold_in(key_pair, index),
                jnp.asarray(self.pair_overlaps, jnp.float32),
                self.n_steps,
                observe=pair_overlaps,
                replicas=self.n_sets,
                memory_budget=budget(8.0 * n_patterns * self.n_units, self.n_sets),
                keep_state=False,
                label=f"bidirectional, load {load:g}",
            )
            values = np.asarray(made.values, np.float64).mean(-1)  # (set, time, layer, start)
            ends.append(values[:, -1, :, -1].mean(1))
            if halves is None:
                halves = np.moveaxis(values, 3, 1).reshape(self.n_sets, len(self.pair_overlaps), -1)
        assert halves is not None
        return xr.Dataset(
            {
                **measured_variables(
                    "cascade", estimate(through), ("start", "layer"), long_name="overlap, cascade"
                ),
                **measured_variables(
                    "pair",
                    estimate(halves),
                    ("pair_start", "half"),
                    long_name="overlap, bidirectional memory",
                ),
                **measured_variables(
                    "end",
                    estimate(np.stack(ends, 1)),
                    ("load",),
                    long_name="overlap in the end, from the pattern",
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Layers exact; there and back exact with the returning term, not without; the end."""
        made = []
        for start in record["start"].values:
            for layer in (1, 2, int(record["layer"][-1])):
                at = record.sel(start=start, layer=layer)
                made.append(
                    compare(
                        read_predicted(at, "cascade_predicted"),
                        read_measured(at, "cascade"),
                        statement=f"cascade, from m = {start:g}: overlap in layer {layer}",
                        system="A25",
                        resolution=0.04,
                    )
                )
        for start in record["pair_start"].values[:-1]:
            at = record.sel(pair_start=start)
            for half, name, text in ((1, "there", "second layer"), (2, "back", "first layer, back again")):
                made.append(
                    compare(
                        read_predicted(at, name),
                        read_measured(at.sel(half=half), "pair"),
                        statement=f"there and back, from m = {start:g}: overlap of the {text}",
                        system="A25",
                        resolution=0.03,
                    )
                )
        lowest = record.isel(pair_start=0)
        made.append(
            at_least(
                float(lowest["back_without"]),
                read_measured(lowest.sel(half=2), "pair"),
                statement="there and back: the overlap is larger than the law of layers says",
                system="A25",
                reason="a unit's own state comes back to it",
            )
        )
        for load in record["load"].values:
            at = record.sel(load=load)
            if load <= self.claimed_up_to:
                made.append(
                    at_least(
                        float(record["pair_fold"]),
                        read_measured(at, "end"),
                        statement=f"bidirectional memory at load {load:g}: the pattern is kept",
                        system="A25",
                        reason="the overlap at capacity",
                    )
                )
            elif load >= self.lost_from:
                made.append(
                    at_most(
                        0.95 * float(record["pair_fold"]),
                        read_measured(at, "end"),
                        statement=f"bidirectional memory, load {load:g} above capacity: the pattern is lost",
                        system="A25",
                        reason="a pattern that is kept has .9328 or more, in a cascade .92",
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Cascade, there and back, overlap against load."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        for index, start in enumerate(record["start"].values):
            at = record.sel(start=start)
            shown = read_measured(at, "cascade")
            theory(left, record.layer, at["cascade_predicted"], index)
            simulation(left, record.layer, shown.mean, shown.standard_error, index, label=f"m₀ = {start:g}")
        left.set(xlabel="layer", ylabel="overlap m", ylim=(0, 1.05), title=f"cascade, P = {self.n_patterns}")
        left.legend(loc="lower right", fontsize="small", ncols=3)
        count = min(11, record.sizes["half"])
        for index, start in enumerate(record["pair_start"].values[:-1]):
            at = record.sel(pair_start=start).isel(half=slice(0, count))
            shown = read_measured(at, "pair")
            theory(middle, at["half"], at["naive"], index, linewidth=1.0)
            simulation(middle, at["half"], shown.mean, shown.standard_error, index, label=f"m₀ = {start:g}")
            label = "exact" if index == 0 else None
            middle.plot([1, 2], [float(at["there"]), float(at["back"])], "kx", markersize=9, label=label)
        middle.set(
            xlabel="time (half steps)",
            ylabel="overlap m",
            ylim=(0, 1.05),
            title=f"there and back, α = {float(record['load'][0]):g}",
        )
        middle.legend(loc="center right", bbox_to_anchor=(1.0, 0.55), fontsize="small")
        for index, (name, text) in enumerate((("pair", "bidirectional"), ("cascade", "cascade"))):
            m, load = record["branch_overlap"].values, record[f"{name}_load"].values
            stable = m >= float(record[f"{name}_fold"])
            theory(right, load[stable], m[stable], 0, color=COLOURS[index], label=text)
            theory(right, load[~stable], m[~stable], 1, color=COLOURS[index], linewidth=1.0)
        shown = read_measured(record, "end")
        simulation(right, record["load"], shown.mean, shown.standard_error, 0, label=f"n = {self.n_units}")
        right.set(xlabel="load α = P/n", ylabel="overlap in the end", xlim=(0, 0.35), ylim=(0, 1.05))
        right.legend(loc="lower left", fontsize="small")
        return figure
