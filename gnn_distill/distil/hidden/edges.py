"""Factors of pairs: linear in accelerations, block by block of a run; and the groups that they fall into.

Shape letters: R rows of labels' components, P pairs, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from gnn_distill.arrays import Array

REWEIGHTED, TUNING = 6, 1.5
"""Rounds of a robust fit; residuals beyond so many medians count linearly."""
NORMAL = 0.6745
"""Median size of normal noise of one standard deviation."""
WIDTH = 1.0
"""Standard deviation about one of the factors of pairs of which the data say nothing."""
MOST, ROUNDS = 5, 200
"""Groups, and steps of their fit."""
STRAY = 0.02
"""Share of pairs that may lie outside of all groups."""
SURE = 0.95
"""Probability of its group from which on a pair is sure."""
PARTS = 0.05
"""Least share of the pairs in a group."""
NARROW = 0.02
"""Width of a group in units of the spread of all factors, beside the factors' own errors."""


def factors(a: sparse.csr_array, y: Array, trust: Array, block: int) -> tuple[Array, Array]:
    """Robust least squares of y on columns that only rows of the same block read, and errors.

    Args:
        a: what each pair gives with a factor of one, shape [R, P]; P a multiple of `block`.
        y: what the pairs are to explain, shape [R].
        trust: weights of rows, shape [R].
        block: pairs of one run, which follow each other.

    Returns:
        Factors [P] and their standard errors [P]; those of which nothing is known are 1 ± `WIDTH`.
    """
    values, spread, weight = np.ones(a.shape[1]), np.full(a.shape[1], WIDTH), trust
    for _ in range(REWEIGHTED):
        rest = y - a @ values
        size = max(float(np.median(np.abs(rest[trust > 0]))), 1e-12 * float(np.abs(y).max()), 1e-300)
        weight = trust / np.sqrt(1.0 + (rest / (TUNING * size)) ** 2)
        noise = (size / NORMAL) ** 2
        normal = (a.T @ (sparse.diags_array(weight) @ a)).tocoo()
        row, column = normal.coords
        left = np.zeros((a.shape[1] // block, block, block))
        left[row // block, row % block, column % block] = normal.data
        least = noise / WIDTH**2 + 1e-12 * np.trace(left, axis1=1, axis2=2)
        left += least[:, None, None] * np.eye(block)
        right = (a.T @ (weight * y) + noise / WIDTH**2).reshape(-1, block)
        inverse = np.linalg.inv(left)
        values = np.einsum("spq,sq->sp", inverse, right).reshape(-1)
        spread = np.sqrt(noise * np.einsum("spp->sp", inverse)).reshape(-1)
    return values, spread


@dataclass(frozen=True)
class Groups:
    """Values that many pairs share.

    Attributes:
        centres: shape [G], rising; `shares` of the pairs, likewise.
        of: number of each pair's group, shape [P].
        sure: probability of it, shape [P].
    """

    centres: Array
    shares: Array
    of: Array
    sure: Array


def groups(values: Array, errors: Array) -> Groups | None:
    """The fewest narrow groups that explain factors [P] of these errors; None where there are none.

    A mixture of normal distributions, each as wide as the errors and a little more, beside an even
    background of strays; as many as the Bayesian information criterion asks for.
    """
    low, high = np.quantile(values, [0.01, 0.99])
    if high <= low:
        return None
    width = np.hypot(errors, NARROW * (high - low))
    known = width < WIDTH / 4
    if known.sum() < 10 * MOST:
        return None
    even = 1.0 / (high - low)
    best, least = None, np.inf
    for count in range(1, MOST + 1):
        centres, shares, likely = _mixture(values[known], width[known], count, even)
        score = -2 * float(np.log(likely).sum()) + (2 * count) * np.log(known.sum())
        if score < least:
            best, least = (centres, shares), score
    if best is None or len(best[0]) == MOST or min(best[1]) < PARTS or best[1].sum() < 0.85:
        return None
    density = _density(values, width, *best)
    total = density.sum(axis=1) + (1 - best[1].sum()) * even
    of = density.argmax(axis=1)
    return Groups(*best, of, density[np.arange(len(of)), of] / total)


def _mixture(values: Array, width: Array, count: int, even: float) -> tuple[Array, Array, Array]:
    """Centres and shares [G] of groups, and the likelihood of each value."""
    centres = np.quantile(values, (np.arange(count) + 0.5) / count)
    low, high = np.quantile(values, [0.02, 0.98])
    spaced = np.linspace(low, high, count) if count > 1 else centres
    found = []
    for start in (centres, spaced):
        middle, shares = start.copy(), np.full(count, (1 - STRAY) / count)
        for _ in range(ROUNDS):
            density = _density(values, width, middle, shares)
            total = density.sum(axis=1) + (1 - shares.sum()) * even
            part = density / total[:, None]
            weight = part / width[:, None] ** 2
            middle = (weight * values[:, None]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300)
            shares = part.mean(axis=0)
        order = np.argsort(middle)
        total = _density(values, width, middle, shares).sum(axis=1) + (1 - shares.sum()) * even
        found.append((middle[order], shares[order], np.maximum(total, 1e-300)))
    return max(found, key=lambda one: float(np.log(one[2]).sum()))


def _density(values: Array, width: Array, centres: Array, shares: Array) -> Array:
    far = (values[:, None] - centres) / width[:, None]
    return np.asarray(shares * np.exp(-0.5 * far**2) / width[:, None] / np.sqrt(2 * np.pi))
