"""Random networks: signals through layers of random weights."""

from neuromanifold.networks.random._binary import BinaryNetwork as BinaryNetwork
from neuromanifold.networks.random._binary import BinaryState as BinaryState
from neuromanifold.networks.random._binary import binary_activities as binary_activities
from neuromanifold.networks.random._binary import binary_network as binary_network
from neuromanifold.networks.random._binary import hamming_from_first as hamming_from_first
from neuromanifold.networks.random._deep import RandomDeepNetwork as RandomDeepNetwork
from neuromanifold.networks.random._deep import SignalState as SignalState
from neuromanifold.networks.random._deep import Weights as Weights
from neuromanifold.networks.random._deep import activities as activities
from neuromanifold.networks.random._deep import correlations as correlations
from neuromanifold.networks.random._deep import distances as distances
from neuromanifold.networks.random._deep import distances_from_first as distances_from_first
from neuromanifold.networks.random._deep import overlaps as overlaps
from neuromanifold.networks.random._deep import random_deep_network as random_deep_network
from neuromanifold.networks.random._deep import sphere_inputs as sphere_inputs
from neuromanifold.networks.random._field import RandomField as RandomField
from neuromanifold.networks.random._field import random_field as random_field
from neuromanifold.networks.random._field import ring_kernel as ring_kernel
from neuromanifold.networks.random._landscapes import NewtonInfo as NewtonInfo
from neuromanifold.networks.random._landscapes import PSpin as PSpin
from neuromanifold.networks.random._landscapes import all_positive as all_positive
from neuromanifold.networks.random._landscapes import goe as goe
from neuromanifold.networks.random._landscapes import index_of as index_of
from neuromanifold.networks.random._landscapes import indices as indices
from neuromanifold.networks.random._layered import RecurrentLayered as RecurrentLayered
from neuromanifold.networks.random._layered import Settled as Settled
