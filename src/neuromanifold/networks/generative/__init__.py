"""Networks that make what they have seen: sparse codes."""

from neuromanifold.networks.generative._sparse_code import InferenceState as InferenceState
from neuromanifold.networks.generative._sparse_code import SparseCode as SparseCode
from neuromanifold.networks.generative._sparse_code import inference as inference
from neuromanifold.networks.generative._sparse_code import locally_competitive as locally_competitive
from neuromanifold.networks.generative._sparse_code import soft_threshold as soft_threshold
from neuromanifold.networks.generative._sparse_code import sparse_codes as sparse_codes
