"""Random symmetric matrices: spectrum, index, its variance, and the chance that nothing leads down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    compare,
    estimate,
    measured_variables,
    predicted_variable,
    proportion,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.networks.random import all_positive, goe, indices
from neuromanifold.theory.landscape import (
    POSITIVE_RATE,
    goe_moments,
    index_fraction,
    index_variance_growth,
    marchenko_pastur_edges,
    positive_definite_probability,
    semicircle,
)

_COUNTED = (1, 2, 3, 4, 5)
_SHIFTS = (0.0, 0.5, 1.0, 1.5, 2.1)


@experiment(
    Card(
        name="random-hessian",
        title="A random Hessian is almost never that of a minimum",
        topic="landscape",
        lecture="A",
        systems=("A11",),
        idea=(
            "Take the Hessian of a critical point of a large random function as a symmetric matrix of "
            "Gaussian numbers. Its eigenvalues fill a semicircle around zero, so about half of the "
            "directions lead down; raising the point's curvature by a multiple of the identity lowers that "
            "share by a law of its own, and it varies from matrix to matrix only as the logarithm of the "
            "size. The chance that no direction leads down at all falls faster than exponentially: already "
            "at five dimensions it is one in seven thousand. It is known exactly for every size."
        ),
        equations=(
            ("Matrix", r"A_{ij} = A_{ji}, \quad \mathrm{Var} A_{ij} = (1 + \delta_{ij}) / N"),
            ("Spectrum", r"\rho(x) = \frac{\sqrt{4 - x^2}}{2 \pi}"),
            (
                "Index of A + mu I",
                r"\alpha = \frac{1}{2} + \frac{1}{\pi} \left( y \sqrt{1 - y^2} + \arcsin y \right), "
                r"\quad y = -\mu / 2",
            ),
            ("All positive", r"P_N = 2^{N (N - 5) / 4} \mathrm{Pf} M \sim e^{-\frac{\ln 3}{4} N^2}"),
            ("Entries", r"M_{ij} = 2 I_{1/2}(i / 2, j / 2) - 1"),
            ("Variance", r"\mathrm{Var}(\mathrm{index}) = \frac{\ln N}{\pi^2} + O(1)"),
        ),
        sources=("wigner1958", "deanmajumdar2006", "majumdarnadalscardicchiovivo2009"),
        caption=(
            "Left: eigenvalues of large matrices, and the semicircle. Middle: share of negative eigenvalues "
            "against the shift mu. Right: chance that all eigenvalues are positive against the size, exact "
            "(line) and counted; dotted: the leading law for large sizes, still far off here."
        ),
    ),
    full={"n": 400, "n_matrices": 200, "n_indices": 200_000, "n_draws": 4_000_000},
)
class RandomHessian:
    """Spectra of large matrices, indices of middling ones, signs of small ones."""

    n: int = parameter(160, doc="size N of the large matrices", low=20, high=2000)
    n_matrices: int = parameter(40, doc="large matrices", low=5)
    ratio: float = parameter(0.25, doc="columns a row, p/n, of the matrices X in X^T X", low=0.05, high=0.9)
    sizes: tuple[int, ...] = parameter((20, 100), doc="two sizes whose variances are compared", low=5)
    n_indices: int = parameter(16_000, doc="matrices of each of these sizes", low=1000)
    n_draws: int = parameter(200_000, doc="matrices of each size below 6", low=10_000)

    def predict(self) -> xr.Dataset:
        """Moments, index, growth of its variance, exact probabilities, edges."""
        second, fourth = goe_moments(self.n)
        edges = np.array([(-2.0, 2.0), marchenko_pastur_edges(self.ratio)])
        # The extreme eigenvalue of a finite matrix lies 1.21 widths inside on average (Tracy and Widom 1996).
        root = np.sqrt(self.ratio)
        low, high = (abs(1 + sign * root) * abs(1 / root + sign) ** (1 / 3) for sign in (-1, 1))
        room = 2 * 1.21 * self.n ** (-2 / 3) * np.array([[1.0, 1.0], [low, high]])
        return xr.Dataset(
            {
                **predicted_variable(
                    "moment_expected",
                    Prediction([second, fourth]),
                    ("power",),
                    long_name="mean power of an eigenvalue",
                ),
                **predicted_variable(
                    "index_expected",
                    Prediction(index_fraction(np.array(_SHIFTS)), 1.0 / self.n, "terms of order 1/N"),
                    ("shift",),
                    long_name="share of negative eigenvalues",
                ),
                **predicted_variable(
                    "growth_expected",
                    Prediction(
                        index_variance_growth(min(self.sizes), max(self.sizes)),
                        0.2 / min(self.sizes),
                        "terms of order 1/N",
                    ),
                    long_name="growth of the variance of the index",
                ),
                **predicted_variable(
                    "positive_expected",
                    Prediction([positive_definite_probability(k) for k in _COUNTED]),
                    ("size",),
                    long_name="probability that all eigenvalues are positive",
                ),
                **predicted_variable(
                    "edge_expected",
                    Prediction(edges, room, "fluctuations of the edge, of order N^(-2/3)"),
                    ("kind", "side"),
                    long_name="edge of the spectrum",
                ),
            },
            coords={
                "power": ("power", [2, 4], {"long_name": "power", "units": "1"}),
                "shift": ("shift", list(_SHIFTS), {"long_name": "shift mu", "units": "1"}),
                "size": ("size", list(_COUNTED), {"long_name": "size N", "units": "1"}),
                "kind": ("kind", ["symmetric", "covariance"], {"long_name": "matrix", "units": "1"}),
                "side": ("side", ["low", "high"], {"long_name": "side", "units": "1"}),
            },
        )

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Eigenvalues of large matrices; indices; signs of small matrices."""
        key_large, key_square, key_middle, key_small = jax.random.split(key, 4)
        keys = jax.random.split(key_large, self.n_matrices)
        values = np.linalg.eigvalsh(np.asarray(_large(keys, self.n), np.float64))
        p = max(2, round(self.ratio * self.n))
        draws = jax.random.normal(key_square, (self.n_matrices, self.n, p))
        squares = np.asarray(draws, np.float64)
        covariance = np.linalg.eigvalsh(squares.swapaxes(1, 2) @ squares / self.n)
        below = np.array([(values < -shift).mean(1) for shift in _SHIFTS])
        sizes = np.array([min(self.sizes), max(self.sizes)])
        counts = np.asarray(_indices(key_middle, int(sizes[1]), self.n_indices)[sizes - 1], np.float64)
        away = (counts - counts.mean(1, keepdims=True)) ** 2 * self.n_indices / (self.n_indices - 1)
        signs = np.asarray(_positive(key_small, max(_COUNTED), self.n_draws))
        positive = [proportion(int(signs[n - 1].sum()), self.n_draws) for n in _COUNTED]
        ends = np.array([[part.min(1), part.max(1)] for part in (values, covariance)])
        return xr.Dataset(
            {
                **measured_variables(
                    "moment",
                    estimate(np.array([(values**2).mean(1), (values**4).mean(1)]), axis=1),
                    ("power",),
                    long_name="mean power of an eigenvalue",
                ),
                **measured_variables(
                    "index", estimate(below, axis=1), ("shift",), long_name="share of negative eigenvalues"
                ),
                **measured_variables(
                    "growth", estimate(away[1] - away[0]), long_name="growth of the variance of the index"
                ),
                **measured_variables(
                    "positive",
                    Estimate(
                        [one.mean for one in positive],
                        [one.standard_error for one in positive],
                        self.n_draws,
                    ),
                    ("size",),
                    long_name="share of matrices with positive eigenvalues alone",
                ),
                **measured_variables(
                    "edge", estimate(ends, axis=2), ("kind", "side"), long_name="edge of the spectrum"
                ),
                "eigenvalues": (
                    "eigenvalue",
                    values[: max(1, 4000 // self.n)].ravel(),
                    {"long_name": "eigenvalues of some matrices", "units": "1"},
                ),
            }
        )

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Moments, edges, index and its variance, probabilities against the exact ones."""
        made = []
        for power in (2, 4):
            at = record.sel(power=power)
            made.append(
                compare(
                    read_predicted(at, "moment_expected"),
                    read_measured(at, "moment"),
                    statement=f"Mean of the eigenvalues to the power {power}.",
                    system="A11",
                    resolution=0.02 * power,
                )
            )
        for kind in record["kind"].values:
            for side in record["side"].values:
                at = record.sel(kind=kind, side=side)
                made.append(
                    compare(
                        read_predicted(at, "edge_expected"),
                        read_measured(at, "edge"),
                        statement=f"{kind} matrices: {side} edge of the spectrum.",
                        system="A11",
                        resolution=0.4,
                    )
                )
        for shift in record["shift"].values:
            at = record.sel(shift=shift)
            made.append(
                compare(
                    read_predicted(at, "index_expected"),
                    read_measured(at, "index"),
                    statement=f"mu = {shift:g}: share of negative eigenvalues.",
                    system="A11",
                    resolution=0.02,
                )
            )
        made.append(
            compare(
                read_predicted(record, "growth_expected"),
                read_measured(record, "growth"),
                statement=(
                    f"The variance of the index grows as log(N)/pi^2 from N = {min(self.sizes)} to "
                    f"{max(self.sizes)}."
                ),
                system="A11",
                resolution=0.1,
            )
        )
        for size in record["size"].values:
            at = record.sel(size=size)
            expected = read_predicted(at, "positive_expected")
            made.append(
                compare(
                    expected,
                    read_measured(at, "positive"),
                    statement=f"N = {size}: all eigenvalues are positive as often as the exact law says.",
                    system="A11",
                    resolution=max(0.1 * float(expected.value), 2e-3 if size < 5 else 4e-4),
                )
            )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Spectrum, index, chance of a minimum."""
        figure, axes = panels(3, width=4.2)
        left, middle, right = axes[0]
        heights, borders = np.histogram(record["eigenvalues"].values, 40, (-2.2, 2.2), density=True)
        n = record.sizes["eigenvalue"]
        error = np.sqrt(np.maximum(heights, 1e-9) / (n * np.diff(borders)))
        simulation(
            left, 0.5 * (borders[1:] + borders[:-1]), heights, error, 0, label=f"matrices, N = {self.n}"
        )
        grid = np.linspace(-2.2, 2.2, 400)
        theory(left, grid, semicircle(grid), 6, label="semicircle")
        left.set(xlabel="eigenvalue", ylabel="density", ylim=(0, 0.42))
        left.legend(fontsize="small", loc="lower center")
        mu = np.linspace(-0.1, 2.3, 200)
        theory(middle, mu, index_fraction(mu), 6, label="theory")
        shown = read_measured(record, "index")
        simulation(middle, record["shift"], shown.mean, shown.standard_error, 1, label="matrices")
        middle.set(xlabel="shift mu", ylabel="share of negative eigenvalues")
        middle.legend(fontsize="small")
        sizes = record["size"].values
        theory(right, sizes, record["positive_expected"], 6, label="exact")
        theory(
            right,
            sizes,
            np.exp(-POSITIVE_RATE * sizes**2.0),
            6,
            linestyle=":",
            label="leading law for large N",
        )
        shown = read_measured(record, "positive")
        simulation(right, sizes, shown.mean, shown.standard_error, 1, label="counted")
        right.set(xlabel="size N", ylabel="chance that all eigenvalues > 0", yscale="log")
        right.set_xticks(sizes)
        right.legend(fontsize="small")
        return figure


def _matrices(keys: Array, n: int) -> Array:
    return jax.vmap(lambda key: goe(key, n))(keys)


_large = jax.jit(_matrices, static_argnums=1)
_indices = jax.jit(indices, static_argnums=(1, 2))
_positive = jax.jit(all_positive, static_argnums=(1, 2))
