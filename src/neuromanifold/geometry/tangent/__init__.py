"""Tangent kernels of any function f(params, x), and the function near its parameters."""

from neuromanifold.geometry.tangent._expansion import linearize as linearize
from neuromanifold.geometry.tangent._expansion import taylor_expand as taylor_expand
from neuromanifold.geometry.tangent._kernels import NtkImplementation as NtkImplementation
from neuromanifold.geometry.tangent._kernels import empirical_kernel_fn as empirical_kernel_fn
from neuromanifold.geometry.tangent._kernels import empirical_nngp_fn as empirical_nngp_fn
from neuromanifold.geometry.tangent._kernels import empirical_ntk_fn as empirical_ntk_fn
from neuromanifold.geometry.tangent._products import empirical_ntk_vp_fn as empirical_ntk_vp_fn
from neuromanifold.geometry.tangent._sketch import ntk_sketch as ntk_sketch
from neuromanifold.geometry.tangent._sketch import sketch_error as sketch_error
