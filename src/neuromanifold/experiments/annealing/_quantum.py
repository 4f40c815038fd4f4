"""Quantum annealing of a few spins, and the crossing of two levels, by Schroedinger's equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.theory.energy import (
    crossing,
    landau_zener,
    minimal_gap,
    quantum_anneal,
    slow_loss,
    spin_energies,
    success_probability,
)

_CUT = "the finite length of the crossing, and the solver"


@experiment(
    Card(
        name="quantum-annealing",
        title="Quantum annealing: fast crossings fail, slow ones lose 1/T²",
        topic="annealing",
        lecture="B",
        systems=("B5",),
        idea=(
            "A quantum annealer starts in the ground state of a transverse field and turns the field into "
            "the energy to be minimised. Two levels that come close to each other are jumped over with the "
            "probability of Landau and Zener; it is compared with Schroedinger's equation of a crossing of "
            "finite length, read in two ways: on the levels without coupling, where the answer rings, and on "
            "the true levels, where it has almost converged. Then a random problem of a few spins is "
            "annealed exactly. Started and stopped at once, it finds the ground state as a guess does; "
            "slow enough, it fails with a probability of order 1/T² whose limits come from the two ends of "
            "the path alone."
        ),
        equations=(
            (
                "Crossing",
                r"H = \frac{1}{2} v t Z + \frac{1}{2} \Delta X, \quad P = e^{-\pi \Delta^2 / (2 v)}",
            ),
            ("Annealing", r"H(s) = -(1 - s) \sum_i X_i + s H_P, \quad s = t/T"),
            ("Slow", r"(|a| - |b|)^2 \le T^2 (1 - P) \le (|a| + |b|)^2, \quad T \to \infty"),
        ),
        sources=("kadowakinishimori1998", "zener1932", "moritanishimori2008"),
        caption=(
            "Left: probability to stay on the diabatic level against the rate; line: Landau and Zener, "
            "points: Schroedinger's equation, read on true levels and on those without coupling. Right: "
            "probability to miss the ground state against the duration; lines: a guess, and the limits of "
            "slow annealing."
        ),
    ),
    full={"rates": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0), "n_spins": 8, "instance": 18},
)
class QuantumAnnealing:
    """Landau-Zener crossings and exact quantum annealing."""

    gap: float = parameter(1.0, doc="gap Delta of the crossing", unit="energy", low=0.0, open_low=True)
    rates: tuple[float, ...] = parameter(
        (0.5, 1.0, 2.0), doc="rates v of the crossing, rising", unit="energy^2", low=0.05
    )
    half_time: float = parameter(
        200.0, doc="the crossing lasts from minus this to this", unit="1/energy", low=100.0
    )
    n_spins: int = parameter(4, doc="spins that are annealed", low=2, high=8)
    instance: int = parameter(4, doc="number of the random problem", low=0)
    durations: tuple[float, ...] = parameter(
        (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0),
        doc="durations T of annealing, rising",
        unit="1/energy",
        low=0.1,
    )
    n_slow: int = parameter(3, doc="longest durations that are compared with the limits", low=1)

    def check(self) -> None:
        """Rates and durations rise."""
        require(all(np.diff(self.rates) > 0), "rates", "rise", self.rates)
        require(all(np.diff(self.durations) > 0), "durations", "rise", self.durations)
        require(self.n_slow < len(self.durations), "n_slow", "leave some durations", self.n_slow)

    def _problem(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(self.instance)
        upper = np.triu(random.normal(size=(self.n_spins, self.n_spins)), 1)
        return upper + upper.T, random.normal(size=self.n_spins)

    def predict(self) -> xr.Dataset:
        """Landau and Zener with the size of the ringing; limits of fast and slow annealing."""
        rates, far = np.array(self.rates), self.half_time
        limit = landau_zener(self.gap, rates)
        # Both ends mix the levels, by an angle of the order of the gap over the splitting there on diabatic
        # levels, by rate times gap over twice its cube on adiabatic ones.
        swing = 2 * np.sqrt(limit * (1 - limit))
        mixed = self.gap / (rates * far)
        splitting = np.hypot(rates * far, self.gap)
        bounds = slow_loss(*self._problem())
        gap, place = minimal_gap(spin_energies(*self._problem()))
        fine = np.geomspace(0.6 * rates[0], 1.6 * rates[-1], 60)
        return xr.Dataset(
            {
                **predicted_variable(
                    "diabatic_predicted",
                    Prediction(limit, swing * mixed + mixed**2, _CUT),
                    ("rate",),
                    long_name="probability to stay on the diabatic level",
                ),
                **predicted_variable(
                    "adiabatic_predicted",
                    Prediction(limit, swing * self.gap * rates / splitting**3 + 1e-5, _CUT),
                    ("rate",),
                    long_name="probability to stay on the diabatic level",
                ),
                "line": (
                    "fine",
                    landau_zener(self.gap, fine),
                    {"long_name": "probability to stay on the diabatic level", "units": "1"},
                ),
                "guess": ((), 0.5**self.n_spins, {"long_name": "probability of a guess", "units": "1"}),
                "least": ((), bounds.least, {"long_name": "least T^2 (1 - P)", "units": "1/energy^2"}),
                "most": ((), bounds.most, {"long_name": "most T^2 (1 - P)", "units": "1/energy^2"}),
                "smallest_gap": ((), gap, {"long_name": "smallest gap along the path", "units": "energy"}),
                "gap_place": ((), place, {"long_name": "where the gap is smallest", "units": "1"}),
            },
            coords={
                "rate": ("rate", rates, {"long_name": "rate v", "units": "energy^2"}),
                "fine": ("fine", fine, {"long_name": "rate v", "units": "energy^2"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Schroedinger's equation, which has neither noise nor steps."""
        del key, run
        passed = crossing(self.gap, np.array(self.rates), self.half_time)
        levels = spin_energies(*self._problem())
        durations = np.array([1e-3, *self.durations])
        loss = 1 - success_probability(levels, quantum_anneal(levels, durations, rtol=1e-10))
        long_name = "probability to stay on the diabatic level"
        return xr.Dataset(
            {
                **measured_variables(
                    "diabatic", Estimate(passed.diabatic, 0.0, 1), ("rate",), long_name=long_name
                ),
                **measured_variables(
                    "adiabatic", Estimate(passed.adiabatic, 0.0, 1), ("rate",), long_name=long_name
                ),
                **measured_variables(
                    "loss",
                    Estimate(loss[1:], 0.0, 1),
                    ("duration",),
                    long_name="probability to miss the ground state",
                ),
                **measured_variables(
                    "sudden_loss", Estimate(loss[0], 0.0, 1), long_name="loss of a sudden annealing"
                ),
            },
            coords={
                "duration": ("duration", durations[1:], {"long_name": "duration T", "units": "1/energy"})
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Landau and Zener both ways; a guess; the limits of slow annealing; this problem's rise."""
        made = []
        for rate in record["rate"].values:
            at = record.sel(rate=rate)
            for name, words in (("adiabatic", "true levels"), ("diabatic", "levels without coupling")):
                made.append(
                    compare(
                        read_predicted(at, f"{name}_predicted"),
                        read_measured(at, name),
                        statement=f"v = {rate:g}, read on {words}: probability of the diabatic level.",
                        system="B5",
                        resolution=0.001 if name == "adiabatic" else 0.02,
                    )
                )
        made.append(
            compare(
                Prediction(1 - float(record["guess"]), 1e-4, "the duration, which is not zero"),
                read_measured(record, "sudden_loss"),
                statement="Annealing that is over at once misses the ground state as a guess does.",
                system="B5",
                resolution=0.01,
            )
        )
        scaled = record["duration"].values ** 2 * record["loss"].values
        for index in range(record.sizes["duration"] - self.n_slow, record.sizes["duration"]):
            words = f"T = {record['duration'].values[index]:g}: T^2 times the probability to miss"
            size = Estimate(scaled[index], 0.0, 1)
            made.append(
                at_least(
                    0.97 * float(record["least"]),
                    size,
                    statement=f"{words} is above what the two ends can cancel.",
                    system="B5",
                    sigmas=0.0,
                    reason="the limit of large T, 3 % for terms of higher order",
                )
            )
            made.append(
                at_most(
                    1.03 * float(record["most"]),
                    size,
                    statement=f"{words} is below what the two ends can add.",
                    system="B5",
                    sigmas=0.0,
                    reason="the limit of large T, 3 % for terms of higher order",
                )
            )
        made.append(
            at_most(
                0.0,
                Estimate(float(_falls(record)), 0.0, 1),
                statement="Of this problem, ten times the duration never lowers the success.",
                system="B5",
                sigmas=0.0,
                reason="all such pairs of durations",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Crossings against the rate; what annealing misses against the duration."""
        figure, axes = panels(2)
        left, right = axes[0]
        theory(left, record["fine"], record["line"], label="Landau and Zener")
        for index, (name, label) in enumerate(
            (("adiabatic", "true levels"), ("diabatic", "levels without coupling")), 1
        ):
            simulation(left, record["rate"], record[name], np.zeros(record.sizes["rate"]), index, label=label)
        left.set(xscale="log", xlabel="rate v (energy²)", ylabel="probability to stay on the diabatic level")
        left.set_xticks(record["rate"].values, [f"{v:g}" for v in record["rate"].values])
        left.minorticks_off()
        left.legend(frameon=False, fontsize=8)
        durations = record["duration"].values
        simulation(right, durations, record["loss"], np.zeros(durations.size), 1, label="exact annealing")
        slow = durations[durations >= durations[-1] / 30]
        for name, index in (("most", 0), ("least", 2)):
            words = {"most": "most", "least": "least"}[name]
            theory(right, slow, float(record[name]) / slow**2, index, label=f"slow: {words}")
        right.axhline(1 - float(record["guess"]), color="0.5", linestyle=":", label="a guess")
        right.set(xscale="log", yscale="log", xlabel="duration T (1/energy)")
        right.set_ylabel("probability to miss the ground state")
        right.legend(frameon=False, fontsize=8)
        return figure


def _falls(record: xr.Dataset) -> int:
    """Pairs of durations, one at least ten times the other, of which the longer misses more often."""
    durations, loss = record["duration"].values, record["loss"].values
    longer = durations[:, None] >= 10 * durations[None, :]
    return int(np.sum(longer & (loss[:, None] > loss[None, :])))
