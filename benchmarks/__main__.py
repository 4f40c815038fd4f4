"""All benchmarks, each in a process of its own: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    ("benchmarks.loop",),
    ("benchmarks.recall",),
    ("benchmarks.recall", "--large"),
    ("benchmarks.mixture",),
    ("benchmarks.learning",),
    ("benchmarks.learning", "--growth"),
    ("benchmarks.mixture", "--large"),
    ("benchmarks.diagrams",),
    ("benchmarks.wide",),
    ("benchmarks.restricted",),
    ("benchmarks.restricted", "--growth"),
    ("benchmarks.dictionary",),
    ("benchmarks.dictionary", "--growth"),
    ("benchmarks.annealing",),
    ("benchmarks.annealing", "--growth"),
    ("benchmarks.maps",),
    ("benchmarks.maps", "--growth"),
    ("benchmarks.maps", "--large"),
    ("benchmarks.phase",),
    ("benchmarks.tangent",),
    ("benchmarks.tangent", "--growth"),
    ("benchmarks.tangent", "--large"),
)

if __name__ == "__main__":
    for command in COMMANDS:
        print(f"== {' '.join(command)}", flush=True)
        status = subprocess.run([sys.executable, "-m", *command], check=False).returncode
        if status:
            raise SystemExit(status)
