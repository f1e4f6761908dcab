"""All figures of a run, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gnn_distill.report.figures import curves, fields, radial, residuals, rollout, scatter, trajectories
from gnn_distill.report.figures.compare import active_dimensions, importance_side_by_side
from gnn_distill.report.style import look, save
from gnn_distill.runs.load import Run

__all__ = ["FIGURES", "Kind", "active_dimensions", "draw", "importance_side_by_side"]

Draw = Callable[[Run, dict[str, Any]], Figure | None]


@dataclass(frozen=True)
class Kind:
    """A figure: how it is drawn, and what a reader sees in it."""

    draw: Draw
    caption: str
    more: Callable[[Run], str] = lambda run: ""

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
    ),
    "trajectories": Kind(
        trajectories.trajectories,
        "Some of the trajectories, each in a frame of its own scale. Trails fade into the past; the markers, "
        "larger for larger masses, stand where the last frame has the particles; colours are charges. "
        "A frame leaves out particles that go more than six times as far as the middle one, and says so.",
        trajectories.caption,
    ),
    "pullback": Kind(
        scatter.pullback,
        "What one edge contributes to the acceleration of its receiver, read through the node model, against "
        "the true F/m₁. Nothing is fitted: a perfect network lies on y = x.",
    ),
    "field": Kind(
        fields.field,
        "What a particle at the place of an arrow feels from the one in the middle. Length and colour show "
        "the size, logarithmically; no arrow: exactly nothing. The raw messages show the same field turned, "
        "mirrored or stretched, which a network is free to do; the node model undoes it.",
        fields.caption,
    ),
    "residual": Kind(
        residuals.residual,
        "Where in r the network is wrong: its error on single pairs beside the size of the force. Blue "
        "shading: all test edges of the sample, darker where there are more.",
    ),
    "messages": Kind(
        scatter.messages,
        "Each selected message component against the linear combination of the force components that fits it "
        "best, in the best of the three gauges. The fit leaves out the worst 10 % of the edges; the picture "
        "shows them.",
    ),
    "rollout": Kind(
        rollout.rollout,
        "Network and distilled law integrated from the first frame of unseen trajectories: the median over "
        "trajectories, and the quartiles as a band. Where particles meet closely, paths part exponentially, "
        "so that the smallest error grows.",
        rollout.caption,
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
        curves.training, "Loss on training and validation graphs, and how many message dimensions are in use."
    ),
}


OF_DATA = ("trajectories", "rollout", "training")
"""Figures that need no recorded messages."""
OF_EDGES = ("law", "pullback", "field", "residual", "messages")
"""Figures that a network which has diverged cannot have."""


def draw(run: Run, folder: Path) -> dict[str, Path]:
    """Draw what the run's files allow, and remove figures that they no longer support.

    Returns:
        The PNG of each figure that was drawn, by name.
    """
    recorded = run.analysis is not None and (run.path / "messages.npz").exists()
    arrays = run.messages() if recorded else {}
    finite = recorded and all(np.isfinite(arrays[name]).all() for name in ("pullback", "selected"))
    drawn: dict[str, Path] = {}
    for name, kind in FIGURES.items():
        path = folder / f"{name}.png"
        with look():
            usable = name in OF_DATA or (finite if name in OF_EDGES else recorded)
            figure = kind.draw(run, arrays) if usable else None
            if figure is None:
                path.unlink(missing_ok=True)
                continue
            save(figure, path)
        drawn[name] = path
    return drawn
