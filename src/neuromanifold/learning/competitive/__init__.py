"""Competitive learning: the winner and its neighbours move towards the input."""
