"""Gradients of the faithful LeNets against finite differences; their sizes against arithmetic."""

from __future__ import annotations

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
from neuromanifold.data import Digits, load_mnist_subset, pad, resize, standardise
from neuromanifold.evidence import (
    Claim,
    Estimate,
    Prediction,
    at_most,
    compare,
    measured_variables,
    predicted_variable,
    read_measured,
    read_predicted,
)
from neuromanifold.experiments._experiment import Card, experiment, parameter
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.learning import (
    Batch,
    MaximumPosterior,
    Supervised,
    cross_entropy,
    gradient_check,
    squared_error,
)
from neuromanifold.networks.convolutional import Convolution, LeNet5, LeNet1989

BOUND = 1e-7

CARD = Card(
    name="lenet-gradients",
    title="Gradients and sizes of the faithful LeNets",
    topic="perception",
    lecture="D",
    systems=("D7",),
    idea=(
        "Back-propagation is the chain rule, run backwards through the layers. Whether a program does it "
        "right can be checked without trusting it: move the weights of one layer a little in a random "
        "direction, and see how much the cost changes. Here this is done in double precision for every "
        "array of weights, biases and pooling coefficients, with differences extrapolated until their own "
        "error is known. The sizes of the networks are checked too: connections are counted one by one, as "
        "derivatives that are not zero, and compared with the arithmetic of the papers."
    ),
    equations=(
        (
            "slope along a direction v",
            r"\langle \nabla L, v \rangle = \lim_{h \to 0} \frac{L(w + hv) - L(w - hv)}{2h}",
        ),
        (
            "extrapolation of the central difference D",
            r"R(h) = \frac{4 D(h/2) - D(h)}{3},\quad \frac{16 R(h/2) - R(h)}{15}",
        ),
        ("connections of a convolutional layer", r"n = s^2 \sum_m (k^2 |T_m| + 1)"),
    ),
    sources=("lecun1998", "lecun1989"),
    caption=(
        "Left: difference between the back-propagated slope and finite differences for each array of "
        "parameters, in units of the typical slope (points), the error of the finite differences (bars "
        "upward), and the bound of the claims. Right: connections counted in each layer against the paper's"
        " arithmetic."
    ),
)


@experiment(CARD, full={"n_examples": 32, "n_directions": 10})
class LeNetGradients:
    """See the card."""

    n_examples: int = parameter(4, doc="digits on which the cost is taken", low=1, high=5000)
    n_directions: int = parameter(2, doc="random directions in each array of parameters", low=1)
    step: float = parameter(1e-2, doc="length h of a move in parameters", low=0, open_low=True, high=1)
    n_maps: tuple[int, ...] = parameter((6, 16, 120), doc="maps of C1 and C3, units of C5, of LeNet-5", low=1)
    n_maps_1989: tuple[int, ...] = parameter((12, 12), doc="maps of H1 and H2 of the network of 1989", low=1)
    rubbish: float = parameter(20.0, doc="penalty j of the class of rubbish", low=0, open_low=True)

    def check(self) -> None:
        """Three layers and two, as the networks have."""
        require(len(self.n_maps) == 3, "n_maps", "hold three numbers", self.n_maps)
        require(len(self.n_maps_1989) == 2, "n_maps_1989", "hold two numbers", self.n_maps_1989)

    def predict(self) -> xr.Dataset:
        """The arithmetic of the papers, layer by layer."""
        rows = [*_counts_of_lenet5(self.n_maps), *_counts_of_lenet1989(self.n_maps_1989)]
        variables: dict[str, Any] = {"layer": ("layer", [row[0] for row in rows])}
        for column, name in enumerate(("units", "parameters", "connections"), 1):
            expected = Prediction(np.array([float(row[column]) for row in rows]))
            variables |= predicted_variable(
                f"expected_{name}", expected, ("layer",), long_name=f"{name} of the layer, by arithmetic"
            )
        return xr.Dataset(variables)

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Check every array of three networks; count what two of them have."""
        first, second, third = self.n_maps
        network_key, example_key, direction_key = jax.random.split(key, 3)
        digits = load_mnist_subset()
        chosen = np.asarray(jax.random.permutation(example_key, len(digits)))[: self.n_examples]
        digits = Digits(digits.images[chosen], digits.labels[chosen])
        large = standardise(pad(digits.images, 32))
        small = resize(digits.images, 16, 4) / 127.5 - 1
        lenet5 = LeNet5(key=network_key, n_maps=(first, second, third))
        softmax = LeNet5(key=network_key, n_maps=(first, second, third), output="softmax")
        lenet1989 = LeNet1989(key=network_key, n_maps=(self.n_maps_1989[0], self.n_maps_1989[1]))
        counted = [_counted(layer) for net in (lenet5, lenet1989) for layer in net.layers.values()]
        cases = {
            "LeNet-5": (lenet5, MaximumPosterior(self.rubbish), large),
            "LeNet-5 softmax": (softmax, cross_entropy, large),
            "LeNet-1989": (lenet1989, squared_error, small),
        }
        with jax.enable_x64(True):
            names: list[str] = []
            parts: list[np.ndarray] = []
            for i, (name, (network, criterion, pictures)) in enumerate(cases.items()):
                batch = Batch(
                    (jnp.asarray(pictures, jnp.float64), jnp.asarray(digits.labels)),
                    jnp.ones(len(digits), jnp.float64),
                )
                loss = Supervised(criterion)
                found = gradient_check(
                    lambda p, loss=loss, batch=batch: loss(p, batch, direction_key),
                    jax.tree.map(_doubled, network),
                    jax.random.fold_in(direction_key, i),
                    n_directions=self.n_directions,
                    step=self.step,
                )
                names += [f"{name} {_readable(path)}" for path in found.names]
                parts.append(np.stack([found.discrepancy, found.uncertainty]))
        discrepancy, uncertainty = np.concatenate(parts, axis=1)
        variables: dict[str, Any] = {"array": ("array", names)}
        variables |= measured_variables(
            "discrepancy",
            Estimate(discrepancy, np.zeros_like(discrepancy), self.n_directions),
            ("array",),
            long_name="difference of slope and finite difference, relative",
        )
        variables["uncertainty"] = xr.Variable(
            ("array",), uncertainty, {"long_name": "error of the finite difference, relative", "units": "1"}
        )
        for column, name in enumerate(("units", "parameters", "connections")):
            values = np.array([float(row[column]) for row in counted])
            variables |= measured_variables(
                f"counted_{name}",
                Estimate(values, np.zeros_like(values), 1),
                ("layer",),
                long_name=f"{name} of the layer, counted",
            )
        return xr.Dataset(variables)

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Gradients within 1e-7, counts exact."""
        claims = []
        arrays = record["array"].values
        for name in ("LeNet-5", "LeNet-5 softmax", "LeNet-1989"):
            own = [i for i, array in enumerate(arrays) if str(array).rsplit(" ", 2)[0] == name]
            part = record.isel(array=own)
            worst = int(np.argmax(part["discrepancy"].values + part["uncertainty"].values))
            value = part["discrepancy"].values[worst] + part["uncertainty"].values[worst]
            n = int(record["discrepancy"].attrs["n"])
            claims.append(
                at_most(
                    BOUND,
                    Estimate(np.asarray(value), np.asarray(0.0), n),
                    statement=f"back-propagation equals finite differences to 1e-7 in every layer of {name}",
                    system="D7",
                    sigmas=0,
                    reason=f"largest difference, plus its own error, at {part['array'].values[worst]}",
                )
            )
        networks = {
            "LeNet-5": ("parameters", "connections"),
            "LeNet-1989": ("units", "parameters", "connections"),
        }
        for name, kinds in networks.items():
            own = [i for i, layer in enumerate(record["layer"].values) if str(layer).startswith(f"{name} ")]
            part = record.isel(layer=own)
            for kind in kinds:
                expected = read_predicted(part, f"expected_{kind}").value.sum()
                counted = read_measured(part, f"counted_{kind}").mean.sum()
                inputs = 256.0 if kind == "units" else 0.0
                claims.append(
                    compare(
                        Prediction(np.asarray(expected + inputs)),
                        Estimate(np.asarray(counted + inputs), np.asarray(0.0), 1),
                        statement=f"{name} has {int(expected + inputs):,} {kind}",
                        system="D7",
                        resolution=0.5,
                    )
                )
        return claims

    def draw(self, record: xr.Dataset) -> Figure:
        """Discrepancies by array; counts against arithmetic."""
        figure, axes = panels(2, width=6.0, height=4.6)
        left, right = axes[0]
        arrays = [str(name) for name in record["array"].values]
        places = np.arange(len(arrays))
        discrepancy, uncertainty = record["discrepancy"].values, record["uncertainty"].values
        shown = np.maximum(discrepancy, 1e-16)
        simulation(
            left, places, shown, np.stack([np.zeros_like(shown), uncertainty]), label="back-propagation"
        )
        theory(left, [-0.5, len(arrays) - 0.5], [BOUND, BOUND], 1, label="bound of the claims")
        left.set(yscale="log", ylabel="relative difference", ylim=(1e-16, 1e-6))
        left.set_xticks(places, arrays, rotation=90, fontsize=6)
        left.legend(frameon=False, loc="lower left")
        for index, name in enumerate(("LeNet-5", "LeNet-1989")):
            own = [i for i, layer in enumerate(record["layer"].values) if str(layer).startswith(f"{name} ")]
            x = record["expected_connections"].values[own]
            y = record["counted_connections"].values[own]
            simulation(right, x, y, np.zeros(len(own)), index, label=name)
        ends = record["expected_connections"].values
        theory(right, [ends.min() / 2, ends.max() * 2], [ends.min() / 2, ends.max() * 2], 6, label="equal")
        right.set(
            xscale="log",
            yscale="log",
            xlabel="connections of a layer, by arithmetic",
            ylabel="connections of a layer, counted",
        )
        right.legend(frameon=False)
        return figure


def _readable(path: str) -> str:
    """Turn ".c1.weights" into "C1 weights"."""
    layer, array = path.strip(".").split(".")
    return f"{layer.upper() if len(layer) == 2 else layer} {array}"


def _counts_of_lenet5(n_maps: Sequence[int]) -> list[tuple[str, int, int, int]]:
    """(layer, units, parameters, connections) by the arithmetic of LeCun et al. 1998, section II.B."""
    first, second, third = n_maps
    pairs = 60 if (first, second) == (6, 16) else first * second
    rows = [
        ("C1", (first * 28**2, first * 26, first * 26 * 28**2)),
        ("S2", (first * 14**2, first * 2, first * 5 * 14**2)),
        ("C3", (second * 10**2, pairs * 25 + second, (pairs * 25 + second) * 10**2)),
        ("S4", (second * 5**2, second * 2, second * 5 * 5**2)),
        ("C5", (third, third * (second * 25 + 1), third * (second * 25 + 1))),
        ("F6", (84, 84 * (third + 1), 84 * (third + 1))),
        ("output", (10, 0, 10 * 84)),
    ]
    return [(f"LeNet-5 {name}", *numbers) for name, numbers in rows]


def _counts_of_lenet1989(n_maps: Sequence[int]) -> list[tuple[str, int, int, int]]:
    """(layer, units, parameters, connections) by the arithmetic of LeCun et al. 1989."""
    first, second = n_maps
    seen = 8 if (first, second) == (12, 12) else first
    rows = [
        ("H1", (first * 64, first * (25 + 64), first * 64 * 26)),
        ("H2", (second * 16, second * (25 * seen + 16), second * 16 * (25 * seen + 1))),
        ("H3", (30, 30 * (second * 16 + 1), 30 * (second * 16 + 1))),
        ("output", (10, 310, 310)),
    ]
    return [(f"LeNet-1989 {name}", *numbers) for name, numbers in rows]


def _counted(layer: Any) -> tuple[int, int, int]:
    """(units, parameters, connections) of a layer, each connection a derivative that is not zero."""
    inputs, forward = _input_of(layer)
    # A generic point: no derivative vanishes there by accident.
    x = np.sin(1.0 + np.arange(np.prod(inputs), dtype=np.float32)).reshape(inputs)
    outputs = jax.eval_shape(forward, x)
    wide = np.prod(inputs) > np.prod(outputs.shape)
    connections = int(np.count_nonzero(jax.jit((jax.jacrev if wide else jax.jacfwd)(forward))(x)))
    if hasattr(layer, "bias"):
        moved = jax.jacfwd(lambda bias: eqx.tree_at(lambda m: m.bias, layer, bias)(_plain(layer, inputs)))
        connections += int(np.count_nonzero(jax.jit(moved)(layer.bias)))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array)))
    return int(np.prod(outputs.shape)), parameters, connections


def _doubled(leaf: Array) -> Array:
    """The same numbers in double precision; integers as they are."""
    values = np.asarray(leaf)
    return jnp.asarray(values, jnp.float64 if np.issubdtype(values.dtype, np.floating) else None)


def _plain(layer: Any, inputs: tuple[int, ...]) -> Array:
    """A picture without border for a layer that adds its own."""
    if isinstance(layer, Convolution):
        return jnp.zeros((layer.size, layer.size, layer.n_inputs))
    return jnp.zeros(inputs)


def _input_of(layer: Any) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """Shape of what a layer sees, border included, and its weighted sums as a function of that."""
    if isinstance(layer, Convolution):
        side = layer.size + 2 * layer.padding
        return (side, side, layer.n_inputs), layer.sums
    if hasattr(layer, "factor"):
        return (layer.size, layer.size, layer.bias.size), layer
    if hasattr(layer, "codes"):
        return (layer.codes.shape[1],), layer
    return (layer.weights.shape[0],), layer
