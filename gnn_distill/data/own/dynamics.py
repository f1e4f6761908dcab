"""Of which order the equation of motion is, as tracks show it.

Shape letters: S trajectories, T frames, n particles, D space dims; F frames that are looked at, P features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.motion import Motion
from gnn_distill.data.own.neighbours import nearest
from gnn_distill.data.own.steps import diffusive_share
from gnn_distill.data.own.terms import Pairs, own_features
from gnn_distill.data.own.terms import places as places_of
from gnn_distill.data.own.tracks import Box, Observed, Sighted
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import ANGLES

DYNAMICS = ("auto", "second_order", "first_order")
DIFFUSIVE, CLEAN = 0.65, 0.4  # shares of diffusion in second differences: more and less than these decide
ALL = 0.95  # of accelerations left unexplained: nothing is
NOTHING, MUCH = 0.8, 0.3  # of a motion left unexplained: it is not of this order; too much for first order
NOISY = 0.5  # share of random forces in accelerations that explains why nothing else does
BOTH = 0.05  # of accelerations left unexplained in a single run, below which second order cannot be ruled out
NEARLY, SURE = 0.01, 30.0  # the same of several runs, if velocities are not so many times better explained
CLEARER = 3.0  # times that one order must explain better than the other
PAIRS = 150_000  # that are enough to compare by
NEAREST = 64  # neighbours of a sighting that are looked at, where frames hold different particles
RECEIVERS = 20  # of each frame, likewise
FRAMES = 100  # at least
GROUPS = 4  # blocks of time, where there are fewer trajectories
HATS = (12, 6, 3)  # functions of distance; fewer where data are few
ROWS = 3  # for each unknown, at least
STARTS = 20  # from which individuals are shared out among two laws
RIDGES = (1e-8, 1e-4, 1e-2)  # shares of the mean square of a column

Index = npt.NDArray[np.int64]

CHOOSE = "say which it is: dataset.dynamics=second_order (inertia) or first_order (overdamped)"


@dataclass(frozen=True)
class Verdict:
    """The order of the equation of motion, whether steps are noisy, and how that was found."""

    order: int
    noisy: bool
    note: str


def judge_steps(x: Array) -> Verdict | None:
    """The verdict where steps are noisy; None where tracks are smooth.

    Overdamped particles forget their velocity from one frame to the next, others keep it.

    Args:
        x: positions [S, T, n, D], without jumps across a box.

    Raises:
        InputError: this cannot be told apart.
    """
    share = diffusive_share(x)
    if share is None:
        seen = "between neighbouring frames positions only scatter, and no motion is seen beside it"
        raise InputError("dataset.dynamics", "auto", f"{seen}: track more exactly or more often, or {CHOOSE}")
    value, low, high = (100 * s for s in share)
    seen = f"diffusion makes {value:.0f} % ({low:.0f} to {high:.0f}) of the change of steps"
    if low > 100 * DIFFUSIVE:
        forgotten = "steps have no memory of the one before, as those of overdamped particles"
        return Verdict(1, True, f"first order: {forgotten}; {seen}")
    if value < 100 * CLEAN:
        return None
    raise InputError("dataset.dynamics", "auto", f"{seen}, which decides nothing: {CHOOSE}")


def is_smooth(x: Array) -> bool:
    """Whether neighbouring steps are nearly the same, but for scatter of the positions."""
    share = diffusive_share(x)
    return share is not None and share[0] < CLEAN


def judge_smooth(seen: Observed, motion: Motion) -> Verdict:
    """The verdict on smooth tracks: what explains the motion of unseen times better?

    First order makes velocities functions of positions. Second order makes accelerations functions of
    positions and velocities. A one-body part and pair terms that add, with free functions of distance, are
    fitted to both, and compared on trajectories or times that were left out.

    Raises:
        InputError: this cannot be told apart.
    """
    velocity = _unexplained(seen, motion, motion.velocities, moving=False)
    acceleration = _unexplained(seen, motion, motion.labels, moving=True)
    if velocity is None or acceleration is None:
        raise InputError("dataset.dynamics", "auto", f"there are too few frames to tell: {CHOOSE}")
    of_v, of_a = (f"{100 * part:.{0 if part > 0.0995 else 2}f} %" for part in (velocity, acceleration))
    said = (
        f"positions leave {of_v} of the velocities unexplained, positions and velocities {of_a} of the "
        "accelerations, on unseen frames"
    )
    kicked = motion.noise**2 > NOISY * float(np.nanmean(motion.labels**2))
    inert = velocity > NOTHING and (acceleration < ALL or kicked)
    if inert or acceleration < min(1.0, velocity) / CLEARER:
        return Verdict(2, False, f"second order: {said}")
    if velocity < MUCH and velocity < acceleration / CLEARER:
        runs = len(seen.positions) if seen.sighted is None else len(np.unique(seen.sighted.run))
        unsure = acceleration < NEARLY and velocity > acceleration / SURE
        if unsure or (runs == 1 and acceleration < BOTH):
            why = f"{said}: in runs that come to rest both orders do"
            raise InputError("dataset.dynamics", "auto", f"{why}; record how more of them begin, or {CHOOSE}")
        return Verdict(1, False, f"first order: {said}")
    raise InputError("dataset.dynamics", "auto", f"{said}, which decides nothing: {CHOOSE}")


def _unexplained(seen: Observed, motion: Motion, target: Array, moving: bool) -> float | None:
    """Share of `target` [S, L, n, D] that no sum of one-body and pair terms explains; None for few data."""
    if seen.sighted is not None:
        known = np.isfinite(np.concatenate([target[0, :, 0], motion.velocities[0, :, 0]], 1)).all(1)
        every = _spread(np.flatnonzero(known), PAIRS // NEAREST)
        found = [_least(*_surroundings(seen, motion, target, every), seen.box, moving)]
        found.append(_alone(seen, motion, target, moving, known))
        return min((share for share in found if share is not None), default=None)
    sims, length, n, _ = target.shape
    group = np.arange(sims)[:, None] if sims >= GROUPS else np.arange(length)[None] * GROUPS // length
    group = np.broadcast_to(group, (sims, length)).ravel()
    receivers = np.unique(np.linspace(0, n - 1, RECEIVERS).astype(int))
    many = max(FRAMES, PAIRS // (n * len(receivers)))
    picked = np.unique(np.linspace(0, len(group) - 1, many).astype(int))
    span, train = slice(motion.first, motion.first + length), group[picked] % 2 == 0
    series = (motion.positions, motion.velocities, target, seen.charges[:, span], seen.masses[:, span])
    x, v, y, q, m, f = (
        p.reshape(sims * length, *p.shape[2:])[picked] for p in (*series, _further(seen)[:, span])
    )
    present = np.ones(x.shape[:2], dtype=bool)
    return _least((x, v, y[:, receivers], q, m, f), present, receivers, train, n <= HATS[0], seen.box, moving)


def _further(seen: Observed) -> Array:
    """What further columns bring to a particle, shape [S, T, n, K]: their values, of angles the direction."""
    found = [seen.features]
    for k, name in enumerate(seen.names):
        if name in ANGLES:
            found += [np.cos(seen.features[..., [k]]), np.sin(seen.features[..., [k]])]
    return np.concatenate(found, axis=-1)


def _spread(rows: Index, many: int) -> Index:
    """So many of the rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(many, len(rows))).astype(int))]


def _surroundings(
    seen: Observed, motion: Motion, target: Array, picked: Index
) -> tuple[tuple[Array, ...], npt.NDArray[np.bool_], Index, npt.NDArray[np.bool_], bool]:
    """These sightings, each with its nearest neighbours as a frame of its own; arguments of `_least`."""
    who: Any = seen.sighted
    x, v, y = (part[0, :, 0] for part in (motion.positions, motion.velocities, target))
    q, m, f = seen.charges[0, :, 0], seen.masses[0, :, 0], _further(seen)[0, :, 0]
    runs, frames = len(np.unique(who.run)), int(who.frame.max()) + 1
    group = who.run if runs >= GROUPS else who.frame * GROUPS // frames
    near = nearest(who.frame, x, NEAREST, seen.box, picked)
    present = (near >= 0) & np.isfinite(v[near]).all(-1)
    rows = np.concatenate([picked[:, None], np.where(present, near, picked[:, None])], 1)
    present = np.concatenate([np.ones((len(picked), 1), dtype=bool), present], 1)
    parts = x[rows], v[rows], y[picked][:, None], q[rows], m[rows], f[rows]
    return parts, present, np.zeros(1, dtype=int), group[picked] % 2 == 0, False


def _alone(seen: Observed, motion: Motion, target: Array, moving: bool, known: Any) -> float | None:
    """What is left where some individuals, or two kinds of them, may obey central laws of their own.

    None for few data.
    """
    who = np.where(known, cast(Sighted, seen.sighted).particle, -1)
    some = _spread(np.unique(who[known]), RECEIVERS)
    many = 2 * PAIRS // NEAREST // len(some)
    picked = np.sort(np.concatenate([_spread(np.flatnonzero(who == k), many) for k in some]))
    (x, v, y, q, m, f), present, receivers, train, _ = _surroundings(seen, motion, target, picked)
    pairs = Pairs.of(x, v, q, m, f, receivers, seen.box, moving, present)
    x, v, q, m, f = (part[:, receivers] for part in (x, v, q, m, f))
    own = own_features(x, v, q, m, f, seen.box, moving)
    of = np.searchsorted(some, who[picked])
    for hats in HATS:
        terms = np.concatenate([pairs.central(hats), own], -1)
        kind = _two_kinds(terms[train], y[train], of[train], len(some))[of]
        found = []
        for groups in (of, kind):
            each = [
                _left(terms[here], y[here], train[here], moving)
                for here in (groups == k for k in np.unique(groups))
            ]
            found.append(None if None in each else float(np.mean([e for e in each if e is not None])))
        if found[0] is not None:
            return min(share for share in found if share is not None)
    return None


def _two_kinds(features: Array, y: Array, of: Index, count: int) -> Index:
    """Which of two laws explains each of so many individuals better, shape [count].

    Args:
        features: sums of features [F, 1, D, P] may be laws.
        y: to be explained, shape [F, 1, D].
        of: numbers of the individuals, shape [F].
        count: number of individuals.
    """
    known = features / np.maximum(np.sqrt((features**2).mean((0, 1, 2))), 1e-300)
    square, onto = np.zeros((count, *known.shape[-1:] * 2)), np.zeros((count, known.shape[-1]))
    for k in range(count):
        here = known[of == k].reshape(-1, known.shape[-1])
        square[k], onto[k] = here.T @ here, here.T @ y[of == k].reshape(-1)
    best, least, rng = np.zeros(count, dtype=int), np.inf, np.random.default_rng(0)
    ridge = RIDGES[1] * len(y) * np.eye(known.shape[-1])
    for label in rng.integers(0, 2, (STARTS, count)):
        for _ in range(STARTS):
            laws = [
                np.linalg.solve(square[label == k].sum(0) + ridge, onto[label == k].sum(0)) for k in (0, 1)
            ]
            left = np.stack([np.einsum("p,kpq,q->k", f, square, f) - 2 * onto @ f for f in laws])
            label = left.argmin(0)
        if left.min(0).sum() < least:
            best, least = label, float(left.min(0).sum())
    return best


def _least(
    parts: tuple[Array, ...],
    present: npt.NDArray[np.bool_],
    receivers: Index,
    train: npt.NDArray[np.bool_],
    each_sender: bool,
    box: Box | None,
    moving: bool,
) -> float | None:
    """What the best of several fits leaves; see `_unexplained`.

    Args:
        parts: positions and velocities [F, n, D], target of receivers [F, R, D], charges and masses [F, n],
            what further columns bring [F, n, K].
        present: which of the n particles are there, shape [F, n].
        receivers: numbers of the R receivers.
        train: frames that are fitted to, shape [F].
        each_sender: whether each sender may act by functions of its own.
        box: edges of the periodic box.
        moving: whether velocities are read.
    """
    x, v, y, q, m, f = parts
    pairs = Pairs.of(x, v, q, m, f, receivers, box, moving, present)
    x, v, q, m, f = (part[:, receivers] for part in (x, v, q, m, f))
    own, places = own_features(x, v, q, m, f, box, moving), places_of(x, box)
    found = []
    for hats in HATS:
        for some in (pairs, pairs.fewer)[: 1 + (pairs.spare > 0)]:
            terms = some.summed(hats)
            found.append(_left(np.concatenate([terms, own], -1), y, train, moving))
            found.append(_left(np.concatenate([terms, own, places], -1), y, train, moving))
        single = np.concatenate([pairs.by_sender(hats) if each_sender else terms, own], -1)
        each = [_left(single[:, i : i + 1], y[:, i : i + 1], train, moving) for i in range(len(receivers))]
        found.append(None if None in each else float(np.mean([share for share in each if share is not None])))
        if found[0] is not None:
            break
    return min((share for share in found if share is not None), default=None)


def _left(features: Array, y: Array, train: npt.NDArray[np.bool_], moving: bool) -> float | None:
    """Typical share of `y` [F, n, D] that a sum of features [F, n, D, P] leaves over where it was not fitted.

    The squared ratio of the median error to the median of `y`, so that few close encounters do not decide.
    They may rule the fit to accelerations (`moving`): so there is a second one, where what is large counts by
    its size, not by its square, and the better one is taken.
    """
    known = features[train].reshape(-1, features.shape[-1])
    if len(known) < ROWS * known.shape[1] or train.all():
        return None
    y, unseen = y - y[train].mean((0, 1)), ~train
    wanted = y[train].reshape(-1)
    size = np.linalg.norm(y, axis=-1)
    usual = max(float(np.median(size[train])), 1e-300)
    less = np.repeat(1.0 / np.sqrt(1.0 + (size[train] / usual) ** 2), y.shape[-1])
    shares = []
    for weight in (np.ones(len(wanted)), less):
        known_, wanted_ = known * weight[:, None], wanted * weight
        scale = np.sqrt((known_**2).mean(0))
        scale = np.where(scale > 0, scale, 1.0)
        known_ = known_ / scale
        square, onto = known_.T @ known_ / len(known_), known_.T @ wanted_ / len(known_)
        found = []
        for ridge in RIDGES:
            factors = np.linalg.solve(square + ridge * np.eye(len(square)), onto) / scale
            error = np.linalg.norm(y[unseen] - features[unseen] @ factors, axis=-1)
            found.append(float(np.median(error)) / max(float(np.median(size[unseen])), 1e-300))
        shares.append(min(found) ** 2)
    return min(shares) if moving else shares[0]
