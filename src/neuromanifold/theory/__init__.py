"""Theory: what networks do, predicted without looking at a network."""
