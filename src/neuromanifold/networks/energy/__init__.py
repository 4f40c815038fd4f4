"""Energy machines: Ising and QUBO energies and their annealing, Boltzmann machines, restricted and not."""
