"""The phase diagram of `memory-concept`: where memories, their concept, both or neither are attractors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_rgb

from neuromanifold.evidence import read_measured
from neuromanifold.experiments._figure import COLOURS

KINDS = ("memory", "concept")


def draw_diagram(axis: Any, record: xr.Dataset, branching: int, correlation: float) -> None:
    """Attractors by theory as areas, and which states were kept as points.

    Args:
        axis: where it is drawn.
        record: of the experiment.
        branching: s, children of a parent.
        correlation: b of the simulation.
    """
    b, loads, code = (record[name].values for name in ("diagram_b", "diagram_load", "code"))
    greys = ("1.0", "#cfe3f3", "#f7d9c4", "#b9b9b9")
    names = ("neither", "memory", "concept", "both")
    axis.pcolormesh(b, loads, _shades(code, greys), shading="nearest", rasterized=True)
    for index, kind in enumerate(KINDS):
        fraction = read_measured(record, f"{kind}_fraction").mean
        for load, share in zip(record["load"].values, fraction, strict=True):
            axis.plot(
                correlation + 0.02 * (2 * index - 1),
                load,
                marker="os"[index],
                color=COLOURS[index],
                markerfacecolor=COLOURS[index] if share > 0.5 else "white",
                linestyle="none",
                label=f"{kind} kept" if load == record["load"].values[0] else None,
            )
    for name, grey in zip(names, greys, strict=True):
        axis.fill_between([], [], color=grey, edgecolor="0.5", label=name)
    axis.set_xlabel("correlation b of child and parent")
    axis.set_ylabel("load α = P/N")
    axis.set_title(f"attractors, s = {branching}", fontsize="medium")
    axis.set_ylim(0, loads.max())
    axis.legend(loc="upper left", fontsize="small", ncols=2)


def _shades(code: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    return np.array([to_rgb(colour) for colour in colours])[code]
