"""Figures of the house: theory as lines, simulation as points with error bars, readable in grey.

Figures are made with the object interface of matplotlib alone: no global state, no window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Okabe and Ito's colours, ordered so that neighbours differ in lightness as well as in hue.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def panels(
    columns: int = 1, rows: int = 1, *, width: float = 4.8, height: float = 3.6
) -> tuple[Figure, np.ndarray]:
    """A figure and its array of axes, shape (rows, columns).

    Args:
        columns: panels beside each other, >= 1.
        rows: panels above each other, >= 1.
        width: of a panel, in inches.
        height: of a panel, in inches.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(visible=True, color="0.9", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes


def theory(axes: Axes, x: ArrayLike, y: ArrayLike, index: int = 0, **options: Any) -> None:
    """A prediction as a line.

    Args:
        axes: where it is drawn.
        x: shape (n,).
        y: shape (n,).
        index: of the curve, >= 0; chooses colour and dash.
        options: of `Axes.plot`, in place of the house's.
    """
    style = {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)], "linewidth": 1.5}
    axes.plot(np.asarray(x), np.asarray(y), **{**style, **options})


def simulation(
    axes: Axes, x: ArrayLike, mean: ArrayLike, standard_error: ArrayLike, index: int = 0, **options: Any
) -> None:
    """A measurement as points with error bars of one standard error.

    Args:
        axes: where it is drawn.
        x: shape (n,).
        mean: shape (n,).
        standard_error: shape (n,).
        index: of the series, >= 0; chooses colour and marker.
        options: of `Axes.errorbar`, in place of the house's.
    """
    style = {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
        "markerfacecolor": "white",
        "linestyle": "none",
        "capsize": 2.0,
        "linewidth": 1.0,
    }
    axes.errorbar(np.asarray(x), np.asarray(mean), yerr=np.asarray(standard_error), **{**style, **options})
