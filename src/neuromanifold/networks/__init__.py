"""Networks: final equinox modules on one example, and the processes that move their states."""

from neuromanifold.networks._weights import WeightsError as WeightsError
from neuromanifold.networks._weights import load_weights as load_weights
from neuromanifold.networks._weights import save_weights as save_weights
