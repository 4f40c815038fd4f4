"""Signals in random deep networks: length, distance, and the edge of chaos."""

from neuromanifold.experiments.signals._correlation import SignalCorrelation as SignalCorrelation
from neuromanifold.experiments.signals._length import SignalLength as SignalLength
from neuromanifold.experiments.signals._order_chaos import OrderChaos as OrderChaos
