"""A topographic map with modifiable inhibition: waves along it fade, or grow into columns, as theory says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key
from matplotlib.figure import Figure
from scipy.optimize import brentq

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    at_most,
    compare,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.maps._ensemble import (
    extent,
    stored,
    strength,
)
from neuromanifold.networks.selforganizing import (
    HebbPopulation,
    InhibitedNeuron,
    InhibitedWeights,
    Inputs,
    ring_couplings,
    sigmoid,
)
from neuromanifold.theory.selforganizing import (
    band_width,
    hat_kernel,
    learning_kernel,
    ordered_map,
)


@experiment(
    Card(
        name="topographic-columns",
        title="A continuous map of the retina lasts, or breaks into columns",
        topic="maps",
        lecture="D",
        systems=("A5", "A2", "D3"),
        idea=(
            "Cells on a ring see blobs on another ring, excite their neighbours and inhibit those further "
            "off. Afferents learn by Hebb's rule with decay, and so does the inhibition that comes with each "
            "blob. A map on which the excited cells move evenly with the blob is at rest. It lasts if the "
            "band of cells that a blob excites is wider than the reach of excitation, and wider than the "
            "distance over which two blobs resemble each other more than the ratio of inhibition. Stronger "
            "competition makes the band narrower; past the second limit waves along the map, about two bands "
            "long, grow, and it breaks into columns. Growth rates of all waves are predicted by linearising "
            "the macroscopic equation, and measured on cells whose weights are disturbed by noise once."
        ),
        equations=(
            ("Activity", r"\dot{u}_k = -u_k + \sum_l w(x_k - x_l) f(u_l) + s_k \cdot v - b_k"),
            (
                "Learning",
                r"\dot{s}_k = -s_k + c \langle f_k v \rangle, \quad \dot{b}_k = -b_k + c \lambda "
                r"\langle f_k \rangle",
            ),
            ("Map", r"U(x) = \int (w + k)(x - y) f(U(y)) \, dy, \quad k(d) = c \, (v \cdot v'(d) - \lambda)"),
            ("It lasts", r"w(a) < 0 \; \mathrm{and} \; k(a) < 0 \quad (f \; \mathrm{a \; step})"),
            ("Fastest waves", r"q a = \frac{1}{2}"),
        ),
        sources=("takeuchiamari1979", "amaritakeuchi1978"),
        caption=(
            "Left: rate at which waves along the map grow or fade, against their number; where some grow "
            "fast, pairs of them drive the slow ones with short waves. Second: the fastest of them against "
            "the strength of inhibition; dashed: where columns begin if cells have a threshold. Right: "
            "centre of the cells that each blob excites, after learning, at the weakest and the strongest "
            "competition."
        ),
    ),
    full={"n_cells": 96, "n_maps": 12, "competition": (0.6, 1.0, 1.4, 1.8, 2.1, 2.3, 2.6), "n_looks": 50},
)
class TopographicColumns:
    """Waves on maps under weak and strong competition."""

    n_cells: int = parameter(48, doc="cells, inputs, and places of blobs", low=24, high=400)
    excitation: float = strength(0.5, "strength p of excitation")
    excitation_width: float = extent(0.04)
    competition: tuple[float, ...] = parameter(
        (1.0, 1.8, 2.3, 2.6), doc="strengths q of inhibition, ascending", low=0.0
    )
    inhibition_width: float = extent(0.2)
    gain: float = parameter(8.0, doc="gain c of learning", low=0.1)
    ratio: float = parameter(0.3, doc="ratio lambda of modifiable inhibition", low=0.0, high=0.9)
    blob: float = extent(0.06, "width b of a blob", unit="rings", low=0.02, high=0.1)
    softness: float = parameter(0.12, doc="delta of f(u) = 1/(1 + exp(-u/delta))", low=0.01, high=1.0)
    noise: float = parameter(3e-4, doc="noise that is added to the weights", low=1e-6, high=1.0)
    disturbed: int = parameter(6, doc="observation at which it is added", low=1)
    dt: float = parameter(0.25, doc="step of learning", unit="decay times", low=0.01, high=0.5)
    window: tuple[int, ...] = parameter((9, 11), doc="observations between which rates are measured", low=1)
    n_looks: int = parameter(26, doc="observations", low=2)
    every: int = parameter(8, doc="steps of learning between observations", unit="steps", low=1)
    n_waves: int = parameter(8, doc="waves whose rate is followed, from the longest", low=2)
    jump: float = parameter(4.0, doc="a step of activity of so many even ones is a jump", low=1.5)
    n_maps: int = parameter(8, doc="maps at each strength, each with noise of its own", low=3)

    def check(self) -> None:
        """Rates are measured after the disturbance, on strengths that ascend."""
        window = (self.disturbed, *self.window, self.n_looks)
        rule = "be two observations, after the disturbance and not after the last"
        require(
            len(window) == 4 and window[0] < window[1] < window[2] <= window[3], "window", rule, self.window
        )
        most = self.n_cells // 2
        require(self.n_waves <= most, "n_waves", f"be at most {most}, half the cells", self.n_waves)
        rising = all(np.diff(self.competition) > 0) and len(self.competition) >= 2
        require(rising, "competition", "ascend, with two strengths or more", self.competition)

    @property
    def _waves(self) -> np.ndarray:
        return np.arange(1, self.n_waves + 1)

    def _kernels(self, q: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        return (
            hat_kernel(self.excitation, self.excitation_width, q, self.inhibition_width),
            learning_kernel(self.gain, self.ratio, self.blob),
        )

    def _limit(self) -> float:
        """Strength at which k(a) = 0 for cells with a threshold; no number where it is not in reach."""

        def edge(q: float) -> float:
            lateral, learning = self._kernels(q)
            return float(learning(band_width(lateral, learning)))

        low, high = self.competition[0], 1.5 * self.competition[-1]
        try:
            found: Any = brentq(edge, low, high, xtol=1e-4)
        except ValueError:
            return math.nan
        return float(found)

    def predict(self) -> xr.Dataset:
        """Rates of waves on the ordered map, its band, and the criterion with sharp edges."""
        rates, errors, fastest, reach = [], [], [], []
        for q in self.competition:
            lateral, learning = self._kernels(q)
            fine, coarse = (
                ordered_map(lateral, learning, self.softness, self._waves, n_grid=n)
                for n in (2 * self.n_cells, self.n_cells + self.n_cells % 2)
            )
            rates.append(fine.rates)
            errors.append(np.abs(fine.rates - coarse.rates) + 1e-3)
            fastest.append(self._waves[np.argmax(fine.rates)])
            alike = self._waves[fine.rates > 0.9 * fine.rates.max()]
            reach.append(np.abs(alike - fastest[-1]).max() if fine.rates.max() > 0 else 0)
        of, between = ("competition",), np.linspace(self.competition[0], self.competition[-1], 17)
        largest = []
        for q in between:
            largest.append(ordered_map(*self._kernels(q), self.softness, self._waves, n_grid=64).rates.max())
        return xr.Dataset(
            {
                **predicted_variable(
                    "rate_expected",
                    Prediction(np.array(rates), np.array(errors), "cells in place of a continuum"),
                    (*of, "wave"),
                    long_name="rate of a wave",
                    units="1/decay time",
                ),
                **predicted_variable(
                    "waves_expected",
                    Prediction(np.array(fastest, float), np.array(reach, float), "waves almost as fast"),
                    of,
                    long_name="number of the fastest wave",
                ),
                "largest": (
                    "between",
                    largest,
                    {"long_name": "rate of the fastest wave", "units": "1/decay time"},
                ),
                "sharp_limit": ((), self._limit(), {"long_name": "limit of sharp edges", "units": "1"}),
            },
            {
                "competition": (of, list(self.competition), {"long_name": "inhibition q", "units": "1"}),
                "wave": ("wave", self._waves, {"long_name": "waves on the ring", "units": "1"}),
                "between": ("between", between, {"long_name": "inhibition q", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Even maps that learn until they rest and are then disturbed; waves in the places of activity."""
        n = self.n_cells
        apart = np.arange(n)[:, None] / n - np.arange(n)[None] / n
        blobs = np.exp(-((apart - np.rint(apart)) ** 2) / (2 * self.blob**2))
        inputs = Inputs(np.asarray(blobs / np.linalg.norm(blobs, axis=1, keepdims=True), np.float32))
        moved = []
        for one, q in zip(jax.random.split(key, len(self.competition)), self.competition, strict=True):
            w = ring_couplings(n, self.excitation, self.excitation_width, q, self.inhibition_width)
            population = HebbPopulation(
                ratios=np.full(n, self.ratio),
                gain=self.gain,
                response=sigmoid(self.softness),
                coupling=w,
                settle_steps=40,
            )
            of = WaveEnsemble(
                population,
                inputs,
                jnp.asarray(self.noise),
                jnp.asarray(self.every * self.disturbed),
                jnp.asarray(self.dt),
            )
            made = run(
                of.process(),
                one,
                0.0,
                self.every * self.n_looks,
                observe=of.places,
                every=self.every,
                replicas=self.n_maps,
                label=f"inhibition {q:g}",
            )
            moved.append(np.asarray(made.values, np.float64))
        places = np.array(moved)
        # Axes: competition, map, look, stimulus.
        waves = np.abs(np.fft.rfft(places, axis=-1))
        first, last = self.window
        steps = self.every * (last - first)
        grown = waves[:, :, last, self._waves] / waves[:, :, first, self._waves]
        rates = (grown ** (1 / steps) - 1) / self.dt
        first = 1 + np.argmax(waves[:, :, last, 1:], axis=-1)
        # How far activity moves when the blob moves by one place, at the end; an even map: 1/n.
        jumps = np.roll(places[:, :, -1], -1, axis=-1) - places[:, :, -1] + 1 / n
        jumps = jumps - np.rint(jumps)
        of_maps = ("competition",)
        return xr.Dataset(
            {
                **stored("rate", rates, (*of_maps, "wave"), "rate of a wave", "1/decay time", axis=1),
                **stored("waves", first, of_maps, "number of the highest wave at first", axis=1),
                "torn": (
                    of_maps,
                    (np.abs(jumps) > self.jump / n).sum(axis=(1, 2)),
                    {"long_name": "jumps in all maps", "units": "1"},
                ),
                **stored("back", (jumps < 0).mean(-1), of_maps, "share of steps back", axis=1),
                "places": (
                    (*of_maps, "stimulus"),
                    places[:, 0, -1],
                    {"long_name": "shift of activity, first map", "units": "rings"},
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Rates of the fastest wave at each strength; what lasts and what breaks; how many columns."""
        made = []
        for i, q in enumerate(record["competition"].values):
            at = record.isel(competition=i)
            fastest = int(np.argmax(at["rate_expected"].values))
            rate = read_measured(at, "rate")[fastest]
            made.append(
                compare(
                    read_predicted(at, "rate_expected")[fastest],
                    rate,
                    statement=f"Inhibition {q:g}: rate of the fastest wave, number {self._waves[fastest]}.",
                    system="A5",
                    resolution=0.1,
                )
            )
            if at["rate_expected"].values[fastest] < 0:
                made.append(
                    at_most(
                        0.0,
                        rate,
                        statement=f"Inhibition {q:g}: the continuous map lasts, even this wave fades.",
                        system="A5",
                    )
                )
                made.append(
                    never(
                        int(at["torn"]),
                        self.n_cells * self.n_maps,
                        statement=f"Inhibition {q:g}: activity moves on without a jump.",
                        system="D3",
                        rate=0.03,
                    )
                )
                continue
            made.append(
                at_least(
                    0.0,
                    rate,
                    statement=f"Inhibition {q:g}: the continuous map does not last.",
                    system="A5",
                )
            )
            duration = self.dt * self.every * (self.n_looks - self.disturbed)
            if at["rate_expected"].values[fastest] * duration > -2 * math.log(self.noise):
                made += [
                    compare(
                        read_predicted(at, "waves_expected"),
                        read_measured(at, "waves"),
                        statement=f"Inhibition {q:g}: the highest wave is first of those that grow fastest.",
                        system="D3",
                        resolution=float(at["waves_expected"]),
                    ),
                    at_least(
                        1 / self.n_cells,
                        read_measured(at, "back"),
                        statement=f"Inhibition {q:g}: the map breaks up, activity goes back within columns.",
                        system="D3",
                        reason="one step in a map",
                    ),
                ]
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Rates against waves and against competition; two maps."""
        figure, axes = panels(4, width=3.9)
        left, second = axes[0, :2]
        for index, q in enumerate(record["competition"].values):
            at = record.isel(competition=index)
            theory(left, self._waves, at["rate_expected"], index, label=f"q = {q:g}")
            shown = read_measured(at, "rate")
            simulation(left, self._waves, shown.mean, shown.standard_error, index)
        left.axhline(0.0, color="0.6", linewidth=0.8)
        left.set(xlabel="waves on the ring", ylabel="rate of growth (1/decay time)")
        left.margins(y=0.3)
        left.legend(frameon=False, fontsize="small", loc="upper center", ncols=2)
        strengths = record["competition"].values
        best = record["rate_expected"].values.argmax(axis=1)
        every = np.arange(len(strengths))
        theory(second, record["between"], record["largest"], 0, label="theory")
        limit = float(record["sharp_limit"])
        if math.isfinite(limit):
            second.axvline(limit, color=COLOURS[1], linestyle="--", linewidth=1.2, label="limit, sharp edges")
        shown = read_measured(record, "rate")
        simulation(second, strengths, shown.mean[every, best], shown.standard_error[every, best], 6)
        second.axhline(0.0, color="0.6", linewidth=0.8)
        second.set(xlabel="strength q of inhibition", ylabel="rate of the fastest wave (1/decay time)")
        second.legend(frameon=False, fontsize="small")
        stimuli = np.arange(self.n_cells) / self.n_cells
        for axis, index in zip(axes[0, 2:], (0, -1), strict=True):
            theory(axis, stimuli, stimuli, 6, linewidth=0.8, label="even map")
            places = stimuli + record["places"].values[index]
            simulation(axis, stimuli, places, np.zeros(self.n_cells), 0, label="after learning")
            axis.set_title(f"q = {strengths[index]:g}", fontsize="medium")
            axis.set(xlabel="place of the blob (rings)", ylabel="centre of the cells it excites (rings)")
        axes[0, 2].legend(frameon=False, fontsize="small")
        return figure


class WaveEnsemble(eqx.Module):
    """A population that learns all blobs at once, begun at an even map; a step is one of Euler's.

    Args:
        population: what learns; its afferents are as many as its neurons.
        inputs: blobs at the places of the neurons.
        noise: standard deviation of what is added once to each weight.
        disturbed: the step at which it is.
        dt: step.
    """

    population: HebbPopulation
    inputs: Inputs
    noise: Float[Array, ""]
    disturbed: Int[Array, ""]
    dt: Float[Array, ""]

    def process(self) -> Process:
        """The process; what it begins with is not used."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], x0: Any) -> InhibitedWeights:
        """What the rule would learn from a band of a tenth of the ring; all replicas begin alike."""
        n = self.population.n_neurons
        apart = np.arange(n)[:, None] / n - np.arange(n)[None] / n
        band = np.exp(-(((apart - np.rint(apart)) / 0.06) ** 4))
        activity = jnp.asarray(band / n, self.inputs.points.dtype)
        rest = InhibitedWeights(jnp.zeros_like(activity), jnp.zeros(n, activity.dtype))
        neurons = self.population.neurons
        assert isinstance(neurons, InhibitedNeuron)
        return jax.vmap(lambda neuron, w, fired, pull: neuron.drift(w, fired, pull))(
            neurons, rest, jnp.sum(activity, axis=0), activity.T @ self.inputs.points
        )

    def step(self, key: Key[Array, ""], t: Any, state: InhibitedWeights) -> tuple[InhibitedWeights, None]:
        """One step of the averaged rule."""
        change = self.population.velocity(state, self.inputs)
        moved = jax.tree.map(lambda x, v: x + self.dt * v, state, change)
        size = jnp.where(t == self.disturbed, self.noise, 0.0)
        weights = moved.excitatory + size * jax.random.normal(key, moved.excitatory.shape)
        return moved._replace(excitatory=weights), None

    def places(self, state: InhibitedWeights) -> Float[Array, " n"]:
        """Centre of the cells that each blob excites, from the place of the blob."""
        n = self.population.n_neurons
        turn = jnp.exp(2j * jnp.pi * jnp.arange(n) / n)
        h = self.population.activities(state, self.inputs.points)
        return jnp.angle((h @ turn) * jnp.conj(turn)) / (2 * jnp.pi)
