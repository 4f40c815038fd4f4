"""Sparse codes of natural patches: what the atoms look like, beside PCA, ICA and a picture without phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.data import cut_patches, natural_pictures, scramble_phases, whiten_patches, whiten_picture
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    at_most,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, MARKERS
from neuromanifold.learning import Minibatches
from neuromanifold.learning.sparse import dictionary_learning, independent_components
from neuromanifold.networks.generative import SparseCode, sparse_codes

# Side of the zero-padded fields whose spectra are measured.
_PADDED = 32


class Shape(NamedTuple):
    """What a field is like, one number a field; see `measure`."""

    area: np.ndarray
    orientation: np.ndarray
    peak: np.ndarray


def measure(fields: np.ndarray) -> Shape:
    """Size, orientation and frequency of fields (n, side, side).

    area         (sum w^2)^2 / (sum w^4 n_pixels): 1 for a constant, 4/9 for cos cos, 2/3 for a plane wave,
                 1/3 for Gaussian noise, small for a field that is zero in most places
    orientation  |sum P e^{2 i angle}| / sum P of the power spectrum P: 1 for a grating, 0 for a blob
    peak         frequency of the largest power, cycles a pixel: 0 for low-pass, .5 and more for high-pass
    """
    n_pixels = fields.shape[1] * fields.shape[2]
    area = np.sum(fields**2, (1, 2)) ** 2 / (np.sum(fields**4, (1, 2)) * n_pixels + 1e-300)
    power = np.abs(np.fft.fft2(fields, (_PADDED, _PADDED))) ** 2
    rows, columns = np.meshgrid(*[np.fft.fftfreq(_PADDED)] * 2, indexing="ij")
    turn = np.exp(2j * np.arctan2(rows, columns))
    orientation = np.abs(np.sum(power * turn, (1, 2))) / (np.sum(power, (1, 2)) + 1e-300)
    peak = np.hypot(rows, columns).ravel()[power.reshape(len(power), -1).argmax(1)]
    return Shape(area, orientation, peak)


def excess_kurtosis(values: np.ndarray) -> np.ndarray:
    """<x^4>/<x^2>^2 - 3 of every column that is not all zeros."""
    centred = values.astype(np.float64) - values.mean(0)
    square = np.mean(centred**2, 0)
    kept = square > 1e-12
    return np.mean(centred**4, 0)[kept] / square[kept] ** 2 - 3.0


@experiment(
    Card(
        name="natural-codes",
        title="Edges are the atoms of natural pictures",
        topic="codes",
        lecture="D",
        systems=("D6",),
        idea=(
            "A dictionary learns to explain patches of a natural picture by few atoms at a time. Its atoms "
            "become small oriented edges, as receptive fields of the visual cortex are. The same learning on "
            "the same picture with random phases, which has the same correlations of pairs and nothing else, "
            "finds no such thing; nor do principal components, which are waves over the whole patch. "
            "Independent components, which look for what is not Gaussian in another way, find edges too. "
            "What the picture without phases and the waves must give is known and compared."
        ),
        equations=(
            ("Energy", r"E = \frac{1}{2} \lvert x - a \Phi \rvert^2 + \lambda \sum_i \lvert a_i \rvert"),
            ("Area of a field", r"\frac{(\sum_p w_p^2)^2}{n \sum_p w_p^4} = \frac{4}{9} \quad (\cos \cos)"),
            (
                "Kurtosis",
                r"\frac{\langle x^4 \rangle}{\langle x^2 \rangle^2} - 3 = 0 \quad (\mathrm{Gaussian})",
            ),
        ),
        sources=("olshausenfield1996", "bellsejnowski1997"),
        caption=(
            "Left: fields learned from the natural picture (rows: atoms of the sparse code, independent "
            "components, principal components, atoms of the picture without phases). Right: orientation of "
            "each field against the share of the patch that it covers."
        ),
    ),
    full={
        "side": 12,
        "n_atoms": 196,
        "n_patches": 40000,
        "n_passes": 1500,
        "n_inference": 50,
        "n_components": 100,
    },
)
class NaturalCodes:
    """Fields of sparse codes, of independent and of principal components; a control without phases."""

    picture: str = parameter(
        "grace_hopper", doc="natural picture", choices=("grace_hopper", "china", "flower")
    )
    side: int = parameter(10, doc="side of a patch", unit="pixels", low=6, high=20)
    n_atoms: int = parameter(100, doc="atoms of the dictionary", low=10)
    n_patches: int = parameter(6000, doc="patches that are learned", low=500)
    n_coded: int = parameter(2000, doc="patches that are coded at the end", low=200)
    penalty: float = parameter(0.8, doc="penalty lambda, pixels of variance 1", low=0.0, open_low=True)
    n_passes: int = parameter(200, doc="batches of 200 patches that are learned", low=10)
    n_inference: int = parameter(25, doc="steps of inference for each batch", unit="steps", low=5)
    n_components: int = parameter(40, doc="principal components kept for independent ones", low=10)
    n_sweeps: int = parameter(40, doc="steps of independent components", unit="steps", low=5)

    def check(self) -> None:
        """Components fit into a patch without its mean; as many patches as are coded."""
        most = self.side**2 - 1
        require(self.n_components <= most, "n_components", f"be at most {most}", self.n_components)
        require(self.n_coded <= self.n_patches, "n_coded", f"be at most {self.n_patches}", self.n_coded)

    def predict(self) -> xr.Dataset:
        """What waves and Gaussian pictures give."""
        return xr.Dataset(
            {
                **predicted_variable(
                    "wave_area",
                    Prediction(4 / 9, 0.06, "borders, and waves along one axis or aslant"),
                    long_name="share of the patch that a wave covers",
                ),
                **predicted_variable(
                    "gauss_kurtosis",
                    Prediction(0.0, 0.3, "the border of the spectrum and one picture, whose sum is finite"),
                    long_name="excess kurtosis of a Gaussian",
                ),
            }
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Learning from both pictures; components of the natural one; shapes and kurtosis."""
        keys = jax.random.split(key, 6)
        natural = natural_pictures([self.picture])[self.picture]
        patches, atoms, codes = self._learn(keys[0], natural, run, "natural")
        plain, control, _ = self._learn(
            keys[1], np.asarray(scramble_phases(keys[2], natural)), run, "no phases"
        )
        flat = patches.reshape(len(patches), -1)
        white = whiten_patches(patches, "pca", n_components=self.n_components)
        turn = np.asarray(jax.random.normal(keys[3], (self.n_components,) * 2))
        filters = np.asarray(
            run(independent_components(white.values), keys[4], turn, self.n_sweeps, label="independent").state
        )
        # A field is what a component adds to a patch, as an atom is.
        independent = (white.backward @ filters.T).T.reshape(-1, self.side, self.side)
        waves = np.linalg.eigh(flat.T @ flat)[1].T[::-1][: self.side**2 - 1]
        principal = waves.reshape(-1, self.side, self.side)
        fields = {"atoms": atoms, "independent": independent, "principal": principal, "control": control}
        # Responses of the fields themselves, which no threshold has made sparse, and the codes.
        drive = {
            "atoms": flat @ atoms.reshape(len(atoms), -1).T,
            "independent": white.values @ filters.T,
            "principal": flat @ waves.T,
            "control": plain.reshape(len(plain), -1) @ control.reshape(len(control), -1).T,
        }
        variables: dict[str, Any] = {}
        for name, shapes in fields.items():
            found = measure(shapes.astype(np.float64))
            for what, values in found._asdict().items():
                variables[f"{name}_{what}"] = (
                    name,
                    values,
                    {"long_name": f"{what} of the fields, {name}", "units": "1"},
                )
                variables |= measured_variables(
                    f"{name}_{what}_mean", estimate(values), long_name=f"mean {what} of the fields, {name}"
                )
            variables |= measured_variables(
                f"{name}_kurtosis",
                estimate(excess_kurtosis(drive[name])),
                long_name=f"mean excess kurtosis of linear responses, {name}",
            )
            variables[f"{name}_fields"] = (
                (f"{name}_shown", "y", "x"),
                shapes[: min(24, len(shapes))],
                {"long_name": f"fields, {name}", "units": "1"},
            )
        variables |= measured_variables(
            "code_kurtosis", estimate(excess_kurtosis(codes)), long_name="mean excess kurtosis of the codes"
        )
        variables["active"] = (
            (),
            float(np.mean(codes != 0)),
            {"long_name": "share of codes that are not zero", "units": "1"},
        )
        return xr.Dataset(variables)

    def _learn(
        self, key: Key[Array, ""], picture: np.ndarray, run: Callable[..., Any], label: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Patches, atoms as fields, and codes of some patches."""
        key_cut, key_order, key_start, key_run = jax.random.split(key, 4)
        patches = cut_patches(key_cut, [whiten_picture(picture)], self.n_patches, self.side)
        patches = patches / patches.std()
        flat = patches.reshape(self.n_patches, -1)
        start = np.asarray(jax.random.normal(key_start, (self.n_atoms, flat.shape[1])))
        start = start / np.linalg.norm(start, axis=1, keepdims=True)
        process = dictionary_learning(Minibatches(flat, 200, key=key_order), n_inference=self.n_inference)
        code = run(process, key_run, SparseCode(start, self.penalty), self.n_passes, label=label).state.params
        codes = np.asarray(sparse_codes(code, flat[: self.n_coded], 4 * self.n_inference))
        return patches, np.asarray(code.dictionary).reshape(-1, self.side, self.side), codes

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Localised, oriented, band-pass, kurtotic; the control and the waves as they must be."""
        made = []

        def apart(one: str, other: str, what: str, sign: int) -> Estimate:
            a, b = (read_measured(record, f"{name}_{what}") for name in (one, other))
            return Estimate(
                sign * (a.mean - b.mean), np.hypot(a.standard_error, b.standard_error), min(a.n, b.n)
            )

        for one in ("atoms", "independent"):
            words = {"atoms": "Atoms", "independent": "Independent components"}[one]
            for other, theirs in (("principal", "principal components"), ("control", "atoms without phases")):
                for what, sign, how in (
                    ("area_mean", -1, "cover less of the patch than"),
                    ("orientation_mean", 1, "are more oriented than"),
                    ("kurtosis", 1, "have responses of higher kurtosis than"),
                ):
                    # Independent components lie in the space of the leading waves, and are wider for it:
                    # where few are kept, hardly less wide than the control.
                    if (one, other, what) == ("independent", "control", "area_mean"):
                        continue
                    made.append(
                        at_least(
                            0.0,
                            apart(one, other, what, sign),
                            statement=f"{words} {how} {theirs}: difference.",
                            system="D6",
                            reason="fields are taken as independent",
                        )
                    )
        peaks = record["atoms_peak"].values
        band = float(np.mean((peaks > 0.5 / self.side) & (peaks < 0.45)))
        made.append(
            at_least(
                0.8,
                Estimate(band, 0.0, peaks.size),
                statement="Share of atoms that are band-pass: largest power neither at zero nor at the end.",
                system="D6",
                sigmas=0.0,
            )
        )
        code, linear = (read_measured(record, name) for name in ("code_kurtosis", "principal_kurtosis"))
        made.append(
            at_least(
                float(linear.mean),
                code,
                statement="The codes have a higher kurtosis than principal components.",
                system="D6",
            )
        )
        made.append(
            at_most(
                0.5,
                Estimate(float(record["active"]), 0.0, self.n_coded),
                statement="Share of codes that are not zero.",
                system="D6",
                sigmas=0.0,
            )
        )
        made.append(
            compare(
                read_predicted(record, "gauss_kurtosis"),
                read_measured(record, "control_kurtosis"),
                statement="Without phases the atoms' responses have the kurtosis of a Gaussian.",
                system="D6",
                resolution=2.0,
            )
        )
        made.append(
            compare(
                read_predicted(record, "wave_area"),
                read_measured(record, "principal_area_mean"),
                statement="Principal components cover what waves do.",
                system="D6",
                resolution=0.15,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Some fields of each kind; orientation against area."""
        figure = Figure(figsize=(10.4, 4.4), layout="constrained")
        left, right = figure.add_gridspec(1, 2, width_ratios=(1.15, 1))
        kinds = {
            "atoms": "atoms",
            "independent": "independent",
            "principal": "principal",
            "control": "no phases",
        }
        axis = figure.add_subplot(left)
        gap, columns = 2, 12
        pitch = self.side + gap
        sheet = np.full((8 * pitch, columns * pitch), np.nan)
        for block, name in enumerate(kinds):
            for k, field in enumerate(record[f"{name}_fields"].values[: 2 * columns]):
                y, x = (2 * block + k // columns) * pitch, (k % columns) * pitch
                sheet[y : y + self.side, x : x + self.side] = field / np.abs(field).max()
        axis.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        axis.set_yticks([(2 * block + 1) * pitch for block in range(4)], list(kinds.values()))
        axis.set_xticks([])
        axis.set(xlabel="fields, each over one patch", ylabel="kind of field")
        axis = figure.add_subplot(right)
        axis.spines[["top", "right"]].set_visible(False)
        for index, (name, label) in enumerate(kinds.items()):
            axis.plot(
                record[f"{name}_area"],
                record[f"{name}_orientation"],
                MARKERS[index],
                color=COLOURS[index],
                markersize=4,
                markerfacecolor="none",
                label=label,
            )
        axis.axvline(4 / 9, color="0.4", linestyle=":", label="area of a wave")
        axis.set(
            xlabel="share of the patch that a field covers", ylabel="orientation", xlim=(0, None), ylim=(0, 1)
        )
        axis.legend(frameon=False, fontsize=8)
        return figure
