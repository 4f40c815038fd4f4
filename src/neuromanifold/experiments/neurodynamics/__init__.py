"""Macroscopic laws of random networks: distance, activity, self-consistency, and lateral feedback."""

from neuromanifold.experiments.neurodynamics._activity_law import ActivityLaw as ActivityLaw
from neuromanifold.experiments.neurodynamics._distance_law import DistanceLaw as DistanceLaw
from neuromanifold.experiments.neurodynamics._lateral_feedback import LateralFeedback as LateralFeedback
from neuromanifold.experiments.neurodynamics._self_consistency import SelfConsistency as SelfConsistency
