"""A random function on a sphere: saddles at every height, minima only near the bottom."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    estimate,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.random import PSpin
from neuromanifold.theory.landscape import ground_state_energy, index_at_energy, threshold_energy

_ORDER = 3
# Step of a descent; the largest curvature that it meets is about 10.
_RATE = 0.1
# Steps in which a descent goes most of the way, and after how many of them a walk to a critical point begins.
_EARLY, _EVERY = 12, 2
# Gradient, over sqrt(N), below which a point counts as critical.
_SMALL = 1e-3
# The same for a descent that has ended: rounding. Near a saddle it pauses with more, for it is on its way.
_AT_REST = 2e-5
_BINS = (-1.5, -1.1, -0.8, -0.5, -0.2, 0.1)


@experiment(
    Card(
        name="spherical-glass",
        title="Minima gather near the bottom of a random landscape",
        topic="landscape",
        lecture="A",
        systems=("A11",),
        idea=(
            "A cubic form with random coefficients on a high-dimensional sphere is a landscape whose "
            "critical points can be counted by theory: high up they are saddles, the share of directions "
            "that lead down falls with the height by a law, and below a threshold, close to the ground "
            "state, only minima are left. Here critical points of all heights are looked for by Newton's "
            "method, begun along a descent, and the ways down from each are counted. Descents themselves end "
            "in minima a little above the threshold at these sizes, in a band that narrows as the dimension "
            "grows."
        ),
        equations=(
            (
                "Landscape",
                r"H(x) = \frac{1}{N} \sum_{ijk} J_{ijk} x_i x_j x_k, \quad \lvert x \rvert^2 = N",
            ),
            (
                "Share of ways down",
                r"\alpha = \frac{1}{2} + \frac{1}{\pi} \left( y \sqrt{1 - y^2} + \arcsin y \right), "
                r"\quad y = \frac{H / N}{\epsilon_{\mathrm{th}}}",
            ),
            ("Threshold", r"\epsilon_{\mathrm{th}} = 2 \sqrt{\frac{p - 1}{p}} = 1.633"),
            ("Ground state", r"\Theta(\epsilon_0) = 0, \quad \epsilon_0 = -1.657"),
        ),
        sources=("crisantisommers1995", "braydean2007", "auffingerbenarouscerny2013"),
        caption=(
            "Left: share of directions that lead down at critical points against their energy a unit; the "
            "line is the theory for large N. Right: energies where descents end against the dimension, mean "
            "and spread over landscapes, between the ground state and zero; dashed the threshold."
        ),
    ),
    full={"sizes": (40, 80, 160), "n_landscapes": (400, 200, 60), "n_steps": 8000},
)
class SphericalGlass:
    """Critical points at all heights and ends of descents in several dimensions."""

    sizes: tuple[int, ...] = parameter((12, 48), doc="dimensions N, rising", low=8, high=300)
    n_landscapes: tuple[int, ...] = parameter((200, 40), doc="landscapes of each dimension", low=5)
    n_steps: int = parameter(1500, doc="steps of a descent, of rate 0.1", unit="steps", low=100)
    n_newton: int = parameter(30, doc="Newton steps to a critical point", unit="steps", low=5)

    def check(self) -> None:
        """A number of landscapes for every dimension."""
        fits = len(self.sizes) == len(self.n_landscapes) and len(self.sizes) >= 2
        require(fits, "n_landscapes", "be as many as sizes, at least two", self.n_landscapes)
        require(np.all(np.diff(self.sizes) > 0), "sizes", "rise", self.sizes)

    def predict(self) -> xr.Dataset:
        """Index against energy; threshold and ground state."""
        energy = np.linspace(-1.75, 0.5, 226)
        return xr.Dataset(
            {
                "index_expected": (
                    "energy",
                    index_at_energy(energy, _ORDER),
                    {"long_name": "share of directions that lead down", "units": "1"},
                ),
                **predicted_variable(
                    "threshold",
                    Prediction(-threshold_energy(_ORDER)),
                    long_name="threshold energy a unit",
                ),
                **predicted_variable(
                    "ground",
                    Prediction(ground_state_energy(_ORDER)),
                    long_name="energy of the ground state a unit",
                ),
            },
            coords={"energy": ("energy", energy, {"long_name": "energy a unit", "units": "1"})},
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Descents in every dimension; walks to critical points in the largest."""
        paths = [
            self._descend(jax.random.fold_in(key, number), number, run) for number in range(len(self.sizes))
        ]
        # Energy, gradient, smallest eigenvalue, share of negative ones, of descents that have ended.
        ended = [[part[end[1] < _AT_REST] for part in end] for _, _, end in paths]
        ends = [estimate(energy) for energy, *_ in ended]
        spreads = [_spread(energy) for energy, *_ in ended]
        many, early, _ = paths[-1]
        found = run(
            Process(_as_is, _Newton(many).step),
            jax.random.fold_in(key, len(self.sizes)),
            early,
            self.n_newton,
            label="critical points",
        ).state
        points = [many.measure(each) for each in found]
        height, gradient, _, down = (np.concatenate(part) for part in zip(*points, strict=True))
        kept = gradient < _SMALL
        return xr.Dataset(
            {
                **measured_variables(
                    "end",
                    Estimate(
                        [e.mean for e in ends], [e.standard_error for e in ends], min(self.n_landscapes)
                    ),
                    ("size",),
                    long_name="energy a unit where descents end",
                ),
                **measured_variables(
                    "spread",
                    Estimate(
                        [e.mean for e in spreads], [e.standard_error for e in spreads], min(self.n_landscapes)
                    ),
                    ("size",),
                    long_name="spread of these energies over landscapes",
                ),
                "lowest": (
                    "descent",
                    np.concatenate([values for _, _, values, _ in ended]),
                    {"long_name": "smallest eigenvalue of the Hessian where a descent ends", "units": "1"},
                ),
                "ended": (
                    "size",
                    [len(one[0]) / count for one, count in zip(ended, self.n_landscapes, strict=True)],
                    {"long_name": "share of descents that have ended", "units": "1"},
                ),
                "height": ("point", height[kept], {"long_name": "energy of a critical point", "units": "1"}),
                "down": (
                    "point",
                    down[kept],
                    {"long_name": "share of directions that lead down", "units": "1"},
                ),
            },
            coords={"size": ("size", list(self.sizes), {"long_name": "dimension N", "units": "1"})},
        )

    def _descend(
        self, key: Key[Array, ""], number: int, run: Callable[..., Any]
    ) -> tuple[_Landscapes, np.ndarray, tuple[np.ndarray, ...]]:
        """Landscapes of a dimension, points on the way down, and what is measured at the end of it."""
        n, count = self.sizes[number], self.n_landscapes[number]
        key_here, key_start = jax.random.split(key)
        many = _Landscapes.draw(key_here, n, count)
        down = Process(_as_is, _Descent(many).step)
        begin = many.start(jax.random.split(key_start, count))
        early = run(
            down, key_start, begin, _EARLY, observe=_state, every=_EVERY, label=f"N = {n}, first steps"
        )
        late = run(down, key_start, early.state, self.n_steps, label=f"N = {n}")
        return many, early.values, many.measure(late.state)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Index against energy; ends are minima, in the band, which narrows."""
        made = []
        height, down = record["height"].values, record["down"].values
        expected = np.interp(height, record["energy"], record["index_expected"])
        n = int(record["size"].values[-1])
        for low, high in itertools.pairwise(_BINS):
            here = (height >= low) & (height < high)
            if here.sum() < 4:
                continue
            made.append(
                compare(
                    Prediction(expected[here].mean(), 1.0 / n, "terms of order 1/N"),
                    estimate(down[here] - expected[here] + expected[here].mean()),
                    statement=f"Critical points of energy {low:g} to {high:g} a unit: share of ways down.",
                    system="A11",
                    resolution=0.08,
                )
            )
        lowest = record["lowest"].values
        made.append(
            never(
                int((lowest < 0).sum()),
                len(lowest),
                statement="No descent ends where a direction leads down.",
                system="A11",
                rate=0.1,
            )
        )
        end, spread = read_measured(record, "end"), read_measured(record, "spread")
        last = len(record["size"]) - 1
        words = f"N = {n}: mean energy where descents end"
        made.append(
            at_most(
                -1.4,
                end[last],
                statement=f"{words} is below -1.40.",
                system="A11",
                reason="near the threshold",
            )
        )
        made.append(
            at_least(
                float(record["ground"]) - 0.05,
                end[last],
                statement=f"{words} is not below the ground state.",
                system="A11",
                reason="the ground state of a finite sphere fluctuates by some hundredths",
            )
        )
        narrowing = Estimate(
            float(spread[0].mean - spread[last].mean),
            float(np.hypot(spread[0].standard_error, spread[last].standard_error)),
            spread.n,
        )
        made.append(
            at_least(
                0.0,
                narrowing,
                statement="Ends of descents spread less in the largest dimension than in the smallest.",
                system="A11",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Index against energy; energies against dimension."""
        figure, axes = panels(2)
        left, right = axes[0]
        theory(left, record["energy"], record["index_expected"], 6, label="theory, large N")
        height, down = record["height"].values, record["down"].values
        simulation(
            left, height, down, 0 * down, 0, markersize=3.5, label=f"critical points, N = {self.sizes[-1]}"
        )
        left.axvline(float(record["threshold"]), color="0.5", linestyle="--", linewidth=0.9)
        left.set(xlabel="energy a unit", ylabel="share of directions that lead down", xlim=(-1.75, 0.4))
        left.legend(fontsize="small", loc="upper left")
        end, spread = read_measured(record, "end"), read_measured(record, "spread")
        size = record["size"].values
        right.axhline(float(record["threshold"]), color="0.5", linestyle="--", linewidth=0.9)
        right.axhspan(float(record["ground"]) - 0.2, float(record["ground"]), color="0.85")
        right.text(
            size[0], float(record["ground"]) - 0.03, "below the ground state", fontsize="small", va="top"
        )
        right.text(size[0], float(record["threshold"]) + 0.01, "threshold", fontsize="small")
        simulation(right, size, end.mean, spread.mean, 1, label="ends of descents, mean and spread")
        right.set(xlabel="dimension N", ylabel="energy a unit", xscale="log", ylim=(-1.75, -1.25))
        right.set_xlim(0.8 * size[0], 1.25 * size[-1])
        right.set_xticks(size, [str(n) for n in size])
        right.minorticks_off()
        right.legend(fontsize="small", loc="upper right")
        return figure


class _Landscapes(eqx.Module):
    """Independent landscapes of one dimension, with one point each."""

    landscape: PSpin

    @staticmethod
    def draw(key: Key[Array, ""], n: int, count: int) -> _Landscapes:
        """Random ones."""
        return _Landscapes(jax.vmap(lambda key: PSpin.random(key, n, _ORDER))(jax.random.split(key, count)))

    def start(self, keys: Key[Array, " count"]) -> Float[Array, "count n"]:
        """A random point in each."""
        return jax.vmap(lambda one, key: one.start(key))(self.landscape, keys)

    def measure(self, x: Float[Array, "count n"]) -> tuple[np.ndarray, ...]:
        """Energy a unit, gradient over sqrt(N), smallest eigenvalue of the Hessian, share below 0."""
        n = x.shape[-1]
        height, gradient, hessian = _at(self.landscape, x)
        values = np.linalg.eigvalsh(np.asarray(hessian, np.float64))
        return (
            np.asarray(height, np.float64) / n,
            np.linalg.norm(np.asarray(gradient, np.float64), axis=-1) / np.sqrt(n),
            values[:, 0],
            (values < 0).mean(1),
        )


@jax.jit
@jax.vmap
def _at(landscape: PSpin, x: Array) -> tuple[Array, Array, Array]:
    return landscape.energy(x), landscape.gradient(x), landscape.hessian(x)


class _Descent(eqx.Module):
    """Steps down from one point in each landscape."""

    landscapes: _Landscapes

    def step(self, key: Any, t: Any, x: Float[Array, "count n"]) -> tuple[Array, None]:
        """One step of every point."""
        each = jax.vmap(lambda one, point: one.descent(_RATE).step(key, t, point)[0])
        return each(self.landscapes.landscape, x), None


class _Newton(eqx.Module):
    """Newton's method from several points in each landscape."""

    landscapes: _Landscapes

    def step(self, key: Any, t: Any, x: Float[Array, "points count n"]) -> tuple[Array, Any]:
        """One step of every point; the info is the gradient before it."""

        def one(landscape: PSpin, point: Array) -> tuple[Array, Any]:
            return landscape.newton().step(key, t, point)

        return jax.vmap(jax.vmap(one), (None, 0))(self.landscapes.landscape, x)


def _state(x: Any) -> Any:
    return x


def _as_is(key: Any, x0: Any) -> Any:
    return x0


def _spread(values: np.ndarray) -> Estimate:
    """Standard deviation with its error for a normal law."""
    n = len(values)
    spread = values.std(ddof=1)
    return Estimate(spread, spread / np.sqrt(2 * (n - 1)), n)
