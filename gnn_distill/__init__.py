"""From particle data to a force law in closed form, through a graph neural network.

Names are imported when they are first used: `import gnn_distill` itself is quick.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnn_distill.analyse.gauge import Gauge, fit_gauge, fix_gauge
    from gnn_distill.api.distilling import Distilled, distill
    from gnn_distill.api.fits import LinearFit, PullBack, fit_linear, pull_back
    from gnn_distill.api.launch import compose, run_pipeline
    from gnn_distill.api.loaded import DistilledLaw, LoadedRun, Messages, load_run
    from gnn_distill.api.plots import (
        plot_active_dims,
        plot_field,
        plot_fit,
        plot_force,
        plot_importance,
        plot_losses,
        plot_pullback,
        plot_rollout,
        plot_sparsity,
        plot_trajectories,
    )
    from gnn_distill.api.sweeps import LoadedSweep, Table, load_sweep
    from gnn_distill.errors import InputError

__version__ = importlib.metadata.version("gnn_distill")

_WHERE = {
    "api.launch": ("compose", "run_pipeline"),
    "api.loaded": ("DistilledLaw", "LoadedRun", "Messages", "load_run"),
    "api.sweeps": ("LoadedSweep", "Table", "load_sweep"),
    "api.fits": ("LinearFit", "PullBack", "fit_linear", "pull_back"),
    "analyse.gauge": ("Gauge", "fit_gauge", "fix_gauge"),
    "api.distilling": ("Distilled", "distill"),
    "api.plots": (
        "plot_active_dims",
        "plot_field",
        "plot_fit",
        "plot_force",
        "plot_importance",
        "plot_losses",
        "plot_pullback",
        "plot_rollout",
        "plot_sparsity",
        "plot_trajectories",
    ),
    "errors": ("InputError",),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "DistilledLaw",
    "Distilled",
    "Gauge",
    "InputError",
    "LinearFit",
    "LoadedRun",
    "LoadedSweep",
    "Messages",
    "PullBack",
    "Table",
    "__version__",
    "compose",
    "distill",
    "fit_gauge",
    "fit_linear",
    "fix_gauge",
    "load_run",
    "load_sweep",
    "plot_active_dims",
    "plot_field",
    "plot_fit",
    "plot_force",
    "plot_importance",
    "plot_losses",
    "plot_pullback",
    "plot_rollout",
    "plot_sparsity",
    "plot_trajectories",
    "pull_back",
    "run_pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
