"""Experiments: theory beside simulation, each a pure function of parameters and seed to a record."""

from neuromanifold.experiments._experiment import PRESETS as PRESETS
from neuromanifold.experiments._experiment import Card as Card
from neuromanifold.experiments._experiment import Experiment as Experiment
from neuromanifold.experiments._experiment import build as build
from neuromanifold.experiments._experiment import experiment as experiment
from neuromanifold.experiments._experiment import parameter as parameter
from neuromanifold.experiments._experiment import registry as registry
from neuromanifold.experiments._figure import panels as panels
from neuromanifold.experiments._figure import simulation as simulation
from neuromanifold.experiments._figure import theory as theory
from neuromanifold.experiments._reproduce import Outcome as Outcome
from neuromanifold.experiments._reproduce import command as command
from neuromanifold.experiments._reproduce import recorded as recorded
from neuromanifold.experiments._reproduce import reproduce as reproduce

# Topics register themselves in the frame above, and so come after it: isort would put them first.
from neuromanifold.experiments import annealing as annealing  # isort: skip
from neuromanifold.experiments import codes as codes  # isort: skip
from neuromanifold.experiments import decision as decision  # isort: skip
from neuromanifold.experiments import energy as energy  # isort: skip
from neuromanifold.experiments import geometry as geometry  # isort: skip
from neuromanifold.experiments import landscape as landscape  # isort: skip
from neuromanifold.experiments import maps as maps  # isort: skip
from neuromanifold.experiments import memory as memory  # isort: skip
from neuromanifold.experiments import neurodynamics as neurodynamics  # isort: skip
from neuromanifold.experiments import perception as perception  # isort: skip
from neuromanifold.experiments import populations as populations  # isort: skip
from neuromanifold.experiments import selforganizing as selforganizing  # isort: skip
from neuromanifold.experiments import signals as signals  # isort: skip
from neuromanifold.experiments import wide as wide  # isort: skip
