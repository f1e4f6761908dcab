"""Which particles of a file are the same individual, and whether each may have properties of its own.

Shape letters: S trajectories, T frames, n particles, K individuals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.neighbours import LARGE
from gnn_distill.data.own.tracks import Observed
from gnn_distill.errors import InputError, check_choice

IDENTITIES = ("file", "run")
DIMS = 2
"""Properties that an individual may have where the data are to say it."""
SIGHTINGS = 200
"""Sightings of an individual from which on the data are asked by themselves, …"""
MOST = LARGE
"""… as long as frames are so small that all pairs are looked at."""
FEW = (
    "{count} individuals were seen about {each:.0f} times each. Whether each has a strength of its own, "
    "data are asked by themselves from {wanted} times on, and of {most} at most; dataset.hidden=1 asks"
)


@dataclass(frozen=True)
class Hidden:
    """What individuals may have that nobody measured.

    Args:
        count: properties of each, 0 to 2; `auto` asks the data, where particles have no known property that
            tells them apart.
        identity: what a label means: `file`, the same individual in all runs; `run`, within one run only.
        known: what the user knows of one individual, by its label: `{earth: {mass: 3.0e-6}}`.
    """

    count: int | str = "auto"
    identity: str = "file"
    known: Mapping[str, Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        if self.count != "auto" and self.count not in (0, 1, 2):
            raise InputError("dataset.hidden", self.count, "give auto, 0, 1 or 2")
        check_choice("dataset.identity", self.identity, IDENTITIES)
        if len(self.known or {}) > 1:
            fix = "give one individual: a single factor is free"
            raise InputError("dataset.known", dict(self.known or {}), fix)
        for label, values in (self.known or {}).items():
            number = isinstance(values, Mapping) and len(values) == 1 and {*values} <= {"mass", "charge"}
            if not number or not all(isinstance(v, int | float) and v for v in values.values()):
                fix = "give a mass or a charge by label, {earth: {mass: 3.0e-6}}"
                raise InputError("dataset.known", {label: values}, fix)

    def of(self, seen: Observed) -> tuple[Array, tuple[str, ...], list[str]]:
        """Numbers [S, T, n, 1] of the individuals, [1, N, 1, 1] of a table's, K names, and what to say of it.

        Without names, and of shape [..., 0], where they are not to be told apart.
        """
        nobody = np.zeros((*seen.masses.shape, 0))
        if self.count == 0 or seen.labels is None:
            return nobody, (), []
        labels = seen.labels
        runs = np.arange(len(labels))[:, None] if seen.sighted is None else seen.sighted.run[None]
        if self.identity == "run":
            labels = np.char.add(np.char.add(labels, " of run "), runs.astype(str))
        found, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
        order = np.argsort(first)  # as they come in the file
        numbers = np.argsort(order)[numbers.reshape(labels.shape)]
        numbers = numbers[:, None] if seen.sighted is None else numbers[..., None]
        names = tuple(str(name) for name in found[order])
        if unknown := sorted({*map(str, self.known or {})} - {*names}):
            fix = f"the file has {', '.join(names[:8])}"
            raise InputError("dataset.known", unknown[0], fix)
        if self.count == "auto":
            # who says that labels hold within a run has asked
            asked, each = self.identity == "run", seen.masses.size / len(names)
            if _told_apart(seen) or not (asked or _several(numbers, np.broadcast_to(runs, labels.shape))):
                return nobody, (), []
            if len(names) > MOST or (each < SIGHTINGS and not asked):
                few = FEW.format(each=each, wanted=SIGHTINGS, count=len(names), most=MOST)
                return nobody, (), [few] if asked or len(names) <= MOST else []
        return np.broadcast_to(numbers, seen.masses.shape)[..., None].astype(float), names, []

    @property
    def dims(self) -> int:
        """Properties that the network may learn."""
        return DIMS if self.count == "auto" else int(self.count)


def _several(numbers: npt.NDArray[Any], runs: npt.NDArray[Any]) -> bool:
    """Whether most individuals are in several runs, or there is one: what is learned of them helps others."""
    if len(np.unique(runs)) == 1:
        return True
    pairs = np.unique(np.stack([numbers.ravel(), runs.ravel()]), axis=1)
    return bool(np.median(np.bincount(pairs[0].astype(int))) >= 2)


def _told_apart(seen: Observed) -> bool:
    """Whether particles have masses, charges or further columns that differ, or their edges numbers."""
    if seen.edges is not None and len(np.unique(seen.edges[seen.edges != 0])) > 1:
        return True
    known: list[Any] = [seen.masses[..., None], seen.charges[..., None], seen.features]
    return any(values.size and (values != values[:1, :1, :1]).any() for values in known)
