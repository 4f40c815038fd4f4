"""Receptive fields that order themselves along a ring, and fall into columns under close competition."""

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
from neuromanifold.learning import LearnerState
from neuromanifold.learning.competitive import normalised_hebb
from neuromanifold.networks.selforganizing import random_ring, receptive_fields

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
    blob: float = parameter(0.05, doc="width of a blob", unit="rings", low=0.01, high=0.3)
    excitation: float = parameter(0.9, doc="strength p", low=0.0)
    inhibition: float = parameter(3.0, doc="strength q", low=0.0)
    far: tuple[float, ...] = parameter(
        (0.05, 0.3), doc="widths w_e, w_i of the continuous map", unit="rings", low=0.01, high=0.5
    )
    close: tuple[float, ...] = parameter(
        (0.08, 0.15), doc="widths w_e, w_i of the map with columns", unit="rings", low=0.01, high=0.5
    )
    rate: float = parameter(0.02, doc="rate h of learning", low=1e-4, high=1.0)
    n_stimuli: int = parameter(2000, doc="blobs shown", low=100)
    n_maps: int = parameter(6, doc="maps of each kind", low=3)

    def predict(self) -> xr.Dataset:
        """The sum of steps of a map that runs along the ring once and never back."""
        return xr.Dataset(
            {
                **predicted_variable(
                    "one_turn",
                    Prediction(1.0, 0.02, "centres measured on finitely many inputs"),
                    long_name="sum of steps of a monotone map",
                    units="rings",
                )
            }
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Maps under both kinds of inhibition."""
        afferents = []
        for one, widths in zip(jax.random.split(key, 2), (self.far, self.close), strict=True):
            of = RingEnsemble(
                self.n_cells,
                self.n_inputs,
                self.excitation,
                self.inhibition,
                float(widths[0]),
                float(widths[1]),
                jnp.asarray(self.blob),
                self.rate,
            )
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

        def stored(name: str, values: np.ndarray, words: str, units: str = "1") -> dict[str, Any]:
            return measured_variables(
                name, estimate(values, axis=1), ("kind", "time"), long_name=words, units=units
            )

        return xr.Dataset(
            {
                **stored("variation", size.sum(-1), "sum of steps between neighbours", "rings"),
                **stored("jumps", (size > _JUMP).sum(-1), "jumps between neighbours"),
                **stored("back", (found.steps < -0.1 / self.n_cells).mean(-1), "share of steps back"),
                **stored("sharpness", found.sharpness.mean(-1), "sharpness of receptive fields"),
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
                read_predicted(record, "one_turn"),
                read_measured(far, "variation"),
                statement="Far inhibition: the centres run along the ring once, without a step back.",
                system="D3",
                resolution=0.2,
            ),
            at_least(
                2.0,
                read_measured(record.sel(time="before", kind="far"), "variation"),
                statement="Before learning the order is rough: the steps sum to more than two rings.",
                system="D3",
            ),
            at_most(
                0.5,
                read_measured(far, "jumps"),
                statement="Far inhibition: the map is continuous, no step is a tenth of the ring.",
                system="D3",
            ),
            at_least(
                4.0,
                read_measured(close, "jumps"),
                statement="Wide excitation and close inhibition: the map breaks into columns, with jumps.",
                system="D3",
            ),
            at_least(
                0.8,
                read_measured(close, "sharpness"),
                statement="Cells of columns have sharp receptive fields all the same.",
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


class RingEnsemble(eqx.Module):
    """A ring with random connections that learns blobs at random places; a step is a blob.

    Args:
        n_cells: cells.
        n_inputs: inputs.
        excitation: p.
        inhibition: q.
        excitation_width: w_e.
        inhibition_width: w_i.
        blob: width of a blob.
        rate: h.
    """

    n_cells: int = eqx.field(static=True)
    n_inputs: int = eqx.field(static=True)
    excitation: float = eqx.field(static=True)
    inhibition: float = eqx.field(static=True)
    excitation_width: float = eqx.field(static=True)
    inhibition_width: float = eqx.field(static=True)
    blob: Float[Array, ""]
    rate: float = eqx.field(static=True)

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> LearnerState:
        """Draw connections."""
        ring = random_ring(
            key,
            self.n_cells,
            self.n_inputs,
            excitation=self.excitation,
            inhibition=self.inhibition,
            excitation_width=self.excitation_width,
            inhibition_width=self.inhibition_width,
        )
        return self._rule().init(key, ring)

    def step(self, key: Key[Array, ""], t: Any, state: LearnerState) -> tuple[LearnerState, None]:
        """One blob."""
        return self._rule().step(key, t, state)[0], None

    def afferents(self, state: LearnerState) -> Float[Array, "n_cells n_inputs"]:
        """The connections."""
        return state.params.afferents

    def stimulus(self, key: Key[Array, ""], t: Any) -> Float[Array, " n_inputs"]:
        """A blob at a random place."""
        apart = jnp.arange(self.n_inputs) / self.n_inputs - jax.random.uniform(key)
        apart = apart - jnp.round(apart)
        return jnp.exp(-(apart**2) / (2 * self.blob**2))

    def _rule(self) -> Process:
        return normalised_hebb(self.stimulus, self.rate)
