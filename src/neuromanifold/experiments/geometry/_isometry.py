"""The singular values of deep Jacobians, with Gaussian and with orthogonal weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Prediction,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import COLOURS, MARKERS, panels, theory
from neuromanifold.experiments.geometry._carried import UNITS, Carried, carried, orthogonal_rows
from neuromanifold.networks.random import random_deep_network
from neuromanifold.theory.meanfield import Activation, activation, critical_line, jacobian_spectrum

# Squared singular values this far below the largest of the theory are as good as zero; float32 has more.
_SMALL = 1e-8
_CASES = (("tanh", "gaussian"), ("tanh", "orthogonal"), ("relu", "orthogonal"))
_MORE = (("linear", "gaussian"), ("hard-tanh", "orthogonal"))


def _activation(name: str) -> Activation:
    if name == "hard-tanh":
        return activation(lambda u: jnp.clip(u, -1.0, 1.0), kinks=(-1.0, 1.0), name=name)
    return activation(name)


def _tangents(state: Carried) -> Array:
    return state.tangents


@experiment(
    Card(
        name="dynamical-isometry",
        title="Dynamical isometry: the singular values of a deep Jacobian",
        topic="geometry",
        lecture="B",
        systems=("B13",),
        idea=(
            "On the edge of chaos the mean squared singular value of the Jacobian of a deep network is one, "
            "but single ones may be far from it. With Gaussian weights the largest grows with depth whatever "
            "the units are. With orthogonal weights and units that are nearly linear all of them stay near "
            "one, so that errors keep their length whatever their direction: dynamical isometry. ReLU has "
            "none of it, since half of its units are off. Free probability gives the whole law; networks are "
            "compared with its variance, its upper edge and its shape."
        ),
        equations=(
            (
                "Law",
                r"z = y^L \left(\frac{x}{1+x}\right)^{L-1} S_W(x)^{-L}, \quad "
                r"x = E \frac{d}{y - d}, \quad d = \varphi'(u)^2",
            ),
            ("Density", r"\rho(\lambda) = -\frac{1}{\pi} \Im \frac{1 + x}{z}, \quad z = \lambda + i0"),
            (
                "Variance",
                r"\frac{m_2}{m_1^2} - 1 = L\left(\frac{E d^2}{(E d)^2} - 1 + s\right), \quad "
                r"s = 1\ \mathrm{Gaussian},\ 0\ \mathrm{orthogonal}",
            ),
        ),
        sources=("penningtonschoenholzganguli2017", "penningtonschoenholzganguli2018"),
        caption=(
            "Density of the squared singular values of the Jacobian on the edge of chaos, over the largest "
            "of the theory. Lines: theory; points: networks, in bins; zeros and values exactly "
            "at the edge left out."
        ),
    ),
    full={"n_units": 1000, "n_networks": 12, "depth": 16, "more": True},
)
class DynamicalIsometry:
    """Eigenvalues of J J^T for pairs of activation and weights."""

    n_units: int = parameter(200, doc="units a layer", low=100)
    n_networks: int = parameter(6, doc="independent networks", low=4)
    depth: int = parameter(4, doc="layers", unit="layers", low=2, high=64)
    length: float = parameter(
        0.3, doc="variance of the units of tanh and hard tanh, on the edge", low=0.01, high=2.0
    )
    more: bool = parameter(False, doc="linear units and hard tanh as well")
    n_bins: int = parameter(12, doc="bins of the density", low=6)

    def _cases(self) -> tuple[tuple[str, str], ...]:
        return _CASES + (_MORE if self.more else ())

    def _case(self, name: str) -> tuple[Activation, float, float, float]:
        """Activation, sigma_w and sigma_b on the edge, and the variance of the units."""
        phi = _activation(name)
        if name in ("linear", "relu"):
            return phi, (1.0 if name == "linear" else np.sqrt(2.0)), 0.0, 1.0
        sigma_w, sigma_b = (float(x) for x in critical_line(phi, self.length))
        return phi, sigma_w, sigma_b, self.length

    def _edges(self) -> np.ndarray:
        """Bins of the drawing in units of the upper edge, narrow towards zero; no bin touches an atom."""
        return np.linspace(0.05, 0.995, self.n_bins + 1) ** 2

    def _largest(self, name: str, kind: str) -> float:
        """The unit of the bins."""
        phi, sigma_w, _, length = self._case(name)
        return jacobian_spectrum(phi, length, self.depth, sigma_w=sigma_w, weights=kind).upper_edge

    def predict(self) -> xr.Dataset:
        """Variance, edge, shares of the law, and its density."""
        x, w = np.polynomial.legendre.leggauss(8)
        edges = self._edges()
        nodes = (edges[:-1, None] + np.diff(edges)[:, None] * (x + 1) / 2).ravel()
        weights = (np.diff(edges)[:, None] * w / 2).ravel()
        fine = np.linspace(0.05, 0.999, 80) ** 2
        found: dict[str, list[Any]] = {n: [] for n in ("variance", "edge", "share", "density")}
        for name, kind in self._cases():
            phi, sigma_w, _, length = self._case(name)
            options = {"sigma_w": sigma_w, "weights": kind}
            law = jacobian_spectrum(phi, length, self.depth, **options)
            at = np.concatenate([nodes, fine]) * law.upper_edge
            density = jacobian_spectrum(phi, length, self.depth, **options, eigenvalues=at).density
            found["variance"].append(law.second_moment / law.mean**2 - 1.0)
            found["edge"].append(law.upper_edge)
            inside = (density[: nodes.size] * weights).reshape(self.n_bins, -1).sum(1) * law.upper_edge
            found["share"].append(inside)
            found["density"].append(density[nodes.size :] * law.upper_edge)
        n, made = self.n_units, {k: np.array(v) for k, v in found.items()}
        variables: dict[str, xr.Variable] = {}
        small = (1.0 + made["variance"]) * 3 * self.depth / n
        variables |= predicted_variable(
            "variance_predicted",
            Prediction(made["variance"], small, "corrections of order depth over width"),
            ("case",),
            long_name="variance of eigenvalues over squared mean",
        )
        variables |= predicted_variable(
            "edge_predicted",
            Prediction(
                made["edge"], 3.0 * made["edge"] * n ** (-2 / 3), "fluctuations at the edge, n^(-2/3)"
            ),
            ("case",),
            long_name="largest eigenvalue",
        )
        # The largest of the layers' shares of units that are off, each normal about one half.
        most = float(np.sqrt(np.log(self.depth) / (2 * n)))
        variables |= predicted_variable(
            "small_predicted",
            Prediction(self._small_share(), most, "the layer with most units off"),
            long_name="ReLU: share of eigenvalues that are as good as zero",
        )
        variables |= predicted_variable(
            "share_predicted",
            Prediction(made["share"], 2.0 * self.depth / n, "corrections of order depth over width"),
            ("case", "bin"),
            long_name="share of eigenvalues in a bin",
        )
        variables |= predicted_variable(
            "density_predicted", Prediction(made["density"]), ("case", "fine"), long_name="density"
        )
        coordinates = self._coordinates() | {
            "fine": ("fine", fine, {"long_name": "eigenvalue over the upper edge", "units": "1"})
        }
        return xr.Dataset(variables, coordinates)

    def _small_share(self) -> float:
        """Share of the law of ReLU below `_SMALL` of its edge, zeros among it: what is not above."""
        x, w = np.polynomial.legendre.leggauss(8)
        marks = np.linspace(np.log(_SMALL), 0.0, 61)
        logs = (marks[:-1, None] + np.diff(marks)[:, None] * (x + 1) / 2).ravel()
        weights = (np.diff(marks)[:, None] * w / 2).ravel()
        phi, sigma_w, _, length = self._case("relu")
        at = np.exp(logs) * self._largest("relu", "orthogonal")
        options = {"sigma_w": sigma_w, "weights": "orthogonal", "eigenvalues": at}
        density = jacobian_spectrum(phi, length, self.depth, **options).density
        return 1.0 - float(np.sum(density * at * weights))

    def _coordinates(self) -> dict[str, Any]:
        edges = self._edges()
        return {
            "case": (
                "case",
                [f"{phi}, {kind}" for phi, kind in self._cases()],
                {"long_name": "activation and weights", "units": "1"},
            ),
            "bin": (
                "bin",
                0.5 * (edges[1:] + edges[:-1]),
                {"long_name": "eigenvalue over the upper edge", "units": "1"},
            ),
        }

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Jacobians of networks on the edge, and their singular values."""
        key_input, key_networks = jax.random.split(key)
        n = self.n_units
        unit = orthogonal_rows(key_input, 1, n)[0]
        values: dict[str, list[Any]] = {name: [] for name in ("variance", "edge", "share")}
        small = np.zeros(self.n_networks)
        for index, (name, kind) in enumerate(self._cases()):
            _, sigma_w, sigma_b, length = self._case(name)
            activity = (length - sigma_b**2) / sigma_w**2
            network = random_deep_network(UNITS[name], n, sigma_w=sigma_w, sigma_b=sigma_b, weights=kind)
            tangents = run(
                carried(network),
                jax.random.fold_in(key_networks, index),
                ((np.sqrt(activity) * unit).astype(np.float32), np.eye(n, dtype=np.float32)),
                self.depth,
                observe=_tangents,
                every=self.depth,
                replicas=self.n_networks,
                label=f"{name}, {kind}",
            ).values[:, -1]
            squares = np.linalg.svd(np.asarray(tangents, np.float64), compute_uv=False) ** 2
            mean = squares.mean(1)
            values["variance"].append(squares.var(1) / mean**2)
            values["edge"].append(squares.max(1))
            if name == "relu":
                small = (squares < _SMALL * self._largest(name, kind)).mean(1)
            marks = self._edges() * self._largest(name, kind)
            inside = [
                ((squares > low) & (squares <= high)).mean(1) for low, high in itertools.pairwise(marks)
            ]
            values["share"].append(np.stack(inside, 1))
        texts = {
            "variance": "variance of eigenvalues over squared mean",
            "edge": "largest eigenvalue",
            "share": "share of eigenvalues in a bin",
        }
        variables: dict[str, xr.Variable] = {}
        for name, text in texts.items():
            dims = ("case", "bin") if name == "share" else ("case",)
            variables |= measured_variables(name, estimate(np.stack(values[name], 1)), dims, long_name=text)
        words = "ReLU: share of eigenvalues that are as good as zero"
        variables |= measured_variables("small", estimate(small), long_name=words)
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Variance and edge of every case, what ReLU loses, and shares of bins."""
        made = []
        for case in record.case.values:
            at = record.sel(case=case)
            for name, text, share in (("variance", "relative variance", 0.7), ("edge", "largest", 0.5)):
                prediction = read_predicted(at, f"{name}_predicted")
                made.append(
                    compare(
                        prediction,
                        read_measured(at, name),
                        statement=f"{case}: {text} of the squared singular values",
                        system="B13",
                        resolution=share * float(prediction.value),
                    )
                )
            middle = at.isel(bin=at.sizes["bin"] // 3)
            prediction = read_predicted(middle, "share_predicted")
            made.append(
                compare(
                    prediction,
                    read_measured(middle, "share"),
                    statement=f"{case}: share of them near {float(middle.bin):.2f} of the largest",
                    system="B13",
                    resolution=max(float(prediction.value), 0.1),
                )
            )
        made.append(
            compare(
                read_predicted(record, "small_predicted"),
                read_measured(record, "small"),
                statement=f"ReLU: zero, or below {_SMALL:g} of the largest, are this share of them",
                system="B13",
                resolution=0.25,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """One panel a case."""
        figure, axes = panels(3, 2, width=3.8, height=2.9) if self.more else panels(2, 2, height=3.0)
        for index, (axis, case) in enumerate(zip(axes.flat, record.case.values, strict=False)):
            at = record.sel(case=case)
            measured = read_measured(at, "share")
            width = np.diff(self._edges())
            theory(axis, at.fine, at.density_predicted, index)
            axis.errorbar(
                at.bin,
                measured.mean / width,
                yerr=measured.standard_error / width,
                color=COLOURS[index],
                marker=MARKERS[index],
                markersize=4.5,
                markerfacecolor="white",
                linestyle="none",
                capsize=2.0,
            )
            top = float((measured.mean / width).max())
            axis.set(
                title=f"{case}: largest {float(at.edge_predicted):.3g}",
                xlabel="eigenvalue of J J^T / largest",
                ylabel="density",
                ylim=(0, 1.3 * max(top, 0.1)),
            )
            axis.title.set_fontsize(9)
        last = axes.flat[-1]
        measured = read_measured(record, "variance")
        positions = np.arange(len(record.case))
        last.bar(positions, record.variance_predicted, color="0.85", label="theory")
        last.errorbar(
            positions, measured.mean, yerr=measured.standard_error, fmt="ko", markersize=4, label="networks"
        )
        short = [str(case).replace(", ", "\n") for case in record.case.values]
        last.set(
            xlabel="activation and weights",
            ylabel="variance / mean^2",
            xticks=positions,
            xticklabels=short,
            yscale="log",
        )
        last.tick_params(axis="x", labelsize=6)
        last.legend(frameon=False, fontsize=8)
        return figure
