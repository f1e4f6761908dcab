"""All figures of a run, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gnn_distill.errors import InputError, check_choice
from gnn_distill.report.figures import curves, fields, radial, residuals, rollout, scatter, trajectories
from gnn_distill.report.style import look, save
from gnn_distill.runs.load import Run

Draw = Callable[[Run, dict[str, Any]], Figure | None]


@dataclass(frozen=True)
class Kind:
    """A figure: how it is drawn, and what a reader sees in it.

    Attributes:
        draw: makes the figure of a run and the arrays of its messages; None where these do not allow it.
        caption: what a reader sees; `more` adds what is to be said about one run.
        stage: the one that makes what is drawn; figures of `analyse` get the recorded messages.
        edges: whether single edges are drawn, which a network that has diverged cannot have.
        gap: why there may be no figure although the stage has been run.
    """

    draw: Draw
    caption: str
    more: Callable[[Run], str] = lambda run: ""
    stage: str = "analyse"
    edges: bool = False
    gap: str = "the network has diverged, or the true law of the data is not known"

    def tell(self, run: Run) -> str:
        """The caption, with what is to be said about this run only."""
        return f"{self.caption} {self.more(run)}".strip()


def importance_reason(run: Run) -> str:
    """Why these components, for this run."""
    reason = ((run.analysis or {}).get("importance") or {}).get("reason")
    return f"Selected: {reason}." if reason else ""


FIGURES: dict[str, Kind] = {
    "law": Kind(
        radial.law,
        "Each test edge is one point (darker: more of them): the part of the learned contribution that "
        "points along the line between two particles, against their distance. Where the true force is a "
        "function of r times one of masses and charges, the latter is divided out, so that all edges should "
        "fall on one curve. Where the true law is not known, that of the equation found is divided out.",
        edges=True,
    ),
    "trajectories": Kind(
        trajectories.trajectories,
        "Some of the trajectories, each in a frame of its own scale. Trails fade into the past; the markers, "
        "larger for larger masses, stand where the last frame has the particles; colours are charges. "
        "A frame leaves out particles that go more than six times as far as the middle one, and says so.",
        trajectories.caption,
        stage="simulate",
    ),
    "pullback": Kind(
        scatter.pullback,
        "What one edge contributes to the acceleration of its receiver, read through the node model, against "
        "the true F/m₁. Nothing is fitted: a perfect network lies on y = x.",
        edges=True,
    ),
    "field": Kind(
        fields.field,
        "What a particle at the place of an arrow feels from the one in the middle. Length and colour show "
        "the size, logarithmically; no arrow: exactly nothing. The raw messages show the same field turned, "
        "mirrored or stretched, which a network is free to do; the node model undoes it.",
        fields.caption,
        edges=True,
    ),
    "residual": Kind(
        residuals.residual,
        "Where in r the network is wrong: its error on single pairs beside the size of the force. Blue "
        "shading: all test edges of the sample, darker where there are more.",
        edges=True,
    ),
    "messages": Kind(
        scatter.messages,
        "Each selected message component against the linear combination of the force components that fits it "
        "best, in the best of the three gauges. The fit leaves out the worst 10 % of the edges; the picture "
        "shows them.",
        edges=True,
    ),
    "rollout": Kind(
        rollout.rollout,
        "Network and distilled law integrated from the first frame of unseen trajectories: the median over "
        "trajectories, and the quartiles as a band. Where particles meet closely, paths part exponentially, "
        "so that the smallest error grows.",
        rollout.caption,
        stage="distil",
        gap="there was no trajectory to follow",
    ),
    "importance": Kind(
        curves.importance,
        "How much each message dimension varies. A network that has found a force in D dimensions needs only "
        "D of them.",
        importance_reason,
    ),
    "relative_error": Kind(
        curves.relative_error,
        "R² is ruled by the few largest forces; this is how well a typical pair force of each size is known: "
        "read through the node model, and from the selected messages by the fitted linear map.",
    ),
    "training": Kind(
        curves.training,
        "Loss on training and validation graphs, and how many message dimensions are in use.",
        stage="train",
    ),
}


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
            found = attempt(run, kind, arrays)
            if found is None:
                path.unlink(missing_ok=True)
                continue
            save(found, path)
        drawn[name] = path
    return drawn
