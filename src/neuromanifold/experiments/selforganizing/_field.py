"""Bumps of a neural field: which widths of excitation last, and how fast others leave them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure
from scipy.special import erf

from neuromanifold._base import require
from neuromanifold.dynamics import solve
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.selforganizing import NeuralField
from neuromanifold.theory.selforganizing import Bump, bump_widths


@experiment(
    Card(
        name="neural-field",
        title="Bumps of excitation in a neural field",
        topic="selforganizing",
        lecture="A",
        systems=("A5",),
        idea=(
            "Positions on a line excite their neighbours and inhibit those further off. An interval of "
            "excitation can hold itself up without any input if its width a makes the integral of the kernel "
            "over it equal to minus the resting level; it is stable if the kernel is negative at a. There "
            "are two such widths: excitation narrower than the first dies, all other grows or shrinks to the "
            "second. The field is simulated from starts of many widths, without knowledge of either."
        ),
        equations=(
            ("Field", r"\dot u(x) = -u(x) + \int K(x - y) \, 1(u(y)) \, dy + h"),
            ("Kernel", r"K(x) = A e^{-x^2/2} - B e^{-x^2/(2 s^2)}"),
            ("Widths", r"W(a) = \int_0^a K = -h, \quad \text{stable} \Leftrightarrow K(a) < 0"),
        ),
        sources=("amari1977fields",),
        caption=(
            "Left: W(a) + h against the width; zeros with a falling slope are stable. Middle: width of the "
            "excitation in time from starts of many widths; lines: widths of the theory, dotted: unstable. "
            "Right: the field that is left; line: theory, points: simulation."
        ),
    ),
    full={
        "n_units": 8000,
        "starts": (0.1, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.6, 0.8, 1.2, 2.0, 3.0, 4.0, 6.0),
    },
)
class NeuralFieldBumps:
    """Widths of bumps and their stability."""

    excitation: float = parameter(3.0, doc="height A of the excitatory part, of width 1", low=0.5, high=20.0)
    inhibition: float = parameter(1.5, doc="height B of the inhibitory part", low=0.1, high=10.0)
    spread: float = parameter(2.0, doc="width s of the inhibitory part", low=1.2, high=4.0)
    resting: float = parameter(-0.5, doc="resting level h", low=-3.0, high=-0.05)
    length: float = parameter(20.0, doc="length of the ring", low=16.0)
    n_units: int = parameter(2000, doc="positions", low=200)
    starts: tuple[float, ...] = parameter(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 1.2, 2.0, 4.0, 6.0), doc="widths of the starts, ascending", low=0.05
    )
    duration: float = parameter(30.0, doc="time", unit="time constants", low=10.0)
    dt: float = parameter(
        0.05, doc="length of a step", unit="time constants", low=0.0, open_low=True, high=0.2
    )

    def check(self) -> None:
        """Starts ascend and fit on the ring; there are two widths."""
        require(all(np.diff(self.starts) > 0), "starts", "ascend", self.starts)
        require(self.starts[-1] < self.length / 2, "starts", "be below half the length", self.starts)
        require(len(self._bumps()) == 2, "resting", "leave two widths of bumps", self.resting)

    def _kernel(self, x: float) -> float:
        narrow, wide = math.exp(-(x**2) / 2), math.exp(-(x**2) / (2 * self.spread**2))
        return self.excitation * narrow - self.inhibition * wide

    def _bumps(self) -> list[Bump]:
        return bump_widths(self._kernel, self.resting, self.length / 2, 400)

    def predict(self) -> xr.Dataset:
        """The widths, W, and the field at rest."""
        unstable, stable = self._bumps()
        spacing = self.length / self.n_units
        fine = np.linspace(0, self.length / 2, 400)
        root = math.sqrt(math.pi / 2)

        def area(a: Any) -> Any:
            wide = self.inhibition * self.spread * root * erf(a / (self.spread * math.sqrt(2)))
            return self.excitation * root * erf(a / math.sqrt(2)) - wide

        place = np.linspace(-self.length / 4, self.length / 4, 201)
        a = stable.width
        shape = area(place + a / 2) - area(place - a / 2) + self.resting
        return xr.Dataset(
            {
                **predicted_variable(
                    "width_expected",
                    Prediction(a, 2 * spacing, "positions on a grid, at both edges"),
                    long_name="stable width",
                ),
                "unstable_width": ((), unstable.width, {"long_name": "unstable width", "units": "1"}),
                "excess_line": ("fine", area(fine) + self.resting, {"long_name": "W(a) + h", "units": "1"}),
                "field_line": ("place", shape, {"long_name": "potential u", "units": "1"}),
                **predicted_variable(
                    "peak_expected",
                    Prediction(2 * area(a / 2) + self.resting, 2 * spacing * self.excitation, "the grid"),
                    long_name="potential in the middle",
                ),
            },
            {
                "fine": ("fine", fine, {"long_name": "width a", "units": "1"}),
                "place": ("place", place, {"long_name": "position x", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """The field from starts of all widths."""
        del key, run
        field = NeuralField(
            _Hat(self.excitation, self.inhibition, self.spread), self.resting, self.length, self.n_units
        )
        begin = jnp.stack([field.excited(width) for width in self.starts])
        times = np.linspace(0, self.duration, 61)
        path = solve(field.flow(), begin, times, solver=diffrax.Euler(), dt=self.dt).states
        widths = field.width(path).T
        last = np.asarray(path[-1, -1], np.float64)
        return xr.Dataset(
            {
                **measured_variables(
                    "width", Estimate(widths[:, -1], 0.0, 1), ("start",), long_name="width in the end"
                ),
                **measured_variables(
                    "peak", Estimate(path[-1].max(-1), 0.0, 1), ("start",), long_name="largest potential"
                ),
                "course": (("start", "time"), widths, {"long_name": "width", "units": "1"}),
                "field": ("position", last, {"long_name": "potential u", "units": "1"}),
            },
            {
                "start": ("start", list(self.starts), {"long_name": "width of the start", "units": "1"}),
                "time": ("time", times, {"long_name": "time", "units": "time constants"}),
                "position": (
                    "position",
                    field.positions + field.spacing / 2,
                    {"long_name": "position x", "units": "1"},
                ),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Narrow starts die, all others end at the stable width; how high the field is there."""
        made = []
        width, peak = read_measured(record, "width"), read_measured(record, "peak")
        # A start of potential 1 fades while it narrows or widens: near the unstable width it may do either.
        unstable = float(record["unstable_width"])
        for index, start in enumerate(record["start"].values):
            if abs(start - unstable) < 0.12 * unstable:
                continue
            if start < unstable:
                words = f"start of width {start:g}, below the unstable one: the excitation dies."
                made.append(at_most(0.0, width[index], statement=words, system="A5", sigmas=0))
                continue
            for name, measured, what, resolution in (
                ("width_expected", width, "width", 0.2),
                ("peak_expected", peak, "potential in the middle", 0.2),
            ):
                made.append(
                    compare(
                        read_predicted(record, name),
                        measured[index],
                        statement=f"start of width {start:g}: {what} in the end.",
                        system="A5",
                        resolution=resolution,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """W(a) + h, widths in time, the field."""
        figure, axes = panels(3, width=4.3)
        left, middle, right = axes[0]
        theory(left, record["fine"], record["excess_line"], label="W(a) + h")
        left.axhline(0, color="0.5", linewidth=0.8)
        stable, unstable = float(record["width_expected"]), float(record["unstable_width"])
        left.plot([stable], [0], "o", color="#D55E00", label="stable")
        left.plot([unstable], [0], "o", markerfacecolor="white", color="#D55E00", label="unstable")
        left.set(xlabel="width a", ylabel="W(a) + h", xlim=(0, 6))
        left.legend(frameon=False)
        for course in record["course"].values:
            middle.plot(record["time"], course, color="0.35", linewidth=1)
        theory(middle, [0, self.duration], [stable] * 2, 1, linestyle="-", label="theory, stable")
        theory(middle, [0, self.duration], [unstable] * 2, 1, linestyle=":", label="theory, unstable")
        middle.set(xlabel="time (time constants)", ylabel="width of the excitation", xlim=(0, 12))
        middle.legend(frameon=False, loc="upper right")
        theory(right, record["place"], record["field_line"], label="theory")
        every = max(1, record.sizes["position"] // 100)
        shown = np.abs(record["position"].values[::every]) < self.length / 4
        simulation(
            right,
            record["position"].values[::every][shown],
            record["field"].values[::every][shown],
            np.zeros(shown.sum()),
            1,
            label="simulation",
        )
        right.axhline(0, color="0.5", linewidth=0.8)
        right.set(xlabel="position x", ylabel="potential u(x)")
        right.legend(frameon=False)
        return figure


@dataclasses.dataclass(frozen=True)
class _Hat:
    """The kernel for arrays of JAX."""

    excitation: float
    inhibition: float
    spread: float

    def __call__(self, x: Array) -> Array:
        narrow, wide = jnp.exp(-(x**2) / 2), jnp.exp(-(x**2) / (2 * self.spread**2))
        return self.excitation * narrow - self.inhibition * wide
