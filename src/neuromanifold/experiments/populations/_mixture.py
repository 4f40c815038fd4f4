"""A mixture that finds the number of clusters: the bound, eight clusters in twenty dimensions, others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_least,
    compare,
    estimate,
    measured_variables,
    never,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.geometry import adjusted_rand_index
from neuromanifold.learning.mixture import (
    MixtureInfo,
    cut,
    default_prior,
    expectation,
    initial_labels,
    log_joint,
    mixture_ascent,
    n_found,
)

# Changes of the bound below this part of it are rounding in double precision.
_ROUNDING = 1e-12


def _bound(info: MixtureInfo) -> Float[Array, ""]:
    return info.bound


@experiment(
    Card(
        name="mixture-clusters",
        title="A mixture that finds the number of clusters",
        topic="populations",
        lecture="C",
        systems=("C5",),
        idea=(
            "A Gaussian mixture with priors on weights, means and covariances is fitted by coordinate ascent "
            "on a bound of the evidence. Components that the data do not need stay empty, so that the number "
            "of clusters is found and not given. Points are drawn around centres that are well apart, the "
            "fit begins with more components than there are centres, and three things are checked: the bound "
            "never falls; the number of components in use is the number of centres; and points belong to the "
            "component of their centre, but for as many as the best of all classifiers misplaces, which the "
            "distances between the centres bound. It takes points to pay for a covariance matrix: with 125 "
            "points a cluster in 20 dimensions the evidence itself is higher for clusters taken together."
        ),
        equations=(
            ("Model", r"x_n \sim \sum_k \pi_k N(\mu_k, \Lambda_k^{-1})"),
            (
                "Bound",
                r"L = \sum_n \log \sum_k e^{\rho_k(x_n)} - \mathrm{KL}(q(\theta) \| p(\theta)) "
                r"\leq \log p(X)",
            ),
            ("Component in use", r"\sum_n r_{nk} > 1"),
            (
                "Best agreement of labels",
                r"1 - \varepsilon, \quad \varepsilon \leq \frac{1}{K} \sum_{k \neq l} "
                r"\Phi \left( -\frac{|\mu_k - \mu_l|}{2} \right)",
            ),
        ),
        sources=("attias1999", "bishop2006", "bleijordan2006", "uedanakanoghahramanihinton2000"),
        caption=(
            "Left: how far the bound is below its last value, against steps, eight clusters, every data set. "
            "Right: components in use against the true number of clusters; line: equality."
        ),
    ),
    full={
        "n_points": 10_000,
        "n_components": 20,
        "truths": (1, 2, 3, 4, 6, 8, 10, 12, 15),
        "n_sets": 10,
        "n_starts": 5,
    },
)
class MixtureClusters:
    """Clusters found by a variational mixture against the number there are."""

    n_points: int = parameter(4000, doc="points of a data set", low=100)
    n_features: int = parameter(20, doc="dimensions", low=1)
    n_components: int = parameter(14, doc="components that the fit begins with", low=2)
    truths: tuple[int, ...] = parameter((2, 5, 8), doc="true numbers of clusters", low=1)
    spread: float = parameter(3.0, doc="standard deviation of the centres", low=0.0, open_low=True)
    n_sets: int = parameter(5, doc="data sets for each number, the independent samples", low=2)
    n_starts: int = parameter(1, doc="beginnings of each fit, of which the best bound counts", low=1)
    n_steps: int = parameter(200, doc="steps of a fit", low=10)

    def check(self) -> None:
        """There are components to find and to leave empty."""
        require(max(self.truths) < self.n_components, "n_components", "exceed all truths", self.n_components)
        require(8 in self.truths, "truths", "hold 8", self.truths)

    def predict(self) -> xr.Dataset:
        """The true numbers, and the errors of the best classifier, averaged over centres.

        Two centres differ by a Gaussian vector of variance 2 spread^2 in each dimension; with v the spread,
        <Phi(-|mu - mu'|/2)> <= (1 + v^2/2)^(-D/2) / 2 by Phi(-x) <= exp(-x^2/2)/2.
        """
        truths = np.array(self.truths, float)
        pair = 0.5 * (1 + self.spread**2 / 2) ** (-self.n_features / 2)
        variables = predicted_variable(
            "true_number",
            Prediction(truths, np.full(len(truths), 0.5), "nothing between whole numbers"),
            ("truth",),
            long_name="clusters there are",
        )
        variables["misplaced"] = xr.Variable(
            ("truth",),
            np.minimum((truths - 1) * pair, 1.0),
            {"long_name": "most points that the best classifier misplaces, fraction", "units": "1"},
        )
        return xr.Dataset(variables, {"truth": ("truth", truths, {"long_name": "clusters", "units": "1"})})

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Draw data, fit, and count."""
        found = np.zeros((self.n_sets, len(self.truths)))
        agreement, misplaced = np.zeros_like(found), np.zeros_like(found)
        falls, steps, paths = 0, 0, []
        for place, number in enumerate(self.truths):
            for set_number in range(self.n_sets):
                own = jax.random.fold_in(jax.random.fold_in(key, place), set_number)
                data, truth = self._draw(own, number)
                bounds, owners, count = self._fit(own, run, data, f"K = {number}, set {set_number}")
                found[set_number, place] = count
                agreement[set_number, place] = adjusted_rand_index(truth, owners)
                misplaced[set_number, place] = np.mean(_majority(owners, truth) != truth)
                rises = np.diff(bounds)
                falls += int(np.sum(rises < -_ROUNDING * np.abs(bounds[1:])))
                steps += len(rises)
                if number == 8:
                    paths.append(bounds[-1] - bounds)
        variables: dict[str, Any] = {}
        for name, samples, long_name in (
            ("found", found, "components in use"),
            ("agreement", agreement, "adjusted Rand index of components and clusters"),
            ("misplaced_points", misplaced, "points not in the component of their cluster, fraction"),
        ):
            variables |= measured_variables(name, estimate(samples), ("truth",), long_name=long_name)
        for name, value, long_name in (
            ("falls", falls, "steps on which the bound fell"),
            ("steps", steps, "steps"),
        ):
            variables[name] = xr.Variable((), value, {"long_name": long_name, "units": "1"})
        longest = max(len(path) for path in paths)
        padded = np.stack([np.pad(path, (0, longest - len(path)), constant_values=0.0) for path in paths])
        variables["below"] = xr.Variable(
            ("set", "time"), padded, {"long_name": "bound below its last value", "units": "nat"}
        )
        return xr.Dataset(variables)

    def _draw(self, key: Key[Array, ""], number: int) -> tuple[np.ndarray, np.ndarray]:
        """Points of unit variance around Gaussian centres, as many around each as chance has it."""
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        centres = self.spread * generator.normal(size=(number, self.n_features))
        labels = generator.integers(number, size=self.n_points)
        return centres[labels] + generator.normal(size=(self.n_points, self.n_features)), labels

    def _fit(
        self, key: Key[Array, ""], run: Callable[..., Any], data: np.ndarray, label: str
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Bound after each step, owner of each point, and components in use, of the best of several fits."""
        with jax.enable_x64(True):
            prior = default_prior(data, self.n_components)
            process = mixture_ascent(prior, data)
            best, bounds = None, np.zeros(0)
            for start in range(self.n_starts):
                own = jax.random.fold_in(key, start)
                made = run(
                    process,
                    own,
                    initial_labels(own, data, self.n_components),
                    self.n_steps,
                    observe_info=_bound,
                    label=f"{label}, start {start}",
                )
                if best is None or float(made.state.bound) > float(best.bound):
                    best, bounds = made.state, np.asarray(made.infos)[: int(made.state.n_updates)]
            assert best is not None
            chunks = cut(prior, data, len(data), missing=False)
            joint = log_joint(prior, expectation(prior, best.statistics), chunks)
            return bounds, np.asarray(joint).argmax(1), int(n_found(best.statistics))

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """The bound never falls; the true number is found; points are in their clusters."""
        made = [
            never(
                int(record["falls"]),
                int(record["steps"]),
                statement="No step lets the bound fall.",
                system="C5",
                rate=0.05,
            )
        ]
        for number in self.truths:
            at = record.sel(truth=number)
            made.append(
                compare(
                    read_predicted(at, "true_number"),
                    read_measured(at, "found"),
                    statement=f"Of {number} clusters the mixture finds {number}, on average over data sets.",
                    system="C5",
                    resolution=1.0 if number < 3 else 2.0,
                )
            )
        at = record.sel(truth=8)
        made.append(
            at_least(
                0.99,
                read_measured(at, "agreement"),
                statement=f"Eight clusters in {self.n_features} dimensions are told apart: Rand index.",
                system="C5",
                sigmas=2.0,
                reason="1 for the same partition",
            )
        )
        most = float(at["misplaced"])
        measured = read_measured(at, "misplaced_points")
        # Counts of n misplaced points have an error of sqrt(n) at least, that of one point when none is.
        total = self.n_sets * self.n_points
        error = max(float(measured.standard_error), np.sqrt(max(float(measured.mean) * total, 1.0)) / total)
        made.append(
            compare(
                Prediction(most / 2, most / 2, "a bound from above, by all pairs of clusters"),
                Estimate(measured.mean, error, measured.n),
                statement="No more points are misplaced than by the best classifier.",
                system="C5",
                resolution=0.02,
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """The bound against steps; numbers found against true ones."""
        figure, axes = panels(2)
        left, right = axes[0]
        for index, path in enumerate(record["below"].values):
            shown = path > 0
            theory(
                left, 1 + np.flatnonzero(shown), path[shown], index, linewidth=1.0, label=f"set {index + 1}"
            )
        left.set_yscale("log")
        left.set_xlabel("steps")
        left.set_ylabel("bound below its last value (nats)")
        # What ascent leaves below its tolerance is rounding.
        left.set_ylim(1e-3, None)
        left.legend(loc="lower left", fontsize="small", ncols=2)
        truth = record["truth"].values
        line = np.array([0, self.n_components])
        theory(right, line, line, 6, linestyle="-", label="as many as there are")
        shown = read_measured(record, "found")
        simulation(right, truth, shown.mean, shown.standard_error, 0, label="found")
        right.set_xlabel("true number of clusters")
        right.set_ylabel("components in use")
        right.set_xlim(0, self.n_components)
        right.set_ylim(0, self.n_components)
        right.legend(loc="upper left", fontsize="small")
        return figure


def _majority(owners: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Each point's component named after the cluster that most of its points come from."""
    named = np.zeros(owners.max() + 1, int)
    for component in np.unique(owners):
        named[component] = np.bincount(truth[owners == component]).argmax()
    return named[owners]
