"""Neuromanifold: the mathematics of neural networks, executable.

Floors: `dynamics`, `evidence`, `data`, `geometry`, `networks`, `learning`, `theory`, `experiments`,
`estimators`, `report`; and `wide`, a folder of `theory` under a name of its own. The names that work begins
with are here too; everything is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neuromanifold._version import __version__ as __version__

if TYPE_CHECKING:
    from neuromanifold import data as data
    from neuromanifold import dynamics as dynamics
    from neuromanifold import estimators as estimators
    from neuromanifold import evidence as evidence
    from neuromanifold import experiments as experiments
    from neuromanifold import geometry as geometry
    from neuromanifold import learning as learning
    from neuromanifold import networks as networks
    from neuromanifold import report as report
    from neuromanifold import theory as theory
    from neuromanifold import wide as wide
    from neuromanifold.dynamics import Flow as Flow
    from neuromanifold.dynamics import Process as Process
    from neuromanifold.dynamics import run as run
    from neuromanifold.dynamics import solve as solve
    from neuromanifold.evidence import Claim as Claim
    from neuromanifold.evidence import Estimate as Estimate
    from neuromanifold.evidence import Prediction as Prediction
    from neuromanifold.evidence import compare as compare
    from neuromanifold.experiments import reproduce as reproduce

_FLOORS = (
    "data",
    "dynamics",
    "estimators",
    "evidence",
    "experiments",
    "geometry",
    "learning",
    "networks",
    "report",
    "theory",
    "wide",
)
_HOMES = {
    "Flow": "dynamics",
    "Process": "dynamics",
    "run": "dynamics",
    "solve": "dynamics",
    "Claim": "evidence",
    "Estimate": "evidence",
    "Prediction": "evidence",
    "compare": "evidence",
    "reproduce": "experiments",
}


def __getattr__(name: str) -> Any:
    if name in _FLOORS:
        return importlib.import_module(f"neuromanifold.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"neuromanifold.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'neuromanifold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_FLOORS, *_HOMES, "__version__"])
