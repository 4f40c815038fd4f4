"""Macroscopic laws of random networks: distance, activity, self-consistency, and lateral feedback."""

from neuromanifold.experiments.neurodynamics._distance_law import DistanceLaw as DistanceLaw
