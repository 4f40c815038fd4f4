"""Annealing, classical and quantum, against exact chains and known ground states."""

from neuromanifold.experiments.annealing._path_integral import PathIntegralAnnealing as PathIntegralAnnealing
from neuromanifold.experiments.annealing._quantum import QuantumAnnealing as QuantumAnnealing
from neuromanifold.experiments.annealing._schedules import AnnealingSchedules as AnnealingSchedules
from neuromanifold.experiments.annealing._sherrington_kirkpatrick import (
    SherringtonKirkpatrick as SherringtonKirkpatrick,
)
