"""A map of the square unfolds: folds, topographic error, and how well it quantises, online and batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuromanifold.dynamics import Schedule
from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    at_most,
    compare,
    never,
    read_measured,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.maps._ensemble import BatchEnsemble, OnlineEnsemble, Uniform, stored
from neuromanifold.networks.selforganizing import (
    Lattice,
    Neighbourhood,
    SelfOrganizingMap,
    folded_cells,
    map_errors,
)
from neuromanifold.theory.selforganizing import least_distortion, square_distortion

_LATTICES = ("rectangular", "hexagonal")
_RULES = ("batch", "online")
# Times after the first at which the maps are looked at.
_LOOKS = 6


@experiment(
    Card(
        name="map-unfolding",
        title="A self-organising map unfolds on the square",
        topic="maps",
        lecture="D",
        systems=("D2",),
        idea=(
            "Units on a lattice see points spread evenly over a square. The unit nearest to a point learns "
            "it, and so do its neighbours on the lattice, fewer and fewer as time goes on. From weights at "
            "random (for the batch rule, which twists one map in a hundred, slightly tilted) the lattice "
            "spreads out over the square like a net, without a fold. Points that are "
            "neighbours then go to units that are neighbours. The mean squared distance of a point to its "
            "unit cannot fall below that of a tiling by regular hexagons, whatever the rule; both rules, "
            "point by point and all points at once, come near it and near each other."
        ),
        equations=(
            ("Winner", r"c(x) = \mathrm{argmin}_i \, | w_i - x |"),
            (
                "Online",
                r"w_i \leftarrow w_i + h_0(t) \, e^{-|r_i - r_c|^2 / \sigma(t)^2} (x - w_i)",
            ),
            ("Batch", r"w_i = \sum_x h_{c(x) i} \, x \, / \, \sum_x h_{c(x) i}"),
            ("Bound", r"\langle |x - w_c|^2 \rangle \geq \frac{5}{18 \sqrt{3}} \frac{A}{M}"),
        ),
        sources=("kohonen1982", "gersho1979"),
        caption=(
            "The net of a map learning row by row at three times, each line joining two neighbouring units;"
            " right: mean squared distance times the number of units against the share of learning done; "
            "lines: the bound of all point sets (dashed) and the value of square cells (full)."
        ),
    ),
    full={"side": 20, "n_maps": 12, "n_rows": 40_000, "n_passes": 60, "n_online": 400_000},
)
class MapUnfolding:
    """Rectangular and hexagonal maps of the uniform square by both rules."""

    side: int = parameter(10, doc="units along each axis", low=4, high=40)
    n_maps: int = parameter(6, doc="maps of each kind", low=3)
    n_rows: int = parameter(4000, doc="points of a map that learns by batch", low=100)
    n_passes: int = parameter(30, doc="passes over them", unit="passes", low=12)
    tilt: float = parameter(
        0.3, doc="share of the first weights of a batch map that is a flat lattice", low=0.0, high=1.0
    )
    n_online: int = parameter(60_000, doc="points of a map that learns online", low=1000)
    first_radius: float = parameter(1.2, doc="radius at the beginning", unit="sides", low=0.1, high=5.0)
    last_radius: float = parameter(0.5, doc="radius at the end", unit="lattice constants", low=0.3, high=2.0)
    last_rate: float = parameter(0.02, doc="rate at the end of online learning", low=1e-4, high=0.2)
    n_points: int = parameter(120, doc="test points along each axis", low=50, high=1000)

    def _moments(self) -> np.ndarray:
        """Shares of the learning at which the maps are looked at."""
        return np.linspace(0.0, 1.0, _LOOKS + 1)

    def predict(self) -> xr.Dataset:
        """Bound of all point sets and value of square cells, times the number of units."""
        n = self.side**2
        words = {"long_name": "M times mean squared distance", "units": "area"}
        return xr.Dataset(
            {
                "least": ((), n * least_distortion(n), words),
                "of_squares": ((), n * square_distortion(n), words),
            }
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Weights of every map in time, and what the test points say about them."""
        weights = []
        shape = (self.side, self.side)
        form = Neighbourhood("gaussian", convention="lecture")
        ways = list(itertools.product(_LATTICES, _RULES))
        for one, (kind, rule) in zip(jax.random.split(key, len(ways)), ways, strict=True):
            lattice = Lattice(shape, kind)
            n_steps = self.n_passes if rule == "batch" else self.n_online
            n_steps -= n_steps % _LOOKS
            radius = Schedule("geometric", self.first_radius * self.side, self.last_radius, n_steps)
            if rule == "batch":
                of: Any = BatchEnsemble(Uniform(2), lattice, form, radius, self.n_rows, self.tilt)
            else:
                rate = Schedule("geometric", 0.5, self.last_rate, n_steps)
                of = OnlineEnsemble(Uniform(2), lattice, form, rate, radius)
            made = run(
                of.process(),
                one,
                0.0,
                n_steps,
                observe=of.weights,
                every=n_steps // _LOOKS,
                replicas=self.n_maps,
                label=f"{kind}, {rule}",
            )
            weights.append(np.asarray(made.values))
        weights = np.array(weights).reshape(len(_LATTICES), len(_RULES), self.n_maps, _LOOKS + 1, -1, 2)
        return self._measured(weights)

    def _measured(self, weights: np.ndarray) -> xr.Dataset:
        ticks = (np.arange(self.n_points) + 0.5) / self.n_points
        points = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2).astype(np.float32)
        # Of the square around a test point the middle alone was taken.
        within = 1.0 / (6 * self.n_points**2)
        distortion, topographic = np.zeros(weights.shape[:4]), np.zeros(weights.shape[:3])
        turned, corners = 0, 0
        for place in np.ndindex(*weights.shape[:4]):
            network = SelfOrganizingMap(weights[place], Lattice((self.side, self.side), _LATTICES[place[0]]))
            last = place[3] == weights.shape[3] - 1
            found = map_errors(network, points if last else points[::7])
            squares = found.squared_distance.astype(np.float64)
            distortion[place] = self.side**2 * (squares.mean() + (within if last else 0.0))
            if last:
                beside = network.lattice.adjacent(found.winner, found.second)
                topographic[place[:3]] = np.mean(~beside)
                found_turned, found_corners = folded_cells(network)
                turned, corners = turned + found_turned, corners + found_corners
        error = np.sqrt(distortion[..., -1])
        dims = ("lattice", "rule")
        return xr.Dataset(
            {
                **stored(
                    "distortion",
                    distortion,
                    (*dims, "moment"),
                    "M times mean squared distance",
                    "area",
                    axis=2,
                ),
                **stored("topographic_error", topographic, dims, "topographic error", axis=2),
                **stored(
                    "ratio",
                    error[:, 0] / error[:, 1],
                    ("lattice",),
                    "root mean square distance, batch over online",
                    axis=1,
                ),
                "turned": ((), turned, {"long_name": "corners turned over", "units": "1"}),
                "corners": ((), corners, {"long_name": "corners of lattice cells", "units": "1"}),
                "nets": (
                    (*dims, "moment", "unit", "axis"),
                    weights[:, :, 0],
                    {"long_name": "weights of the first map", "units": "side of the square"},
                ),
            },
            {
                "lattice": ("lattice", list(_LATTICES), {"long_name": "lattice", "units": "1"}),
                "rule": ("rule", list(_RULES), {"long_name": "rule", "units": "1"}),
                "moment": ("moment", self._moments(), {"long_name": "share of learning done", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """No fold; small topographic error; both rules alike; between bound and squares."""
        made = [
            never(
                int(record["turned"]),
                int(record["corners"]),
                statement="No corner of a lattice cell is turned over: the maps have no fold.",
                system="D2",
            )
        ]
        for kind in record["lattice"].values:
            for rule in record["rule"].values:
                at = record.sel(lattice=kind, rule=rule)
                name = f"{kind} lattice, {rule} rule"
                made.append(
                    at_most(
                        0.03,
                        read_measured(at, "topographic_error"),
                        statement=f"{name}: topographic error below .03.",
                        system="D2",
                    )
                )
                last = read_measured(at.isel(moment=-1), "distortion")
                made.append(
                    at_least(
                        float(record["least"]),
                        last,
                        statement=f"{name}: no closer to the points than hexagons can be.",
                        system="D2",
                    )
                )
                made.append(
                    at_most(
                        1.15 * float(record["of_squares"]),
                        last,
                        statement=f"{name}: mean squared distance within 15 % of that of square cells.",
                        system="D2",
                    )
                )
            made.append(
                compare(
                    Prediction(1.0, 0.05, "what both rules may differ by"),
                    read_measured(record.sel(lattice=kind), "ratio"),
                    statement=f"{kind} lattice: batch and online quantise equally well within 5 %.",
                    system="D2",
                    resolution=0.08,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Nets at three times, and quantisation in time."""
        figure, axes = panels(4, width=3.6)
        moments = record["moment"].values
        shown = (("rectangular", 2), ("rectangular", _LOOKS), ("hexagonal", _LOOKS))
        for axis, (kind, moment) in zip(axes[0, :3], shown, strict=True):
            points = record["nets"].sel(lattice=kind, rule="online").values[moment]
            _net(axis, Lattice((self.side, self.side), kind), points)
            axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            axis.set_title(f"{kind}, {100 * moments[moment]:.0f} % of learning", fontsize="medium")
            axis.set(xlabel="first feature", ylabel="second feature")
        right = axes[0, 3]
        distortion = read_measured(record, "distortion")
        ways = itertools.product(enumerate(record["lattice"].values), enumerate(record["rule"].values))
        for index, ((i, kind), (j, rule)) in enumerate(ways):
            simulation(
                right,
                moments,
                distortion.mean[i, j],
                distortion.standard_error[i, j],
                index,
                label=f"{kind}, {rule}",
            )
        theory(right, moments, np.full(moments.shape, float(record["of_squares"])), 6, label="square cells")
        theory(
            right,
            moments,
            np.full(moments.shape, float(record["least"])),
            6,
            linestyle="--",
            label="bound",
        )
        right.set(xlabel="share of learning done", ylabel="M × mean squared distance (area)", yscale="log")
        right.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        right.minorticks_off()
        right.legend(frameon=False, fontsize="small")
        return figure


def _net(axis: Axes, lattice: Lattice, points: np.ndarray) -> None:
    """Units as points, neighbours joined."""
    table = lattice.neighbours
    for unit, row in enumerate(table):
        for other in row[row > unit]:
            axis.plot(*points[[unit, other]].T, color=COLOURS[0], linewidth=0.7)
    axis.plot(*points.T, linestyle="none", marker="o", markersize=2.0, color=COLOURS[6])
