"""Geometry and information: measures on laws and on samples that need no model."""

from neuromanifold.geometry._decoding import Decoding as Decoding
from neuromanifold.geometry._decoding import nearest_mean_decoding as nearest_mean_decoding
from neuromanifold.geometry._half_rise import half_rise as half_rise
from neuromanifold.geometry._information import adjusted_rand_index as adjusted_rand_index
from neuromanifold.geometry._information import contingency as contingency
from neuromanifold.geometry._information import entropy as entropy
from neuromanifold.geometry._information import miller_madow as miller_madow
from neuromanifold.geometry._information import mutual_information as mutual_information
from neuromanifold.geometry._information import panzeri_treves as panzeri_treves
from neuromanifold.geometry._information_over_time import InformationCurve as InformationCurve
from neuromanifold.geometry._information_over_time import information_over_time as information_over_time
from neuromanifold.geometry._information_over_time import quantise as quantise
from neuromanifold.geometry.tangent import NtkImplementation as NtkImplementation
from neuromanifold.geometry.tangent import empirical_kernel_fn as empirical_kernel_fn
from neuromanifold.geometry.tangent import empirical_nngp_fn as empirical_nngp_fn
from neuromanifold.geometry.tangent import empirical_ntk_fn as empirical_ntk_fn
from neuromanifold.geometry.tangent import empirical_ntk_vp_fn as empirical_ntk_vp_fn
from neuromanifold.geometry.tangent import linearize as linearize
from neuromanifold.geometry.tangent import ntk_sketch as ntk_sketch
from neuromanifold.geometry.tangent import sketch_error as sketch_error
from neuromanifold.geometry.tangent import taylor_expand as taylor_expand
