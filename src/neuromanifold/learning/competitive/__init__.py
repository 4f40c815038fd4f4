"""Competitive learning: rules of networks whose units compete for what is to be learnt."""

from neuromanifold.learning.competitive._batch import BatchCompetition as BatchCompetition
from neuromanifold.learning.competitive._batch import BatchInfo as BatchInfo
from neuromanifold.learning.competitive._batch import batch_map as batch_map
from neuromanifold.learning.competitive._network import CompetitiveNetwork as CompetitiveNetwork
from neuromanifold.learning.competitive._network import falling as falling
from neuromanifold.learning.competitive._normalised import NormalisedHebb as NormalisedHebb
from neuromanifold.learning.competitive._normalised import RespondingNetwork as RespondingNetwork
from neuromanifold.learning.competitive._normalised import ResponseInfo as ResponseInfo
from neuromanifold.learning.competitive._normalised import normalised_hebb as normalised_hebb
from neuromanifold.learning.competitive._online import CompetitionInfo as CompetitionInfo
from neuromanifold.learning.competitive._online import OnlineCompetition as OnlineCompetition
from neuromanifold.learning.competitive._online import RowsInOrder as RowsInOrder
from neuromanifold.learning.competitive._online import descent as descent
from neuromanifold.learning.competitive._online import online_map as online_map
