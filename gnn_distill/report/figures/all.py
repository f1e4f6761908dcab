"""All figures of a run, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.figure import Figure

from gnn_distill.errors import InputError, check_choice
from gnn_distill.report.figures import (
    curves,
    fields,
    functions,
    individuals,
    radial,
    residuals,
    rollout,
    scatter,
    trajectories,
)
from gnn_distill.report.style import look, save
from gnn_distill.runs.load import Run

CAPTIONS: dict[str, str] = yaml.safe_load((Path(__file__).parents[1] / "captions.yaml").read_text("utf-8"))
"""What a reader sees in a figure, also in those over the runs of a sweep."""


@dataclass(frozen=True)
class Kind:
    """How a figure is drawn.

    Attributes:
        draw: makes the figure of a run and the arrays of its messages; None where these do not allow it.
        more: what is to be said about one run, beside its caption.
        stage: the one that makes what is drawn; figures of `analyse` get the recorded messages.
        edges: whether single edges are drawn, which a network that has diverged cannot have.
        gap: why there may be no figure although the stage has been run.
    """

    draw: Callable[[Run, dict[str, Any]], Figure | None]
    more: Callable[[Run], str] = lambda run: ""
    stage: str = "analyse"
    edges: bool = False
    gap: str = "the network has diverged, or the true law of the data is not known"


MOTION = "it belongs to laws of motion, made with model=isotropic, that have such a part"
ALIKE = "no individual of these data has a strength of its own"
FIGURES: dict[str, Kind] = {
    "law": Kind(radial.law, edges=True),
    "trajectories": Kind(trajectories.trajectories, trajectories.caption, stage="simulate"),
    "functions": Kind(functions.functions, functions.caption, gap=MOTION),
    "own": Kind(functions.own, gap=MOTION),
    "individuals": Kind(individuals.individuals, stage="distil", gap=ALIKE),
    "pullback": Kind(scatter.pullback, edges=True),
    "field": Kind(fields.field, fields.caption, edges=True),
    "residual": Kind(residuals.residual, edges=True),
    "messages": Kind(scatter.messages, edges=True),
    "rollout": Kind(rollout.rollout, rollout.caption, "distil", gap="there was no trajectory to follow"),
    "importance": Kind(curves.importance, curves.importance_reason),
    "relative_error": Kind(curves.relative_error),
    "training": Kind(curves.training, stage="train"),
}
"""In the order of the report."""


def caption(run: Run, name: str) -> str:
    """What a reader sees in a figure, with what is to be said about this run only."""
    return f"{CAPTIONS[name]} {FIGURES[name].more(run)}".strip()


def recorded(run: Run) -> dict[str, Any] | None:
    """The arrays of the recorded messages; None before they have been analysed."""
    return run.messages() if run.analysis is not None and (run.path / "messages.npz").exists() else None


def attempt(run: Run, kind: Kind, arrays: dict[str, Any] | None) -> Figure | None:
    """The figure; None where the run's files do not allow it."""
    if kind.stage == "analyse" and arrays is None:
        return None
    if kind.edges and not all(np.isfinite((arrays or {})[name]).all() for name in ("pullback", "selected")):
        return None
    return kind.draw(run, arrays or {})


def figure(run: Run, name: str) -> Figure:
    """One figure of a run, not saved.

    Args:
        run: a run directory that has been read.
        name: one of `FIGURES`.

    Raises:
        InputError: an unknown name, or the run has nothing to be drawn: the message says what is missing.
    """
    check_choice("figure", name, FIGURES)
    kind = FIGURES[name]
    arrays = recorded(run) if kind.stage == "analyse" else None
    with look():
        drawn = attempt(run, kind, arrays)
    if drawn is None:
        made = {"simulate": run.data, "train": run.metrics, "analyse": arrays, "distil": run.equations}
        absent = f"stage {kind.stage} has not been run there: add it to stages"
        raise InputError(f"figure {name}", str(run.path), kind.gap if made[kind.stage] else absent)
    return drawn


def draw(run: Run, folder: Path) -> dict[str, Path]:
    """Draw what the run's files allow, and remove figures that they no longer support.

    Returns:
        The PNG of each figure that was drawn, by name.
    """
    arrays, drawn = recorded(run), {}
    for name, kind in FIGURES.items():
        path = folder / f"{name}.png"
        with look():
            if save(attempt(run, kind, arrays), path):
                drawn[name] = path
    return drawn
