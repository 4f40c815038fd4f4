"""Wide networks: kernels, training near initialisation, nearest solutions, minima."""

from neuromanifold.experiments.wide._convergence import KernelConvergence as KernelConvergence
from neuromanifold.experiments.wide._deep_linear import DeepLinearMinima as DeepLinearMinima
from neuromanifold.experiments.wide._lazy import LazyTraining as LazyTraining
from neuromanifold.experiments.wide._nearest import NearestSolutions as NearestSolutions
