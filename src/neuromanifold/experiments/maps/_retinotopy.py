"""Receptive fields that order themselves along a ring, and fall into columns under close competition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    compare,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.maps._ensemble import (
    AfferentEnsemble,
    Blobs,
    Roughly,
    extent,
    learning_rate,
    rough_height,
    stored,
    strength,
)
from neuromanifold.networks.selforganizing import TopographicRing, receptive_fields, rough_order
from neuromanifold.theory.selforganizing import mean_step, rough_deviation

_KINDS = ("far", "close")
# A step between neighbours that is ten times that of an even map of a hundred cells.
_JUMP = 0.1


@experiment(
    Card(
        name="retinotopy",
        title="Neighbouring inputs go to neighbouring cells, or to columns",
        topic="maps",
        lecture="D",
        systems=("D3", "A5"),
        idea=(
            "Inputs on a ring are active in blobs, so that neighbours are active together. Cells on another "
            "ring, roughly connected in order, excite their neighbours, inhibit others, and learn by Hebb's "
            "rule with a fixed sum of connections. Where inhibition reaches far one place alone answers to a "
            "blob, and the receptive fields come to run along the ring once, without a step back: the sum of "
            "the steps between neighbours is exactly one. Where excitation is wide and inhibition strong and "
            "close, several places answer, and the map breaks into pieces, columns, with jumps between them."
        ),
        equations=(
            ("Activity", r"\dot{u}_k = -u_k + \sum_l W(x_k - x_l) (u_l)^+ + \sum_i s_{ki} A_i"),
            ("Coupling", r"W(x) = p \, G(x; w_e) - q \, G(x; w_i)"),
            ("Learning", r"s_{ki} \leftarrow s_{ki} + h A_i f_k, \quad \sum_i s_{ki} = \mathrm{const}"),
            ("Continuous map", r"\sum_k | c_{k+1} - c_k | = 1"),
        ),
        sources=("takeuchiamari1979", "willshawvondermalsburg1976"),
        caption=(
            "Left and middle: centre of the receptive field of each cell before (small) and after learning, "
            "under inhibition that reaches far and under close inhibition; line: one even turn. Right: sum "
            "of the steps between neighbours; line: a map without a step back."
        ),
    ),
    full={"n_cells": 150, "n_inputs": 75, "n_maps": 16, "n_stimuli": 6000},
)
class Retinotopy:
    """Continuous maps and columns on a ring."""

    n_cells: int = parameter(100, doc="cells", low=40, high=400)
    n_inputs: int = parameter(50, doc="inputs", low=20, high=400)
    blob: float = extent(0.05, "width of a blob", unit="rings", low=0.01, high=0.3)
    excitation: float = strength(0.9, "strength p")
    inhibition: float = strength(3.0, "strength q")
    far: tuple[float, ...] = parameter(
        (0.05, 0.3), doc="widths w_e, w_i of the continuous map", unit="rings", low=0.01, high=0.5
    )
    close: tuple[float, ...] = parameter(
        (0.08, 0.15), doc="widths w_e, w_i of the map with columns", unit="rings", low=0.01, high=0.5
    )
    order: float = rough_height(1.0)
    order_width: float = extent(0.15, unit="rings", low=0.02, high=0.3)
    rate: float = learning_rate(0.02)
    n_stimuli: int = parameter(2000, doc="blobs shown", low=100)
    n_maps: int = parameter(6, doc="maps of each kind", low=3)

    def predict(self) -> xr.Dataset:
        """Sums of steps: of a map that never steps back, and of the rough order at the beginning."""
        deviation = rough_deviation(self.n_inputs, self.order, self.order_width)
        rough = self.n_cells * mean_step(1 / self.n_cells, deviation)
        next_term = (2 * np.pi * deviation) ** 2
        return xr.Dataset(
            {
                **predicted_variable(
                    "one_turn",
                    Prediction(1.0, 1e-9, "rounding"),
                    long_name="sum of steps of a map around once",
                    units="rings",
                ),
                **predicted_variable(
                    "rough",
                    Prediction(rough, next_term * rough, "the next order of the noise"),
                    long_name="sum of steps before learning",
                    units="rings",
                ),
            }
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Maps under both kinds of inhibition."""
        cells, inputs = (np.arange(n)[:, None] / n for n in (self.n_cells, self.n_inputs))
        rough = rough_order(cells, inputs, closed=True, order=self.order, order_width=self.order_width)
        begin = Roughly(jnp.asarray(rough, jnp.float32))
        blobs = Blobs(jnp.asarray(inputs, jnp.float32), jnp.asarray(self.blob), jnp.asarray(1.0))
        afferents = []
        for one, widths in zip(jax.random.split(key, 2), (self.far, self.close), strict=True):
            ring = TopographicRing(
                np.ones((self.n_cells, self.n_inputs), np.float32),
                excitation=self.excitation,
                inhibition=self.inhibition,
                excitation_width=float(widths[0]),
                inhibition_width=float(widths[1]),
            )
            of = AfferentEnsemble(ring, begin, blobs, jnp.asarray(self.rate))
            made = run(
                of.process(),
                one,
                0.0,
                self.n_stimuli,
                observe=of.afferents,
                every=self.n_stimuli,
                replicas=self.n_maps,
                label=f"inhibition over {widths[1]:g}",
            )
            afferents.append(np.asarray(made.values))
        found = receptive_fields(np.array(afferents))
        # Axes: kind, map, time, cell.
        size = np.abs(found.steps)

        dims = ("kind", "time")
        back, jumps = (found.steps < 0)[:, :, 1], (size > _JUMP)[:, :, 1]
        return xr.Dataset(
            {
                **stored("variation", size.sum(-1), dims, "sum of steps between neighbours", "rings", axis=1),
                **stored("turns", found.steps.sum(-1), dims, "turns of the map around the ring", axis=1),
                **stored("jumps", (size > _JUMP).sum(-1), dims, "jumps between neighbours", axis=1),
                **stored("sharpness", found.sharpness.mean(-1), dims, "sharpness of fields", axis=1),
                **stored(
                    "sharper",
                    np.diff(found.sharpness.mean(-1), axis=-1)[..., 0],
                    ("kind",),
                    "gain of sharpness",
                    axis=1,
                ),
                "back": ("kind", back.sum((1, 2)), {"long_name": "steps back after learning", "units": "1"}),
                "torn": ("kind", jumps.sum((1, 2)), {"long_name": "jumps after learning", "units": "1"}),
                "centres": (
                    ("kind", "time", "cell"),
                    found.centres[:, 0],
                    {"long_name": "centre of the receptive field, first map", "units": "rings"},
                ),
            },
            {
                "kind": ("kind", list(_KINDS), {"long_name": "inhibition", "units": "1"}),
                "time": ("time", ["before", "after"], {"long_name": "time", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """A continuous map; columns."""
        after = record.sel(time="after")
        far, close = after.sel(kind="far"), after.sel(kind="close")
        return [
            compare(
                read_predicted(record, "rough"),
                read_measured(record.sel(time="before", kind="far"), "variation"),
                statement="Before learning the order is rough: the steps sum to what noise alone makes.",
                system="D3",
                resolution=0.5,
            ),
            compare(
                read_predicted(record, "one_turn"),
                read_measured(far, "turns"),
                statement="Far inhibition: the map runs around the ring once.",
                system="D3",
                resolution=0.1,
            ),
            compare(
                read_predicted(record, "one_turn"),
                read_measured(far, "variation"),
                statement="Far inhibition: the steps sum to one ring, there is no way back.",
                system="D3",
                resolution=0.2,
            ),
            never(
                int(far["torn"]),
                self.n_cells * self.n_maps,
                statement="Far inhibition: the map is continuous, no step is a tenth of the ring.",
                system="D3",
                rate=0.02,
            ),
            at_least(
                2.0,
                read_measured(close, "jumps"),
                statement="Wide excitation and close inhibition: the map breaks into columns, with jumps.",
                system="D3",
                reason="two columns on a ring have two borders",
            ),
            at_least(
                1.0,
                read_measured(close, "variation"),
                statement="Wide excitation and close inhibition: the map goes back between columns.",
                system="D3",
                reason="the sum of steps of a map around once",
            ),
            at_least(
                0.0,
                read_measured(close, "sharper"),
                statement="Cells of columns have sharper receptive fields than before learning.",
                system="D3",
            ),
        ]

    def draw(self, record: xr.Dataset) -> Figure:
        """Centres of both kinds, and sums of steps."""
        figure, axes = panels(3, width=4.1)
        places = np.arange(self.n_cells) / self.n_cells
        for axis, kind in zip(axes[0, :2], _KINDS, strict=True):
            theory(axis, places, places, 6, linewidth=0.8, label="one even turn")
            for index, (time, size) in enumerate((("before", 2.0), ("after", 4.5))):
                centres = record["centres"].sel(kind=kind, time=time)
                simulation(axis, places, centres, np.zeros(self.n_cells), index, markersize=size, label=time)
            axis.set_title(f"inhibition reaches {kind}", fontsize="medium")
            axis.set(xlabel="place of the cell (rings)", ylabel="centre of its receptive field (rings)")
        axes[0, 0].legend(frameon=False, fontsize="small")
        right = axes[0, 2]
        for index, time in enumerate(record["time"].values):
            shown = read_measured(record.sel(time=time), "variation")
            simulation(right, [0, 1], shown.mean, shown.standard_error, index, label=str(time))
        right.axhline(1.0, color=COLOURS[6], linewidth=0.8, label="no step back")
        right.set_xticks([0, 1], [f"{kind} inhibition" for kind in _KINDS])
        right.set(
            xlim=(-0.5, 1.5),
            yscale="log",
            xlabel="kind of map",
            ylabel="sum of steps between neighbours (rings)",
        )
        right.legend(frameon=False, fontsize="small")
        return figure
