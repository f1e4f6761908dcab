"""The simplest law that no other one beats by more than chance, on accelerations that no fit has seen.

Shapes: R rows, D space dims, U units (runs, or pieces of time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.fit import TUNING, Fit, typical
from gnn_distill.distil.motion.samples import Motion

CHANCE = 3.0
"""A form is beaten where another one's loss is smaller by so many standard errors of the logarithm of their
ratio, paired over units, …"""
HARM, FEWEST = 0.005, 2.0
"""… or where what some units lose is at most this share of what others gain, and so many carry the gain: what
only few particles ever meet, as a wall, helps few units much and harms none, …"""
CLEAR = 0.1
"""… and its errors are larger by this share, …"""
MATERIAL = 0.003
"""… or larger by what is this share of the labels: a law that noise hides is told by small differences."""
LETTER = 2 * np.log(2)
"""What a letter or an operator of a form costs in χ², where noise does not tell forms apart: one bit."""
ROUNDED = 3e-6
"""Errors below this share of the labels are those of single precision, as are those that rounded distances
make: no form is better than another."""


@dataclass(frozen=True)
class Tried:
    """A fit and its errors on the rows that choose.

    Attributes:
        fit: what was fitted.
        errors: on the rows that choose, shape [R, D].
        losses: mean loss of each unit, shape [U]; see `compared`.
        count: labels that were fitted, where the rows are a digest of them; else 0.
        rounding: loss that the rounding of distances makes of the best fit's pairs, shape [U]; 0 if unknown.
    """

    fit: Fit
    errors: Array
    losses: Array
    count: int = 0
    rounding: Array | float = 0.0

    @property
    def order(self) -> tuple[int, bool, float]:
        """The simpler, the lower: numbers that were fitted, a name, the size of an expression without one.

        Known laws of as many numbers are equally simple; the less they leave, the lower. Where all rows were
        fitted, exponents that they chose are numbers, too.
        """
        form = self.fit.form
        numbers = form.cost + (form.settled if self.count else 0)
        return numbers, not form.name, float(self.losses.mean()) if form.name else form.size


def compared(fits: Sequence[Fit], unseen: Motion, extra: Array | list[Array] | None = None) -> list[Tried]:
    """The fits with their losses on unseen rows, on one scale.

    The loss is quadratic up to a few medians of the best fit's errors and linear beyond, so that close
    encounters do not decide.

    Args:
        fits: to be compared.
        unseen: rows that none of them has seen.
        extra: the further columns that they were fitted with, on these rows; a list where each has its own.
    """
    beside = extra if isinstance(extra, list) else [extra] * len(fits)
    predicted = [f.predicted(unseen, e) for f, e in zip(fits, beside, strict=True)]
    errors = [p - unseen.labels for p in predicted]
    scale = TUNING * min(typical(e) for e in errors)
    found = rated(fits, errors, unseen, scale)
    k = min(range(len(found)), key=lambda k: float(found[k].losses.mean()))
    if unseen.count or not fits[k].form.terms:
        return found
    moved = fits[k].predicted(unseen.rounded, beside[k]) - predicted[k]
    rounding = rated([fits[k]], [moved], unseen, scale)[0].losses
    return [replace(one, rounding=rounding) for one in found]


def rated(
    fits: Sequence[Fit], errors: Sequence[Array], unseen: Motion, scale: float | None = None
) -> list[Tried]:
    """The fits with the losses that their errors [R, D] on unseen rows make, on one scale."""
    trust = unseen.trust / unseen.trust.mean()
    scale = TUNING * min(typical(e) for e in errors) if scale is None else scale
    numbers, of = np.unique(unseen.unit, return_inverse=True)
    count = np.bincount(of) * unseen.labels.shape[1]
    tried = []
    for f, e in zip(fits, errors, strict=True):
        off = np.minimum(np.abs(e), 1e100)
        loss = off**2 if unseen.count else 2 * scale**2 * (np.sqrt(1 + (off / scale) ** 2) - 1) * trust
        losses = np.bincount(of, loss.sum(axis=1), minlength=len(numbers)) / count
        tried.append(Tried(f, e, losses, unseen.count))
    return tried


def beaten(one: Tried, other: Tried, size: float) -> bool:
    """Whether `other` is better by more than chance, and by as much as matters.

    Args:
        one: a fit.
        other: another one on the same rows.
        size: typical label.
    """
    if other.count:
        return likelier(one, other)
    if surprise(one, other) < CHANCE and not harmless(one, other):
        return False
    worse, better = float(one.losses.mean()), float(other.losses.mean())
    if np.maximum(one.losses - other.rounding, 0.0).mean() < (ROUNDED * size) ** 2:
        return False
    return worse > (1 + CLEAR) ** 2 * better or np.sqrt(max(worse - better, 0.0)) > MATERIAL * size


def surprise(one: Tried, other: Tried) -> float:
    """By how many standard errors the losses of `one` are larger than those of `other`."""
    ratio = np.log(np.maximum(one.losses, 1e-300) / np.maximum(other.losses, 1e-300))
    error = float(ratio.std(ddof=1)) / np.sqrt(len(ratio)) if len(ratio) > 1 else np.inf
    return float(ratio.mean()) / max(error, 1e-12)


def harmless(one: Tried, other: Tried) -> bool:
    """Whether `other` is better in several units and worse in none, as far as that counts beside the gain."""
    gain = one.losses - other.losses
    total, harm = float(gain.sum()), float(np.maximum(-gain, 0.0).sum())
    return total > 0 and harm <= HARM * total and total**2 >= FEWEST * float((gain**2).sum())


def likelier(one: Tried, other: Tried) -> bool:
    """Whether all rows together prefer `other`, by their likelihoods (Bayesian information criterion).

    Unseen rows tell two forms apart by z errors only where fits of all rows differ by 4 z² and more in χ²:
    they have noise of their own. Where noise is nearly all of the labels there are none to spare. The choice
    among some dozens of forms of as many numbers counts as one more.
    """
    gain = float(one.losses.sum() - other.losses.sum())
    return gain > (1 + max(0, other.fit.numbers - one.fit.numbers)) * np.log(other.count)


def simplest(tried: Sequence[Tried], unseen: Motion) -> tuple[Tried, list[Tried]]:
    """The simplest fit that no other beats, and those that are level with it, best first."""
    size = typical(unseen.labels)
    best = min(tried, key=lambda t: float(t.losses.mean()))
    standing = sorted((t for t in tried if t is best or not beaten(t, best, size)), key=lambda t: t.order)
    standing = [t for t in standing if not any(beaten(t, o, size) for o in standing)] or [best]
    alike = [t for t in standing if t.order[:2] == standing[0].order[:2]]
    if unseen.count:
        chosen = min(alike, key=lambda t: float(t.losses.sum()) + LETTER * t.fit.form.size)
    else:
        same = [t for t in alike if typical(t.errors - standing[0].errors) <= ROUNDED * size]
        chosen = min(same, key=lambda t: (t.fit.form.place, t.fit.form.size))
    if unseen.count:  # a hint is enough to choose there: all forms that are no worse by much are level
        standing = [t for t in tried if not beaten(t, chosen, size)]
    others = [t for t in standing if t is not chosen and typical(t.errors - chosen.errors) > MATERIAL * size]
    return chosen, sorted(others, key=lambda t: float(t.losses.mean()))
