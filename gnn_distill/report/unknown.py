"""What can be said of equations for data whose law nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnn_distill.symbolic.extrapolate import ROUGHLY

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
