"""A population whose rates are those of a memory that recalls: the order of category and detail comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data.populations import stimulus_set
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, panels, simulation, theory
from neuromanifold.experiments.populations._cells import MemoryCells
from neuromanifold.experiments.populations._recording import (
    Analysis,
    analyse,
    coordinates,
    draw_clusters,
    draw_path,
    jackknife,
)
from neuromanifold.geometry import half_rise
from neuromanifold.theory.memory import family_recall
from neuromanifold.theory.populations import count_information

_LEVELS = ("category", "detail")
_FINITE = "finite size, by a cue that is off by its noise, and what shuffles leave of a bias"
# Replicas move together while their states take no more than this.
_BYTES = 5e8


class _Theory(NamedTuple):
    child: np.ndarray
    sibling: np.ndarray
    category: np.ndarray
    detail: np.ndarray
    lead: np.ndarray
    delay: float
    residual: np.ndarray


@experiment(
    Card(
        name="population-memory",
        title="Category before detail, from a memory that recalls",
        topic="populations",
        lecture="C",
        systems=("C3", "C4", "C5"),
        idea=(
            "Nine patterns, the details, come in three families, the categories, and are stored by Hebb's "
            "rule; nobody tells the network when to recall what. Each of 38 stimuli is a noisy copy of one "
            "pattern. From this weak cue the family grows faster than the child, for siblings help each "
            "other; the state nears the family's concept, where a temperature keeps it from staying, and "
            "then goes on to the child. Cells are units of the network and fire Poisson spikes. Their "
            "information about the category rises first, that about the detail later. With few patterns the "
            "macroscopic law is exact for many units, and from it follow overlaps, rates, exact information "
            "of single cells and the delay. Clusters tell another story: the detail is weak at first but "
            "never absent, so that with twenty trials a mixture finds the nine details almost as soon as it "
            "finds anything, and no window with the three categories alone."
        ),
        equations=(
            ("Detail of a category", r"P(\xi_i^{p,d} = \pm 1) = \frac{1 \pm b \xi_i^p}{2}"),
            ("Update", r"P(x_i = +1) = \frac{1}{1 + e^{-2 \beta h_i}}"),
            (
                "Overlaps, many units",
                r"m_v(t + 1) = \langle \xi_v \tanh \beta S \rangle, \quad S = \sum_v m_v \xi_v",
            ),
            (
                "Growth of a weak cue",
                r"\beta (1 + (s - 1) b^2) \; \text{family}, \quad \beta (1 - b^2) \; \text{differences}",
            ),
            ("Rate of a cell", r"r_i = r_0 + (r_1 - r_0) \frac{1 + \tanh \beta h_i}{2}"),
        ),
        sources=(
            "sugaseyamaneuenokawano1999",
            "matsumotookada2005cortex",
            "amari1977concept",
            "toyafukushimakabashimaokada2000",
        ),
        caption=(
            "Above: overlaps with the pattern shown and with its siblings, in the family of the most "
            "details, and information of single cells; lines: many units, points: simulated, dotted: half "
            "of the height. Below: path of the population, small: early, filled: at the end; clusters found."
        ),
    ),
    full={
        "n_units": 100_000,
        "n_recordings": 40,
        "step": 1.0,
        "n_shuffles": 20,
        "cluster_step": 10.0,
        "n_starts": 5,
    },
)
class PopulationMemory:
    """Overlaps, information and clusters of cells in a memory against the macroscopic law."""

    n_units: int = parameter(20_000, doc="number of units N", low=500)
    correlation: float = parameter(0.3, doc="overlap b of a detail with its parent", low=0.0, high=1.0)
    temperature: float = parameter(0.5, doc="temperature of the units", low=0.0, open_low=True)
    overlap: float = parameter(
        0.09, doc="overlap of a stimulus with its detail", low=0.0, high=1.0, open_low=True
    )
    update_time: float = parameter(20.0, doc="duration of an update", unit="ms", low=1.0)
    onset: float = parameter(60.0, doc="when the stimulus reaches the memory", unit="ms", low=0.0)
    least_rate: float = parameter(5.0, doc="rate r_0 of a silent cell", unit="1/s", low=0.0)
    largest_rate: float = parameter(45.0, doc="rate r_1 of an active cell", unit="1/s", low=0.0)
    n_cells: int = parameter(45, doc="cells of a recording", low=4)
    n_trials: int = parameter(20, doc="trials of each stimulus", low=2)
    n_recordings: int = parameter(12, doc="memories, the independent samples", low=3)
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

    def check(self) -> None:
        """Times fit each other, and cells are units."""
        require(self.n_cells <= self.n_units, "n_cells", "be at most n_units", self.n_cells)
        require(self.n_principal <= self.n_cells, "n_principal", "be at most n_cells", self.n_principal)
        require(self.least_rate < self.largest_rate, "largest_rate", "be above least_rate", self.largest_rate)
        for name in ("width", "duration", "cluster_step", "onset", "update_time"):
            value = getattr(self, name)
            whole = abs(value / self.step - round(value / self.step)) < 1e-9
            require(whole, name, f"be a multiple of step = {self.step:g}", value)
        rest = self.duration - self.width - self.onset
        require(rest > self.update_time, "duration", "leave time for updates", self.duration)

    @property
    def _n_updates(self) -> int:
        return int(np.ceil((self.duration - self.onset) / self.update_time))

    def _analysis(self) -> Analysis:
        return Analysis(
            self.n_trials,
            self.duration,
            self.width,
            self.step,
            self.n_levels,
            self.n_shuffles,
            self.cluster_step,
            self.duration - self.width,
            self.n_principal,
            self.n_components,
            self.n_starts,
            self.n_steps,
        )

    def _rates(self, activity: np.ndarray) -> np.ndarray:
        """Rates in bins from activities in updates, both along the first axis; none before the onset."""
        update = np.floor((self._analysis().bin_times - self.onset) / self.update_time).astype(int)
        seen = activity[np.clip(update, 0, len(activity) - 1)]
        seen[update < 0] = 0.0
        return self.least_rate + (self.largest_rate - self.least_rate) * (1 + seen) / 2

    def predict(self) -> xr.Dataset:
        """The macroscopic law: overlaps, exact information, its delay; what noise of a cue would change."""
        exact = self._macroscopic(self.overlap)
        off = self._macroscopic(self.overlap - self._fluctuation())
        variables: dict[str, Any] = {}
        for name, dims, long_name, units in (
            ("child", ("time",), "overlap with the pattern shown", "1"),
            ("sibling", ("time",), "overlap with its siblings", "1"),
            ("category", ("window",), "exact information about the category", "bit"),
            ("detail", ("window",), "exact information about the detail given the category", "bit"),
            ("lead", ("window",), "exact information about the category less that about the detail", "bit"),
            ("delay", (), "delay of the exact information", "ms"),
        ):
            value, other = np.asarray(getattr(exact, name)), np.asarray(getattr(off, name))
            left = exact.residual if dims == ("window",) else 0.0
            made = Prediction(value, np.abs(value - other) + left, _FINITE)
            variables |= predicted_variable(f"exact_{name}", made, dims, long_name=long_name, units=units)
        return xr.Dataset(variables, coordinates(self._analysis()))

    def _fluctuation(self) -> float:
        """Noise of a cue: of variance 1/N in each overlap of a family, at the start and at each update.

        Noise of update t counts as much as g^-t of it at the start, where g is the growth of differences.
        """
        growth = (1 - self.correlation**2) / self.temperature
        sizes = np.bincount(stimulus_set().category_of_detail)
        variance = sizes.max() / (self.n_units * (1 - min(growth**-2, 0.9)))
        return float(min(np.sqrt(variance), self.overlap / 2))

    def _macroscopic(self, overlap: float) -> _Theory:
        stimuli, analysis = stimulus_set(), self._analysis()
        owner = stimuli.category_of_detail
        sizes = np.bincount(owner)
        beta = 1 / self.temperature
        recalls = [family_recall(self.correlation, int(s), beta, overlap, self._n_updates) for s in sizes]
        # Kinds of units: how many patterns of each family are +1.
        kinds = [one.ravel() for one in np.meshgrid(*(np.arange(s + 1) for s in sizes), indexing="ij")]
        share = np.prod([recall.share[kind] for recall, kind in zip(recalls, kinds, strict=True)], axis=0)
        rates = [
            self._rates(recall.activity.copy())[:, kind] for recall, kind in zip(recalls, kinds, strict=True)
        ]
        spikes = np.concatenate(rates, axis=2) * self.step / 1000
        total = np.concatenate([np.zeros((1, *spikes.shape[1:])), np.cumsum(spikes, axis=0)])
        wide = round(self.width / self.step)
        samples = self.n_trials * np.bincount(stimuli.detail)
        found = count_information(total[wide:] - total[:-wide], samples, owner, self.n_levels)
        category, detail = found.group @ share, found.detail @ share
        times = analysis.starts + self.width / 2
        delay = float(half_rise(times, detail) - half_rise(times, category))
        largest = int(np.argmax(sizes))
        recall = recalls[largest]
        residual = np.abs(found.group_residual @ share) + np.abs(found.detail_residual @ share)
        return _Theory(recall.child, recall.sibling, category, detail, category - detail, delay, residual)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recall of all stimuli in memories drawn anew, spikes of some of their units, and the analysis."""
        key_memory, key_analysis = jax.random.split(key)
        stimuli = stimulus_set()
        cells = MemoryCells(stimuli, self.n_units, self.n_cells, self.correlation, 1 / self.temperature)
        needed = 16.0 * stimuli.n_stimuli * self.n_units
        made = run(
            cells.process(),
            key_memory,
            self.overlap,
            self._n_updates,
            observe=cells.observe,
            replicas=self.n_recordings,
            memory_budget=None if needed * self.n_recordings <= _BYTES else max(_BYTES, 4 * needed),
            keep_state=False,
            label="recall",
        )
        seen = made.values
        largest = int(np.argmax(np.bincount(stimuli.category_of_detail)))
        variables: dict[str, Any] = {}
        for name, values in (("child", seen.child), ("sibling", seen.sibling)):
            samples = np.asarray(values[:, :, largest], np.float64)
            long_name = f"overlap with the {name}, family of the most details"
            variables |= measured_variables(name, estimate(samples), ("time",), long_name=long_name)
            if name == "sibling":
                peak = jackknife(lambda mean: mean.max() / mean[-1], samples)
                variables |= measured_variables("peak", estimate(peak), long_name="peak over final overlap")

        def rates(number: int) -> np.ndarray:
            activity = np.asarray(seen.activity[number], np.float64)
            return np.moveaxis(self._rates(activity), 0, 1)

        variables |= analyse(run, key_analysis, rates, self.n_recordings, stimuli, self._analysis())
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Overlaps in time; the family first; information and its delay; nine clusters at the end."""
        made = []
        middle = int(np.argmax(record["exact_sibling"].values))
        for name, part in (("child", 0.2), ("sibling", 0.5)):
            for update in (1, middle):
                at = record.isel(time=update)
                expected = read_predicted(at, f"exact_{name}")
                if update == 1:  # The cue has its overlap exactly, and noise has not grown yet.
                    expected = Prediction(expected.value, 1 / self.n_units, "finite size, 1/N")
                made.append(
                    compare(
                        expected,
                        read_measured(at, name),
                        statement=f"Overlap with the {name} after {update} updates is that of many units.",
                        system="C3",
                        resolution=part * float(expected.value),
                    )
                )
        made.append(
            at_least(
                1.2,
                read_measured(record, "peak"),
                statement="Recall first nears the siblings of what is shown, then leaves them.",
                system="C3",
                reason="peak over final overlap with the siblings",
            )
        )
        made.append(
            at_least(
                0.8,
                read_measured(record.isel(time=-1), "child"),
                statement="Recall ends at the pattern that is shown; overlap, mean over all stimuli.",
                system="C3",
                reason="a few stimuli end in the concept or at a sibling, for N is finite",
            )
        )
        for name in _LEVELS:
            exact = record[f"exact_{name}"].values
            at = record.isel(window=int(np.argmax(exact >= exact.max() / 2)))
            expected = read_predicted(at, f"exact_{name}")
            where = f"Around {float(at['start']) + self.width / 2:g} ms"
            made.append(
                compare(
                    expected,
                    read_measured(at, f"{name}_information"),
                    statement=f"{where} a cell has the exact information about the {name}, half of the most.",
                    system="C4",
                    resolution=0.5 * float(expected.value),
                )
            )
        at = record.isel(window=int(np.argmax(record["exact_lead"].values)))
        where = f"Around {float(at['start']) + self.width / 2:g} ms"
        statement = f"{where} a cell tells more bits about the category than about the detail."
        made.append(at_least(0.0, read_measured(at, "lead"), statement=statement, system="C4", sigmas=3.0))
        delay = read_measured(record, "delay_time")
        made.append(
            at_least(
                0.0,
                delay,
                statement="Information about the detail rises after that about the category.",
                system="C4",
            )
        )
        made.append(
            compare(
                read_predicted(record, "exact_delay"),
                delay,
                statement="The delay is that of the macroscopic law.",
                system="C4",
                resolution=float(record["exact_delay"]),
            )
        )
        clusters = read_measured(record, "clusters")[-1]
        made.append(
            compare(
                Prediction(9.0, 0.5, "nine to the nearest number"),
                Estimate(clusters.mean, clusters.standard_error, clusters.n),
                statement="In the last window nine clusters are found on average, a number nobody told.",
                system="C5",
                resolution=3.0,
            )
        )
        made.append(
            at_least(
                0.8,
                read_measured(record, "detail_agreement")[-1],
                statement="In the last window the clusters are the details: adjusted Rand index.",
                system="C5",
                sigmas=2.0,
                reason="1 for the same partition, 0 by chance",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Overlaps, information, paths, clusters."""
        figure, axes = panels(2, 2, width=4.8)
        (first, second), (third, fourth) = axes
        time = self.onset + self.update_time * np.arange(self._n_updates + 1)
        for index, name in enumerate(("child", "sibling")):
            words = ("pattern shown", "its siblings")[index]
            theory(first, time, record[f"exact_{name}"].values, index, label=f"{words}, many units")
            shown = read_measured(record, name)
            label = f"{words}, simulated"
            simulation(first, time, shown.mean, shown.standard_error, index, label=label)
        first.set_xlabel("time after the stimulus (ms)")
        first.set_ylabel("overlap")
        first.set_ylim(0, 1.35)
        first.legend(loc="upper left", fontsize="small", ncols=2)
        centres = record["start"].values + self.width / 2
        every = max(1, len(centres) // 20)
        for index, name in enumerate(_LEVELS):
            theory(second, centres, record[f"exact_{name}"].values, index, label=f"{name}, many units")
            shown = read_measured(record, f"{name}_information")
            simulation(
                second,
                centres[::every],
                shown.mean[::every],
                shown.standard_error[::every],
                index,
                label=f"{name}, estimated",
            )
            half = float(record[f"{name}_time"])
            second.axvline(half, color=COLOURS[index], linestyle=":", linewidth=1.0)
        second.set_xlabel("middle of the window (ms)")
        second.set_ylabel("information of a cell (bits)")
        second.set_ylim(-0.01, 1.4 * float(record["exact_detail"].max()))
        second.legend(loc="upper left", fontsize="small", ncols=2)
        early = self.onset + self.update_time
        draw_path(third, record, stimulus_set().categories, (early, self.duration - self.width))
        draw_clusters(fourth, record, self.width)
        return figure
