"""Sherrington-Kirkpatrick glasses: ground states by annealing, thermal energies by parallel tempering."""

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
from neuromanifold.dynamics import cooling
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.annealing._ensemble import AnnealedGlass, TemperedGlass
from neuromanifold.theory.energy import (
    PARISI_ENERGY,
    energy_from_overlap,
    finite_size_energy,
    ground_state,
    paramagnet_energy,
)

_FIT = "the fitted coefficient of N^(-2/3), and terms of order 1/N"


@experiment(
    Card(
        name="sherrington-kirkpatrick",
        title="The ground state of a spin glass",
        topic="annealing",
        lecture="B",
        systems=("B5", "D5"),
        idea=(
            "In the Sherrington-Kirkpatrick glass every unit acts on every other with a random coupling. Its "
            "ground-state energy is known in the limit of many units: Parisi's formula, here computed with "
            "rising numbers of steps of replica-symmetry breaking. Annealing finds the ground states of many "
            "random instances; their mean is compared with the formula and its known correction for finite "
            "size, and extrapolated. Tempered copies measure the energy at temperatures around the glass "
            "transition, and check themselves: by an exact relation the energy must follow from the overlap "
            "of two copies, which holds only in equilibrium."
        ),
        equations=(
            ("Energy", r"E = - \sum_{i<j} J_{ij} s_i s_j, \quad \langle J_{ij}^2 \rangle = 1/N"),
            ("Finite size", r"e_0(N) = -0.76317 + 0.70 \, N^{-2/3}"),
            ("Above the transition", r"e = -\frac{1}{2T} \left( 1 - \frac{1}{N (1 - T^{-2})} \right)"),
            ("By parts", r"e = -\frac{1}{2T} \frac{N-1}{N} (1 - q_l)"),
        ),
        sources=(
            "sherringtonkirkpatrick1975",
            "parisi1980",
            "auffingerchen2017",
            "boettcher2005",
            "hukushimanemoto1996",
        ),
        caption=(
            "Left: ground-state energy per unit against N to the power -2/3; line: Parisi's value with its "
            "correction, short lines: replica symmetry and one step of its breaking, points: annealing. "
            "Right: energy against temperature, measured and computed from the overlap of two copies; line: "
            "the paramagnet."
        ),
    ),
    full={
        "sizes": (32, 64, 128),
        "n_instances": 500,
        "n_reads": 16,
        "n_sweeps": 800,
        "n_tempered": 200,
        "n_units": 64,
        "n_steps": 4000,
    },
)
class SherringtonKirkpatrick:
    """Ground-state energies against size, and energies against temperature."""

    sizes: tuple[int, ...] = parameter((16, 32, 64), doc="numbers of units N, rising", low=8, high=1023)
    n_instances: int = parameter(300, doc="instances of each size, the independent samples", low=20)
    couplings: str = parameter("signs", doc="law of the couplings", choices=("gaussian", "signs"))
    n_reads: int = parameter(6, doc="reads of each instance", low=2)
    n_sweeps: int = parameter(120, doc="sweeps of each read", unit="sweeps", low=20)
    n_units: int = parameter(32, doc="units of the tempered glasses", low=8)
    temperatures: tuple[float, ...] = parameter(
        (2.0, 1.5, 1.1, 0.8, 0.6), doc="temperatures, falling", low=0.2
    )
    n_tempered: int = parameter(150, doc="tempered instances", low=20)
    n_steps: int = parameter(400, doc="sweeps of the tempered copies, the first half not counted", low=40)

    def check(self) -> None:
        """Sizes rise; temperatures fall from the paramagnet."""
        require(all(np.diff(self.sizes) > 0) and len(self.sizes) >= 2, "sizes", "rise", self.sizes)
        require(all(np.diff(self.temperatures) < 0), "temperatures", "fall", self.temperatures)
        least = 1 + self.n_units ** (-1 / 3)
        require(self.temperatures[0] > least, "temperatures", f"begin above {least:.3g}", self.temperatures)
        require(self.n_steps % 20 == 0, "n_steps", "be a multiple of 20", self.n_steps)

    def predict(self) -> xr.Dataset:
        """Parisi's formula, its correction, the paramagnet."""
        sizes, ladder = np.array(self.sizes), np.array(self.temperatures)
        energy, error = finite_size_energy(sizes)
        warm = 1 + self.n_units ** (-1 / 3)
        hot = ladder[ladder > warm]
        order = 1 / (self.n_units * (1 - hot**-2.0))
        fine = np.linspace(1.001 * warm, 1.05 * ladder[0], 40)
        broken = [ground_state(k).energy for k in range(3)]
        attributes = {"long_name": "energy per unit", "units": "1"}
        return xr.Dataset(
            {
                **predicted_variable(
                    "ground_predicted",
                    Prediction(energy, error, _FIT),
                    ("size",),
                    long_name="ground-state energy",
                ),
                **predicted_variable(
                    "limit_predicted",
                    Prediction(PARISI_ENERGY, float(error.max()), _FIT),
                    long_name="ground-state energy of the limit",
                ),
                "broken": ("step", broken, {"long_name": "bound on the ground-state energy", "units": "1"}),
                **predicted_variable(
                    "hot_predicted",
                    Prediction(
                        paramagnet_energy(hot, self.n_units),
                        2 * order**2 / hot,
                        "terms of order 1/N^2",
                    ),
                    ("hot",),
                    long_name="energy of the paramagnet",
                ),
                "line": ("fine", paramagnet_energy(fine, self.n_units), attributes),
            },
            coords={
                "size": ("size", sizes, {"long_name": "units N", "units": "1"}),
                "step": ("step", np.arange(3), {"long_name": "steps of symmetry breaking", "units": "1"}),
                "hot": ("hot", hot, {"long_name": "temperature T", "units": "1"}),
                "fine": ("fine", fine, {"long_name": "temperature T", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Annealing at every size; tempered copies at every temperature."""
        key_tempered, *keys = jax.random.split(key, len(self.sizes) + 1)
        schedule = cooling("geometric", 2.0, 0.1, self.n_sweeps)
        energies, agreement = [], []
        for one, size in zip(keys, self.sizes, strict=True):
            units = jnp.asarray(float(size))
            glass = AnnealedGlass(schedule, units, self.sizes[-1], self.n_reads, self.couplings)
            made = run(
                glass.process(),
                one,
                0.0,
                self.n_sweeps,
                observe=glass.best,
                every=self.n_sweeps,
                replicas=self.n_instances,
                label=f"{size} units",
            )
            best = np.asarray(made.values, np.float64)[:, -1]
            energies.append(estimate(best.min(1)))
            agreement.append(np.mean(best <= best.min(1, keepdims=True) + 1e-5))
        glass = TemperedGlass(self.temperatures, self.n_units)
        made = run(
            glass.process(),
            key_tempered,
            0.0,
            self.n_steps,
            observe=glass.energy_and_overlap,
            every=10,
            replicas=self.n_tempered,
            label="tempering",
        )
        seen = np.asarray(made.values, np.float64)
        kept = seen[:, made.times > self.n_steps // 2].mean(1)
        by_parts = np.stack(
            [energy_from_overlap(kept[:, 1, k], t, self.n_units) for k, t in enumerate(self.temperatures)],
            1,
        )
        ground = Estimate([e.mean for e in energies], [e.standard_error for e in energies], self.n_instances)
        return xr.Dataset(
            {
                **measured_variables("ground", ground, ("size",), long_name="best energy per unit"),
                "agreement": (
                    "size",
                    agreement,
                    {"long_name": "share of reads that reached the best energy", "units": "1"},
                ),
                **measured_variables(
                    "limit", _extrapolated(self.sizes, ground), long_name="extrapolated energy"
                ),
                **measured_variables(
                    "energy", estimate(kept[:, 0]), ("temperature",), long_name="energy per unit"
                ),
                **measured_variables(
                    "by_parts", estimate(by_parts), ("temperature",), long_name="energy from the overlap"
                ),
                **measured_variables(
                    "gap",
                    estimate(kept[:, 0] - by_parts),
                    ("temperature",),
                    long_name="energy minus that from the overlap",
                ),
            },
            coords={
                "temperature": (
                    "temperature",
                    list(self.temperatures),
                    {"long_name": "temperature T", "units": "1"},
                )
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Ground states at every size and in the limit; bounds; the paramagnet; the relation by parts."""
        made = []
        for size in record["size"].values:
            at = record.sel(size=size)
            made.append(
                compare(
                    read_predicted(at, "ground_predicted"),
                    read_measured(at, "ground"),
                    statement=f"N = {size}: mean ground-state energy per unit.",
                    system="D5",
                    # Less than the correction itself.
                    resolution=0.6 * size ** (-2 / 3),
                )
            )
        symmetric, one_step = (float(record["broken"].values[k]) for k in (0, 1))
        made.append(
            compare(
                read_predicted(record, "limit_predicted"),
                read_measured(record, "limit"),
                statement="Extrapolated to many units: Parisi's energy.",
                system="D5",
                resolution=PARISI_ENERGY - symmetric,
            )
        )
        made.append(
            at_least(
                one_step,
                read_measured(record, "ground")[record.sizes["size"] - 1],
                statement=f"N = {record['size'].values[-1]}: no lower than one step of breaking allows.",
                system="D5",
                reason="a lower bound for many units; finite size raises the energy",
            )
        )
        for temperature in record["hot"].values:
            made.append(
                compare(
                    read_predicted(record.sel(hot=temperature), "hot_predicted"),
                    read_measured(record.sel(temperature=temperature), "energy"),
                    statement=f"T = {temperature:g}: energy per unit of the paramagnet.",
                    system="B5",
                    resolution=0.03,
                )
            )
        for temperature in record["temperature"].values:
            made.append(
                compare(
                    Prediction(0.0),
                    read_measured(record.sel(temperature=temperature), "gap"),
                    statement=f"T = {temperature:g}: the energy is the one that the overlap gives.",
                    system="B5",
                    resolution=0.1,
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Energy against size; energy against temperature."""
        figure, axes = panels(2)
        left, right = axes[0]
        sizes = record["size"].values
        x = sizes ** (-2 / 3)
        line = np.linspace(0, 1.1 * x.max(), 30)
        slope = float((record["ground_predicted"].values[0] - PARISI_ENERGY) / x[0])
        theory(left, line, PARISI_ENERGY + slope * line, label="Parisi, finite size")
        shown = read_measured(record, "ground")
        simulation(left, x, shown.mean, shown.standard_error, 1, label="annealing")
        for step, words in ((0, "replica symmetry"), (1, "one step")):
            level = float(record["broken"].values[step])
            left.plot([0, 0.25 * x.max()], [level, level], color="0.4", linestyle=":")
            left.annotate(words, (0.27 * x.max(), level), fontsize=8, va="center", color="0.3")
        left.set(xlabel="$N^{-2/3}$", ylabel="ground-state energy per unit", xlim=(0, None))
        left.legend(frameon=False, fontsize=8, loc="upper left")
        ladder = record["temperature"].values
        theory(right, record["fine"], record["line"], label=f"paramagnet, N = {self.n_units}")
        for index, (name, label) in enumerate((("energy", "energy"), ("by_parts", "from the overlap")), 1):
            shown = read_measured(record, name)
            simulation(right, ladder, shown.mean, shown.standard_error, index, label=label)
        right.set(xlabel="temperature T", ylabel="energy per unit")
        right.legend(frameon=False, fontsize=8)
        return figure


def _extrapolated(sizes: Sequence[int], ground: Estimate) -> Estimate:
    """The intercept of a straight line in N^(-2/3), with weights."""
    design = np.stack([np.ones(len(sizes)), np.asarray(sizes, float) ** (-2 / 3)], 1)
    weighted = design / ground.standard_error[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    found = covariance @ weighted.T @ (ground.mean / ground.standard_error)
    return Estimate(found[0], np.sqrt(covariance[0, 0]), ground.n)
