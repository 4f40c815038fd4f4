"""Retinotopy in two dimensions: a sheet of cells becomes a map of a sheet of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    at_most,
    compare,
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
from neuromanifold.networks.selforganizing import (
    TopographicSheet,
    rough_order,
    sheet_centres,
    sheet_order,
    sheet_places,
)
from neuromanifold.theory.selforganizing import rough_deviation

_KINDS = ("torus", "borders")
# Mean squared distance of two random places on the unit torus, 1/12 along each axis.
_UNRELATED = 1 / 6


@experiment(
    Card(
        name="retinotopic-sheet",
        title="A sheet of cells becomes a map of the retina",
        topic="maps",
        lecture="D",
        systems=("D3",),
        idea=(
            "Inputs on a sheet are active in round blobs. Cells on another sheet, roughly connected in "
            "order, excite their neighbours, inhibit others, and learn by Hebb's rule with a fixed sum of "
            "connections. The net of receptive-field centres, each joined to those of its neighbours, is "
            "crumpled at first, as much as noise of the connections predicts. It unfolds until hardly a "
            "triangle of it is turned over. On a torus the signed areas of all triangles then sum to a "
            "whole number, the degree of the map, which is one: each place of the retina has one place on "
            "the sheet. A sheet with borders unfolds as well, and draws in at its rim. Dealt out at random, "
            "the same centres lie a sixth of a squared side apart."
        ),
        equations=(
            ("Activity", r"\dot{u}_k = -u_k + \sum_l W(x_k - x_l) (u_l)^+ + \sum_i s_{ki} A_i"),
            ("Learning", r"s_{ki} \leftarrow s_{ki} + h A_i f_k, \quad \sum_i s_{ki} = \mathrm{const}"),
            ("Degree", r"\sum_\triangle \frac{1}{2} \, \delta_1 z \times \delta_2 z = 1"),
            (
                "Rough order",
                r"\langle |\delta z|^2 \rangle = \delta x^2 + 4 \sigma^2, \quad "
                r"\sigma = \frac{\sqrt{N/24}}{2 \pi S}",
            ),
        ),
        sources=("willshawvondermalsburg1976", "takeuchiamari1979"),
        caption=(
            "The net of receptive-field centres before and after learning, on a torus and on a sheet with "
            "borders; lines that leave the square come back on the other side. Right: mean squared distance "
            "of neighbours' centres; lines: law of the rough order, even map (dashed), random (dotted)."
        ),
    ),
    full={"side": 20, "input_side": 14, "n_maps": 12, "n_stimuli": 8000},
)
class RetinotopicSheet:
    """Maps on a torus and on a sheet with borders."""

    side: int = parameter(12, doc="cells along each axis", low=6, high=60)
    input_side: int = parameter(10, doc="inputs along each axis", low=5, high=60)
    blob: float = extent(0.1, "width of a blob", unit="sides", low=0.02, high=0.3)
    excitation: float = strength(0.9, "strength p")
    excitation_width: float = extent(0.08, unit="sides")
    inhibition: float = strength(3.0, "strength q")
    inhibition_width: float = extent(0.8, unit="sides", low=0.01, high=1.0)
    order: float = rough_height(0.7)
    order_width: float = extent(0.15, unit="sides", low=0.05, high=0.3)
    rate: float = learning_rate(0.02)
    n_stimuli: int = parameter(1500, doc="blobs shown", low=100)
    n_maps: int = parameter(4, doc="maps of each kind", low=3)

    def predict(self) -> xr.Dataset:
        """Squared distances of neighbours: of the rough order, of an even map; the degree."""
        deviation = rough_deviation(self.input_side**2, self.order, self.order_width, 2)
        noise = 4 * deviation**2
        words = {"long_name": "mean squared distance of neighbours", "units": "side squared"}
        return xr.Dataset(
            {
                **predicted_variable(
                    "rough",
                    Prediction(
                        1 / self.side**2 + noise,
                        2 * (2 * np.pi * deviation) ** 2 * noise,
                        "the next order of the noise",
                    ),
                    long_name=words["long_name"],
                    units=words["units"],
                ),
                **predicted_variable("degree", Prediction(1.0), long_name="degree of the map"),
                "even": ((), 1 / self.side**2, words),
            }
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Maps of both kinds, before and after learning, and the same centres shuffled."""
        key_run, key_shuffle = jax.random.split(key)
        shape, n = (self.side, self.side), (self.input_side, self.input_side)
        cells, inputs = sheet_places(shape), sheet_places(n)
        centres = []
        for one, kind in zip(jax.random.split(key_run, 2), _KINDS, strict=True):
            closed = kind == "torus"
            rough = rough_order(cells, inputs, closed=closed, order=self.order, order_width=self.order_width)
            sheet = TopographicSheet(
                np.ones((len(cells), len(inputs)), np.float32),
                shape,
                closed=closed,
                excitation=self.excitation,
                excitation_width=self.excitation_width,
                inhibition=self.inhibition,
                inhibition_width=self.inhibition_width,
            )
            places, ends = jnp.asarray(inputs, jnp.float32), jnp.asarray(float(closed))
            blobs = Blobs(places, jnp.asarray(self.blob), ends)
            begin = Roughly(jnp.asarray(rough, jnp.float32))
            of = AfferentEnsemble(sheet, begin, blobs, jnp.asarray(self.rate))
            made = run(
                of.process(),
                one,
                0.0,
                self.n_stimuli,
                observe=of.afferents,
                every=self.n_stimuli,
                replicas=self.n_maps,
                label=kind,
            )
            centres.append(sheet_centres(np.asarray(made.values), n, closed=closed))
        return self._measured(np.array(centres), key_shuffle)

    def _measured(self, centres: np.ndarray, key: Key[Array, ""]) -> xr.Dataset:
        random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
        shape = (self.side, self.side)
        step, covered, shares = (np.zeros(centres.shape[:3]) for _ in range(3))
        shuffled = np.zeros(self.n_maps)
        for place in np.ndindex(*centres.shape[:3]):
            closed = _KINDS[place[0]] == "torus"
            found = sheet_order(centres[place], shape, closed=closed)
            step[place], covered[place] = found.steps.mean(), found.covered
            shares[place] = found.turned / len(found.areas)
            if closed and place[2] == 1:
                dealt = random.permutation(centres[place])
                shuffled[place[1]] = sheet_order(dealt, shape, closed=True).steps.mean()
        dims, square = ("kind", "time"), "side squared"
        return xr.Dataset(
            {
                **stored("step", step, dims, "mean squared distance of neighbours", square, axis=1),
                **stored("covered", covered, dims, "signed area of the map", square, axis=1),
                **stored("folded", shares, dims, "share of triangles turned over", axis=1),
                **stored("nearer", step[..., 0] - step[..., 1], ("kind",), "fall of that", square, axis=1),
                **stored("unfolded", shares[..., 0] - shares[..., 1], ("kind",), "fall of the share", axis=1),
                **stored("shuffled", shuffled, (), "squared distance of neighbours, shuffled", square),
                "centres": (
                    ("kind", "time", "cell", "axis"),
                    centres[:, 0],
                    {"long_name": "centre of the receptive field, first map", "units": "sides"},
                ),
            },
            {
                "kind": ("kind", list(_KINDS), {"long_name": "kind of sheet", "units": "1"}),
                "time": ("time", ["before", "after"], {"long_name": "time", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Rough before; no fold after; the degree; neighbours near, and shuffled ones not."""
        torus = record.sel(kind="torus")
        made = [
            compare(
                read_predicted(record, "rough"),
                read_measured(torus.sel(time="before"), "step"),
                statement="Before learning neighbours are as far apart as noise alone makes them.",
                system="D3",
                resolution=0.4 * float(record["rough"]),
            ),
            at_least(
                0.0,
                read_measured(torus, "nearer"),
                statement="On a torus learning brings neighbours together.",
                system="D3",
            ),
            at_least(
                float(record["even"]),
                read_measured(torus.sel(time="after"), "step"),
                statement="On a torus no map around once has its neighbours nearer than an even one.",
                system="D3",
                reason="steps along a row sum to one turn; their mean square is at least their squared mean",
            ),
            at_most(
                1.0,
                read_measured(record.sel(kind="borders", time="after"), "covered"),
                statement="A map with borders draws in at its rim.",
                system="D3",
            ),
            compare(
                read_predicted(record, "degree"),
                read_measured(torus.sel(time="after"), "covered"),
                statement="On a torus the learnt map covers the retina once: its degree is one.",
                system="D3",
                resolution=0.5,
            ),
            compare(
                Prediction(_UNRELATED),
                read_measured(record, "shuffled"),
                statement="Dealt out at random, centres lie a sixth of a squared side apart.",
                system="D3",
                resolution=0.03,
            ),
        ]
        for kind in record["kind"].values:
            at = record.sel(kind=kind)
            made += [
                at_most(
                    0.01,
                    read_measured(at.sel(time="after"), "folded"),
                    statement=f"{kind}: hardly a triangle of the learnt map is turned over.",
                    system="D3",
                    reason="one in a hundred; the blobs shown last shift centres by the rate of learning",
                ),
                at_least(
                    0.0,
                    read_measured(at, "unfolded"),
                    statement=f"{kind}: learning unfolds the map.",
                    system="D3",
                ),
            ]
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Nets before and after learning; squared distances."""
        figure, axes = panels(4, width=3.7)
        shown = (("torus", "before"), ("torus", "after"), ("borders", "after"))
        for axis, (kind, time) in zip(axes[0, :3], shown, strict=True):
            centres = record["centres"].sel(kind=kind, time=time).values
            _net(axis, centres.reshape(self.side, self.side, 2), kind == "torus")
            axis.set_title(f"{kind}, {time} learning", fontsize="medium")
        right = axes[0, 3]
        right.set_yscale("log")
        for index, time in enumerate(record["time"].values):
            step = read_measured(record.sel(time=time), "step")
            simulation(right, [0, 1], step.mean, step.standard_error, index, label=f"{time} learning")
        lines = (("rough", "-", "rough order, torus"), ("even", "--", "even map"))
        for name, line, label in lines:
            theory(right, [-0.5, 1.5], [float(record[name])] * 2, 6, linestyle=line, label=label)
        theory(right, [-0.5, 1.5], [_UNRELATED] * 2, 6, linestyle=":", label="random places")
        right.set_xticks([0, 1], list(_KINDS))
        right.set(
            xlim=(-0.5, 1.5),
            ylim=(0.3 * min(float(record["step"].min()), float(record["even"])), 20.0),
            xlabel="kind of sheet",
            ylabel="squared distance of neighbours (sides²)",
        )
        right.legend(frameon=False, fontsize="small")
        return figure


def _net(axis: Axes, centres: np.ndarray, closed: bool) -> None:
    """Centres as points, neighbours joined the shorter way around."""
    for along in (0, 1):
        ends = np.roll(centres, -1, axis=along)
        if not closed:
            ends, begins = np.delete(ends, -1, axis=along), np.delete(centres, -1, axis=along)
        else:
            begins = centres
        step = ends - begins
        step = step - np.rint(step) if closed else step
        for begin, by in zip(begins.reshape(-1, 2), step.reshape(-1, 2), strict=True):
            axis.plot(*np.stack([begin, begin + by])[:, ::-1].T, color=COLOURS[0], linewidth=0.7)
            if closed:
                axis.plot(
                    *np.stack([begin - np.floor(begin + by), begin + by - np.floor(begin + by)])[:, ::-1].T,
                    color=COLOURS[0],
                    linewidth=0.7,
                )
    axis.plot(
        *centres.reshape(-1, 2)[:, ::-1].T, linestyle="none", marker="o", markersize=2, color=COLOURS[6]
    )
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.set(xlabel="place on the retina (sides)", ylabel="place on the retina (sides)")
