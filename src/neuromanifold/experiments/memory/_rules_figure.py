"""The figure of the experiment on learning rules."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from neuromanifold.evidence import read_measured
from neuromanifold.experiments._figure import panels, simulation, theory

# Names of the rules' variables in the record, and for readers.
SHORT = ("hebb", "projection", "held", "storkey")
_LABELS = ("Hebb", "pseudo-inverse", "with diagonal", "Storkey")


def draw_rules(record: xr.Dataset, start: float, stability_units: int, n_sweeps: int) -> Figure:
    """The figure of `memory-rules`.

    Args:
        record: the merged record.
        start: overlap of the damaged cue.
        stability_units: number of units of the largest stability that is shown.
        n_sweeps: passes of perceptron learning.
    """
    figure, axes = panels(2, 2)
    load, line = record["load"].values, record["line"].values
    kept, first, stability, learning = axes.flat
    below = record["replica_overlap"].values > 0
    theory(kept, line[below], record["replica_overlap"].values[below], label="Hebb, replica theory")
    for index, (short, label) in enumerate(zip(SHORT, _LABELS, strict=True)):
        for axis, name in ((kept, "kept"), (first, "first")):
            shown = read_measured(record, f"{short}_{name}")
            if axis is kept and short == "held":
                continue  # the same points as without the diagonal
            simulation(axis, load, shown.mean, shown.standard_error, index, label=label)
        if f"{short}_line" in record:
            theory(first, line, record[f"{short}_line"].values, index)
    kept.set_ylabel("overlap m after recall from the pattern")
    first.set_ylabel(f"overlap after one step from {start:g}")
    theory(stability, record["bound_load"].values, record["kappa"].values, label="Gardner's theory")
    for index, (name, label) in enumerate(
        (("stability", f"AdaTron, N = {stability_units}"), ("stability_limit", "extrapolated"))
    ):
        shown = read_measured(record, name)
        at = record["stability_load"].values
        simulation(stability, at, shown.mean, shown.standard_error, index, label=label)
    stability.set_xlim(0, 2.05)
    stability.set_ylabel("largest stability κ")
    theory(learning, record["count"].values, record["learnable_line"].values, label="Cover, can be served")
    served = read_measured(record, "served")
    at = record["learning_load"].values
    simulation(learning, at, served.mean, served.standard_error, label=f"served in {n_sweeps} passes")
    learning.set_ylabel("fraction of units")
    for axis in (kept, first, stability):
        axis.set_xlabel("load α = P/N")
    learning.set_xlabel("load P/(N − 1)")
    for axis in (kept, first, learning):
        axis.set_ylim(-0.03, 1.05)
    for axis in axes.flat:
        place = {kept: "lower right", stability: "upper right"}.get(axis, "lower left")
        axis.legend(loc=place, fontsize="small")
    return figure


def named(long_name: str) -> dict[str, str]:
    """Attributes of a pure number."""
    return {"long_name": long_name, "units": "1"}
