"""Annealing, classical and quantum, against exact chains and known ground states."""
