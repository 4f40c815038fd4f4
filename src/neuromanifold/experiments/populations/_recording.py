"""What both surrogates share: from spikes to information, clusters, trajectories, and their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from neuromanifold.data.populations import (
    Stimuli,
    poisson_spikes,
    population_trajectory,
    stabilise,
    window_counts,
)
from neuromanifold.evidence import estimate, measured_variables, read_measured
from neuromanifold.experiments._figure import COLOURS, MARKERS, simulation
from neuromanifold.experiments.populations._clusters import cluster_curves
from neuromanifold.geometry import half_rise, information_over_time


class Analysis(NamedTuple):
    """Settings of the analysis of a recording.

    Args:
        n_trials: trials of each stimulus.
        duration: of a trial, in milliseconds.
        width: of a window, in milliseconds.
        step: between windows, in milliseconds; also the width of the bins of spikes.
        n_levels: counts told apart; larger ones count as the largest.
        n_shuffles: permutations of labels.
        cluster_step: between windows that are clustered, in milliseconds.
        cluster_from: a window that is clustered, in milliseconds.
        n_principal: principal components that are clustered.
        n_components: most clusters.
        n_starts: beginnings of a mixture.
        n_steps: steps of a mixture.
    """

    n_trials: int
    duration: float
    width: float
    step: float
    n_levels: int
    n_shuffles: int
    cluster_step: float
    cluster_from: float
    n_principal: int
    n_components: int
    n_starts: int
    n_steps: int

    @property
    def starts(self) -> np.ndarray:
        """Beginnings of the windows."""
        return np.arange(round((self.duration - self.width) / self.step) + 1) * self.step

    @property
    def clustered(self) -> np.ndarray:
        """Places of the windows that are clustered."""
        every, first = round(self.cluster_step / self.step), round(self.cluster_from / self.step)
        return np.arange(first % every, len(self.starts), every)

    @property
    def bin_times(self) -> np.ndarray:
        """Middles of the bins of spikes."""
        return (np.arange(round(self.duration / self.step)) + 0.5) * self.step


def time_of(record: xr.Dataset, start: float) -> dict[str, int]:
    """The index of the window that begins at a time."""
    return {"window": int(np.argmin(np.abs(record["start"].values - start)))}


def coordinates(analysis: Analysis) -> dict[str, Any]:
    """Windows of a record."""
    long_name = "beginning of the window"
    return {
        "start": ("window", analysis.starts, {"long_name": long_name, "units": "ms"}),
        "cluster_start": (
            "cluster_window",
            analysis.starts[analysis.clustered],
            {"long_name": long_name, "units": "ms"},
        ),
    }


def analyse(
    run: Callable[..., Any],
    key: Key[Array, ""],
    rates: Callable[[int], Float[np.ndarray, "n_stimuli n_bins n_cells"]],
    n_recordings: int,
    stimuli: Stimuli,
    analysis: Analysis,
) -> dict[str, Any]:
    """Draw recordings and analyse them; recordings are the independent samples.

    Args:
        run: the loop.
        key: of spikes, shuffles and beginnings.
        rates: of each recording by number, in spikes a second.
        n_recordings: at least two.
        stimuli: what is shown.
        analysis: settings.
    """
    key_clusters, key = jax.random.split(key)
    chosen = analysis.clustered
    n = analysis.n_trials
    labels, details = np.repeat(stimuli.category, n), np.repeat(stimuli.detail, n)
    information: dict[str, list[np.ndarray]] = {"category": [], "detail": []}
    totals = []
    for number in range(n_recordings):
        keys = jax.random.split(jax.random.fold_in(key, number), 3)
        spikes = poisson_spikes(keys[0], rates(number), n, bin_width=analysis.step)
        counts = window_counts(spikes, analysis.width, analysis.step, bin_width=analysis.step).counts
        totals.append(counts.sum(1))
        levels = np.minimum(counts, analysis.n_levels - 1).reshape(-1, *counts.shape[2:])
        category = information_over_time(levels, labels, keys[1], analysis.n_shuffles)
        detail = information_over_time(levels, details, keys[2], analysis.n_shuffles, within=labels)
        information["category"].append(category.bits.mean(1))
        information["detail"].append(detail.bits.mean(1))
    variables: dict[str, Any] = {}
    centres = analysis.starts + analysis.width / 2
    rises = {}
    for name, curves in information.items():
        samples = np.stack(curves)
        rises[name] = jackknife(lambda mean: half_rise(centres, mean), samples)
        variables |= measured_variables(
            f"{name}_information",
            estimate(samples),
            ("window",),
            long_name=f"information about the {name}" + (" given the category" if name == "detail" else ""),
            units="bit",
        )
    lead = np.stack(information["category"]) - np.stack(information["detail"])
    variables |= measured_variables(
        "lead",
        estimate(lead),
        ("window",),
        long_name="information about the category less that about the detail given the category",
        units="bit",
    )
    delay = rises["detail"] - rises["category"]
    for name, samples in (*rises.items(), ("delay", delay)):
        long_name = "delay of detail after category" if name == "delay" else f"half rise of {name}"
        variables |= measured_variables(f"{name}_time", estimate(samples), long_name=long_name, units="ms")
    counts = np.stack(totals)
    variables |= _clusters(run, key_clusters, counts[:, :, chosen], stimuli, analysis, centres)
    path = population_trajectory(stabilise(counts[0]), 3)
    attributes = {"long_name": "principal component", "units": "1"}
    variables["path"] = xr.Variable(("stimulus", "window", "axis"), path.scores, attributes)
    variables["explained"] = xr.Variable(
        ("axis",), path.explained, {"long_name": "share of the variance", "units": "1"}
    )
    variables["stimulus_category"] = xr.Variable(
        ("stimulus",), stimuli.category, {"long_name": "category", "units": "1"}
    )
    return variables


def _clusters(
    run: Callable[..., Any],
    key: Key[Array, ""],
    counts: Int[np.ndarray, "n_recordings n_stimuli n_windows n_cells"],
    stimuli: Stimuli,
    analysis: Analysis,
    centres: np.ndarray,
) -> dict[str, Any]:
    made = cluster_curves(
        run,
        key,
        counts,
        stimuli.category,
        stimuli.detail,
        n_principal=analysis.n_principal,
        n_components=analysis.n_components,
        n_starts=analysis.n_starts,
        n_steps=analysis.n_steps,
        label="clusters",
    )
    variables: dict[str, Any] = {}
    for name, samples, long_name in (
        ("category_agreement", made.category, "adjusted Rand index of clusters and categories"),
        ("detail_agreement", made.detail, "adjusted Rand index of clusters and details"),
        ("clusters", made.found, "clusters found"),
        (
            "n_categories_found",
            made.found == len(stimuli.categories),
            "fraction of recordings with a cluster a category",
        ),
        (
            "n_details_found",
            made.found == stimuli.detail.max() + 1,
            "fraction of recordings with a cluster a detail",
        ),
    ):
        values = estimate(np.asarray(samples, float))
        variables |= measured_variables(name, values, ("cluster_window",), long_name=long_name)
    times = centres[analysis.clustered]
    rises = [
        jackknife(lambda mean: half_rise(times, mean), samples) for samples in (made.category, made.detail)
    ]
    variables |= measured_variables(
        "agreement_delay",
        estimate(rises[1] - rises[0]),
        long_name="delay of clusters of details after clusters of categories",
        units="ms",
    )
    return variables


def jackknife(function: Callable[[np.ndarray], Any], samples: np.ndarray) -> np.ndarray:
    """Pseudo-values n f(mean) - (n - 1) f(mean without one) of a function of a mean (Tukey)."""
    n = len(samples)
    whole, total = float(function(samples.mean(0))), samples.sum(0)
    return np.array([n * whole - (n - 1) * float(function((total - one) / (n - 1))) for one in samples])


def draw_path(axis: Any, record: xr.Dataset, names: tuple[str, ...], marks: tuple[float, ...]) -> None:
    """Trajectories in the plane of the first two components; every category has a colour and a marker."""
    path, category = record["path"].values, record["stimulus_category"].values
    places = [time_of(record, start)["window"] for start in marks]
    for stimulus, own in enumerate(category):
        axis.plot(*path[stimulus, :, :2].T, color=COLOURS[own], linewidth=0.5, alpha=0.45)
    for own, name in enumerate(names):
        for size, place in zip((9, 26), places, strict=True):
            axis.scatter(
                *path[category == own, place, :2].T,
                s=size,
                marker=MARKERS[own],
                color=COLOURS[own] if size > 9 else "white",
                edgecolor=COLOURS[own],
                linewidth=0.8,
                zorder=3,
                label=name if size > 9 else None,
            )
    share = 100 * record["explained"].values
    axis.set_xlabel(f"first component ({share[0]:.0f} % of the variance)")
    axis.set_ylabel(f"second component ({share[1]:.0f} %)")
    axis.legend(loc="best", fontsize="small")


def draw_clusters(axis: Any, record: xr.Dataset, width: float) -> None:
    """Agreement of clusters with both labels, and their number, against time."""
    centres = record["cluster_start"].values + width / 2
    for index, name in enumerate(("category", "detail")):
        shown = read_measured(record, f"{name}_agreement")
        simulation(axis, centres, shown.mean, shown.standard_error, index, label=name, linestyle=":")
    axis.set_xlabel("middle of the window (ms)")
    axis.set_ylabel("adjusted Rand index")
    axis.set_ylim(-0.1, 1.55)
    axis.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    found = read_measured(record, "clusters")
    count = axis.twinx()
    count.spines["top"].set_visible(False)
    simulation(count, centres, found.mean, found.standard_error, 2, label="number of clusters", linestyle=":")
    count.set_ylabel("clusters found")
    count.set_ylim(-0.7, 10.85)
    count.set_yticks([1, 3, 5, 7, 9])
    (lines, labels), (line, label) = (one.get_legend_handles_labels() for one in (axis, count))
    axis.legend([*lines, *line], [*labels, *label], loc="upper left", fontsize="small", ncols=2)
