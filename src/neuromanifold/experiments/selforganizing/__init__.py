"""Hebbian neurons, populations and fields against their theory."""
