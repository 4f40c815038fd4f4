"""Decision, prediction and postdiction, read from words of a lecture: an interpretation."""

from neuromanifold.networks.decision._drift_diffusion import DiffusionState as DiffusionState
from neuromanifold.networks.decision._drift_diffusion import DriftDiffusion as DriftDiffusion
from neuromanifold.networks.decision._pattern_dynamics import Course as Course
from neuromanifold.networks.decision._pattern_dynamics import PatternDynamics as PatternDynamics
from neuromanifold.networks.decision._pattern_dynamics import commit_time as commit_time
from neuromanifold.networks.decision._state_space import Beliefs as Beliefs
from neuromanifold.networks.decision._state_space import LinearGaussian as LinearGaussian
