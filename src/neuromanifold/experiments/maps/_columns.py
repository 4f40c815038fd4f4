"""Cells that see bars become selective for their orientation, and neighbours for similar ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    AfferentEnsemble,
    learning_rate,
    stored,
    strength,
)
from neuromanifold.networks.selforganizing import (
    bars,
    chance_correlation,
    chance_selectivity,
    hexagonal_patch,
    orientation_map,
    pinwheels,
    preference_correlation,
    random_afferents,
    random_sheet,
)

_TIMES = ("before", "after")


@experiment(
    Card(
        name="orientation-columns",
        title="Cells that see bars come to prefer orientations, neighbours similar ones",
        topic="maps",
        lecture="D",
        systems=("D3",),
        idea=(
            "A sheet of cells receives random connections from a small retina on which bars are shown. Each "
            "cell excites its neighbours and, through a second sheet, inhibits those further away. "
            "Connections between an active input and an active cell grow, at the cost of the cell's others. "
            "At first cells respond to most bars alike. After some ten presentations of all bars most cells "
            "respond to one orientation, neighbours to similar ones, and every orientation has cells. The "
            "order is measured against the same preferences dealt out at random, for which theory is exact: "
            "the correlation that is left at any distance, and a turn of the preference around one triangle "
            "of cells in four."
        ),
        equations=(
            (
                "Activity",
                r"\dot{E}_k = -a E_k + p \sum_{\mathrm{near}} f(E_l) - q \sum_{\mathrm{far}} f(I_l) "
                r"+ \sum_i s_{ki} A_i",
            ),
            (
                "Inhibition",
                r"\dot{I}_k = -a I_k + r \sum_{\mathrm{near}} f(E_l), \quad f(H) = (H - \theta)^+",
            ),
            (
                "Learning",
                r"s_{ki} \leftarrow s_{ki} + h A_i f(E_k), \quad \sum_i s_{ki} = \mathrm{const}",
            ),
            (
                "Preference",
                r"|z| e^{2 i \phi} = \frac{\sum_\theta f_\theta e^{2 i \theta}}{\sum_\theta f_\theta}",
            ),
        ),
        sources=("vondermalsburg1973",),
        caption=(
            "Left: preferred orientation of each cell before and after learning (longer lines: more "
            "selective), and pinwheels (filled: turning left, open: right). Third: correlation of "
            "preferences against distance. Right: distribution of selectivity."
        ),
    ),
    full={"n_maps": 16, "n_sets": 200},
)
class OrientationColumns:
    """Von der Malsburg's sheet before and after learning."""

    radius: int = parameter(7, doc="cells from the centre of the sheet to a corner", low=4, high=20)
    n_bars: int = parameter(9, doc="orientations of the bars", low=4, high=36)
    width: float = parameter(0.55, doc="width of a bar", unit="lattice constants", low=0.2, high=2.0)
    excitation: float = strength(0.15, "strength p between neighbours")
    recruitment: float = strength(0.13, "strength r from excitatory to inhibitory cells")
    inhibition: float = strength(0.13, "strength q of inhibition")
    rate: float = learning_rate(0.05)
    n_sets: int = parameter(100, doc="presentations of each bar, on average", low=5)
    n_maps: int = parameter(6, doc="sheets with connections of their own", low=5)
    n_shuffles: int = parameter(20, doc="times that a sheet gets random preferences", low=1)

    def _angles(self) -> np.ndarray:
        return np.arange(self.n_bars) * np.pi / self.n_bars

    def _edges(self) -> np.ndarray:
        """Bins of distance: neighbours, next ones, and so on."""
        return np.arange(0.5, min(self.radius + 1, 8) + 0.6)

    def predict(self) -> xr.Dataset:
        """What preferences dealt out at random show."""
        middle = self._edges()[:-1] + 0.5
        return xr.Dataset(
            {
                **predicted_variable(
                    "shuffled_turns_expected",
                    Prediction(0.25),
                    long_name="share of triangles with a turn, random preferences",
                ),
                **predicted_variable(
                    "dealt_expected",
                    Prediction(0.0),
                    long_name="correlation of preferences above chance, shuffled",
                ),
                "unrelated": (
                    "distance",
                    np.zeros(len(middle)),
                    {"long_name": "correlation of unrelated preferences", "units": "1"},
                ),
            },
            {"distance": ("distance", middle, {"long_name": "distance", "units": "lattice constants"})},
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Sheets that learn; their preferences, correlations, pinwheels, and shuffled controls."""
        key_run, key_shuffle = jax.random.split(key)
        shown = Bars(jnp.asarray(bars(self._angles(), width=self.width), jnp.float32))
        sheet = random_sheet(
            key_run,
            radius=self.radius,
            excitation=self.excitation,
            recruitment=self.recruitment,
            inhibition=self.inhibition,
        )
        n_cells, n_inputs = sheet.afferents.shape
        of = AfferentEnsemble(sheet, Uniformly((n_cells, n_inputs)), shown, jnp.asarray(self.rate))
        n_steps = self.n_sets * self.n_bars
        made = run(
            of.process(),
            key_run,
            0.0,
            n_steps,
            observe=SeenBars(of, shown),
            every=n_steps,
            replicas=self.n_maps,
            label="orientation columns",
        )
        responses = np.asarray(made.values)
        random = np.random.default_rng(np.asarray(jax.random.key_data(key_shuffle)).tolist())
        places, edges = hexagonal_patch(self.radius), self._edges()
        shape = (self.n_maps, len(_TIMES))
        selectivity, above_chance, active, turns, shuffled_turns = (np.zeros(shape) for _ in range(5))
        correlation, shuffled, excess, dealt = (np.zeros((*shape, len(edges) - 1)) for _ in range(4))
        missing = 0
        shares = np.zeros((*shape, 10))
        for index in np.ndindex(*shape):
            found = orientation_map(responses[index], self._angles())
            n_active = int(found.active.sum())
            selectivity[index], active[index] = found.selectivity[found.active].mean(), found.active.mean()
            shares[index] = np.histogram(found.selectivity[found.active], bins=10, range=(0, 1))[0] / n_active
            squares = found.selectivity**2 - chance_selectivity(responses[index])
            above_chance[index] = squares[found.active].mean()
            correlation[index] = preference_correlation(found, places, edges)
            order = random.permutation(n_active)
            shuffled[index] = preference_correlation(found, places, edges, order)
            chance = chance_correlation(found)
            excess[index], dealt[index] = correlation[index] - chance, shuffled[index] - chance
            wheels = pinwheels(found, places)
            turns[index] = len(wheels.signs) / wheels.n_triangles
            for _ in range(self.n_shuffles):
                mixed = found._replace(preference=random.uniform(0, np.pi, len(places)))
                wheels = pinwheels(mixed, places)
                shuffled_turns[index] += len(wheels.signs) / wheels.n_triangles / self.n_shuffles
            if _TIMES[index[1]] == "after":
                nearest = np.rint(found.preference[found.active] / np.pi * self.n_bars).astype(int)
                missing += self.n_bars - len(np.unique(nearest % self.n_bars))

        words = "correlation of preferences"
        return xr.Dataset(
            {
                **stored("selectivity", selectivity, ("time",), "mean selectivity of active cells"),
                **stored("active", active, ("time",), "share of cells that respond to a bar"),
                **stored("turns", turns, ("time",), "share of triangles with a turn of the preference"),
                **stored(
                    "shuffled_turns", shuffled_turns, ("time",), "share of triangles, random preferences"
                ),
                **stored("correlation", correlation, ("time", "distance"), words),
                **stored("shuffled", shuffled, ("time", "distance"), f"{words}, shuffled"),
                **stored("above_chance", above_chance, ("time",), "square selectivity above chance"),
                **stored("excess", excess, ("time", "distance"), f"{words} above chance"),
                **stored("dealt", dealt, ("time", "distance"), f"{words} above chance, shuffled"),
                **stored("fall", excess[..., 0] - excess[..., 3:].mean(-1), ("time",), f"fall of {words}"),
                **stored("rise", excess[:, 1, 0] - excess[:, 0, 0], (), f"rise of neighbours' {words}"),
                **stored("gain", selectivity[:, 1] - selectivity[:, 0], (), "gain of selectivity"),
                **stored("shares", shares, ("time", "level"), "share of cells"),
                "missing": ((), missing, {"long_name": "orientations without a cell", "units": "1"}),
                "responses": (
                    ("time", "bar", "cell"),
                    responses[0],
                    {"long_name": "responses of the first sheet", "units": "1"},
                ),
            },
            {
                "time": ("time", list(_TIMES), {"long_name": "time", "units": "1"}),
                "level": ("level", np.arange(10) / 10 + 0.05, {"long_name": "selectivity", "units": "1"}),
            },
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Selective cells; similar neighbours; all orientations; controls."""
        before, after = record.sel(time="before"), record.sel(time="after")
        return [
            at_most(
                0.5,
                read_measured(before, "selectivity"),
                statement="Before learning selectivity is weak: below that of cosine tuning.",
                system="D3",
                reason="|z| of responses 1 + cos 2(theta - phi)",
            ),
            at_least(
                2 / math.pi,
                read_measured(after, "selectivity"),
                statement="After learning cells are selective: more than if half of all bars moved them.",
                system="D3",
                reason="|z| of equal responses within 45 degrees, 2/pi",
            ),
            at_least(
                0.0,
                read_measured(after, "above_chance"),
                statement="Selectivity exceeds that of the same responses dealt out over the bars at random.",
                system="D3",
                reason="the mean over all permutations",
            ),
            at_least(
                0.0,
                read_measured(record, "gain"),
                statement="Learning raises selectivity.",
                system="D3",
            ),
            at_least(
                0.5,
                read_measured(after, "active"),
                statement="Most cells respond to some bar.",
                system="D3",
                reason="most: more than half",
            ),
            at_least(
                0.0,
                read_measured(after.isel(distance=0), "excess"),
                statement="Neighbours prefer similar orientations, beyond chance.",
                system="D3",
                reason="the mean over all permutations",
            ),
            at_least(
                0.0,
                read_measured(record, "rise"),
                statement="Learning makes neighbours' preferences more similar.",
                system="D3",
            ),
            at_least(
                0.0,
                read_measured(after, "fall"),
                statement="The correlation of preferences falls with distance.",
                system="D3",
            ),
            compare(
                read_predicted(record, "dealt_expected"),
                read_measured(after.isel(distance=0), "dealt"),
                statement="Dealt out at random, neighbours' preferences correlate as chance says.",
                system="D3",
                resolution=0.15,
            ),
            compare(
                read_predicted(record, "shuffled_turns_expected"),
                read_measured(after, "shuffled_turns"),
                statement="Random preferences turn around one triangle of cells in four.",
                system="D3",
                resolution=0.08,
            ),
            at_most(
                0.25,
                read_measured(after, "turns"),
                statement="The learnt map has fewer pinwheels than random preferences.",
                system="D3",
            ),
            at_least(
                1 / (6 * self.radius**2),
                read_measured(after, "turns"),
                statement="The learnt map has pinwheels.",
                system="D3",
                reason="one among the triangles of a sheet",
            ),
            never(
                int(record["missing"]),
                self.n_maps * self.n_bars,
                statement="Every orientation is preferred by some cell of every sheet.",
                system="D3",
                rate=0.15,
            ),
        ]

    def draw(self, record: xr.Dataset) -> Figure:
        """Both maps, correlation, selectivity."""
        figure, axes = panels(4, width=3.9, height=3.9)
        places = hexagonal_patch(self.radius)
        for axis, time in zip(axes[0, :2], _TIMES, strict=True):
            _sheet(axis, places, record["responses"].sel(time=time).values, self._angles())
            axis.set_title(f"{time} learning", fontsize="medium")
        third, right = axes[0, 2:]
        theory(third, record["distance"], record["unrelated"], 6, linestyle=":", label="unrelated")
        for index, (name, time, label) in enumerate(
            (
                ("correlation", "before", "before"),
                ("correlation", "after", "after"),
                ("shuffled", "after", "shuffled"),
            )
        ):
            shown = read_measured(record.sel(time=time), name)
            simulation(third, record["distance"], shown.mean, shown.standard_error, index, label=label)
        third.set(
            xlabel="distance of two cells (lattice constants)", ylabel="correlation of their preferences"
        )
        third.legend(frameon=False)
        for index, time in enumerate(_TIMES):
            shown = read_measured(record.sel(time=time), "shares")
            simulation(
                right, record["level"], shown.mean, shown.standard_error, index, label=time, linestyle="-"
            )
        right.set(xlabel="selectivity", ylabel="share of cells", ylim=(0, None))
        right.legend(frameon=False)
        return figure


def _sheet(axis: Axes, places: np.ndarray, responses: np.ndarray, angles: np.ndarray) -> None:
    """A line for each cell along its preference, and pinwheels."""
    found = orientation_map(responses, angles)
    half = (
        0.45 * found.selectivity[:, None] * np.stack([np.cos(found.preference), np.sin(found.preference)], 1)
    )
    for place, step in zip(places, half, strict=True):
        axis.plot(*np.stack([place - step, place + step]).T, color=COLOURS[6], linewidth=1.3)
    axis.plot(*places[~found.active].T, linestyle="none", marker=".", markersize=2, color="0.6")
    wheels = pinwheels(found, places)
    for sign, fill in ((1, COLOURS[1]), (-1, "white")):
        axis.plot(
            *wheels.positions[wheels.signs == sign].T,
            linestyle="none",
            marker="o",
            markersize=4,
            markerfacecolor=fill,
            markeredgecolor=COLOURS[1],
        )
    axis.grid(visible=False)
    axis.set(aspect="equal", xlabel="place on the sheet (lattice constants)", ylabel="place on the sheet")


class Uniformly(eqx.Module):
    """Random afferents without any order.

    Args:
        shape: (n_cells, n_inputs).
    """

    shape: tuple[int, int] = eqx.field(static=True)

    def __call__(self, key: Key[Array, ""]) -> Float[Array, "n_cells n_inputs"]:
        """Some afferents."""
        return random_afferents(key, self.shape)


class Bars(eqx.Module):
    """Bars in random order.

    Args:
        stimuli: the bars, shape (n_bars, n_inputs).
    """

    stimuli: Float[Array, "n_bars n_inputs"]

    def __call__(self, key: Key[Array, ""], t: Any) -> Float[Array, " n_inputs"]:
        """One of them."""
        return self.stimuli[jax.random.randint(key, (), 0, self.stimuli.shape[0])]


class SeenBars(eqx.Module):
    """What is observed of sheets: the response of each cell to each bar.

    Args:
        of: the sheets.
        bars: the bars.
    """

    of: AfferentEnsemble
    bars: Bars

    def __call__(self, state: Float[Array, "n_cells n_inputs"]) -> Float[Array, "n_bars n_cells"]:
        """The responses."""
        return jax.vmap(self.of.of(state).respond)(self.bars.stimuli)
