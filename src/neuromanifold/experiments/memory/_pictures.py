"""Pictures recalled by Hopfield's network of 0/1 units with thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import flip_cue, load_faces, load_mnist_subset
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    estimate,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, LINES, panels
from neuromanifold.networks.memory import ThresholdNetwork, asynchronous, learn, synchronous, to_signs


def _changes(info: Any) -> Array:
    return info.changed


def _state(state: Array) -> Array:
    return state.astype(jnp.int8)


@experiment(
    Card(
        name="memory-pictures",
        title="Pictures recalled by a network with thresholds",
        topic="memory",
        lecture="D",
        systems=("D1",),
        idea=(
            "Handwritten digits, cut to their ink and made black and white, or faces, in which a pixel is on "
            "where it is brighter than in half of all faces, are stored in a network of 0/1 units with "
            "thresholds, and recalled from copies in which one pixel in five is flipped. No update of a "
            "single unit ever raises the energy, every run ends, and the network of +-1 units with the "
            "mapped "
            "couplings takes exactly the same path. Hebb's rule is at its best with uncorrelated "
            "patterns in which half the "
            "units are on; the pictures are chosen to come near that. Many digits at once are alike: their "
            "crosstalk turns units over, as the stability of each pixel predicts exactly, and the recall "
            "fails."
        ),
        equations=(
            (
                "Update",
                r"u_i \leftarrow 1, 0, u_i \; \text{as} \; \sum_j w_{ij} u_j + s_i - \theta_i \; "
                r"\text{is} \; > 0, < 0, = 0",
            ),
            ("Energy", r"E = -\frac{1}{2} \sum_{ij} w_{ij} u_i u_j - \sum_i (s_i - \theta_i) u_i"),
            (
                "Learning",
                r"w_{ij} = 4 \sum_{\mu} (u_i^\mu - \frac{1}{2})(u_j^\mu - \frac{1}{2}), \quad w_{ii} = 0",
            ),
            (
                "Map to units of either sign",
                r"x = 2u - 1, \quad w_{ij} = 4 J_{ij}, \quad \theta_i = 2 \sum_j J_{ij}",
            ),
            ("Stability of a unit", r"\kappa_i^\mu = \xi_i^\mu \sum_j J_{ij} \xi_j^\mu"),
        ),
        sources=("hopfield1982", "hopfield1984", "lecun1998", "samaria1994"),
        caption=(
            "Top: stored pictures; middle: cues with flipped pixels; bottom: what is recalled. Below: "
            "energy of several "
            "runs against single-unit updates."
        ),
    ),
    full={"source": "faces", "margin": 0, "n_cues": 200, "n_sweeps": 20},
)
class MemoryPictures:
    """Digits or faces recalled by a 0/1 network; energy, equivalence with the +-1 form, crosstalk."""

    source: str = parameter(
        "digits", doc="pictures; faces are read from NEUROMANIFOLD_DATA", choices=("digits", "faces")
    )
    n_pictures: int = parameter(6, doc="pictures stored, each of another digit or person", low=2, high=10)
    margin: int = parameter(4, doc="pixels cut from each side", unit="pixels", low=0, high=10)
    ink: int = parameter(64, doc="grey level above which a pixel of a digit is on", low=0, high=254)
    flips: float = parameter(0.2, doc="probability that a pixel of the cue is flipped", low=0.0, high=0.5)
    n_cues: int = parameter(30, doc="cues of each picture", low=5)
    n_sweeps: int = parameter(8, doc="updates of each unit", unit="sweeps", low=2)
    n_crowded: int = parameter(30, doc="pictures in the crowded memory that fails", low=11, high=2000)

    def check(self) -> None:
        """Enough runs to say that none goes on."""
        enough = self.n_pictures * self.n_cues >= 135
        require(enough, "n_cues", "make at least 135 cues with n_pictures", self.n_cues)

    def _source(self) -> tuple[np.ndarray, np.ndarray]:
        """All pictures, 0/1, shape (n, height, width), and their labels."""
        known = load_mnist_subset() if self.source == "digits" else load_faces()
        grey = self.ink if self.source == "digits" else np.median(known.images, axis=0)
        cut = slice(self.margin, -self.margin or None)
        return (known.images > grey)[:, cut, cut], known.labels

    def _pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """The pictures chosen for the memory, and the evenly spread ones for the crowded one; 0/1."""
        pictures, labels = self._source()
        rule = f"be at most the number of {self.source}, {len(labels)}"
        require(self.n_crowded <= len(labels), "n_crowded", rule, self.n_crowded)
        units = pictures.reshape(len(labels), -1)
        signs = 2.0 * units - 1.0
        # Half the units on, then in turn the picture of a new class that is least like those chosen.
        chosen = [int(np.argmin(np.abs(signs.mean(1))))]
        alike = np.abs(signs @ signs[chosen[0]])
        while len(chosen) < self.n_pictures:
            free = np.where(np.isin(labels, labels[chosen]), np.inf, alike)
            chosen.append(int(np.argmin(free)))
            alike = np.maximum(alike, np.abs(signs @ signs[chosen[-1]]))
        spread = np.linspace(0, len(units) - 1, self.n_crowded).round().astype(int)
        return units[chosen].astype(np.int8), units[spread].astype(np.int8)

    def predict(self) -> xr.Dataset:
        """Stabilities kappa of all pixels, from the pictures alone."""
        variables: dict[str, xr.Variable] = {}
        for name, pictures in zip(("picture", "crowded"), self._pictures(), strict=True):
            signs = 2.0 * pictures - 1.0
            n_patterns, n_units = signs.shape
            stability = signs * ((signs @ signs.T) @ signs - n_patterns * signs) / n_units
            unstable = Prediction(np.mean(stability < 0, axis=1))
            variables |= predicted_variable(
                f"{name}_unstable", unstable, (name,), long_name="fraction of pixels with negative stability"
            )
            variables[f"{name}_stability"] = xr.Variable(
                (name,), stability.min(1), {"long_name": "least stability of a pixel", "units": "1"}
            )
        return xr.Dataset(variables)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Recall from damaged pictures in both forms; one update of all units from the pictures."""
        key_cues, key_run, key_crowded = jax.random.split(key, 3)
        few, many = self._pictures()
        network = learn(few)
        variables: dict[str, xr.Variable] = {}
        recall = self._recall(run, key_cues, key_run, network, few, "pictures")
        variables |= measured_variables(
            "picture_overlap",
            estimate(recall["overlap"], axis=1),
            ("picture",),
            long_name="overlap with the picture after recall",
        )
        energies = recall["energies"]
        for name, value, long_name in (
            ("rises", np.sum(np.diff(energies, axis=0) > 0), "updates that raised the energy"),
            ("changes", recall["changes"].sum(), "updates that changed a unit"),
            ("unfinished", np.sum(recall["last"] > 0), "runs that still changed in the last sweep"),
            ("runs", energies.shape[1], "runs"),
            ("different", recall["different"], "states in which the +-1 form differs"),
            ("states", recall["states"], "states compared with the +-1 form"),
        ):
            variables[name] = xr.Variable((), int(value), {"long_name": long_name, "units": "1"})
        shown = energies[:, :: self.n_cues]
        variables["energy"] = xr.Variable(
            ("update", "picture"),
            shown[:: max(1, len(shown) // 400)],
            {"long_name": "energy E", "units": "1"},
        )
        shape = self._source()[0].shape[1:]
        for name in ("stored", "cue", "recalled"):
            variables[name] = xr.Variable(
                ("picture", "row", "column"),
                recall[name].reshape(-1, *shape),
                {"long_name": f"{name} picture", "units": "1"},
            )
        crowded = learn(many)
        lost = self._recall(
            run, key_crowded, key_crowded, crowded, many[: self.n_pictures], "crowded", full=False
        )
        variables |= measured_variables(
            "crowded_overlap",
            estimate(lost["overlap"].mean(0)),
            long_name="overlap after recall, crowded memory",
        )
        for name, memory, pictures in (("picture", network, few), ("crowded", crowded, many)):
            moved = run(synchronous(memory), key, pictures, 1, label=f"one update, {name}")
            turned = np.mean(np.asarray(moved.state) != pictures, axis=1)
            variables |= measured_variables(
                f"{name}_turned",
                Estimate(turned, np.zeros_like(turned), pictures.shape[1]),
                (name,),
                long_name="fraction of pixels that one update turns",
            )
        coordinates = {}
        if shown.shape[0]:
            step = np.arange(0, len(shown), max(1, len(shown) // 400))
            coordinates["update"] = ("update", step, {"long_name": "time", "units": "single-unit updates"})
        return xr.Dataset(variables, coordinates)

    def _recall(
        self,
        run: Callable[..., Any],
        key_cues: Key[Array, ""],
        key_run: Key[Array, ""],
        network: ThresholdNetwork,
        pictures: np.ndarray,
        label: str,
        full: bool = True,
    ) -> dict[str, Any]:
        n, n_units = len(pictures), pictures.shape[1]
        keys = jax.random.split(key_cues, (n, self.n_cues))
        signs = jnp.asarray(2 * pictures - 1)
        of_one = jax.vmap(flip_cue, (0, None, None))
        damaged = np.asarray(jax.vmap(of_one, (0, 0, None))(keys, signs, self.flips))
        cues = (damaged.reshape(n * self.n_cues, n_units) + 1) // 2
        process = asynchronous(network, "sequential", 1)
        steps = self.n_sweeps * n_units
        made = run(
            process,
            key_run,
            cues,
            steps,
            observe=process.descends,
            observe_info=_changes,
            label=f"{label}: recall",
        )
        final = np.asarray(made.state)
        wanted = np.repeat(pictures, self.n_cues, axis=0)
        overlap = np.mean((2 * final - 1) * (2.0 * wanted - 1), axis=1).reshape(n, self.n_cues)
        result: dict[str, Any] = {"overlap": overlap, "energies": np.asarray(made.values, np.float64)}
        if not full:
            return result
        changes = np.asarray(made.infos)
        # The same path in the other form: same key, same units, all states compared once a sweep.
        zero_one = run(
            process, key_run, cues, steps, observe=_state, every=n_units, label=f"{label}: 0/1 states"
        )
        other = asynchronous(to_signs(network), "sequential", 1)
        signs_path = run(
            other, key_run, 2 * cues - 1, steps, observe=_state, every=n_units, label=f"{label}: +-1 states"
        )
        same = np.all(2 * np.asarray(zero_one.values) - 1 == np.asarray(signs_path.values), axis=-1)
        # One sweep more, in another order, shows who would still move.
        last = run(
            asynchronous(network), key_run, final, 1, observe_info=_changes, label=f"{label}: last sweep"
        )
        return result | {
            "changes": changes,
            "different": int(np.sum(~same)),
            "states": same.size,
            "last": np.asarray(last.infos)[-1],
            "stored": pictures,
            "cue": cues[:: self.n_cues],
            "recalled": final[:: self.n_cues].astype(np.int8),
        }

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Recall, energy, end, equivalence, and crosstalk."""
        made = []
        overlap = read_measured(record, "picture_overlap")
        worst = int(np.argmin(overlap.mean))
        made.append(
            at_least(
                0.95,
                overlap[worst],
                statement=(
                    f"Every picture is recalled from {100 * self.flips:g} % flipped pixels; the worst one."
                ),
                system="D1",
            )
        )
        made.append(
            never(
                int(record["rises"]),
                int(record["changes"]),
                statement="No change of a single unit raises the energy.",
                system="D1",
            )
        )
        made.append(
            never(
                int(record["unfinished"]),
                int(record["runs"]),
                statement=f"Every run has ended after {self.n_sweeps} sweeps.",
                system="D1",
                rate=0.05,
            )
        )
        made.append(
            never(
                int(record["different"]),
                int(record["states"]),
                statement="The 0/1 and the +-1 form take the same path.",
                system="D1",
            )
        )
        for name, words in (("picture", "few pictures"), ("crowded", f"{self.n_crowded} pictures")):
            turned, unstable = (
                read_measured(record, f"{name}_turned"),
                read_predicted(record, f"{name}_unstable"),
            )
            most = int(np.argmax(np.abs(turned.mean - unstable.value)))
            made.append(
                compare(
                    unstable[most],
                    turned[most],
                    statement=(
                        f"{words}: one update turns exactly the pixels of negative stability; "
                        "largest difference."
                    ),
                    system="D1",
                    resolution=0.5 / turned.n,
                )
            )
        made.append(
            at_most(
                0.9,
                read_measured(record, "crowded_overlap"),
                statement=f"With {self.n_crowded} pictures, many alike, crosstalk destroys recall.",
                system="D1",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Pictures above, energy below."""
        figure, axes = panels(1, 1, width=7.0, height=6.0)
        axes[0, 0].remove()
        n = record.sizes["picture"]
        grid = figure.add_gridspec(4, n, height_ratios=(1, 1, 1, 2.6))
        for row, (name, label) in enumerate((("stored", "stored"), ("cue", "cue"), ("recalled", "recalled"))):
            for column in range(n):
                axis = figure.add_subplot(grid[row, column])
                axis.imshow(
                    record[name].values[column], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest"
                )
                axis.set_xticks([])
                axis.set_yticks([])
                if column == 0:
                    axis.set_ylabel(label)
        below = figure.add_subplot(grid[3, :])
        below.spines[["top", "right"]].set_visible(False)
        for column in range(n):
            below.plot(
                record["update"].values,
                record["energy"].values[:, column],
                color=COLOURS[column % len(COLOURS)],
                linestyle=LINES[column % len(LINES)],
                linewidth=1.2,
                label=f"picture {column + 1}",
            )
        below.set_xlabel("time (single-unit updates)")
        below.set_ylabel("energy E")
        below.legend(loc="upper right", fontsize="small", ncols=2)
        return figure
