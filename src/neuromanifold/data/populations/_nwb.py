"""Recordings from NWB files: spikes around the trials, in the arrays that the analysis takes.

NWB (Neurodata Without Borders) keeps spike times of sorted cells in the table `units` and one row a trial in
the table `trials`, all times in seconds. Needs pynwb, the extra `neuroscience`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt16

from neuromanifold._base import FileError, check_integer, check_real, require


class Recording(NamedTuple):
    """Spikes of a population around its trials.

    Args:
        spikes: number in each bin, shape (n_trials, n_bins, n_cells).
        labels: value of the label column, one a trial, shape (n_trials,).
        bin_width: in milliseconds.
        start: beginning of the first bin after the event, in milliseconds.
    """

    spikes: UInt16[np.ndarray, "n_trials n_bins n_cells"]
    labels: np.ndarray
    bin_width: float
    start: float


def bin_spikes(
    spike_times: Any, events: Any, *, start: float = 0.0, n_bins: int = 350, bin_width: float = 1.0
) -> UInt16[np.ndarray, "n_events n_bins"]:
    """Spikes of one cell in bins that follow events.

    Bin j of event e holds the spikes with e + start + j w <= time < e + start + (j + 1) w.

    Args:
        spike_times: in seconds, shape (n_spikes,), in any order.
        events: in seconds, shape (n_events,).
        start: of the first bin after the event, in milliseconds.
        n_bins: >= 1.
        bin_width: w in milliseconds, > 0.

    Raises:
        ValueError: an argument outside its range.

    >>> from neuromanifold.data.populations import bin_spikes
    >>> bin_spikes([1.0005, 1.0025, 1.0026], [1.0], n_bins=4).tolist()
    [[1, 0, 2, 0]]
    """
    n_bins = check_integer("n_bins", n_bins, 1)
    width = check_real("bin_width", bin_width, 0, open_low=True) / 1000.0
    times = np.sort(np.asarray(spike_times, np.float64))
    origins = np.asarray(events, np.float64) + check_real("start", start) / 1000.0
    require(times.ndim == 1, "spike_times", "have shape (n_spikes,)", times.shape)
    require(origins.ndim == 1, "events", "have shape (n_events,)", origins.shape)
    edges = origins[:, None] + width * np.arange(n_bins + 1)[None]
    counts = np.diff(np.searchsorted(times, edges), axis=1)
    return counts.astype(np.uint16)


def read_nwb(
    path: str | os.PathLike[str],
    label: str = "stimulus",
    *,
    event: str = "start_time",
    start: float = 0.0,
    duration: float = 350.0,
    bin_width: float = 1.0,
) -> Recording:
    """Spikes of all units of an NWB file around all of its trials.

    Args:
        path: of the file.
        label: column of the table of trials that says what was shown.
        event: column of the table of trials that bins are counted from, in seconds.
        start: of the first bin after the event, in milliseconds.
        duration: of the recording taken from each trial, in milliseconds, > 0, a multiple of the bin width.
        bin_width: in milliseconds, > 0.

    Raises:
        ImportError: pynwb is not installed.
        FileError: no such file, no NWB file, or one without trials, units, spike times or a column asked
            for.
        ValueError: an argument outside its range.
    """
    check_real("start", start)
    bin_width = check_real("bin_width", bin_width, 0, open_low=True)
    duration = check_real("duration", duration, 0, open_low=True)
    n_bins = round(duration / bin_width)
    whole = n_bins >= 1 and abs(n_bins * bin_width - duration) <= 1e-9 * duration
    require(whole, "duration", f"be a multiple of bin_width = {bin_width:g}", duration)
    try:
        from pynwb import NWBHDF5IO
    except ImportError:
        raise ImportError(
            "read_nwb needs pynwb, which comes with the extra 'neuroscience': "
            "pip install 'neuromanifold[neuroscience]'."
        ) from None
    path = Path(path)
    if not path.is_file():
        raise FileError(f"there is no file {path}.")
    try:
        opener: Any = NWBHDF5IO
        opened = opener(str(path), mode="r", load_namespaces=True)
    except Exception as error:
        raise FileError(f"{path} is damaged or no NWB file: {error}.") from error
    with opened:
        try:
            content: Any = opened.read()
        except Exception as error:
            raise FileError(f"{path} is damaged or no NWB file: {error}.") from error
        trials, units = content.trials, content.units
        for name, table in (("trials", trials), ("units", units)):
            if table is None or len(table) == 0:
                raise FileError(f"{path} has no table of {name}.")
        for column in (event, label):
            if column not in trials.colnames:
                columns = ", ".join(trials.colnames)
                raise FileError(f"the table of trials of {path} has no column {column!r}, only {columns}.")
        if "spike_times" not in units.colnames:
            raise FileError(f"the table of units of {path} has no column 'spike_times'.")
        events = np.asarray(trials[event][:], np.float64)
        if not np.isfinite(events).all():
            raise FileError(f"the column {event!r} of the table of trials of {path} is not finite.")
        labels = np.asarray(trials[label][:])
        cells = [
            bin_spikes(units["spike_times"][cell], events, start=start, n_bins=n_bins, bin_width=bin_width)
            for cell in range(len(units))
        ]
    return Recording(np.stack(cells, axis=-1), labels, bin_width, float(start))
