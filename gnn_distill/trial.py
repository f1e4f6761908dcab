"""Pruning by trial: dimensions go as long as the validation loss allows, so their number need not be known.

Each cut is on trial for one epoch. If the loss has then risen beyond `tolerance` times the best one seen,
the cut was one too many: the caller puts the network back, and smaller cuts are tried, down to one dim.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gnn_distill.errors import check_int, check_range


@dataclass
class Trials:
    """What was tried, and what came of it.

    Args:
        tolerance: a cut is refused where the loss after an epoch exceeds the best so far by this factor.
        patience: refused cuts of a single dim, one after the other, that end the pruning.

    Attributes:
        best: lowest validation loss so far.
        size: dims taken away by the cut on trial; 0 where none is.
        largest: dims that a cut may take, None before the first refusal.
        refusals: refused cuts of one dim since the last accepted one.
    """

    tolerance: float = 1.5
    patience: int = 2
    best: float = float("inf")
    size: int = 0
    largest: int | None = None
    refusals: int = 0

    def __post_init__(self) -> None:
        check_range("schedule.tolerance", self.tolerance, 1.0, open_low=True)
        check_int("schedule.patience", self.patience, 1)

    @property
    def over(self) -> bool:
        """Whether single dims were refused often enough."""
        return self.refusals >= self.patience

    def judge(self, loss: float) -> bool:
        """Take the validation loss of an epoch; True where the cut on trial stands (or none was made)."""
        size, self.size = self.size, 0
        refused = size > 0 and not loss <= self.tolerance * self.best
        if refused:
            self.largest = max(1, size // 2)
            self.refusals += size == 1
            return False
        self.best = min(self.best, loss)
        if size:
            self.refusals = 0
        return True

    def cut(self, surplus: int) -> int:
        """How many of `surplus` dims to take away now, on trial."""
        if self.over:
            return 0
        self.size = max(0, surplus if self.largest is None else min(surplus, self.largest))
        return self.size

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return asdict(self)
