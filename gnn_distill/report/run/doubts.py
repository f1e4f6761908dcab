"""What keeps a run from finding a law: said where the law is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnn_distill.distil.verdict.extrapolate import ROUGHLY
from gnn_distill.runs.load import Run

LITTLE = 0.5
"""Error of the network, as a share of the mean |a|, from which on it has learned little."""


def share(run: Run, mae: float | None) -> float | None:
    """A mean absolute error of test accelerations as a share of the mean |a|; None if unknown."""
    data = run.data
    if mae is None or not data:
        return None
    mean = data["mean_abs_acceleration_per_graph"] / (data["particles"] * data["dim"])
    return float(mae / mean) if mean > 0 else None


def share_text(run: Run, mae: float | None) -> str:
    """`6 % of the mean |a|`; empty if unknown."""
    part = share(run, mae)
    return "" if part is None else f"{_percent(part)} of the mean |a|"


def network_mae(run: Run) -> float | None:
    """The network's error on the test set; None if it was not analysed."""
    test = (run.analysis or {}).get("test")
    return test["mae"] if test else None


def _percent(part: float) -> str:
    if part < 1e-4:
        return "below 0.01 %"
    return f"{100 * part:.{0 if part >= 0.095 else 1 if part >= 0.0095 else 2}f} %"


def doubts(run: Run) -> list[str]:
    """Sentences about data and network that a reader of the law should know first; usually none."""
    part = share(run, network_mae(run))
    learned = (
        []
        if part is None or part < LITTLE
        else [
            f"The network's error is {_percent(part)} of the mean |a|, where always saying zero would have "
            "100 %: it has learned little, so do not trust equations of it."
        ]
    )
    return [*(f"{text}." for text in (run.data or {}).get("doubts") or []), *learned]


def missing(run: Run) -> list[str]:
    """What the run directory lacks, and how to make it."""
    judged = (run.path / "law.json").exists()
    gaps = [
        (not run.metrics, "train", "loss curves and the network"),
        (run.analysis is None, "analyse", "test losses, R² and most figures"),
        (run.equations is None or not judged, "distil", "the equations and the verdict"),
    ]
    stages = [stage for absent, stage, _ in gaps if absent]
    error = run.status.get("error")
    stopped = [f"The last attempt stopped: {error}"] if error else []
    if run.equations is not None and run.law is None and judged:
        stopped.append(
            "No law was put together: these message components do not span a force. "
            "The pull-back always gives one: symbolic.target=pullback."
        )
    if not stages:
        return stopped
    lines = [
        *stopped,
        *(f"Stage {stage} has not been run: {what} are missing." for absent, stage, what in gaps if absent),
    ]
    again = f"stages=[{','.join([*stages, 'report'])}] hydra.run.dir={run.path}"
    return [*lines, f"To fill the gap, give the command of this run again with {again}"]


OPEN = "The law behind these data is not known here: the equations were not checked against one."
NONE = "No equation found holds on unseen edges: this is no law yet."
RIGHT = 0.02
"""Error of an equation on test accelerations, as a share of their mean, below which it holds whatever the
network, which unseen edges are read off, may say."""
MORE = "More runs, with other masses, charges and distances, help most."


def headline(entries: Sequence[dict[str, Any]], doubted: bool, left: float | None) -> str:
    """What to think of the components of `equations.json`.

    Args:
        entries: the components.
        doubted: something else is said to be wrong with data or network, which more data would not mend.
        left: error of the law on test accelerations, as a share of the mean |a|; None if unknown.
    """
    if left is not None and left >= ROUGHLY:
        found = f"The equation found is off by {left:.0%} of the mean |a|: this is no law yet."
    elif left is not None and left < RIGHT:
        return OPEN
    elif all(holds(entry.get("extrapolation") or {}) for entry in entries):
        return OPEN
    else:
        found = NONE
    return found if doubted else f"{found} {MORE}"


def holds(extrapolation: dict[str, Any]) -> bool:
    """Whether the chosen equation holds at least roughly on unseen edges, of middle length and beyond.

    Without a record of that it counts as holding.
    """
    tried = [extrapolation[where] for where in ("inside", "beyond") if extrapolation.get(where)]
    errors = [errors[extrapolation["equation"]] for errors in tried]
    return all(error is not None and error < ROUGHLY for error in errors)
