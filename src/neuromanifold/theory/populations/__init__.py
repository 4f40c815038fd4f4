"""Populations: exact information in Poisson counts, and its average over cells that are tuned at random."""

from neuromanifold.theory.populations._poisson import CountInformation as CountInformation
from neuromanifold.theory.populations._poisson import count_information as count_information
from neuromanifold.theory.populations._tuning import TunedInformation as TunedInformation
from neuromanifold.theory.populations._tuning import tuned_information as tuned_information
