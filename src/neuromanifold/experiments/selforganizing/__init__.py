"""Hebbian neurons, populations and fields against their theory."""

from neuromanifold.experiments.selforganizing._receptive_field import HebbReceptiveField as HebbReceptiveField
