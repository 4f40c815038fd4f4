"""Associative memory: networks of two-valued units whose states move to what was stored."""

from neuromanifold.networks.memory._asynchronous import asynchronous as asynchronous
from neuromanifold.networks.memory._dense import DenseHopfield as DenseHopfield
from neuromanifold.networks.memory._dense_associative import (
    DenseAssociativeMemory as DenseAssociativeMemory,
)
from neuromanifold.networks.memory._hetero import Bidirectional as Bidirectional
from neuromanifold.networks.memory._hetero import BidirectionalState as BidirectionalState
from neuromanifold.networks.memory._hetero import LayeredMemory as LayeredMemory
from neuromanifold.networks.memory._hetero import LayeredState as LayeredState
from neuromanifold.networks.memory._hopfield import Hopfield as Hopfield
from neuromanifold.networks.memory._modern import ModernHopfield as ModernHopfield
from neuromanifold.networks.memory._modern import ModernInfo as ModernInfo
from neuromanifold.networks.memory._network import RecallInfo as RecallInfo
from neuromanifold.networks.memory._network import RecallNetwork as RecallNetwork
from neuromanifold.networks.memory._synchronous import synchronous as synchronous
from neuromanifold.networks.memory._threshold import ThresholdNetwork as ThresholdNetwork
from neuromanifold.networks.memory._threshold import from_signs as from_signs
from neuromanifold.networks.memory._threshold import learn as learn
from neuromanifold.networks.memory._threshold import to_signs as to_signs
