"""A flat table of sightings, one particle in one frame each.

So frames may hold any number of particles, and the cost is that of the pairs that interact.

Shapes: N sightings, E edges, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sightings:
    """When and in whose company each particle was seen; rows are sorted by run, particle and time.

    Attributes:
        unit: what a split keeps together, a run or a block of time of one; −1 for what lies between blocks or
            was filled in, shape [N].
        frame: number of the frame, shape [N].
        piece: number of the unbroken stretch of a track, shape [N]; −1 for what was filled in.
        first: `senders[first:last]` are the rows that may act on a sighting, each [N].
        last: see `first`.
        senders: numbers of rows, shape [E]; of the same frame. They may lie on disk.
        shared: whether those of one frame share their senders, so that a sighting is among its own. It does
            not act on itself.
        mutual: whether each acts on those that act on it.
    """

    unit: Index
    frame: Index
    piece: Index
    first: Index
    last: Index
    senders: Index | npt.NDArray[np.int32]
    shared: bool
    mutual: bool

    @property
    def degree(self) -> Index:
        """Number of particles that act on each sighting, shape [N]."""
        return self.last - self.first - self.shared

    @property
    def particles(self) -> float:
        """Mean number of particles of a frame."""
        return len(self.frame) / max(1, len(np.unique(self.frame)))

    def receivers(self, labels: npt.NDArray[np.float32]) -> Index:
        """Rows with labels [N, D] that lie in a unit of the split."""
        return np.flatnonzero(np.isfinite(labels).all(1) & (self.unit >= 0))
