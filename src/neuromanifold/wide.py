"""Kernels of infinitely wide networks, under the names that users of Neural Tangents know.

The folder `neuromanifold.theory.wide`; `stax` is the same module once more, so that code written as
`stax.serial(stax.Dense(512), stax.Relu())` moves by changing the import.
"""

import sys

from neuromanifold.geometry.tangent import NtkImplementation as NtkImplementation
from neuromanifold.geometry.tangent import empirical_kernel_fn as empirical_kernel_fn
from neuromanifold.geometry.tangent import empirical_nngp_fn as empirical_nngp_fn
from neuromanifold.geometry.tangent import empirical_ntk_fn as empirical_ntk_fn
from neuromanifold.geometry.tangent import empirical_ntk_vp_fn as empirical_ntk_vp_fn
from neuromanifold.geometry.tangent import linearize as linearize
from neuromanifold.geometry.tangent import ntk_sketch as ntk_sketch
from neuromanifold.geometry.tangent import sketch_error as sketch_error
from neuromanifold.geometry.tangent import taylor_expand as taylor_expand
from neuromanifold.theory.wide import ABRelu as ABRelu
from neuromanifold.theory.wide import Abs as Abs
from neuromanifold.theory.wide import Aggregate as Aggregate
from neuromanifold.theory.wide import AvgPool as AvgPool
from neuromanifold.theory.wide import Conv as Conv
from neuromanifold.theory.wide import ConvLocal as ConvLocal
from neuromanifold.theory.wide import ConvTranspose as ConvTranspose
from neuromanifold.theory.wide import Cos as Cos
from neuromanifold.theory.wide import Dense as Dense
from neuromanifold.theory.wide import DotGeneral as DotGeneral
from neuromanifold.theory.wide import Dropout as Dropout
from neuromanifold.theory.wide import Elementwise as Elementwise
from neuromanifold.theory.wide import ElementwiseNumerical as ElementwiseNumerical
from neuromanifold.theory.wide import Elu as Elu
from neuromanifold.theory.wide import Erf as Erf
from neuromanifold.theory.wide import Exp as Exp
from neuromanifold.theory.wide import ExpNormalized as ExpNormalized
from neuromanifold.theory.wide import FanInConcat as FanInConcat
from neuromanifold.theory.wide import FanInProd as FanInProd
from neuromanifold.theory.wide import FanInSum as FanInSum
from neuromanifold.theory.wide import FanOut as FanOut
from neuromanifold.theory.wide import Flatten as Flatten
from neuromanifold.theory.wide import Gabor as Gabor
from neuromanifold.theory.wide import Gaussian as Gaussian
from neuromanifold.theory.wide import Gelu as Gelu
from neuromanifold.theory.wide import GlobalAvgPool as GlobalAvgPool
from neuromanifold.theory.wide import GlobalSelfAttention as GlobalSelfAttention
from neuromanifold.theory.wide import GlobalSumPool as GlobalSumPool
from neuromanifold.theory.wide import Hermite as Hermite
from neuromanifold.theory.wide import Identity as Identity
from neuromanifold.theory.wide import ImageResize as ImageResize
from neuromanifold.theory.wide import Index as Index
from neuromanifold.theory.wide import Kernel as Kernel
from neuromanifold.theory.wide import KernelFunction as KernelFunction
from neuromanifold.theory.wide import Layer as Layer
from neuromanifold.theory.wide import LayerNorm as LayerNorm
from neuromanifold.theory.wide import LeakyRelu as LeakyRelu
from neuromanifold.theory.wide import MaskedArray as MaskedArray
from neuromanifold.theory.wide import Monomial as Monomial
from neuromanifold.theory.wide import Polynomial as Polynomial
from neuromanifold.theory.wide import Rbf as Rbf
from neuromanifold.theory.wide import RectifiedMonomial as RectifiedMonomial
from neuromanifold.theory.wide import Relu as Relu
from neuromanifold.theory.wide import Sigmoid as Sigmoid
from neuromanifold.theory.wide import Sigmoid_like as Sigmoid_like
from neuromanifold.theory.wide import Sign as Sign
from neuromanifold.theory.wide import Silu as Silu
from neuromanifold.theory.wide import Sin as Sin
from neuromanifold.theory.wide import Slice as Slice
from neuromanifold.theory.wide import Softplus as Softplus
from neuromanifold.theory.wide import SumPool as SumPool
from neuromanifold.theory.wide import Tanh as Tanh
from neuromanifold.theory.wide import batch as batch
from neuromanifold.theory.wide import monte_carlo_kernel_fn as monte_carlo_kernel_fn
from neuromanifold.theory.wide import parallel as parallel
from neuromanifold.theory.wide import predict as predict
from neuromanifold.theory.wide import repeat as repeat
from neuromanifold.theory.wide import serial as serial
from neuromanifold.theory.wide import unmask_fn as unmask_fn

stax = sys.modules[__name__]
