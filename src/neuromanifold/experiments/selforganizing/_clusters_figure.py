"""The figure of `hebb-clusters`."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from neuromanifold.evidence import read_measured
from neuromanifold.experiments._figure import panels, simulation, theory


def draw_clusters(record: xr.Dataset, cases: list[tuple[int, float]]) -> Figure:
    """Radius against ratio, hysteresis, numbers of states.

    Args:
        record: of the experiment.
        cases: number m of clusters and ratio of rates, for each case.
    """
    figure, axes = panels(3, width=4.3)
    left, middle, right = axes[0]
    theory(left, record["fine"], record["radius_line"], label="theory")
    shown = read_measured(record, "radius")
    simulation(left, record["ratio"], shown.mean, shown.standard_error, 1, label="learned")
    left.set(xlabel="ratio of learning rates λ", ylabel="angular radius d of the field (rad)", ylim=(0, 1.6))
    left.legend(frameon=False)
    line = np.array([0.0, 0.5])
    theory(middle, line, 2 * line, 0)
    theory(middle, line, 2 * line - 1, 1)
    middle.fill_between(line, 2 * line - 1, np.minimum(2 * line, 1), color="0.9", zorder=0)
    for index, (name, label) in enumerate((("single", "singles end"), ("merged", "mergers begin"))):
        shown = read_measured(record, name)
        simulation(middle, record["level"], shown.mean, shown.standard_error, index, label=label)
    middle.text(0.17, -0.25, "both", ha="center")
    middle.set(xlabel="threshold τ/c", ylabel="cosine γ of the two clusters", xlim=(0, 0.5), ylim=(-1, 1))
    middle.legend(frameon=False, loc="lower right")
    places = np.arange(record.sizes["case"])
    counts, expected = record["count"].values, record["count_expected"].values
    for place, number in zip(places, expected, strict=True):
        theory(right, [place - 0.3, place + 0.3], [number] * 2, label="theory" if place == 0 else None)
    simulation(right, places, counts, np.zeros(len(places)), 1, label="found")
    labels = [f"m={m}\nλ={x:g}" for m, x in cases]
    right.set_xticks(places, labels)
    right.set(xlabel="orthonormal clusters", ylabel="stable states that are not silent", ylim=(0, None))
    right.legend(frameon=False)
    return figure
