"""From particle data to a force law in closed form, through a graph neural network."""

import importlib.metadata

from gnn_distill.rundir import Run, load_run

__version__ = importlib.metadata.version("gnn_distill")
__all__ = ["Run", "__version__", "load_run"]
