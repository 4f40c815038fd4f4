"""Associative memory: capacity, temperature, mixtures, concepts, dynamics, pictures, dense, modern."""

from neuromanifold.experiments.memory._capacity import MemoryCapacity as MemoryCapacity
from neuromanifold.experiments.memory._concept import MemoryConcept as MemoryConcept
from neuromanifold.experiments.memory._dense import MemoryDense as MemoryDense
from neuromanifold.experiments.memory._dynamics import MemoryDynamics as MemoryDynamics
from neuromanifold.experiments.memory._flow import MemoryFlow as MemoryFlow
from neuromanifold.experiments.memory._layers import MemoryLayers as MemoryLayers
from neuromanifold.experiments.memory._mixtures import MemoryMixtures as MemoryMixtures
from neuromanifold.experiments.memory._modern import MemoryModern as MemoryModern
from neuromanifold.experiments.memory._pictures import MemoryPictures as MemoryPictures
from neuromanifold.experiments.memory._rules import MemoryRules as MemoryRules
from neuromanifold.experiments.memory._sequence import MemorySequence as MemorySequence
from neuromanifold.experiments.memory._sparse import MemorySparse as MemorySparse
from neuromanifold.experiments.memory._temperature import MemoryTemperature as MemoryTemperature
