"""Many Hebbian neurons on the same inputs, each with a threshold of its own, coupled or not.

Without couplings every neuron learns as if it were alone: high thresholds make narrow fields (fine
categories), low ones wide fields (coarse categories). With couplings K the activities settle before the
weights move,

    0 = -u_k + sum_l K_kl f(u_l) + s_k(v),     h_k = f(u_k),

s_k(v) = h_0 + w_k.v - tau_k, or h_0 + w_k.v - b_k with a learned inhibition b_k, and the rules of single
neurons are given this h. The rest is approached from u = s by steps u <- u + rate (-u + K f(u) + s), as many
as are given; with K = 0 the start is the rest, and the population decouples exactly.

Symbols: K couplings, column index is where a signal comes from, h_0 resting level. Time: units of the decay
of the weights.

Source: Amari and Takeuchi 1978, Biol. Cybern. 29:127; Takeuchi and Amari 1979, Biol. Cybern. 35:63.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from neuromanifold._base import check_finite, check_integer, check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._hebb import HebbNeuron
from neuromanifold.networks.selforganizing._inhibition import InhibitedNeuron, InhibitedWeights
from neuromanifold.networks.selforganizing._inputs import Inputs
from neuromanifold.networks.selforganizing._receptive_field import check_weights
from neuromanifold.networks.selforganizing._response import Response


class HebbPopulation(eqx.Module):
    """Neurons with distributed thresholds; see the module's header.

    Args:
        thresholds: tau_k, shape (n_neurons,); None where the inhibition is learned.
        ratios: lambda_k >= 0, shape (n_neurons,), for a learned inhibition; None for fixed thresholds.
        gain: c > 0.
        variant: rule of neurons with fixed thresholds, as of `HebbNeuron`.
        kappa: time constant of learned inhibition, > 0.
        response: f; a step where None.
        coupling: K, shape (n_neurons, n_neurons); None for none.
        resting: h_0, the same for all.
        settle_steps: steps by which coupled activities settle, >= 1.
        settle_rate: length of such a step, in (0, 1].

    Raises:
        ValueError: both or neither of thresholds and ratios, or an argument outside its range.

    >>> import numpy as np
    >>> from neuromanifold.networks.selforganizing import HebbPopulation, circle
    >>> population = HebbPopulation([0.05, 0.1, 0.14])
    >>> wide_to_narrow = population.fires(np.tile([0.3, 0.0], (3, 1)), circle(100).points)
    >>> wide_to_narrow.sum(0).tolist()
    [45, 39, 35]
    """

    neurons: HebbNeuron | InhibitedNeuron
    coupling: Float[Array, "n_neurons n_neurons"] | None
    resting: Float[Array, ""]
    settle_rate: Float[Array, ""]
    n_neurons: int = eqx.field(static=True)
    settle_steps: int = eqx.field(static=True)

    def __init__(
        self,
        thresholds: Any = None,
        *,
        ratios: Any = None,
        gain: float = 1.0,
        variant: str = "plain",
        kappa: float = 1.0,
        response: Response | None = None,
        coupling: Any = None,
        resting: float = 0.0,
        settle_steps: int = 60,
        settle_rate: float = 0.5,
    ):
        require(
            (thresholds is None) != (ratios is None),
            "thresholds",
            "be given, or ratios, and not both",
            (thresholds, ratios),
        )
        name, given = ("thresholds", thresholds) if ratios is None else ("ratios", ratios)
        values = check_finite(name, given)
        require(values.ndim == 1 and values.size > 0, name, "have shape (n_neurons,)", values.shape)
        require(ratios is None or values.min() >= 0, name, "be >= 0", float(values.min()))
        gain = check_real("gain", gain, 0.0, open_low=True)
        kappa = check_real("kappa", kappa, 0.0, open_low=True)
        self.n_neurons = n = values.size
        level = jnp.asarray(values, jnp.result_type(float))
        if ratios is None:
            self.neurons = jax.vmap(lambda x: HebbNeuron(gain, x, variant, response))(level)
        else:
            self.neurons = jax.vmap(lambda x: InhibitedNeuron(x, gain, kappa, response))(level)
        if coupling is None:
            self.coupling = None
        else:
            matrix = check_finite("coupling", coupling)
            require(matrix.shape == (n, n), "coupling", f"have shape {(n, n)}", matrix.shape)
            self.coupling = jnp.asarray(matrix, jnp.result_type(float))
        self.resting = jnp.asarray(check_real("resting", resting), jnp.result_type(float))
        self.settle_steps = check_integer("settle_steps", settle_steps, 1)
        rate = check_real("settle_rate", settle_rate, 0.0, 1.0, open_low=True)
        self.settle_rate = jnp.asarray(rate, jnp.result_type(float))

    def start(self, inputs: Inputs, weights: Any, inhibition: Any = None) -> Array | InhibitedWeights:
        """Weights to begin with.

        Args:
            inputs: the law of the inputs.
            weights: shape (n_neurons, n_synapses).
            inhibition: b, shape (n_neurons,), where it is learned; zero for None.

        Raises:
            ValueError: another shape, a value that is not finite, or an inhibition that is not learned.
        """
        begun = check_weights("weights", weights, (self.n_neurons, inputs.n_synapses), inputs.points)
        if isinstance(self.neurons, HebbNeuron):
            require(inhibition is None, "inhibition", "be None for fixed thresholds", inhibition)
            moving = self.neurons.variant != "normalised" or bool(jnp.all(jnp.any(begun != 0, axis=1)))
            require(moving, "weights", "not be zero for the variant 'normalised'", np.asarray(begun).tolist())
            return begun
        held = np.zeros(self.n_neurons) if inhibition is None else inhibition
        return InhibitedWeights(begun, check_weights("inhibition", held, (self.n_neurons,), inputs.points))

    def activities(
        self, weights: Any, points: Float[Array, "n_points n_synapses"]
    ) -> Float[Array, "n_points n_neurons"]:
        """The activity h of every neuron for every input, settled where they are coupled."""
        drive = jax.vmap(lambda neuron, w: neuron.fields(w, points), out_axes=1)(self.neurons, weights)
        drive = drive + self.resting.astype(drive.dtype)
        response = self.neurons.response
        if self.coupling is None:
            return response(drive)
        coupling, rate = self.coupling.astype(drive.dtype), self.settle_rate.astype(drive.dtype)

        def approach(_: Any, u: Array) -> Array:
            return u + rate * (response(u) @ coupling.T + drive - u)

        return response(jax.lax.fori_loop(0, self.settle_steps, approach, drive))

    def fires(
        self, weights: Any, points: Float[Array, "n_points n_synapses"]
    ) -> Bool[Array, "n_points n_neurons"]:
        """Which neurons fire for which inputs: an activity above that of a field of zero."""
        weights = jax.tree.map(jnp.asarray, weights)
        at_rest = self.neurons.response(jnp.zeros((), points.dtype))
        return self.activities(weights, points) > at_rest

    def velocity(self, weights: Any, inputs: Inputs) -> Any:
        """The averaged rule of every neuron."""
        h = self.activities(weights, inputs.points) * inputs.probabilities[:, None]
        return jax.vmap(lambda neuron, w, fired, pull: neuron.drift(w, fired, pull))(
            self.neurons, weights, jnp.sum(h, axis=0), h.T @ inputs.points
        )

    def change(self, weights: Any, point: Float[Array, " n_synapses"]) -> Any:
        """What one input wants to change in every neuron."""
        h = self.activities(weights, point[None])[0]
        return jax.vmap(lambda neuron, w, fired: neuron.drift(w, fired, fired * point))(
            self.neurons, weights, h
        )

    def flow(self, inputs: Inputs) -> Flow:
        """The averaged rule as a flow on the weights of all neurons.

        Solve it with steps of a fixed length where the response is a step.
        """
        return Flow(_Averaged(self, inputs).velocity)


class _Averaged(eqx.Module):
    population: HebbPopulation
    inputs: Inputs

    def velocity(self, t: Any, weights: Any) -> Any:
        del t
        return self.population.velocity(weights, self.inputs)
