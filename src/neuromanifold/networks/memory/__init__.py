"""Associative memory: networks of two-valued units whose states move to what was stored."""

from neuromanifold.networks.memory._adatron import AdatronLearning as AdatronLearning
from neuromanifold.networks.memory._adatron import adatron as adatron
from neuromanifold.networks.memory._adatron import embedded_margin as embedded_margin
from neuromanifold.networks.memory._asynchronous import asynchronous as asynchronous
from neuromanifold.networks.memory._dense import DenseHopfield as DenseHopfield
from neuromanifold.networks.memory._dense_associative import (
    DenseAssociativeMemory as DenseAssociativeMemory,
)
from neuromanifold.networks.memory._factored import FactoredNetwork as FactoredNetwork
from neuromanifold.networks.memory._hetero import Bidirectional as Bidirectional
from neuromanifold.networks.memory._hetero import BidirectionalState as BidirectionalState
from neuromanifold.networks.memory._hetero import LayeredMemory as LayeredMemory
from neuromanifold.networks.memory._hetero import LayeredState as LayeredState
from neuromanifold.networks.memory._hopfield import Hopfield as Hopfield
from neuromanifold.networks.memory._modern import ModernHopfield as ModernHopfield
from neuromanifold.networks.memory._modern import ModernInfo as ModernInfo
from neuromanifold.networks.memory._network import RecallInfo as RecallInfo
from neuromanifold.networks.memory._network import RecallNetwork as RecallNetwork
from neuromanifold.networks.memory._perceptron import Learned as Learned
from neuromanifold.networks.memory._perceptron import NotLearnedError as NotLearnedError
from neuromanifold.networks.memory._perceptron import PerceptronLearning as PerceptronLearning
from neuromanifold.networks.memory._perceptron import perceptron as perceptron
from neuromanifold.networks.memory._perceptron import stabilities as stabilities
from neuromanifold.networks.memory._pseudo_inverse import pseudo_inverse as pseudo_inverse
from neuromanifold.networks.memory._sparse import SparseMemory as SparseMemory
from neuromanifold.networks.memory._sparse import winners as winners
from neuromanifold.networks.memory._storkey import storkey as storkey
from neuromanifold.networks.memory._storkey import storkey_learning as storkey_learning
from neuromanifold.networks.memory._storkey import storkey_update as storkey_update
from neuromanifold.networks.memory._synchronous import synchronous as synchronous
from neuromanifold.networks.memory._threshold import ThresholdNetwork as ThresholdNetwork
from neuromanifold.networks.memory._threshold import from_signs as from_signs
from neuromanifold.networks.memory._threshold import learn as learn
from neuromanifold.networks.memory._threshold import to_signs as to_signs
