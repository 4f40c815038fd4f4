"""The Gram matrix of a deep network's Jacobian: near a multiple of the identity, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from neuromanifold.dynamics import Process
from neuromanifold.dynamics import run as run_here
from neuromanifold.evidence import (
    Claim,
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
from neuromanifold.experiments._figure import panels, simulation, theory
from neuromanifold.experiments.geometry._carried import UNITS, Carried, carried, orthogonal_rows
from neuromanifold.networks.random import SignalState, random_deep_network
from neuromanifold.theory.meanfield import activation, jacobian_process

_REASON = "corrections of order 1/width"
_TEXTS = {
    "diagonal": "mean of the diagonal of J^T J",
    "error": "squared length of a back-propagated error",
    "deviation": "n times variance of the diagonal within a network, over its squared mean",
    "off": "n times mean square off the diagonal, over the squared mean",
    "anisotropy": "variance of the eigenvalues of J^T J over their squared mean",
}


def _all(state: Any) -> Any:
    return state


class _Sent(NamedTuple):
    """Signals of all layers of one network, and errors on their way back.

    Args:
        key: of the network's weights.
        signals: x^0 ... x^L, shape (L + 1, n).
        errors: delta at the layer that is reached, shape (k, n).
    """

    key: Key[Array, ""]
    signals: Float[Array, "layers n"]
    errors: Float[Array, "k n"]


class _SendBack(eqx.Module):
    """L steps forward through the layers of one network, then L steps back through the same with errors."""

    network: Process
    depth: int = eqx.field(static=True)

    def init(self, key: Key[Array, ""], start: Any) -> _Sent:
        """Start from an input (n,) and errors at the last layer (k, n)."""
        point, errors = (jnp.asarray(x) for x in start)
        later = jnp.zeros((self.depth, point.size), point.dtype)
        return _Sent(key, jnp.concatenate([point[None], later]), errors)

    def step(self, key: Key[Array, ""], t: Any, state: _Sent) -> tuple[_Sent, None]:
        """The next layer on the way; its weights come from the network's key and its number alone."""
        del key
        index = jnp.where(t < self.depth, t, 2 * self.depth - 1 - t)
        of_layer = jax.random.fold_in(state.key, index)
        n = jnp.int32(state.signals.shape[1])

        def layer(x: Array) -> Array:
            return self.network.step(of_layer, index, SignalState(x[None], n, None))[0].signal[0]

        after, pull = jax.vjp(layer, state.signals[index])
        # On the way back the signals are made again and are the same.
        signals = state.signals.at[index + 1].set(after)
        errors = jnp.where(t < self.depth, state.errors, jax.vmap(lambda e: pull(e)[0])(state.errors))
        return _Sent(state.key, signals, errors), None


def send_back(network: Process, depth: int) -> Process:
    """2 L steps: a signal through L layers of equal width, and errors from the last layer to the input.

    Begins with an input (n,) and errors (k, n).

    Args:
        network: a process on `SignalState` with fresh weights.
        depth: L.
    """
    moves = _SendBack(network, depth)
    return Process(moves.init, moves.step)


def _squared(state: _Sent) -> Array:
    return jnp.mean(jnp.sum(state.errors**2, axis=1))


class _Observe(eqx.Module):
    """Statistics of J^T J; rows of `tangents` are columns of J."""

    error: Array

    def __call__(self, state: Carried) -> dict[str, Array]:
        gram = state.tangents @ state.tangents.T
        n = len(gram)
        diagonal = jnp.diagonal(gram)
        squares = jnp.sum(gram**2)
        mean = diagonal.mean()
        return {
            "diagonal": mean,
            "error": jnp.sum((state.tangents @ self.error) ** 2),
            "deviation": n * diagonal.var() / mean**2,
            "off": (squares - jnp.sum(diagonal**2)) / (n - 1) / mean**2,
            "anisotropy": squares / n / mean**2 - 1.0,
        }


@experiment(
    Card(
        name="jacobian-domino",
        title="Errors sent back through random layers: the domino theorem and its limits",
        topic="geometry",
        lecture="B",
        systems=("B13",),
        idea=(
            "The Jacobian of a deep random network is a product of one matrix a layer. Entry by entry its "
            "Gram matrix is a multiple of the identity when layers are wide, as one layer after the other "
            "falls like dominoes, and so a back-propagated error is scaled by one factor in each layer, its "
            "chi_1, wherever it points. Entries deviate by an amount of order one over the root of the width "
            "that grows with depth as theory predicts; and because there are so many of them the matrix as a "
            "whole is never close to the identity: its eigenvalues spread more with every layer."
        ),
        equations=(
            ("Domino", r"(B^L \cdots B^1)^T (B^L \cdots B^1) \approx \prod_l \chi_1(q_l)\, I"),
            ("Error", r"|\delta^{l-1}|^2 = \chi_1 |\delta^l|^2"),
            (
                "Deviation of entries",
                r"n \frac{(J^T J)_{ij}^2}{M^2} \to R, \quad "
                r"R = \sum_l \frac{E\varphi'^4}{(E\varphi'^2)^2}, \quad M = \prod_l \chi_1",
            ),
        ),
        sources=("schoenholz2017", "amarikarakidaoizumi2019"),
        caption=(
            "Against depth: mean of the diagonal and squared length of a back-propagated error; deviations "
            "of single entries, scaled by the width; variance of the eigenvalues over their squared mean. "
            "Last: errors sent back from one last layer, at every layer on their way. Lines: theory; points: "
            "networks."
        ),
    ),
    full={"n_units": 1500, "n_networks": 24},
)
class JacobianDomino:
    """Statistics of J^T J against depth."""

    activation: str = parameter("erf", doc="activation", choices=("erf", "tanh"))
    sigma_w: float = parameter(2.0, doc="scale of the weights", low=0.0, open_low=True)
    sigma_b: float = parameter(0.3, doc="scale of the biases", low=0.0)
    activity: float = parameter(1.0, doc="activity of the input", low=0.0, open_low=True)
    n_units: int = parameter(300, doc="units a layer", low=100)
    n_networks: int = parameter(48, doc="independent networks", low=4)
    depth: int = parameter(4, doc="layers", unit="layers", low=2)
    way: int = parameter(6, doc="layers through which errors are sent back", unit="layers", low=2)
    n_sent: int = parameter(24, doc="networks through which errors are sent back", low=4)
    n_errors: int = parameter(8, doc="errors sent back through each network", low=1)

    def _coordinates(self) -> dict[str, Any]:
        layers = np.arange(self.way + 1)
        return {
            "layer": ("layer", layers, {"long_name": "layer reached", "units": "layers"}),
            "through": ("through", layers[1:], {"long_name": "layer passed", "units": "layers"}),
            "depth": ("depth", np.arange(self.depth + 1), {"long_name": "depth", "units": "layers"}),
        }

    def predict(self) -> xr.Dataset:
        """Mean and spread of entries; the eigenvalues' variance is the sum of all entries'."""
        phi = activation(self.activation)
        with jax.enable_x64(True):
            process = jacobian_process(phi, sigma_w=self.sigma_w, sigma_b=self.sigma_b)
            depth = max(self.depth, self.way)
            made = run_here(process, jax.random.key(0), self.activity, depth, observe=_all).values
        passed = np.asarray(made.mean)[: self.way + 1]
        mean, spread = (np.asarray(x)[: self.depth + 1] for x in (made.mean, made.spread))
        values = {
            "diagonal": mean,
            "error": mean,
            "deviation": 2 * spread,
            "off": spread,
            "anisotropy": spread,
        }
        variables: dict[str, xr.Variable] = {}
        for name, series in values.items():
            prediction = Prediction(series, series * spread / self.n_units, _REASON)
            variables |= predicted_variable(
                f"{name}_predicted", prediction, ("depth",), long_name=_TEXTS[name]
            )
        # The error that starts at the last layer has passed the layers above the one it has reached.
        reached = passed[-1] / passed
        variables |= predicted_variable(
            "reached_predicted",
            Prediction(reached, reached * (self.way - np.arange(self.way + 1)) / self.n_units, _REASON),
            ("layer",),
            long_name="squared length of an error sent back, at the layer reached",
        )
        ratio = passed[1:] / passed[:-1]
        variables |= predicted_variable(
            "ratio_predicted",
            Prediction(ratio, ratio / self.n_units, _REASON),
            ("through",),
            long_name="growth of the squared error in a layer",
        )
        return xr.Dataset(variables, self._coordinates())

    def simulate(self, key: Key[Array, ""], run: Callable[..., Any]) -> xr.Dataset:
        """Whole Jacobians of networks, and a random error sent through each."""
        key_input, key_error, key_networks, key_back = jax.random.split(key, 4)
        n = self.n_units
        point, error = (orthogonal_rows(k, 1, n)[0].astype(np.float32) for k in (key_input, key_error))
        point *= np.float32(np.sqrt(self.activity))
        network = random_deep_network(UNITS[self.activation], n, sigma_w=self.sigma_w, sigma_b=self.sigma_b)
        made = run(
            carried(network),
            key_networks,
            (point, np.eye(n, dtype=np.float32)),
            self.depth,
            observe=_Observe(jnp.asarray(error / np.linalg.norm(error))),
            replicas=self.n_networks,
            label="jacobian",
        ).values
        variables: dict[str, xr.Variable] = {}
        for name, text in _TEXTS.items():
            samples = np.asarray(made[name], np.float64)
            variables |= measured_variables(name, estimate(samples), ("depth",), long_name=text)
        errors = orthogonal_rows(key_error, self.n_errors, n).astype(np.float32) / np.float32(np.sqrt(n))
        squared = run(
            send_back(network, self.way),
            key_back,
            (point, errors),
            2 * self.way,
            observe=_squared,
            replicas=self.n_sent,
            label="errors sent back",
        ).values
        # At the last layer first, as they arrive.
        arrived = np.asarray(squared, np.float64)[:, self.way :][:, ::-1]
        variables |= measured_variables(
            "reached",
            estimate(arrived),
            ("layer",),
            long_name="squared length of an error at the layer reached",
        )
        variables |= measured_variables(
            "ratio",
            estimate(arrived[:, :-1] / arrived[:, 1:]),
            ("through",),
            long_name="growth of the squared error in a layer",
        )
        return xr.Dataset(variables, self._coordinates())

    def claims(self, record: xr.Dataset) -> Sequence[Claim]:
        """Means, deviations of entries, and that they make no identity."""
        made = []
        last = int(record.depth[-1])
        shown = {"diagonal": (1, last), "error": (last,), "deviation": (1, last), "off": (1, last)}
        shares = {"diagonal": 0.3, "error": 0.7, "deviation": 0.3, "off": 0.2}
        for name, depths in shown.items():
            for depth in depths:
                at = record.sel(depth=depth)
                prediction = read_predicted(at, f"{name}_predicted")
                made.append(
                    compare(
                        prediction,
                        read_measured(at, name),
                        statement=f"{_TEXTS[name]}, {depth} layers",
                        system="B13",
                        resolution=shares[name] * float(prediction.value),
                    )
                )
        for layer in record.through.values:
            at = record.sel(through=layer)
            prediction = read_predicted(at, "ratio_predicted")
            made.append(
                compare(
                    prediction,
                    read_measured(at, "ratio"),
                    statement=f"growth of the squared error on its way back through layer {layer}",
                    system="B13",
                    resolution=0.12 * float(prediction.value),
                )
            )
        at = record.isel(layer=0)
        prediction = read_predicted(at, "reached_predicted")
        made.append(
            compare(
                prediction,
                read_measured(at, "reached"),
                statement=f"squared error at the input, sent back through {self.way} layers",
                system="B13",
                resolution=0.4 * float(prediction.value),
            )
        )
        final = read_measured(record.sel(depth=last), "anisotropy")
        made.append(
            at_least(
                1.0,
                final,
                statement=f"after {last} layers J^T J is no multiple of the identity: its eigenvalues vary "
                "by more than their mean",
                system="B13",
                reason="the sum of n deviations of order 1/n each",
            )
        )
        return made

    def draw(self, record: xr.Dataset) -> Figure:
        """Means, deviations, eigenvalues, and errors on their way."""
        figure, axes = panels(2, 2, height=3.3)
        layout = (
            (axes[0, 0], ("diagonal", "error"), "mean", ("diagonal of J^T J", "|error|^2 sent back")),
            (
                axes[0, 1],
                ("off", "deviation"),
                "n times squared deviation / mean^2",
                ("off the diagonal", "on the diagonal"),
            ),
            (axes[1, 0], ("anisotropy",), "variance / mean^2", ("eigenvalues of J^T J",)),
        )
        for axis, names, text, labels in layout:
            for index, (name, label) in enumerate(zip(names, labels, strict=True)):
                measured = read_measured(record, name)
                theory(axis, record.depth, record[f"{name}_predicted"], index)
                simulation(axis, record.depth, measured.mean, measured.standard_error, index, label=label)
            axis.set(xlabel="depth (layers)", ylabel=text)
            axis.legend(frameon=False, fontsize=8)
        axis, measured = axes[1, 1], read_measured(record, "reached")
        theory(axis, record.layer, record.reached_predicted)
        simulation(axis, record.layer, measured.mean, measured.standard_error, label="|error|^2")
        axis.set(
            xlabel="layer reached on the way back (layers)", ylabel="squared length, 1 at the last layer"
        )
        axis.legend(frameon=False, fontsize=8)
        return figure
