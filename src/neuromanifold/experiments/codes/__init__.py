"""Sparse codes of natural images."""
