"""Networks: final equinox modules on one example, and the processes that move their states."""
