"""A Hebbian neuron that learns its threshold as well: modifiable inhibition.

A constant inhibitory input x0 comes through a synapse w0 that learns by Hebb's rule too. With b = w0 x0 and
lambda = c' x0^2/c, the ratio of the learning rates,

    h = f(w.v - b),
    dw/dt = -w + c <h v>,           kappa db/dt = -b + c lambda <h>.

At rest w = c P m and b = c lambda P with m = E[v|R], so that v lies in R iff v.m > lambda: P drops out, and
lambda alone sets the size of the receptive field, whatever the probabilities of the inputs.

There is no Lyapunov function: w ascends and b descends the same quantity, and with slow inhibition (kappa
large) the neuron may oscillate. With lambda >= max |v|^2 it falls silent from everywhere.

Symbols: b inhibition, lambda ratio, kappa time constant of the inhibition over that of the weights. Time:
units of the decay of w.

Source: Amari and Takeuchi 1978, Biol. Cybern. 29:127.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from neuromanifold._base import check_real, require
from neuromanifold.dynamics import Flow
from neuromanifold.networks.selforganizing._inputs import Inputs
from neuromanifold.networks.selforganizing._receptive_field import (
    Learned,
    ReceptiveField,
    cap_angle,
    check_weights,
    field_of,
    follow,
    warn_silent,
)
from neuromanifold.networks.selforganizing._response import Response, step


class InhibitedWeights(NamedTuple):
    """What such a neuron learns.

    Args:
        excitatory: w.
        inhibition: b = w0 x0, the learned threshold.
    """

    excitatory: Float[Array, "..."]
    inhibition: Float[Array, "..."]


class InhibitedNeuron(eqx.Module):
    """A neuron with modifiable inhibition; see the module's header.

    Args:
        ratio: lambda = c' x0^2/c >= 0.
        gain: c > 0.
        kappa: > 0.
        response: f, bounded; a step where None.

    Raises:
        ValueError: an argument outside its range, or an unbounded response.

    >>> import numpy as np
    >>> from neuromanifold.networks.selforganizing import InhibitedNeuron, InhibitedWeights, Inputs
    >>> neuron = InhibitedNeuron(ratio=0.4)                     # sets of fewer than 1/0.4 signals
    >>> signals = Inputs(np.eye(5))
    >>> start = InhibitedWeights(np.array([0.3, 0.2, 0, 0, 0]), np.array(0.0))
    >>> learned = neuron.learn(signals, start, duration=20.0, dt=0.1)
    >>> neuron.receptive_field(learned.weights, signals).mask.tolist()
    [True, True, False, False, False]
    """

    ratio: Float[Array, ""]
    gain: Float[Array, ""]
    kappa: Float[Array, ""]
    response: Response

    def __init__(
        self,
        ratio: ArrayLike,
        gain: ArrayLike = 1.0,
        kappa: ArrayLike = 1.0,
        response: Response | None = None,
    ):
        for name, value, open_low in (("ratio", ratio, False), ("gain", gain, True), ("kappa", kappa, True)):
            if not isinstance(value, Tracer):
                check_real(name, value, 0.0, open_low=open_low)
        self.ratio, self.gain, self.kappa = (
            jnp.asarray(value, jnp.result_type(float)) for value in (ratio, gain, kappa)
        )
        self.response = step() if response is None else response
        require(self.response.bounded, "response", "be bounded", "an unbounded one")

    def fields(
        self, weights: InhibitedWeights, points: Float[Array, "*points n_synapses"]
    ) -> Float[Array, "*points"]:
        """w.v - b."""
        return points @ weights.excitatory - weights.inhibition

    def drift(
        self, weights: InhibitedWeights, fired: Float[Array, ""], pull: Float[Array, " n_synapses"]
    ) -> InhibitedWeights:
        """The right-hand sides.

        Args:
            weights: w and b.
            fired: <h>, or h for one input.
            pull: <h v>, or h v for one input.
        """
        ratio, gain, kappa = (x.astype(pull.dtype) for x in (self.ratio, self.gain, self.kappa))
        return InhibitedWeights(
            gain * pull - weights.excitatory, (gain * ratio * fired - weights.inhibition) / kappa
        )

    def change(self, weights: InhibitedWeights, point: Float[Array, " n_synapses"]) -> InhibitedWeights:
        """What one input wants to change, whose mean over inputs is the velocity."""
        h = self.response(self.fields(weights, point))
        return self.drift(weights, h, h * point)

    def velocity(self, weights: InhibitedWeights, inputs: Inputs) -> InhibitedWeights:
        """The averaged right-hand sides."""
        h = inputs.probabilities * self.response(self.fields(weights, inputs.points))
        return self.drift(weights, jnp.sum(h), h @ inputs.points)

    def lyapunov(self, weights: InhibitedWeights, inputs: Inputs) -> NoReturn:
        """There is none.

        Raises:
            ValueError: always: weights ascend and the inhibition descends the same quantity.
        """
        raise ValueError(
            "a neuron with learned inhibition must not be given a Lyapunov function, got a flow that is no "
            "gradient."
        )

    def flow(self, inputs: Inputs) -> Flow:
        """The averaged rule as a flow on `InhibitedWeights`; it declares nothing that descends."""
        return Flow(_Averaged(self, inputs).velocity)

    def can_fire(self, inputs: Inputs) -> bool:
        """Whether lambda < max |v|^2, without which no state but silence lasts."""
        lengths = np.sum(np.asarray(inputs.points, np.float64) ** 2, axis=1)
        return bool(float(self.ratio) < lengths[np.asarray(inputs.probabilities) > 0].max())

    def start(self, inputs: Inputs, weights: InhibitedWeights) -> InhibitedWeights:
        """Weights to begin with.

        Raises:
            ValueError: another shape, or a value that is not finite.
        """
        points = inputs.points
        return InhibitedWeights(
            check_weights("excitatory", weights.excitatory, (inputs.n_synapses,), points),
            check_weights("inhibition", weights.inhibition, (), points),
        )

    def learn(self, inputs: Inputs, weights: InhibitedWeights, *, duration: float, dt: float) -> Learned:
        """Solve the averaged rule by Euler's steps; where it cannot but fall silent, silence is returned.

        Args:
            inputs: the law of the inputs.
            weights: where to begin.
            duration: time of learning, > 0.
            dt: length of a step, in (0, 1], at most kappa.

        Raises:
            ValueError: an argument outside its range.

        Warns:
            UserWarning: the neuron is silent at the start, with b >= 0.
        """
        start = self.start(inputs, weights)
        if not self.can_fire(inputs):
            rest = InhibitedWeights(jnp.zeros_like(start.excitatory), jnp.zeros_like(start.inhibition))
            return Learned(rest, True, 0.0)
        check_real("dt", dt, 0.0, float(self.kappa), open_low=True)
        if float(start.inhibition) >= 0 and self.is_silent(start, inputs):
            warn_silent()
        last, speed = follow(self.flow(inputs), start, duration, dt)
        return Learned(last, self.is_silent(last, inputs), speed)

    def receptive_field(self, weights: InhibitedWeights, inputs: Inputs) -> ReceptiveField:
        """The inputs for which the neuron fires, and where their centres lie."""
        return field_of(self.fields(weights, inputs.points) > 0, weights.excitatory, inputs)

    def is_silent(self, weights: InhibitedWeights, inputs: Inputs) -> bool:
        """Whether the neuron fires for no input that occurs."""
        return not bool(self.receptive_field(weights, inputs).probability > 0)

    def angular_radius(self, weights: InhibitedWeights, inputs: Inputs) -> float:
        """D of the cap {v : |v| = r, angle of v and w below d}, |w| r cos d = b, in radians.

        Raises:
            ValueError: inputs of different lengths, or an inhibition beyond |w| r, where there is no cap.
        """
        return cap_angle(float(weights.inhibition), float(jnp.linalg.norm(weights.excitatory)), inputs)


class _Averaged(eqx.Module):
    neuron: InhibitedNeuron
    inputs: Inputs

    def velocity(self, t: Any, weights: InhibitedWeights) -> InhibitedWeights:
        del t
        return self.neuron.velocity(weights, self.inputs)
