"""How far a law holds, in words that its numbers decide.

Shapes: R rows, D space dims, C terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.motion.choose import Tried
from gnn_distill.distil.motion.fit import Fit
from gnn_distill.distil.motion.samples import Motion

AS_NOISE = 1.2
"""A law whose error is at most so many times that of the labels is as exact as the data."""
UNSURE = 1.03
"""The noise of labels is known to about this factor."""
HARDLY = 0.002
"""A rest below this share of the motion is not worth a word."""
MUCH = 0.3
"""Share of the motion that a law may leave; one that leaves more is none."""
NOT_PAIRS = 0.05
"""A network that leaves more than this share of the motion could not say it as a sum over pairs."""
MISFIT = 2.0
"""Mean square of what a law leaves of numbers with errors of one, from which on it does not fit them: in a
hundred such numbers chance makes as much once in a hundred million times."""
CARRIED, FRAMES = 0.5, 30
"""Share of the rest that all particles of a frame have in common from which on, in so many frames at least,
something carries them all."""
ALIKE = 0.999
"""Correlation of two terms from which on their factors cannot be told apart."""
GAUSSIAN = (2 / np.pi) ** 0.5
"""Mean size of normal noise of one standard deviation."""


def errors(law: Array, test: Motion, network: Array) -> dict[str, dict[str, float]]:
    """Errors of law and network on unseen runs, and as shares of the mean label.

    Means of absolute values, over rows as far as their labels can be trusted (`Motion.trust`).

    Args:
        law: its prediction of the rows, shape [R, D].
        test: rows of runs that neither fit nor choice has seen.
        network: its prediction of them, shape [R, D].
    """
    size = mean(np.abs(test.labels), test)
    found = {}
    for name, predicted in (("test", law), ("network", network)):
        mae = mean(np.abs(predicted - test.labels), test)
        found[name] = {"mae": mae, "share": mae / max(size, 1e-300)}
    return found


def mean(values: Array, test: Motion) -> float:
    """Mean of values [R, D] over rows by their trust."""
    return float((values * test.trust).sum() / (test.trust.sum() * values.shape[1]))


def verdict(
    content: Mapping[str, Any], test: Motion, noise: float, worse: bool = False
) -> tuple[dict[str, str], list[str]]:
    """What to think of a law, and sentences of doubt.

    Args:
        content: of `law.json`, with the errors.
        test: rows of unseen runs.
        noise: RMS error of a label's component.
        worse: whether the network is better than the law by more than chance.
    """
    floor, size = GAUSSIAN * noise, mean(np.abs(test.labels), test)
    law, network = (content[k]["mae"] for k in ("test", "network"))
    rest, unsaid = (unexplained(e, test, noise) for e in (law, network))
    what = "velocities" if content["order"] == 1 else "accelerations"
    beside = f" (error {percent(law / size)} of the mean, of which noise {percent(min(floor, law) / size)})"
    doubts = []
    if min(rest, unsaid) > NOT_PAIRS:  # a law may know what the network does not
        doubts.append(_beyond_pairs(unsaid, what))
    if worse:
        told = f"No law yet: the network, which it was read from, is better on unseen runs{beside}."
        return {"level": "none", "sentence": told}, doubts
    if law <= AS_NOISE * floor or rest < HARDLY:
        return {"level": "exact", "sentence": f"As exact as the data{beside}."}, doubts
    if rest < MUCH:
        if content.get("level"):
            return {"level": "level", "sentence": f"Two forms are level{beside}."}, doubts
        told = f"Holds, with a systematic rest of {percent(rest)} of the {what}{beside}."
        return {"level": "systematic", "sentence": told}, doubts
    return {
        "level": "none",
        "sentence": f"No law yet: {percent(rest)} of the {what} stay unexplained.",
    }, doubts


def _beyond_pairs(unsaid: float, what: str) -> str:
    """What to think of a network that leaves this share of the motion, in a sentence without its stop."""
    return (
        f"The network, which may be any sum over pairs and of what acts on one particle, leaves "
        f"{percent(unsaid)} of the {what} of unseen runs: forces may not add up pair by pair, something "
        "that the file does not hold may act, or there are too few data"
    )


def fitting(trust: dict[str, str], tried: Sequence[Tried]) -> dict[str, str]:
    """What to think of a law found in loud noise, where nothing but a free curve tells whether it fits.

    Args:
        trust: what its error says.
        tried: the law, as it was compared with others, for each of its directions.
    """
    left = min((float(t.losses.mean()) for t in tried if t.count), default=0.0)
    if left < MISFIT:
        return trust
    off = f"{left**0.5:.1f} standard errors from the curves that no form was given for"
    sentence = f"No law yet: the best of the forms that were tried lies {off}, more than noise allows."
    return {"level": "none", "sentence": sentence}


def carried(rest: Array, test: Motion, noise: float) -> list[str]:
    """A doubt where what is left of the motion is mostly the same for all particles of a frame.

    Or the same but for a factor that each particle has, as q/m in a field. The share is 0 where particles err
    by themselves, 1 where they do so together.

    Args:
        rest: predicted less seen, shape [R, D].
        test: rows of unseen runs.
        noise: RMS error of a label's component.
    """
    frames = rest.reshape(-1, test.n, rest.shape[1])
    if test.n < 2 or len(frames) < FRAMES or unexplained(mean(np.abs(rest), test), test, noise) < HARDLY:
        return []
    factors = _factors(test)
    shares = {name: _together(frames, factor) for name, factor in factors.items()}
    seen = [name for name in shares if shares[name] >= CARRIED]
    if not seen:
        return []
    left = {name: _beside(frames, factors[name]) for name in seen}
    name = min(seen, key=lambda name: left[name])
    if "1" in seen and left[name] > (1 - CARRIED) * left["1"]:
        name = "1"  # the plainest account that is nearly as good
    share, alike = percent(min(shares[name], 1.0)), "the same" if name == "1" else f"the same, times {name},"
    return [
        f"{share} of what is left is {alike} for all particles of a frame: something "
        "that changes in time acts on all of them, such as a field that swings, or the camera moves"
    ]


def _factors(test: Motion) -> dict[str, Array]:
    """What a field that all particles share may be multiplied by, by name, each [F, n]."""
    m, q = (test.alone[name] for name in ("m1", "q1"))
    found = {"1": np.ones(len(m)), "1/m₁": 1 / np.where(m > 0, m, 1.0), "q₁": q}
    found["q₁/m₁"] = q * found["1/m₁"]
    found |= {str(e): np.asarray(at(e, test.alone, len(m))) for e in test.brought}
    kept = {name: test.inner(v[:, None]) for name, v in found.items() if name == "1" or np.ptp(v) > 0}
    return {name: (v / test.size).reshape(-1, test.n) for name, v in kept.items()}


def _together(frames: Array, factor: Array) -> float:
    """How far values [F, n, D] of one frame point along one vector times a factor [F, n].

    The mean cosine between two particles, each pair by its weight. Where factors have both signs the lesser
    one of pairs of like and of unlike signs: what two unlike charges do to each other is opposite, too.
    """
    pulls = factor[..., None] * _swinging(frames, factor)
    size = np.linalg.norm(pulls, axis=-1)

    def both(one: Array, other: Array) -> Array:
        """Products of two groups of particles: of the vectors, and of their sizes."""
        a, b = one[..., None] * pulls, other[..., None] * pulls
        same = np.array([(a * b).sum(), (one * other * size**2).sum()])
        vectors, sizes = (a.sum(1) * b.sum(1)).sum(), ((one * size).sum(1) * (other * size).sum(1)).sum()
        return np.array([vectors, sizes]) - same

    up, down = (np.where(side * factor > 0, 1.0, 0.0) for side in (1, -1))
    like, unlike = both(up, up) + both(down, down), both(up, down)
    if not (factor < 0).any() or not (factor > 0).any():
        return float(like[0] / max(like[1], 1e-300))
    return float(min(part[0] / part[1] if part[1] > 0 else 0.0 for part in (like, unlike)))


def _swinging(frames: Array, factor: Array) -> Array:
    """Values [F, n, D] without the vector times the factor that all frames share."""
    b = factor[..., None]
    return np.asarray(frames - b * (b * frames).sum((0, 1)) / np.square(b).sum())


def _beside(frames: Array, factor: Array) -> float:
    """What is left of values [F, n, D] beside one vector for each frame times a factor [F, n]."""
    b, rest = factor[..., None], _swinging(frames, factor)
    common = (b * rest).sum(1, keepdims=True) / np.maximum(np.square(b).sum(1, keepdims=True), 1e-300)
    return float(np.square(rest - b * common).sum())


def nothing(test: Motion, noise: float, network: Array, order: int) -> dict[str, str]:
    """What to think of rows in which no force was found.

    Args:
        test: rows of unseen runs.
        noise: RMS error of a label's component.
        network: its prediction of those rows, shape [R, D].
        order: of the equation of motion.
    """
    size = mean(np.abs(test.labels), test)
    if size <= AS_NOISE * GAUSSIAN * noise:
        return {
            "level": "exact",
            "sentence": "No force: these particles move as noise alone would move them.",
        }
    sentence = "No law yet: no form that was tried explains anything."
    unsaid = unexplained(mean(np.abs(network - test.labels), test), test, noise)
    if unsaid > NOT_PAIRS:
        what = "velocities" if order == 1 else "accelerations"
        sentence = f"{sentence} {_beyond_pairs(min(unsaid, 1.0), what)}."
    return {"level": "none", "sentence": sentence}


def unexplained(mae: float, test: Motion, noise: float) -> float:
    """Share of the motion that a law of this mean error leaves when noise is taken off both."""
    floor, size = GAUSSIAN * noise, mean(np.abs(test.labels), test)
    motion = max(size**2 - floor**2, (0.01 * size) ** 2)
    return float(np.sqrt(max(mae**2 - (UNSURE * floor) ** 2, 0.0) / motion))


def alike(fit: Fit, motion: Motion, names: Sequence[str]) -> list[str]:
    """A sentence for each two terms that the data cannot tell apart.

    Args:
        fit: the law.
        motion: the rows that it was fitted to.
        names: of its terms, [C].
    """
    a = fit.form.columns(motion, fit.constants) * np.repeat(motion.trust, motion.labels.shape[1], axis=0)
    a = a / np.maximum(np.linalg.norm(a, axis=0), 1e-300)
    found = np.argwhere(np.triu(np.abs(a.T @ a), 1) > ALIKE)
    return [f"These data cannot tell {names[i]} from {names[k]}: only their sum is known" for i, k in found]


def percent(part: float) -> str:
    """A share in per cent, with two figures."""
    if part < 1e-5:
        return "below 0.001 %"
    return f"{100 * part:.0f} %" if part >= 0.0995 else f"{100 * part:.2g} %"
