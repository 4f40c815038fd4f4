"""A surrogate population whose order of category and detail is built in, for the analysis to find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data.populations import random_tuning, stimulus_set, tuned_rates
from neuromanifold.evidence import (
    Claim,
    Prediction,
    at_least,
    compare,
    predicted_variable,
    proportion,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.populations._recording import (
    Analysis,
    analyse,
    coordinates,
    draw_clusters,
    draw_path,
    time_of,
)
from neuromanifold.geometry import half_rise
from neuromanifold.theory.populations import tuned_information

# Rates are averaged over this many times a bin, so that bins may be wider than the rise of the tuning.
_FINE = 5
_LEVELS = ("category", "detail")


@experiment(
    Card(
        name="population-surrogate",
        title="Category before detail, built in and found again",
        topic="populations",
        lecture="C",
        systems=("C4", "C5"),
        idea=(
            "Cells of the temporal cortex answer to a picture first with its global category (monkey, human, "
            "shape) and later with detail (which expression, person, form). The recordings are not public; a "
            "surrogate stands in: Poisson spikes whose rates are tuned to the category from one latency on "
            "and to the detail from another. The analysis is not told: it slides a window over the spikes, "
            "estimates the information of single cells with its bias shuffled away, and looks for clusters "
            "of stimuli with a mixture that finds their number by itself. The theory computes the exact "
            "information of Poisson counts and averages it over all tunings. How many clusters are found "
            "depends on the covariance: 38 points cannot carry one covariance matrix a cluster, and one for "
            "all clusters in about ten principal components finds three, then nine."
        ),
        equations=(
            (
                "Rate of a cell",
                r"r_s(t) = b \, \exp \left[ g(t - t_c) A_{c(s)} + g(t - t_d) D_{d(s)} \right]",
            ),
            ("Count in a window", r"n \sim \mathrm{Poisson} \left( \int r_s(t) \, dt \right)"),
            ("Information about the category", r"I(c; n) = H(n) - \sum_c p_c H(n | c)"),
            ("Information about the detail", r"I(d; n | c) = \sum_c p_c H(n | c) - \sum_d p_d H(n | d)"),
        ),
        sources=(
            "sugaseyamaneuenokawano1999",
            "matsumotookada2005cortex",
            "panzeritreves1996",
            "hubertarabie1985",
        ),
        caption=(
            "Left: the population's path in the plane of its first principal components; small: the window "
            "in which the category alone is known; filled: that in which the detail is. Middle: information "
            "of single cells, lines: exact, points: estimated; dotted: the two latencies. Right: clusters."
        ),
    ),
    full={
        "n_cells": 45,
        "n_trials": 40,
        "n_recordings": 40,
        "step": 1.0,
        "n_shuffles": 20,
        "cluster_step": 10.0,
        "n_starts": 5,
        "log2_points": 8,
    },
)
class PopulationSurrogate:
    """Information and clusters of a surrogate against exact theory and the delay that was built in."""

    n_cells: int = parameter(45, doc="cells of a recording", low=4)
    n_trials: int = parameter(20, doc="trials of each stimulus", low=2)
    n_recordings: int = parameter(12, doc="recordings, the independent samples", low=3)
    baseline: float = parameter(15.0, doc="median rate", unit="1/s", low=0.0, open_low=True)
    baseline_spread: float = parameter(0.5, doc="standard deviation of the logarithm of the rate", low=0.0)
    category_strength: float = parameter(0.7, doc="standard deviation of the tuning A to categories", low=0.0)
    detail_strength: float = parameter(0.5, doc="standard deviation of the tuning D to details", low=0.0)
    category_latency: float = parameter(90.0, doc="begin of tuning to the category", unit="ms", low=0.0)
    detail_latency: float = parameter(140.0, doc="begin of tuning to the detail", unit="ms", low=0.0)
    rise: float = parameter(10.0, doc="rise of a tuning", unit="ms", low=0.0, open_low=True)
    duration: float = parameter(350.0, doc="length of a trial", unit="ms", low=0.0, open_low=True)
    width: float = parameter(50.0, doc="length of a window", unit="ms", low=0.0, open_low=True)
    step: float = parameter(5.0, doc="between windows", unit="ms", low=0.0, open_low=True)
    n_levels: int = parameter(8, doc="counts told apart", low=2)
    n_shuffles: int = parameter(8, doc="permutations of the labels", low=2)
    cluster_step: float = parameter(25.0, doc="between windows that are clustered", unit="ms", low=1.0)
    n_principal: int = parameter(10, doc="principal components that are clustered", low=1)
    n_components: int = parameter(15, doc="most clusters", low=10)
    n_starts: int = parameter(2, doc="beginnings of a mixture", low=1)
    n_steps: int = parameter(150, doc="steps of a mixture", low=1)
    log2_points: int = parameter(7, doc="logarithm of the tunings averaged at once by the theory", low=4)

    def check(self) -> None:
        """Windows fit the recording, and the latencies are in the order of the claims."""
        in_order = self.category_latency + self.width <= self.detail_latency
        require(in_order, "detail_latency", "be a window after category_latency", self.detail_latency)
        last = self.duration - self.width
        require(self.detail_latency <= last, "detail_latency", f"be at most {last:g}", self.detail_latency)
        for name in ("width", "duration", "cluster_step", "category_latency", "detail_latency"):
            value = getattr(self, name)
            whole = abs(value / self.step - round(value / self.step)) < 1e-9
            require(whole, name, f"be a multiple of step = {self.step:g}", value)
        gap = (self.detail_latency - self.category_latency) / self.cluster_step
        require(abs(gap - round(gap)) < 1e-9, "cluster_step", "divide the delay", self.cluster_step)
        require(self.n_principal <= self.n_cells, "n_principal", "be at most n_cells", self.n_principal)

    def _analysis(self) -> Analysis:
        return Analysis(
            self.n_trials,
            self.duration,
            self.width,
            self.step,
            self.n_levels,
            self.n_shuffles,
            self.cluster_step,
            self.category_latency,
            self.n_principal,
            self.n_components,
            self.n_starts,
            self.n_steps,
        )

    def predict(self) -> xr.Dataset:
        """Exact information of the counts, averaged over tunings; when it rises."""
        stimuli = stimulus_set()
        starts = self._analysis().starts
        found = tuned_information(
            starts,
            self.width,
            self.n_trials * np.bincount(stimuli.detail),
            stimuli.category_of_detail,
            n_levels=self.n_levels,
            baseline=self.baseline,
            baseline_spread=self.baseline_spread,
            category_strength=self.category_strength,
            detail_strength=self.detail_strength,
            category_latency=self.category_latency,
            detail_latency=self.detail_latency,
            rise=self.rise,
            log2_points=self.log2_points,
        )
        variables: dict[str, Any] = {}
        times = starts + self.width / 2
        rises = []
        for name, kind in zip(_LEVELS, ("group", "detail"), strict=True):
            value, residual = getattr(found.mean, kind), getattr(found.mean, f"{kind}_residual")
            error = 5 * getattr(found.error, kind) + np.abs(residual)
            variables |= predicted_variable(
                f"exact_{name}",
                Prediction(value, error, "five errors of the average over tunings, and what shuffles leave"),
                ("window",),
                long_name=f"exact information about the {name}",
                units="bit",
            )
            rises.append(half_rise(times, value))
        variables |= predicted_variable(
            "exact_delay",
            Prediction(rises[1] - rises[0], self.step / 10, "interpolation between windows"),
            long_name="delay of the exact information",
            units="ms",
        )
        variables |= predicted_variable(
            "built_in_delay",
            Prediction(self.detail_latency - self.category_latency, self.width, "one window"),
            long_name="delay that was built in",
            units="ms",
        )
        return xr.Dataset(variables, coordinates(self._analysis()))

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recordings from cells with new tunings each, and their analysis."""
        key_cells, key_analysis = jax.random.split(key)
        stimuli, analysis = stimulus_set(), self._analysis()
        fine = (analysis.bin_times[:, None] + self.step * ((np.arange(_FINE) + 0.5) / _FINE - 0.5)).ravel()

        def rates(number: int) -> np.ndarray:
            tuning = random_tuning(
                jax.random.fold_in(key_cells, number),
                self.n_cells,
                stimuli,
                baseline=self.baseline,
                baseline_spread=self.baseline_spread,
                category_strength=self.category_strength,
                detail_strength=self.detail_strength,
            )
            exact = tuned_rates(
                tuning,
                stimuli,
                fine,
                category_latency=self.category_latency,
                detail_latency=self.detail_latency,
                rise=self.rise,
            )
            return exact.reshape(len(exact), -1, _FINE, self.n_cells).mean(2)

        return xr.Dataset(analyse(run, key_analysis, rates, self.n_recordings, stimuli, analysis))

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Information in bits; the delay, found twice; three clusters, then nine."""
        made = []
        early, late = self.category_latency, self.detail_latency
        for name, start in (("category", early), ("category", late), ("detail", late)):
            at = record.isel(time_of(record, start))
            expected = read_predicted(at, f"exact_{name}")
            made.append(
                compare(
                    expected,
                    read_measured(at, f"{name}_information"),
                    statement=(
                        f"In [{start:g}, {start + self.width:g}] ms a cell has the exact information "
                        f"about the {name}, in bits."
                    ),
                    system="C4",
                    resolution=0.5 * float(expected.value),
                )
            )
        at = record.isel(time_of(record, early - self.width))
        for name in _LEVELS:
            made.append(
                compare(
                    Prediction(0.0),
                    read_measured(at, f"{name}_information"),
                    statement=f"Before its latency the estimate of information about the {name} is unbiased.",
                    system="C4",
                    resolution=0.005,
                )
            )
        made.append(
            compare(
                read_predicted(record, "exact_delay"),
                read_measured(record, "delay_time"),
                statement="Information about the detail rises after that about the category as theory says.",
                system="C4",
                resolution=0.25 * float(record["built_in_delay"]),
            )
        )
        for name, words in (("delay_time", "information"), ("agreement_delay", "agreement of clusters")):
            made.append(
                compare(
                    read_predicted(record, "built_in_delay"),
                    read_measured(record, name),
                    statement=f"The delay of {words} is the one built in, within a window.",
                    system="C4",
                    resolution=2 * self.width,
                )
            )
            made.append(
                at_least(
                    0.0,
                    read_measured(record, name),
                    statement=f"The delay of {words} is positive.",
                    system="C4",
                )
            )
        starts, n = record["cluster_start"].values, self.n_recordings
        for name, start, number in (("categories", early, 3), ("details", late, 9)):
            place = int(np.argmin(np.abs(starts - start)))
            label = "category" if name == "categories" else "detail"
            window = f"[{start:g}, {start + self.width:g}] ms"
            made.append(
                at_least(
                    0.5,
                    proportion(round(float(record[f"n_{name}_found"][place]) * n), n),
                    statement=f"In {window} most recordings show {number} clusters, a number nobody told.",
                    system="C5",
                    sigmas=2.0,
                    reason="more often than not",
                )
            )
            made.append(
                at_least(
                    0.8,
                    read_measured(record, f"{label}_agreement")[place],
                    statement=f"In {window} the clusters are the {name}: adjusted Rand index.",
                    system="C5",
                    sigmas=2.0,
                    reason="1 for the same partition, 0 by chance",
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Paths, information, clusters."""
        figure, axes = panels(3, width=4.4)
        left, middle, right = axes[0]
        names = stimulus_set().categories
        draw_path(left, record, names, (self.category_latency, self.detail_latency))
        centres = record["start"].values + self.width / 2
        for index, name in enumerate(_LEVELS):
            theory(middle, centres, record[f"exact_{name}"].values, index, label=f"{name}, exact")
            every = max(1, len(centres) // 20)
            shown = read_measured(record, f"{name}_information")
            simulation(
                middle,
                centres[::every],
                shown.mean[::every],
                shown.standard_error[::every],
                index,
                label=f"{name}, estimated",
            )
            latency = (self.category_latency, self.detail_latency)[index]
            middle.axvline(latency, color=COLOURS[index], linestyle=":", linewidth=1.0)
        middle.set_xlabel("middle of the window (ms)")
        middle.set_ylabel("information of a cell (bits)")
        middle.set_ylim(-0.01, 1.45 * float(record["exact_category"].max()))
        middle.legend(loc="upper left", fontsize="small", ncols=2)
        draw_clusters(right, record, self.width)
        return figure
