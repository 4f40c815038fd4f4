"""Theory of self-organisation: equilibria of Hebbian neurons, bumps of fields, magnification of maps."""
