"""How many units a map spends where data are dense: the exponent of magnification against its formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Schedule
from neuromanifold.evidence import (
    Claim,
    Prediction,
    compare,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.maps._ensemble import BatchEnsemble, Exponential, stored
from neuromanifold.networks.selforganizing import Lattice, Neighbourhood
from neuromanifold.theory.selforganizing import (
    fitted_exponent,
    gaussian_kernel,
    gaussian_radius,
    magnification_exponent,
    settled_map,
)


@experiment(
    Card(
        name="map-magnification",
        title="A map favours dense data, but less than in proportion",
        topic="maps",
        lecture="D",
        systems=("D2",),
        idea=(
            "Where data are dense a self-organising map has many units: their density grows as a power of "
            "the density of the data. The power would be 1 if each unit answered for equally many data, and "
            "is 1/3 where the map quantises best. A one-dimensional map lies between: the wider the "
            "neighbourhood, the larger the exponent, from 1/3 up to 2/3. Maps of a density that grows "
            "exponentially learn from samples at neighbourhoods of fixed width; the exponent that is fitted "
            "to their weights is compared with the formula, and with the exact equilibrium of as many units."
        ),
        equations=(
            ("Magnification", r"D(w) \propto p(w)^a"),
            ("Exponent", r"a = \frac{1 + 12 R}{3 (1 + 6 R)}, \quad R = \frac{\sum_k k^2 h_k}{\sum_k h_k}"),
            ("Equilibrium", r"\sum_c h_{c-i} \int_{V_c} (x - w_i) \, p(x) \, dx = 0"),
        ),
        sources=("ritterschulten1986", "derschtavan1995"),
        caption=(
            "Left: exponent against the second moment R of the neighbourhood. Right: density of the units "
            "against their place; lines: exact equilibrium, points: simulation, shifted apart."
        ),
    ),
    full={"n_rows": 2000, "n_maps": 48, "n_passes": 2500, "moments": (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)},
)
class MapMagnification:
    """Exponents of one-dimensional maps at neighbourhoods of several widths."""

    n_units: int = parameter(20, doc="units N", low=16, high=200)
    moments: tuple[float, ...] = parameter((0.5, 1.0, 2.0), doc="second moments R", low=0.05, high=10.0)
    steepness: float = parameter(2.0, doc="b of the density exp(b x)", low=0.5, high=4.0)
    margin: int = parameter(4, doc="units left out at each border", low=2)
    n_rows: int = parameter(400, doc="rows of a pass, drawn anew each time", low=200)
    n_maps: int = parameter(12, doc="maps at each width, each with rows of its own", low=3)
    n_passes: int = parameter(
        1200, doc="passes; the maps are looked at in the last third", unit="passes", low=300
    )

    def check(self) -> None:
        """Units are left between the margins."""
        require(2 * self.margin + 8 <= self.n_units, "margin", "leave eight units", self.margin)

    def _moments(self) -> np.ndarray:
        """No neighbourhood, and those asked for."""
        return np.array([0.0, *self.moments])

    def predict(self) -> xr.Dataset:
        """The formula; the exact equilibrium and its exponent."""
        settled = []
        for moment in self._moments():
            kernel = gaussian_kernel(gaussian_radius(moment)) if moment > 0 else np.ones(1)
            settled.append(settled_map(self.n_units, kernel[: self.n_units], self.steepness))
        settled = np.array(settled)
        fine = np.linspace(0.0, 1.1 * self._moments().max(), 100)
        exact = fitted_exponent(settled, self.steepness, self.margin)
        formula = magnification_exponent(self._moments())
        words = {"long_name": "exponent of magnification", "units": "1"}
        return xr.Dataset(
            {
                **predicted_variable(
                    "formula",
                    Prediction(formula, 2.0 * np.abs(exact - formula) + 1e-4, "borders and finite N"),
                    ("moment",),
                    long_name="exponent of magnification",
                ),
                "exact": ("moment", exact, words),
                "line": ("fine", magnification_exponent(fine), words),
                "settled": (
                    ("moment", "unit"),
                    settled,
                    {"long_name": "weights at equilibrium", "units": "1"},
                ),
            },
            {
                "moment": ("moment", self._moments(), {"long_name": "second moment R", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "second moment R", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Maps that learn from samples, from random weights, at a width that falls and then stays."""
        lattice, weights = Lattice((self.n_units,)), []
        for one, moment in zip(jax.random.split(key, len(self._moments())), self._moments(), strict=True):
            # So narrow a Gaussian reaches no other unit.
            last = gaussian_radius(moment) if moment > 0 else 0.1
            radius = Schedule("geometric", 0.7 * self.n_units, last, 40)
            of = BatchEnsemble(
                Exponential(self.steepness), lattice, Neighbourhood(), radius, self.n_rows, fresh=True
            )
            made = run(
                of.process(),
                one,
                0.0,
                self.n_passes,
                observe=of.weights,
                every=10,
                replicas=self.n_maps,
                label=f"R = {moment:g}",
            )
            last = np.asarray(made.values, np.float64)[:, -(self.n_passes // 30) :, :, 0]
            # A map may have learnt the line from its other end.
            weights.append(np.sort(last.mean(axis=1), axis=-1))
        weights = np.array(weights)
        return xr.Dataset(
            {
                **stored(
                    "exponent",
                    fitted_exponent(weights, self.steepness, self.margin),
                    ("moment",),
                    "exponent of magnification",
                    axis=1,
                ),
                **stored("weights", weights, ("moment", "unit"), "weights", axis=1),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The exponent at each width."""
        return [
            compare(
                read_predicted(record.sel(moment=moment), "formula"),
                read_measured(record.sel(moment=moment), "exponent"),
                statement=f"R = {moment:g}: exponent of magnification.",
                system="D2",
                resolution=0.03,
            )
            for moment in record["moment"].values
        ]

    def draw(self, record: xr.Dataset) -> Figure:
        """Exponent against width; densities."""
        figure, axes = panels(2)
        left, right = axes[0]
        theory(left, record["fine"], record["line"], label="formula")
        shown = read_measured(record, "exponent")
        simulation(left, record["moment"], shown.mean, shown.standard_error, 1, label="maps")
        for limit in (1 / 3, 2 / 3):
            left.axhline(limit, color="0.6", linestyle=":", linewidth=1.0)
        left.set(xlabel="second moment R of the neighbourhood", ylabel="exponent a", ylim=(0.3, 0.7))
        left.legend(frameon=False, loc="lower right")
        found, exact = read_measured(record, "weights"), record["settled"].values
        for index, moment in enumerate(record["moment"].values):
            shift = 2.0**index
            for weights, draw in ((exact[index], theory), (found.mean[index], None)):
                places = (weights[1:] + weights[:-1]) / 2
                density = shift / (self.n_units * np.diff(weights))
                if draw is not None:
                    draw(right, places, density, index, label=f"R = {moment:g}")
                else:
                    simulation(right, places[::2], density[::2], 0 * density[::2], index)
        right.set(xlabel="weight w", ylabel="density of units, × 2 from curve to curve", yscale="log")
        right.legend(frameon=False, fontsize="small", ncols=2)
        return figure
