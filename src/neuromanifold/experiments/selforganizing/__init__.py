"""Hebbian neurons, populations and fields against their theory."""

from neuromanifold.experiments.selforganizing._clusters import HebbClusters as HebbClusters
from neuromanifold.experiments.selforganizing._field import NeuralFieldBumps as NeuralFieldBumps
from neuromanifold.experiments.selforganizing._lyapunov import HebbLyapunov as HebbLyapunov
from neuromanifold.experiments.selforganizing._natural import HebbNaturalPatches as HebbNaturalPatches
from neuromanifold.experiments.selforganizing._receptive_field import HebbReceptiveField as HebbReceptiveField
