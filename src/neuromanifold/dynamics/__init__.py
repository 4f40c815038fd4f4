"""Dynamics: everything that moves, and the one loop that moves it."""

from neuromanifold.dynamics._chains import Acceptance as Acceptance
from neuromanifold.dynamics._chains import block_gibbs as block_gibbs
from neuromanifold.dynamics._chains import gibbs as gibbs
from neuromanifold.dynamics._chains import glauber as glauber
from neuromanifold.dynamics._chains import little as little
from neuromanifold.dynamics._chains import metropolis as metropolis
from neuromanifold.dynamics._checkpoint import CheckpointError as CheckpointError
from neuromanifold.dynamics._fixed_points import Branch as Branch
from neuromanifold.dynamics._fixed_points import FixedPoint as FixedPoint
from neuromanifold.dynamics._fixed_points import NoFixedPointError as NoFixedPointError
from neuromanifold.dynamics._fixed_points import continuation as continuation
from neuromanifold.dynamics._fixed_points import fixed_point as fixed_point
from neuromanifold.dynamics._fixed_points import fixed_points as fixed_points
from neuromanifold.dynamics._flow import Flow as Flow
from neuromanifold.dynamics._flow import SolveError as SolveError
from neuromanifold.dynamics._flow import Trajectory as Trajectory
from neuromanifold.dynamics._flow import solve as solve
from neuromanifold.dynamics._process import Process as Process
from neuromanifold.dynamics._progress import ProgressReport as ProgressReport
from neuromanifold.dynamics._run import run as run
from neuromanifold.dynamics._schedules import Schedule as Schedule
from neuromanifold.dynamics._schedules import as_schedule as as_schedule
from neuromanifold.dynamics._schedules import cooling as cooling
from neuromanifold.dynamics._seen import NonFiniteError as NonFiniteError
from neuromanifold.dynamics._seen import Run as Run
from neuromanifold.dynamics._seen import RunInterrupted as RunInterrupted
