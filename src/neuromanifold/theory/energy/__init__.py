"""Theory of energy machines: equilibria and stability, exact chains, barriers, quantum annealing."""
