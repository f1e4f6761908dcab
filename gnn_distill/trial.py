"""Pruning by trial: dimensions go as long as the validation loss allows, so their number need not be known.

Each cut is on trial for one epoch. If the loss has then risen beyond `tolerance` times the best one seen,
the cut was one too many: the caller puts the network back, and smaller cuts are tried, down to one dim.
Where one dim less has been refused often enough, be it by larger cuts, there is nothing more to try.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gnn_distill.errors import check_int, check_range


@dataclass
class Trials:
    """What was tried, and what came of it.

    Args:
        tolerance: a cut is refused where the loss after an epoch exceeds the best so far by this factor.
        patience: refused cuts to one dim less than there are that end the pruning.

    Attributes:
        best: lowest validation loss so far.
        size: dims taken away by the cut on trial; 0 where none is.
        largest: dims that a cut may take, None before the first refusal.
        left: dims that the cut on trial leaves.
        refused: how many cuts to each number of dims were refused.
    """

    tolerance: float = 1.5
    patience: int = 2
    best: float = float("inf")
    size: int = 0
    largest: int | None = None
    left: int = 0
    refused: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range("schedule.tolerance", self.tolerance, 1.0, open_low=True)
        check_int("schedule.patience", self.patience, 1)

    def over(self, active: int) -> bool:
        """Whether one dim less than `active` was refused often enough."""
        return self.refused.get(active - 1, 0) >= self.patience

    def judge(self, loss: float) -> bool:
        """Take the validation loss of an epoch; True where the cut on trial stands (or none was made)."""
        size, self.size = self.size, 0
        refused = size > 0 and not loss <= self.tolerance * self.best
        if refused:
            self.largest = max(1, size // 2)
            self.refused[self.left] = self.refused.get(self.left, 0) + 1
            return False
        self.best = min(self.best, loss)
        return True

    def cut(self, active: int, surplus: int) -> int:
        """How many of `surplus` dims to take away from `active` ones now, on trial."""
        if self.over(active):
            return 0
        self.size = max(0, surplus if self.largest is None else min(surplus, self.largest))
        self.left = active - self.size
        return self.size

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return asdict(self)
