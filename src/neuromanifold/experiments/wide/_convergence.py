"""Kernels of networks as drawn, against those of infinite width: dense, convolutional, with attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from neuromanifold._base import require
from neuromanifold.dynamics import Process
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    compare,
    estimate,
    predicted_variable,
    read_predicted,
    scales,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.theory.wide import (
    Conv,
    Dense,
    Erf,
    GlobalAvgPool,
    GlobalSelfAttention,
    Layer,
    Relu,
    serial,
)

ARCHITECTURES = ("dense", "convolutional", "attention")
KERNELS = ("nngp", "ntk")


def _body(name: str, n: int, sigma_w: float, sigma_b: float) -> Layer:
    """Everything below the last layer, with n channels wherever there are channels."""
    scale: dict[str, Any] = {"W_std": sigma_w, "b_std": sigma_b}
    if name == "dense":
        return serial(Dense(n, **scale), Erf(b=2**-0.5), Dense(n, **scale), Erf(b=2**-0.5))
    if name == "convolutional":
        conv = Conv(n, (3,), None, "CIRCULAR", **scale)
        return serial(conv, Relu(), conv, GlobalAvgPool())
    # Queries and keys so small that attention depends little on which of them were drawn.
    small: dict[str, Any] = {"W_query_std": 0.5, "W_key_std": 0.5}
    attend = GlobalSelfAttention(n, n // 4, n // 4, n // 2, **small, W_out_std=sigma_w, b_std=sigma_b)
    return serial(Conv(n, (1,), **scale), Relu(), attend, GlobalAvgPool())


class DrawnKernels(eqx.Module):
    """Both kernels of a network with one output, of another network each step; the state is its inputs.

    Args:
        name: of the architecture.
        width: channels.
        sigma_w: scale of the weights.
        sigma_b: scale of the biases.
    """

    name: str = eqx.field(static=True)
    width: int = eqx.field(static=True)
    sigma_w: float = eqx.field(static=True)
    sigma_b: float = eqx.field(static=True)

    def process(self) -> Process:
        """The process."""
        return Process(self.init, self.step)

    def init(self, key: Key[Array, ""], inputs: Array) -> Array:
        """Inputs stay what they are."""
        del key
        return inputs

    def step(self, key: Key[Array, ""], t: Any, inputs: Array) -> tuple[Array, dict[str, Array]]:
        """Draw a network."""
        del t
        scales = (self.sigma_w, self.sigma_b)
        body, last = _body(self.name, self.width, *scales), Dense(1, *scales)
        whole = serial(body, last)
        shapes = jax.eval_shape(lambda key: whole.init_fn(key, inputs.shape)[1], key)
        empty, structure = jax.tree.flatten(shapes)
        ends = np.cumsum([math.prod(leaf.shape) for leaf in empty])
        # All weights are standard normal. One draw: more generators would take longer to compile than to run.
        parts = jnp.split(jax.random.normal(key, (int(ends[-1]),), inputs.dtype), ends[:-1])
        reshaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, empty, strict=True)]
        params = jax.tree.unflatten(structure, reshaped)

        def outputs(params: Any) -> tuple[Array, Array]:
            features = body.apply_fn(params[0], inputs)
            return last.apply_fn(params[1], features)[:, 0], features

        _, pull, features = jax.vjp(outputs, params, has_aux=True)
        rows = jax.tree.leaves(jax.vmap(pull)(jnp.eye(len(inputs), dtype=inputs.dtype)))
        flat = [row.reshape(len(inputs), -1) for row in rows]
        # Of an output whose weights are not drawn: its covariance given all that lies below.
        nngp = self.sigma_w**2 * features @ features.T / self.width + self.sigma_b**2
        return inputs, {"nngp": nngp, "ntk": sum((row @ row.T for row in flat), jnp.zeros_like(nngp))}


def _all(info: dict[str, Array]) -> dict[str, Array]:
    return info


def _inputs(name: str, n_examples: int, n_positions: int, n_channels: int) -> np.ndarray:
    """Inputs of unit variance, alike enough for kernels off the diagonal to be seen."""
    random = np.random.default_rng(0)
    shape = (n_channels,) if name == "dense" else (n_positions, n_channels)
    common = random.standard_normal(shape)
    return math.sqrt(0.5) * (common + random.standard_normal((n_examples, *shape)))


@experiment(
    Card(
        name="kernel-convergence",
        title="Kernels of random networks approach those of infinite width",
        topic="wide",
        lecture="B",
        systems=("B16",),
        idea=(
            "A random network has two kernels: the covariance of its outputs (NNGP) and the product of its "
            "gradients (tangent kernel). The theory of infinite width computes both without drawing any "
            "network. Networks of finite width are drawn, and their kernels lie off the theory by an amount "
            "whose square falls as one over the width; the mean over several networks lies off by an amount "
            "that falls as one over the root of their number. This is so for dense layers, for convolutions "
            "and for self-attention alike."
        ),
        equations=(
            ("NNGP kernel", r"\Sigma(x, x') = E f(x) f(x')"),
            ("Tangent kernel", r"\Theta(x, x') = \partial_\theta f(x) \cdot \partial_\theta f(x')"),
            (
                "Error of a mean of m networks of width n",
                r"\frac{\|\bar K - K\|}{\|K\|} \approx \frac{c}{\sqrt{m n}}",
            ),
        ),
        sources=("jacot2018", "novak2020", "hron2020"),
        caption=(
            "Errors of kernels, relative. Left: of means over networks of the greatest width, root mean "
            "square, against their number. Right: of single networks, geometric mean, against width. Points: "
            "networks; lines: slope -1/2."
        ),
    ),
    full={"widths": (32, 64, 128), "n_networks": 1024},
)
class KernelConvergence:
    """Errors of kernels against width and number of networks."""

    widths: tuple[int, ...] = parameter((16, 32, 64), doc="channels of every layer", low=8)
    n_networks: int = parameter(512, doc="networks of each width", low=128)
    counts: tuple[int, ...] = parameter((1, 2, 4, 8), doc="networks in a mean, rising", low=1)
    n_examples: int = parameter(3, doc="inputs", low=2)
    n_positions: int = parameter(4, doc="positions of inputs with positions", low=3)
    n_channels: int = parameter(3, doc="channels of the inputs", low=1)
    sigma_w: float = parameter(1.4, doc="scale of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.2, doc="scale of the biases", low=0.0)

    def check(self) -> None:
        """Three widths to fit an exponent, and groups that come out even."""
        rising = len(self.widths) >= 3 and list(self.widths) == sorted(set(self.widths))
        require(rising, "widths", "be at least three that rise", self.widths)
        rising = len(self.counts) >= 3 and list(self.counts) == sorted(set(self.counts))
        require(rising, "counts", "be at least three that rise", self.counts)
        least = math.lcm(*self.counts)
        require(self.n_networks % least == 0, "n_networks", f"be a multiple of {least}", self.n_networks)

    def _coordinates(self) -> dict[str, Any]:
        return {
            "width": ("width", np.array(self.widths), {"long_name": "width", "units": "units"}),
            "count": (
                "count",
                np.array(self.counts),
                {"long_name": "networks in a mean", "units": "networks"},
            ),
            "architecture": (
                "architecture",
                list(ARCHITECTURES),
                {"long_name": "architecture", "units": "1"},
            ),
            "kind": ("kind", list(KERNELS), {"long_name": "kernel", "units": "1"}),
        }

    def predict(self) -> xr.Dataset:
        """Kernels of infinite width, and the exponents."""
        kernels = []
        for name in ARCHITECTURES:
            whole = serial(_body(name, 8, self.sigma_w, self.sigma_b), Dense(1, self.sigma_w, self.sigma_b))
            with jax.enable_x64(True):
                x = _inputs(name, self.n_examples, self.n_positions, self.n_channels)
                made = jax.jit(whole.kernel_fn, static_argnums=2)(x, None, KERNELS)
            kernels.append(np.stack([np.asarray(made.nngp), np.asarray(made.ntk)]))
        variables = predicted_variable(
            "kernel",
            Prediction(np.stack(kernels)),
            ("architecture", "kind", "example", "other"),
            long_name="kernel of infinite width",
        )
        # Beside an error of c/sqrt(m n) the mean over networks lies off by a term of order 1/n, whose square
        # is of relative order m/n.
        spread = math.log(self.counts[-1] / self.counts[0])
        shift = 0.5 * math.log1p(self.counts[-1] / max(self.widths)) / spread
        # Of attention, whose heads are half as many as channels.
        next_order = 2.0 / min(self.widths) / math.log(max(self.widths) / min(self.widths))
        bends = {
            "count": (shift, "the mean's shift of order 1/width"),
            "width": (next_order, "the next order in 1/width at the smallest width"),
        }
        for name, (error, reason) in bends.items():
            variables |= predicted_variable(
                f"{name}_exponent",
                Prediction(-0.5, error, reason),
                long_name=f"exponent of the error in {name}",
            )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Networks of every architecture and width, as drawn."""
        found = []
        for index, name in enumerate(ARCHITECTURES):
            x = jnp.asarray(_inputs(name, self.n_examples, self.n_positions, self.n_channels), jnp.float32)
            for width in self.widths:
                of_width = jax.random.fold_in(jax.random.fold_in(key, index), width)
                made = run(
                    DrawnKernels(name, width, self.sigma_w, self.sigma_b).process(),
                    of_width,
                    x,
                    self.n_networks,
                    observe_info=_all,
                    label=f"{name}, {width} channels",
                )
                found.append([np.asarray(made.infos[kind], np.float64) for kind in KERNELS])
        shape = (len(ARCHITECTURES), len(self.widths), len(KERNELS), self.n_networks, *np.shape(found)[-2:])
        dims = ("architecture", "width", "kind", "network", "example", "other")
        attributes = {"long_name": "kernels of networks", "units": "1"}
        return xr.Dataset({"drawn": (dims, np.reshape(found, shape), attributes)}, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Both exponents, and the mean kernel, of both kernels of all architectures."""
        made = []
        for name in ARCHITECTURES:
            for kind in KERNELS:
                at = record.sel(architecture=name, kind=kind)
                what = f"{name}: the {'NNGP' if kind == 'nngp' else 'tangent'} kernel"
                by_width, by_count = _errors_by_width(at), _errors_by_count(at)
                made.append(
                    scales(
                        read_predicted(record, "width_exponent"),
                        record.width.values,
                        by_width,
                        statement=f"{what} of a network lies off by an amount whose square falls as 1/width",
                        system="B16",
                        resolution=0.4,
                    )
                )
                made.append(
                    scales(
                        read_predicted(record, "count_exponent"),
                        record["count"].values,
                        by_count,
                        statement=f"{what}, averaged over networks, approaches the limit as 1/sqrt(networks)",
                        system="B16",
                        resolution=0.45,
                    )
                )
                kernel, widest = at.kernel.values, at.drawn.values[-1]
                share = np.sum(widest * kernel, (1, 2)) / np.sum(kernel**2)
                made.append(
                    compare(
                        Prediction(1.0, 2.0 / int(record.width[-1]), "a shift of order 1/width"),
                        estimate(share),
                        statement=f"{what}: the mean over networks has the length of the limit along it",
                        system="B16",
                        resolution=0.15,
                    )
                )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Errors against the number of networks and against width."""
        figure, axes = panels(2)
        left, right = axes.flat
        index = 0
        for name in ARCHITECTURES:
            for kind in KERNELS:
                at = record.sel(architecture=name, kind=kind)
                for axis, x, error in (
                    (left, record["count"].values, _errors_by_count(at)),
                    (right, record.width.values, _errors_by_width(at)),
                ):
                    label = f"{name}, {'NNGP' if kind == 'nngp' else 'tangent'}"
                    simulation(axis, x, error.mean, error.standard_error, index, label=label)
                    centre = np.exp(np.mean(np.log(error.mean))) * np.exp(np.mean(np.log(x))) ** 0.5
                    theory(axis, x, centre * x**-0.5, index)
                index += 1
        left.set(
            xscale="log", yscale="log", xlabel="networks in a mean", ylabel="error of the kernel, relative"
        )
        right.set(xscale="log", yscale="log", xlabel="width (units)", ylabel="error of the kernel, relative")
        for axis, x in ((left, record["count"].values), (right, record.width.values)):
            axis.set_xticks(x, [str(value) for value in x])
            axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        right.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def _errors(kernels: np.ndarray, limit: np.ndarray) -> Estimate:
    """Root mean square distance of kernels (k, i, j) from the limit, relative to its length."""
    made = estimate(np.sum((kernels - limit) ** 2, (1, 2)) / np.sum(limit**2))
    root = math.sqrt(float(made.mean))
    return Estimate(root, float(made.standard_error) / (2 * root), made.n)


def _stack(values: list[Estimate]) -> Estimate:
    return Estimate([v.mean for v in values], [v.standard_error for v in values], values[0].n)


def _errors_by_width(record: xr.Dataset) -> Estimate:
    """Of single networks: geometric means, which a few networks far off, of narrow attention, do not rule."""
    limit, found = record.kernel.values, []
    for kernels in record.drawn.values:
        logarithm = estimate(0.5 * np.log(np.sum((kernels - limit) ** 2, (1, 2)) / np.sum(limit**2)))
        centre = math.exp(float(logarithm.mean))
        found.append(Estimate(centre, centre * float(logarithm.standard_error), logarithm.n))
    return _stack(found)


def _errors_by_count(record: xr.Dataset) -> Estimate:
    """Of means over several networks of the greatest width.

    Every number takes all networks: errors of two numbers are correlated, and the exponent, which comes from
    their ratio, has a smaller error than independent ones would give.
    """
    widest = record.drawn.values[-1]
    means = [widest.reshape(-1, count, *widest.shape[1:]).mean(1) for count in record["count"].values]
    return _stack([_errors(mean, record.kernel.values) for mean in means])
