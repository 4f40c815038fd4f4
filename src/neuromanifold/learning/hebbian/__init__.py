"""Hebbian learning: what a neuron's activity wants to change in its weights."""

from neuromanifold.learning.hebbian._components import oja_change as oja_change
from neuromanifold.learning.hebbian._components import sanger_change as sanger_change
from neuromanifold.learning.hebbian._components import sanger_velocity as sanger_velocity
from neuromanifold.learning.hebbian._sampled import SampledInfo as SampledInfo
from neuromanifold.learning.hebbian._sampled import SampledRule as SampledRule
from neuromanifold.learning.hebbian._sampled import sampled as sampled
