"""Populations of neurons: stimuli, surrogate recordings, windows of counts, trajectories, NWB files."""

from neuromanifold.data.populations._nwb import Recording as Recording
from neuromanifold.data.populations._nwb import bin_spikes as bin_spikes
from neuromanifold.data.populations._nwb import read_nwb as read_nwb
from neuromanifold.data.populations._spikes import poisson_spikes as poisson_spikes
from neuromanifold.data.populations._stimuli import FACES_AND_SHAPES as FACES_AND_SHAPES
from neuromanifold.data.populations._stimuli import Stimuli as Stimuli
from neuromanifold.data.populations._stimuli import stimulus_set as stimulus_set
from neuromanifold.data.populations._surrogate import Tuning as Tuning
from neuromanifold.data.populations._surrogate import random_tuning as random_tuning
from neuromanifold.data.populations._surrogate import tuned_rates as tuned_rates
from neuromanifold.data.populations._windows import Trajectory as Trajectory
from neuromanifold.data.populations._windows import WindowCounts as WindowCounts
from neuromanifold.data.populations._windows import population_trajectory as population_trajectory
from neuromanifold.data.populations._windows import stabilise as stabilise
from neuromanifold.data.populations._windows import window_counts as window_counts
