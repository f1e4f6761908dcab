"""What strengths of individuals are like: masses, charges, kinds, or a power of what the file knows.

Shape letters: K individuals, W draws of a bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import chi2, norm

from gnn_distill.arrays import Array

FLOOR = 0.01
"""Strengths that differ by less than this share are not told apart."""
MOST = 5
"""Kinds."""
CREDIBLE = 0.999
"""Probability of a scatter within kinds below which more kinds are needed."""
TIGHT = 0.05
"""Scatter about a power of a known column, in logarithms, up to which it is said."""


@dataclass(frozen=True)
class Strength:
    """The strengths of all individuals in one role.

    Attributes:
        values: shape [K].
        draws: of a bootstrap, shape [W, K].
        rest: share of each that what the law leaves might stand for, shape [K].
    """

    values: Array
    draws: Array
    rest: Array | float = 0.0

    @property
    def intervals(self) -> Array:
        """Intervals of 95 %, shape [K, 2]; none around what a convention has fixed."""
        found = np.quantile(self.draws, [0.025, 0.975], axis=0).T
        wider = np.where(np.ptp(self.draws, axis=0) > 0, self.rest * np.abs(self.values), 0.0)
        return np.asarray(found + wider[:, None] * [-1.0, 1.0])

    @property
    def errors(self) -> Array:
        """One standard deviation, shape [K]."""
        spread = np.quantile(self.draws, 0.84, axis=0) - np.quantile(self.draws, 0.16, axis=0)
        return np.asarray(np.hypot(spread / 2, FLOOR * np.abs(self.values)))


def kinds(roles: Sequence[Strength]) -> tuple[Array, Array] | None:
    """Numbers of the kinds [K] that strengths fall into, and how sure each is [K]; None where there are none.

    The fewest kinds within which strengths scatter no more than their errors allow.
    """
    values, errors = (
        np.stack(part, axis=1) for part in zip(*((r.values, r.errors) for r in roles), strict=True)
    )
    count = len(values)
    size = np.maximum(errors, 1e-300)
    tree = linkage(values / np.median(size, axis=0), "average")
    for number in range(2, min(MOST, count // 2) + 1):
        label = fcluster(tree, number, "maxclust")
        middles = np.stack([np.median(values[label == k], axis=0) for k in np.unique(label)])
        if min(np.bincount(label)[1:]) < 2 or len(middles) < number:
            continue
        own = label - 1
        squares = ((values - middles[own]) / size) ** 2
        if squares.sum() > chi2.ppf(CREDIBLE, max(1, squares.size - middles.size)):
            continue
        far = ((values[:, None] - middles) / size[:, None]) ** 2
        likely = np.exp(-0.5 * (far.sum(-1) - far.sum(-1).min(1, keepdims=True)))
        return own, np.asarray((likely / likely.sum(1, keepdims=True))[np.arange(count), own])
    return None


def told(mode: str, source: Strength, response: Strength, known: Mapping[str, Array]) -> list[str]:
    """Sentences: what the strengths act as.

    Args:
        mode: which of them are free, see `gnn_distill.distil.motion.strengths.MODES`.
        source: as senders.
        response: as receivers.
        known: columns of the file that tell individuals apart, each [K], by name.
    """
    signs = np.sign(source.values[np.abs(source.values) > 3 * source.errors])
    both = ["They have both signs, as charges have"] if len(set(signs)) > 1 else []
    found = {
        "source": ["All respond alike, so that they fall alike: strengths act as masses do", *both],
        "response": ["All act alike and respond unlike, as bodies of different inertia do"],
        "symmetric": ["Sources and receivers count alike: a symmetric coupling", *both],
        "both": [
            "Individuals differ as sources and as receivers; where action equals reaction, s/t is the "
            "inertia, up to a common factor",
            *both,
        ],
    }[mode]
    roles = {"s": source} if mode != "response" else {}
    roles |= {"t": response} if mode in ("response", "both") else {}
    for name, role in roles.items():
        for column, values in known.items():
            found += _power(name, role.values, column, values)
    return found


def _power(name: str, strength: Array, column: str, values: Array) -> list[str]:
    """A sentence where strengths are a power of a known column."""
    usable = (strength * values != 0) & (strength * values * np.sign(np.median(strength * values)) > 0)
    if usable.sum() < 3 or usable.mean() < 0.9 or np.ptp(np.log(np.abs(values[usable]))) == 0:
        return []
    x, y = np.log(np.abs(values[usable])), np.log(np.abs(strength[usable]))
    power, offset = np.polyfit(x, y, 1)
    if np.std(y - power * x - offset) > TIGHT:
        return []
    return [f"{name} goes as {column} to the power {power:.2f}"]


def sure(probability: float) -> str:
    """How sure a label is, in per cent."""
    return f"{100 * min(probability, float(norm.cdf(4))):.4g} %"
