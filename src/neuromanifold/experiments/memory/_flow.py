"""Flow, fixed points and separatrix in the plane of a memory and its siblings, with recall on top."""

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
from neuromanifold.experiments._figure import COLOURS, MARKERS, panels
from neuromanifold.experiments.memory._ensemble import check_cues
from neuromanifold.experiments.memory._families import FamilyEnsemble, family_overlaps
from neuromanifold.theory.memory import FamilyPlane, PlanePoint

# A recall has reached what it is nearer to than any other state of the theory: overlaps end above this.
_REACHED = 0.9
_KINDS = ("attractor", "saddle", "repeller")
_AT_REST = (
    "the theory's noise is at rest, that of a recall is not; measured at N = 12,000, the crossing is off by "
    "up to .08"
)


@experiment(
    Card(
        name="memory-flow",
        title="The memory, the concept, and the border between them",
        topic="memory",
        lecture="C",
        systems=("C3",),
        idea=(
            "A state of a network that stores families of similar patterns can resemble one member, all its "
            "siblings alike, or anything between: a point in a plane. Theory gives a map of that plane, "
            "with fixed points that attract or not, as the eigenvalues of its Jacobian say, and a separatrix "
            "that parts the states which recall the member from those which fall into the concept. Networks "
            "are begun at blends of the two. Where load and correlation make both attractors, the blend's "
            "share decides; elsewhere only the memory, or only the concept, is left. The map takes the noise "
            "at rest, and so it places the border nearly, not exactly."
        ),
        equations=(
            (
                "Map",
                r"m_v \to \langle \xi_v \, \mathrm{erf}(S / \sqrt{2} \sigma) \rangle, \quad "
                r"S = \sum_v m_v \xi_v",
            ),
            (
                "Noise at rest",
                r"\sigma^2 = \frac{\alpha}{s} \left[ \frac{l_1^2}{(1 - U l_1)^2} + (s - 1) "
                r"\frac{l_2^2}{(1 - U l_2)^2} \right]",
            ),
        ),
        sources=("okada1996", "toyafukushimakabashimaokada2000"),
        caption=(
            "The plane of the overlaps with a memory and with its siblings at three settings of load and "
            "correlation. Arrows: theory's flow; filled circles: attractors, open: saddles; black line: "
            "separatrix. Coloured lines with markers: mean recall of networks begun at blends of concept and "
            "memory."
        ),
    ),
    full={"n_units": 12000, "n_sets": 24, "n_cues": 8, "n_steps": 60, "n_shares": 21, "n_arrows": 21},
)
class MemoryFlow:
    """Three settings: both attractors, the memory alone, the concept alone."""

    n_units: int = parameter(2400, doc="number of units N", low=300)
    branching: int = parameter(3, doc="children a family s, odd", low=3)
    loads: tuple[float, ...] = parameter(
        (0.03, 0.08, 0.04), doc="loads alpha = P/N", low=0.0, high=1.0, open_low=True
    )
    correlations: tuple[float, ...] = parameter(
        (0.4, 0.2, 0.55), doc="correlations b, one a load", low=0.0, high=1.0
    )
    n_shares: int = parameter(11, doc="blends of concept and memory that recall begins with", low=5)
    n_sets: int = parameter(16, doc="independent sets of patterns, the independent samples", low=2)
    n_cues: int = parameter(6, doc="families of each set that are recalled", low=1)
    n_steps: int = parameter(24, doc="synchronous updates", unit="updates", low=2)
    n_arrows: int = parameter(13, doc="arrows along either axis of the plane", low=3)

    def check(self) -> None:
        """A correlation for each load; families are odd and enough for the cues."""
        same = len(self.loads) == len(self.correlations)
        require(same, "correlations", f"hold one for each of {len(self.loads)} loads", self.correlations)
        require(self.branching % 2 == 1, "branching", "be odd, for a majority to exist", self.branching)
        check_cues(self.n_cues, map(self._families, self.loads), "families")

    def _families(self, load: float) -> int:
        return round(load * self.n_units / self.branching)

    def predict(self) -> xr.Dataset:
        """Flow, fixed points with eigenvalues, separatrix, and where blends cross it."""
        arrows = np.linspace(0.0, 1.0, self.n_arrows)
        siblings = np.linspace(0.0, 1.0, 41)
        flows, borders, crossings, stays, points = [], [], [], [], []
        for load, b in zip(self.loads, self.correlations, strict=True):
            # A family is no part of its own noise.
            plane = FamilyPlane((self._families(load) - 1) * self.branching / self.n_units, b, self.branching)
            found = plane.fixed_points()
            first, second = np.meshgrid(arrows, arrows, indexing="ij")
            flows.append(plane.move(first, second) - np.stack([first, second]))
            memory, concept = _attractors(found)
            stays.append([memory is not None, concept is not None])
            border, crossing = np.full(siblings.shape, np.nan), 0.0 if memory is not None else 1.0
            if memory is not None:
                border = plane.separatrix(siblings)
                if concept is not None:
                    crossing = float(plane.crossing(concept.overlaps[None], memory.overlaps[None])[0])
            borders.append(border)
            crossings.append(crossing)
            points.append(found)
        most = max(map(len, points))
        table = np.full((len(points), most, 5), np.nan)
        for i, found in enumerate(points):
            for j, point in enumerate(found):
                table[i, j] = (*point.overlaps, *point.eigenvalues, _KINDS.index(point.kind))
        variables: dict[str, Any] = {
            "flow": (
                ("setting", "component", "arrow_1", "arrow_2"),
                np.stack(flows),
                {"long_name": "the map minus the point", "units": "1"},
            ),
            "fixed_point": (
                ("setting", "point", "property"),
                table,
                {"long_name": "fixed points: overlaps, eigenvalues, kind", "units": "1"},
            ),
            "separatrix": (
                ("setting", "sibling"),
                np.stack(borders),
                {"long_name": "overlap with the memory on the separatrix", "units": "1"},
            ),
            "attracts": (
                ("setting", "state"),
                np.array(stays),
                {"long_name": "whether memory and concept attract", "units": "1"},
            ),
        }
        variables |= predicted_variable(
            "predicted_crossing",
            Prediction(np.array(crossings), 0.1, _AT_REST),
            ("setting",),
            long_name="share of the memory at the separatrix",
        )
        return xr.Dataset(
            variables,
            {
                "load": ("setting", np.array(self.loads), {"long_name": "load alpha", "units": "1"}),
                "b": ("setting", np.array(self.correlations), {"long_name": "correlation b", "units": "1"}),
                "arrow_1": ("arrow_1", arrows, {"long_name": "overlap with the memory", "units": "1"}),
                "arrow_2": ("arrow_2", arrows, {"long_name": "overlap with siblings", "units": "1"}),
                "sibling": ("sibling", siblings, {"long_name": "overlap with siblings", "units": "1"}),
                "state": ["memory", "concept"],
                "property": ["m_1", "m_2", "eigenvalue_1", "eigenvalue_2", "kind"],
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recall from blends of concept and memory."""
        shares = np.linspace(0.0, 1.0, self.n_shares)
        begun = jnp.asarray(np.stack([shares, 1 - shares], 1), jnp.float32)
        paths, memory, concept, crossing = [], [], [], []
        for index, (load, b) in enumerate(zip(self.loads, self.correlations, strict=True)):
            ensemble = FamilyEnsemble(self.n_units, (self._families(load),), self.branching, b, self.n_cues)
            made = run(
                ensemble.process(),
                jax.random.fold_in(key, index),
                begun,
                self.n_steps,
                observe=family_overlaps,
                replicas=self.n_sets,
                label=f"blends, load {load:g}, b {b:g}",
            )
            # Axes: set, time, quantity, share, cue.
            values = np.asarray(made.values, np.float64)[:, :, :, 0]
            paths.append(values[:, :, :2].mean(-1))
            memory.append((values[:, -1, 0] > _REACHED).mean(-1))
            concept.append((values[:, -1, 2] > _REACHED).mean(-1))
            # The share at which the fate turns: what of the line from concept to memory does not recall.
            crossing.append(1 - np.trapezoid(memory[-1], shares, axis=1))
        variables: dict[str, Any] = {}
        for name, samples, dims, text in (
            ("path", np.stack(paths, 1), ("setting", "time", "component", "share"), "overlaps in time"),
            ("recalled", np.stack(memory, 1), ("setting", "share"), "fraction that ends in the memory"),
            ("conceived", np.stack(concept, 1), ("setting", "share"), "fraction that ends in the concept"),
            ("crossing", np.stack(crossing, 1), ("setting",), "share of the memory at which the fate turns"),
        ):
            variables |= measured_variables(name, estimate(samples), dims, long_name=text)
        return xr.Dataset(
            variables,
            {
                "share": ("share", shares, {"long_name": "share of the memory in the start", "units": "1"}),
                "time": ("time", np.arange(self.n_steps + 1), {"long_name": "time", "units": "updates"}),
                "component": ["memory", "siblings"],
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """What the Jacobian calls an attractor keeps its states, what it does not call so loses them."""
        made = []
        for setting in range(len(self.loads)):
            at = record.isel(setting=setting)
            where = f"At load {float(at['load']):g} and b = {float(at['b']):g}"
            for state, name, share in (("memory", "recalled", -1), ("concept", "conceived", 0)):
                measured = read_measured(at.isel(share=share), name)
                if bool(at["attracts"].sel(state=state)):
                    made.append(
                        at_least(
                            0.5,
                            measured,
                            statement=f"{where} the {state} attracts: most starts in it stay.",
                            system="C3",
                            reason="all eigenvalues of the map's Jacobian lie below 1",
                        )
                    )
                else:
                    made.append(
                        at_most(
                            0.5,
                            measured,
                            statement=f"{where} the {state} does not attract: most starts in it leave.",
                            system="C3",
                            reason="the theory has no such attractor",
                        )
                    )
            if at["attracts"].values.all():
                made.append(
                    compare(
                        read_predicted(at, "predicted_crossing"),
                        read_measured(at, "crossing"),
                        statement=f"{where} blends turn from concept to memory near the separatrix.",
                        system="C3",
                        resolution=0.2,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """A plane for each setting."""
        n = record.sizes["setting"]
        figure, axes = panels(n, width=4.4, height=4.4)
        for setting, axis in enumerate(axes[0]):
            at = record.isel(setting=setting)
            first, second = np.meshgrid(at["arrow_1"].values, at["arrow_2"].values, indexing="ij")
            move = at["flow"].values
            length = np.maximum(np.hypot(*move), 1e-12)
            shown = move / length * np.minimum(length, 0.2)
            axis.quiver(first, second, *shown, angles="xy", scale=4, color="0.7", width=0.004)
            axis.plot(at["separatrix"].values, at["sibling"].values, color="black", linewidth=1.5)
            path = at["path"].values
            for index, share in enumerate(np.linspace(0, len(at["share"]) - 1, 6).round().astype(int)):
                axis.plot(
                    *path[:, :, share].T,
                    color=COLOURS[index],
                    marker=MARKERS[index],
                    markersize=3,
                    linewidth=0.8,
                    label=f"{float(at['share'][share]):.1f}",
                )
            for m_1, m_2, *_, kind in at["fixed_point"].values:
                if np.isfinite(kind):
                    face = "black" if kind == 0 else "white"
                    axis.plot(m_1, m_2, "o", color="black", markerfacecolor=face, markersize=8, zorder=5)
            axis.set(
                title=f"α = {float(at['load']):g}, b = {float(at['b']):g}",
                xlabel="overlap with the memory m₁",
                ylabel="overlap with its siblings m₂",
                xlim=(0, 1.05),
                ylim=(0, 1.05),
            )
        axes[0, 0].legend(title="share of memory", fontsize="small", loc="upper left", ncols=2)
        return figure


def _attractors(points: Sequence[PlanePoint]) -> tuple[PlanePoint | None, PlanePoint | None]:
    """The memory and the concept of largest overlap among fixed points, or None."""
    attracting = [point for point in points if point.kind == "attractor"]
    memory = [point for point in attracting if np.ptp(point.overlaps) > 0.1]
    concept = [point for point in attracting if np.ptp(point.overlaps) <= 0.1]
    return (memory[0] if memory else None), (concept[0] if concept else None)
