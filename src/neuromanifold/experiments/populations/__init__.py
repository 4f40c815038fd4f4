"""Populations of neurons: category before detail, in surrogates with a delay built in and from a memory."""

from neuromanifold.experiments.populations._memory import PopulationMemory as PopulationMemory
from neuromanifold.experiments.populations._mixture import MixtureClusters as MixtureClusters
from neuromanifold.experiments.populations._surrogate import PopulationSurrogate as PopulationSurrogate
