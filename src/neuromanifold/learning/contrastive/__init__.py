"""Contrastive learning: the statistics of the data against those of the model."""
