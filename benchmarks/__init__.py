"""Benchmarks: ours and the best alternative in one process, the same work, medians and ratios printed."""
