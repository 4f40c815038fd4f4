"""Associative memory: capacity, concepts, dynamics of recall, and pictures."""

from neuromanifold.experiments.memory._capacity import MemoryCapacity as MemoryCapacity
from neuromanifold.experiments.memory._concept import MemoryConcept as MemoryConcept
from neuromanifold.experiments.memory._dynamics import MemoryDynamics as MemoryDynamics
from neuromanifold.experiments.memory._pictures import MemoryPictures as MemoryPictures
from neuromanifold.experiments.memory._rules import MemoryRules as MemoryRules
from neuromanifold.experiments.memory._sparse import MemorySparse as MemorySparse
