"""A great sphere and a circle through random networks: metric, curvature and length, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import run as run_here
from neuromanifold.evidence import (
    Claim,
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
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.geometry._carried import (
    UNITS,
    Carried,
    carried,
    carried_curve,
    orthogonal_rows,
)
from neuromanifold.networks.random import random_deep_network
from neuromanifold.theory.meanfield import (
    activation,
    circle_process,
    kappa_fixed_point,
    metric_process,
    surface_process,
)

_REASON = "corrections of order depth over width"
_TEXTS = {
    "metric": "metric g",
    "parallel": "|H_aa|^2/n along one direction",
    "crossed": "|H_ab|^2/n of two directions",
    "kappa": "curvature n kappa^2 of a great circle",
    "sectional": "sectional curvature n K",
    "oblique": "metric of an oblique direction",
}
_CIRCLE_TEXTS = {
    "length": "length of a circle over 2 pi sqrt(n)",
    "bent": "mean curvature n kappa^2 along a circle",
    "turning": "length of the circle's unit tangents over 2 pi",
}


def _all(state: Any) -> Any:
    return state


def _observe(state: Carried) -> Array:
    """Inner products over n of all tangent vectors and all second derivatives."""
    assert state.second is not None
    vectors = jnp.concatenate([state.tangents, state.second.reshape(-1, state.point.size)])
    return vectors @ vectors.T / state.point.size


def _statistics(gram: Float[np.ndarray, "m m"]) -> dict[str, float]:
    """Averages over directions: all but the last tangent vector are orthogonal and on the sphere."""
    k = round(np.sqrt(len(gram) + 0.25) - 1.5)
    along, among = gram[: k + 1, : k + 1], gram[k + 1 :, k + 1 :]
    across = gram[: k + 1, k + 1 :].reshape(k + 1, k + 1, k + 1)[:k, :k, :k]
    second = among.reshape((k + 1,) * 4)[:k, :k, :k, :k]
    metric = along[:k, :k]
    # Second derivatives less their part along the tangent vectors.
    normal = second - np.einsum("eab,ef,fcd->abcd", across, np.linalg.inv(metric), across)
    g, squares = np.diag(metric), np.einsum("abab->ab", second)
    bent, products = np.einsum("abab->ab", normal), np.einsum("aabb->ab", normal)
    area = np.outer(g, g) - metric**2
    pairs = ~np.eye(k, dtype=bool)
    found = {
        "metric": g.mean(),
        "skew": metric[pairs].mean(),
        "parallel": np.diag(squares).mean(),
        "crossed": squares[pairs].mean(),
        "kappa": (np.diag(bent) / g**2).mean(),
        "sectional": ((products - bent)[pairs] / area[pairs]).mean(),
        "oblique": along[k, k],
    }
    return {name: float(value) for name, value in found.items()}


def _observe_curve(state: Carried) -> dict[str, Array]:
    """Of a closed curve at equal steps of t: lengths by the trapezoid rule, and how tangents agree."""
    assert state.second is not None
    v, h = state.tangents[:, 0], state.second[:, 0, 0]
    square = jnp.sum(v * v, -1)
    across = h - (jnp.sum(v * h, -1) / square)[:, None] * v
    bent = jnp.sum(across * across, -1)
    # Cosines of tangents over all pairs at a lag, by Fourier transform along the curve.
    power = jnp.sum(jnp.abs(jnp.fft.rfft(v / jnp.sqrt(square)[:, None], axis=0)) ** 2, -1)
    n, m = v.shape[1], len(v)
    return {
        "length": jnp.mean(jnp.sqrt(square)) / math.sqrt(n),
        "bent": n * jnp.mean(bent / square**2),
        "turning": jnp.mean(jnp.sqrt(bent / square)),
        "agreement": jnp.fft.irfft(power, m)[: m // 2 + 1] / m,
    }


@experiment(
    Card(
        name="carried-curvature",
        title="A sphere carried through a random network: stretched evenly, bent everywhere",
        topic="geometry",
        lecture="B",
        systems=("B12", "B14"),
        idea=(
            "Inputs on a sphere form a smooth surface, and every layer of a random network maps it to "
            "another. Its metric is only rescaled, by the same factor in all directions; its curvature has "
            "two histories. Seen from outside the surface bends more with every layer, since each layer "
            "creates new curvature; seen from inside, by its sectional curvature, nothing is created and "
            "what was there is only rescaled. In the chaotic phase the outer curvature of a curve goes to a "
            "limit while its length grows exponentially: a circle winds through ever more directions, and "
            "its tangents at two near points soon have nothing in common. In the ordered phase it shrinks "
            "and stays a loop. A direction that is not tangent to the sphere is stretched differently, by a "
            "term that theory gives too. The derivatives are pushed through the network itself and compared "
            "with the recursions."
        ),
        equations=(
            ("Metric", r"g_{l+1} = \chi_1 g_l"),
            (
                "Second derivatives",
                r"|H_{ab}|^2_{l+1} = \chi_2 (2\delta_{ab} + 1) g_l^2 + \chi_1 |H_{ab}|^2_l, \quad "
                r"\chi_2 = \sigma_w^4 E \varphi''(U)^2",
            ),
            (
                "Curvature of a curve",
                r"n\kappa^2_{l+1} = \frac{3\chi_2}{\chi_1^2} + \frac{n\kappa^2_l}{\chi_1} \to "
                r"\frac{3\chi_2}{\chi_1(\chi_1 - 1)}",
            ),
            ("Sectional curvature", r"K_{l+1} = K_l / \chi_1"),
            ("Length of a circle", r"\mathcal{L}_l = 2\pi \sqrt{n g_l} \propto \chi_1^{l/2}"),
            (
                "Tangents at two points",
                r"\cos(v(t), v(t+s)) = -C_l''(s) / g_l, \quad C_{l+1} = E \varphi(U) \varphi(V)",
            ),
        ),
        sources=("poole2016", "amarikarakidaoizumi2019"),
        caption=(
            "Against depth, in two phases: metric on the sphere and in an oblique direction; second "
            "derivatives; squared curvature of a great circle and its limit in chaos (thin lines); sectional "
            "curvature; length of a circle in order and in chaos, and of its unit tangents; cosine of a "
            "circle's tangents at two points. Lines: theory of infinite width; points: networks."
        ),
    ),
    full={"n_units": 2000, "n_networks": 40, "depth": 10, "n_points": 256},
)
class CarriedCurvature:
    """Metric, second derivatives and curvatures against depth."""

    n_units: int = parameter(300, doc="units a layer", low=100)
    n_networks: int = parameter(48, doc="independent networks", low=4)
    n_directions: int = parameter(4, doc="orthogonal directions on the sphere", low=2, high=12)
    depth: int = parameter(4, doc="layers", unit="layers", low=3)
    sigma_w: tuple[float, ...] = parameter((1.5, 2.5), doc="scales of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.3, doc="scale of the biases", low=0.0)
    activity: float = parameter(1.0, doc="activity of the sphere", low=0.0, open_low=True)
    circles: tuple[float, float] = parameter(
        (0.9, 2.5),
        doc="scales of the weights for the circle: one in order, one in chaos",
        low=0.0,
        open_low=True,
    )
    n_circles: int = parameter(16, doc="networks that carry the circle", low=4)
    n_points: int = parameter(64, doc="points of the circle, an even number", low=8)
    radial: float = parameter(0.8, doc="share of the signal in the oblique direction", low=0.0, high=4.0)

    def check(self) -> None:
        """Directions are few against units; the circle has its points and two networks."""
        require(
            self.n_directions + 2 <= self.n_units // 10,
            "n_directions",
            "be few against units",
            self.n_directions,
        )
        require(self.n_points % 2 == 0, "n_points", "be even", self.n_points)
        require(len(self.circles) == 2, "circles", "hold two scales", self.circles)

    def _coordinates(self) -> dict[str, Any]:
        return {
            "sigma_w": (
                "sigma_w",
                np.array(self.sigma_w),
                {"long_name": "scale of the weights sigma_w", "units": "1"},
            ),
            "depth": ("depth", np.arange(self.depth + 1), {"long_name": "depth", "units": "layers"}),
            "circle": (
                "circle",
                np.array(self.circles),
                {"long_name": "scale of the weights sigma_w", "units": "1"},
            ),
            "angle": ("angle", self._angles(), {"long_name": "angle between two points", "units": "rad"}),
        }

    def _angles(self) -> np.ndarray:
        return 2 * np.pi / self.n_points * np.arange(self.n_points // 2 + 1)

    def predict(self) -> xr.Dataset:
        """The recursions from a great sphere, and the limit of the curvature."""
        phi, a = activation("tanh"), self.activity
        series: dict[str, list[np.ndarray]] = {name: [] for name in _TEXTS}
        errors: dict[str, list[np.ndarray]] = {name: [] for name in _TEXTS}
        limits = np.asarray(kappa_fixed_point(phi, np.array(self.sigma_w), self.sigma_b))
        with jax.enable_x64(True):
            for sigma_w in self.sigma_w:
                scales = {"sigma_w": sigma_w, "sigma_b": self.sigma_b}
                key = jax.random.key(0)
                surface = run_here(surface_process(phi, **scales), key, a, self.depth, observe=_all).values
                oblique = (a, np.array([self.radial * a]), np.array([[(1 + self.radial**2) * a]]))
                metric = run_here(
                    metric_process(phi, **scales), key, oblique, self.depth, observe=_all
                ).values
                made = {
                    "metric": surface.metric,
                    "parallel": surface.parallel,
                    "crossed": surface.crossed,
                    "kappa": surface.curvature,
                    "sectional": surface.sectional,
                    "oblique": metric.metric[:, 0, 0],
                }
                for name, values in made.items():
                    values = np.asarray(values)
                    series[name].append(values)
                    # A squared length has relative variance of order 1/n a layer, and its mean shifts by as
                    # much; second derivatives are quadratic in lengths.
                    factor = 1.0 if name in ("metric", "oblique") else 2.0
                    errors[name].append(np.abs(values) * factor * np.arange(self.depth + 1) / self.n_units)
        variables: dict[str, xr.Variable] = {}
        for name, text in _TEXTS.items():
            prediction = Prediction(np.stack(series[name]), np.stack(errors[name]), _REASON)
            variables |= predicted_variable(
                f"{name}_predicted", prediction, ("sigma_w", "depth"), long_name=text
            )
        finite = np.where(np.isfinite(limits), limits, 0.0)
        variables |= predicted_variable(
            "kappa_limit", Prediction(finite), ("sigma_w",), long_name="limit of n kappa^2; 0 for none"
        )
        variables |= self._predict_circles()
        return xr.Dataset(variables, self._coordinates())

    def _predict_circles(self) -> dict[str, xr.Variable]:
        """Lengths, curvature and the agreement of tangents of a circle; and the growth that chi_1 gives."""
        phi, key = activation("tanh"), jax.random.key(0)
        series: dict[str, list[np.ndarray]] = {name: [] for name in (*_CIRCLE_TEXTS, "agreement")}
        with jax.enable_x64(True):
            for sigma_w in self.circles:
                scales = {"sigma_w": sigma_w, "sigma_b": self.sigma_b}
                # Along a great circle the curvature is that of the sphere's image.
                bent = run_here(surface_process(phi, **scales), key, self.activity, self.depth, observe=_all)
                start = (self.activity, self._angles())
                made = run_here(circle_process(phi, **scales), key, start, self.depth, observe=_all)
                curvature, metric = np.asarray(bent.values.curvature), np.asarray(made.values.metric)
                for name, values in {
                    "length": np.sqrt(metric),
                    "bent": curvature,
                    "turning": np.sqrt(curvature * metric),
                    "agreement": np.asarray(made.values.agreement),
                }.items():
                    series[name].append(values)
        order, shape = np.arange(self.depth + 1) / self.n_units, np.shape(series["agreement"])
        variables: dict[str, xr.Variable] = {}
        for name, text in _CIRCLE_TEXTS.items():
            values = np.stack(series[name])
            error = np.abs(values) * (2.0 if name == "bent" else 1.0) * order
            prediction = Prediction(values, error, _REASON)
            variables |= predicted_variable(
                f"{name}_predicted", prediction, ("circle", "depth"), long_name=text
            )
        variables |= predicted_variable(
            "agreement_predicted",
            Prediction(np.stack(series["agreement"]), np.broadcast_to(order[:, None], shape), _REASON),
            ("circle", "depth", "angle"),
            long_name="cosine of tangents at two points",
        )
        lengths = np.stack(series["length"])
        # ln chi_1 / 2, chi_1 at the variance q of the last layer.
        rates = np.log(lengths[:, -1] / lengths[:, -2])
        require(rates[0] < 0 < rates[1], "circles", "give chi_1 below 1, then above 1", self.circles)
        variables |= predicted_variable(
            "growth_predicted",
            Prediction(rates, 1 / self.n_units, _REASON),
            ("circle",),
            long_name="growth of a circle's length, ln chi_1 / 2",
            units="1/layer",
        )
        return variables

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Orthogonal directions and an oblique one, pushed through networks."""
        key_frame, key_circles, *keys = jax.random.split(key, 2 + len(self.sigma_w))
        n, k = self.n_units, self.n_directions
        texts = {**_TEXTS, "skew": "metric between orthogonal directions"}
        frame = np.sqrt(self.activity) * orthogonal_rows(key_frame, k + 2, n)
        point = frame[0]
        tangents = np.concatenate([frame[1 : k + 1], frame[k + 1 :] + self.radial * point])
        # On a great sphere d_a d_a x = -x; the oblique direction is a straight line.
        own = np.diag(np.append(np.ones(k), 0.0))
        start = tuple(x.astype(np.float32) for x in (point, tangents, -own[:, :, None] * point))
        found = {name: np.empty((self.n_networks, len(self.sigma_w), self.depth + 1)) for name in texts}
        for index, (sigma_w, key_phase) in enumerate(zip(self.sigma_w, keys, strict=True)):
            network = random_deep_network(UNITS["tanh"], n, sigma_w=sigma_w, sigma_b=self.sigma_b)
            grams = run(
                carried(network),
                key_phase,
                start,
                self.depth,
                observe=_observe,
                replicas=self.n_networks,
                label=f"sigma_w {sigma_w:g}",
            ).values
            for place in np.ndindex(grams.shape[:2]):
                for name, value in _statistics(np.asarray(grams[place], np.float64)).items():
                    found[name][place[0], index, place[1]] = value
        variables: dict[str, xr.Variable] = {}
        for name, text in texts.items():
            variables |= measured_variables(name, estimate(found[name]), ("sigma_w", "depth"), long_name=text)
        variables |= self._simulate_circles(key_circles, run, frame[:2])
        return xr.Dataset(variables, self._coordinates())

    def _simulate_circles(
        self, key: Key[Array, ""], run: Callable[..., Any], plane: np.ndarray
    ) -> dict[str, xr.Variable]:
        """The great circle through two orthogonal inputs, at all its points through the same networks."""
        t = 2 * np.pi / self.n_points * np.arange(self.n_points)
        points = np.cos(t)[:, None] * plane[0] + np.sin(t)[:, None] * plane[1]
        velocity = np.cos(t)[:, None] * plane[1] - np.sin(t)[:, None] * plane[0]
        start = tuple(x.astype(np.float32) for x in (points, velocity, -points))
        found: dict[str, list[np.ndarray]] = {}
        for sigma_w, key_phase in zip(self.circles, jax.random.split(key, 2), strict=True):
            network = random_deep_network(UNITS["tanh"], self.n_units, sigma_w=sigma_w, sigma_b=self.sigma_b)
            made = run(
                carried_curve(network),
                key_phase,
                start,
                self.depth,
                observe=_observe_curve,
                replicas=self.n_circles,
                label=f"circle, sigma_w {sigma_w:g}",
            ).values
            for name, values in made.items():
                found.setdefault(name, []).append(np.asarray(values, np.float64))
        stacked = {name: np.stack(values, 1) for name, values in found.items()}
        variables: dict[str, xr.Variable] = {}
        for name, text in _CIRCLE_TEXTS.items():
            variables |= measured_variables(
                name, estimate(stacked[name]), ("circle", "depth"), long_name=text
            )
        variables |= measured_variables(
            "agreement",
            estimate(stacked["agreement"]),
            ("circle", "depth", "angle"),
            long_name="cosine of tangents at two points",
        )
        length = stacked["length"]
        variables |= measured_variables(
            "growth",
            estimate(np.log(length[..., -1] / length[..., -2])),
            ("circle",),
            long_name="growth of a circle's length in the last layer",
            units="1/layer",
        )
        return variables

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Metric and second derivatives at several depths; curvature seen from outside and from inside."""
        made = []
        last = int(record.depth[-1])
        shown = {
            "metric": ((1, last), 0.3, "B12"),
            "oblique": ((1,), 0.25, "B12"),
            "parallel": ((1, last), 0.5, "B14"),
            "crossed": ((2, last), 0.5, "B14"),
            "kappa": ((1, last), 0.4, "B14"),
            "sectional": ((1,), 0.9, "B14"),
        }
        for sigma_w in record.sigma_w.values:
            for name, (depths, share, system) in shown.items():
                for depth in depths:
                    at = record.sel(sigma_w=sigma_w, depth=depth)
                    prediction = read_predicted(at, f"{name}_predicted")
                    made.append(
                        compare(
                            prediction,
                            read_measured(at, name),
                            statement=f"sigma_w = {sigma_w:g}: {_TEXTS[name]} after {depth} layers",
                            system=system,
                            resolution=share * float(prediction.value),
                        )
                    )
            at = record.sel(sigma_w=sigma_w, depth=last)
            made.append(
                compare(
                    Prediction(0.0),
                    read_measured(at, "skew"),
                    statement=f"sigma_w = {sigma_w:g}: orthogonal directions stay orthogonal on average",
                    system="B12",
                    resolution=0.3 * float(at["metric_predicted"]),
                )
            )
        return made + self._circle_claims(record)

    def _circle_claims(self, record: xr.Dataset) -> list[Claim]:
        """Lengths and curvature of a circle at every depth, its growth, and its tangents."""
        made: list[Claim] = []
        last = int(record.depth[-1])
        shares = {"length": 0.25, "bent": 0.5, "turning": 0.25}
        for sigma_w in record.circle.values:
            at = record.sel(circle=sigma_w)
            for name, share in shares.items():
                for depth in range(1, last + 1):
                    prediction = read_predicted(at.sel(depth=depth), f"{name}_predicted")
                    made.append(
                        compare(
                            prediction,
                            read_measured(at.sel(depth=depth), name),
                            statement=f"sigma_w = {sigma_w:g}: {_CIRCLE_TEXTS[name]} after {depth} layers",
                            system="B12" if name == "length" else "B14",
                            resolution=share * float(prediction.value),
                        )
                    )
            made.append(
                compare(
                    read_predicted(at, "growth_predicted"),
                    read_measured(at, "growth"),
                    statement=f"sigma_w = {sigma_w:g}: a circle's length grows by sqrt(chi_1) in the last "
                    "layer",
                    system="B12",
                    resolution=0.15,
                )
            )
            for part in (16, 4):
                index = max(1, self.n_points // part)
                here = at.isel(depth=-1, angle=index)
                made.append(
                    compare(
                        read_predicted(here, "agreement_predicted"),
                        read_measured(here, "agreement"),
                        statement=f"sigma_w = {sigma_w:g}: cosine of tangents 2 pi/{part} apart after {last} "
                        "layers",
                        system="B14",
                        resolution=0.2,
                    )
                )
        order, chaos = (read_measured(record.isel(circle=i), "growth") for i in range(2))
        made.append(at_most(0.0, order, statement="in the ordered phase a circle shrinks", system="B12"))
        made.append(at_least(0.0, chaos, statement="in the chaotic phase a circle grows", system="B12"))
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Sphere: four panels against depth; circle: lengths against depth, tangents against angle."""
        figure, axes = panels(2, 3, height=3.3)
        layout = (
            (axes[0, 0], ("metric", "oblique"), "metric"),
            (axes[0, 1], ("parallel", "crossed"), "squared second derivatives over n"),
            (axes[1, 0], ("kappa",), "squared curvature n kappa^2"),
            (axes[1, 1], ("sectional",), "sectional curvature n K"),
        )
        for axis, names, text in layout:
            index = 0
            for sigma_w in record.sigma_w.values:
                at = record.sel(sigma_w=sigma_w)
                for name in names:
                    measured = read_measured(at, name)
                    shown = measured.mean > 0 if name == "sectional" else np.ones(at.depth.size, bool)
                    if name == "crossed":
                        shown = at.depth.values > 0
                    low = np.minimum(measured.standard_error, 0.9 * np.abs(measured.mean))
                    bars = np.stack([low, measured.standard_error])[:, shown]
                    theory(axis, at.depth[shown], at[f"{name}_predicted"][shown], index)
                    label = f"sigma_w = {sigma_w:g}" + (f", {name}" if len(names) > 1 else "")
                    simulation(axis, at.depth[shown], measured.mean[shown], bars, index, label=label)
                    index += 1
                if "kappa" in names and float(at.kappa_limit) > 0:
                    axis.axhline(float(at.kappa_limit), color="0.5", linewidth=0.8)
            axis.set(xlabel="depth (layers)", ylabel=text, yscale="log", xticks=record.depth.values)
            axis.legend(frameon=False, fontsize=8)
        lengths, tangents = axes[2]
        for index, sigma_w in enumerate(record.circle.values):
            at = record.sel(circle=sigma_w)
            for name, place, text in (("length", index, "circle"), ("turning", index + 2, "its tangents")):
                measured = read_measured(at, name)
                theory(lengths, at.depth, at[f"{name}_predicted"], place)
                label = f"sigma_w = {sigma_w:g}, {text}"
                simulation(lengths, at.depth, measured.mean, measured.standard_error, place, label=label)
            ahead = at.isel(depth=-1)
            some = slice(None, None, max(1, self.n_points // 32))
            shown = read_measured(ahead.isel(angle=some), "agreement")
            theory(tangents, record.angle, ahead.agreement_predicted, index)
            label = f"sigma_w = {sigma_w:g}"
            simulation(tangents, record.angle[some], shown.mean, shown.standard_error, index, label=label)
        # Room for the legend above the curves.
        lengths.set(xlabel="depth (layers)", ylabel="length over that at the start", yscale="log")
        lengths.set(xticks=record.depth.values, ylim=(None, 8 * float(record.turning_predicted.max())))
        tangents.set(
            xlabel="angle between two points (rad)",
            ylabel=f"cosine of tangents, {int(record.depth[-1])} layers",
        )
        for axis in (lengths, tangents):
            axis.legend(frameon=False, fontsize=8)
        return figure
