"""Hebbian learning: what a neuron's activity wants to change in its weights."""
