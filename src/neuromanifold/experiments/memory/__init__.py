"""Associative memory: capacity, dynamics of recall, and pictures."""

from neuromanifold.experiments.memory._capacity import MemoryCapacity as MemoryCapacity
from neuromanifold.experiments.memory._dynamics import MemoryDynamics as MemoryDynamics
from neuromanifold.experiments.memory._pictures import MemoryPictures as MemoryPictures
