"""Figures of a run or of several; each returns a matplotlib `Figure`.

In a notebook `%matplotlib inline` shows them; `figure.savefig(path)` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from gnn_distill.api.loaded import LoadedRun
from gnn_distill.errors import InputError
from gnn_distill.report.figures.all import FIGURES, OF_DATA
from gnn_distill.report.figures.compare import active_dimensions, importance_side_by_side
from gnn_distill.report.style import look


def plot_fit(run: LoadedRun) -> Figure:
    """Selected message components against their best linear combination of force components.

    Raises:
        InputError: stage analyse is missing, or the law of the data is not known.
    """
    return _figure("messages", run)


def plot_pullback(run: LoadedRun) -> Figure:
    """Contribution of each edge to the acceleration against the true F / m₁, on y = x, nothing fitted.

    Raises:
        InputError: stage analyse is missing, or the law of the data is not known.
    """
    return _figure("pullback", run)


def plot_importance(run: LoadedRun) -> Figure:
    """How much each message dimension varies, most important first; selected and pruned ones marked.

    Raises:
        InputError: stage analyse is missing.
    """
    return _figure("importance", run)


def plot_field(run: LoadedRun) -> Figure:
    """The force field of one typical particle: true (if known), learned, and the raw messages.

    Raises:
        InputError: stage analyse is missing.
    """
    return _figure("field", run)


def plot_force(run: LoadedRun) -> Figure:
    """The radial pair force against the distance: network, distilled equation, and truth if known.

    Raises:
        InputError: stage analyse is missing.
    """
    return _figure("law", run)


def plot_losses(run: LoadedRun) -> Figure:
    """Training and validation loss (`mae_per_graph`) and active message dimensions against the epoch.

    Raises:
        InputError: stage train is missing.
    """
    return _figure("training", run)


def plot_trajectories(run: LoadedRun) -> Figure:
    """Some of the trajectories.

    Raises:
        InputError: stage simulate is missing.
    """
    return _figure("trajectories", run)


def plot_rollout(run: LoadedRun) -> Figure:
    """Network and distilled law, integrated from the first frame of unseen trajectories, against the truth.

    Raises:
        InputError: stage distil is missing, or there was no trajectory to follow.
    """
    return _figure("rollout", run)


def plot_active_dims(runs: Mapping[str, LoadedRun], components: int = 2) -> Figure:
    """Active message dimensions against the epoch, one line for each run.

    Args:
        runs: trained runs by the name that the legend gives them.
        components: dimensions that a force has, marked by a line.

    Raises:
        InputError: no runs, or stage train is missing in one.
    """
    if not runs:
        raise InputError("runs", {}, "give at least one run")
    for name, run in runs.items():
        if not run.metrics:
            raise InputError(name, str(run.path), "stage train has not been run there: add it to stages")
    with look():
        active = {name: [row["active_dims"] for row in run.metrics] for name, run in runs.items()}
        return active_dimensions(active, components)


def plot_sparsity(left: LoadedRun, right: LoadedRun, components: int = 2) -> Figure:
    """Standard deviation of every message dimension of two runs, sorted, on a common axis.

    Args:
        left: a run, for example of variant standard.
        right: another one, for example of variant l1.
        components: dimensions that a force has, marked.

    Raises:
        InputError: stage analyse is missing in one of them.
    """
    names = (str(left.config["variant"]), str(right.config["variant"]))
    with look():
        return importance_side_by_side(left.analysis["std"], right.analysis["std"], names, components)


def _figure(name: str, run: LoadedRun) -> Figure:
    arrays: dict[str, Any] = {}
    if name not in OF_DATA:
        run.analysis, run.messages  # noqa: B018
        arrays = run.files.messages()
    with look():
        figure = FIGURES[name].draw(run.files, arrays)
    if figure is None:
        fix = "its files do not allow this figure: a stage or the true law is missing"
        raise InputError(f"figure {name}", str(run.path), fix)
    return figure
