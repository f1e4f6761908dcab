"""The table of sightings that tracks with gaps make.

Shape letters: D space dims, F features, N sightings, M of them filled in; G graphs, n particles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.pieces import Clock
from gnn_distill.data.own.tracks import Sighted
from gnn_distill.physics.variables import Columns

Index = npt.NDArray[np.int64]


BRIDGED = 3  # frames of a gap over which a particle goes on acting on others, at least
MANY = 0.01  # share of the tracks in longer gaps from which on it is doubted


@dataclass(frozen=True)
class Rows:
    """What was seen, before it is known who acts on whom.

    Attributes:
        features: as `ParticleData` has them, shape [G, n, F], or as a table [1, N, F].
        labels: shape [G, n, D] or [1, N, D], NaN where there are none.
        unit: of a table what a split keeps together, see `gnn_distill.data.sightings.Sightings`; `frame` and
            `piece` likewise, each [N]. Empty where frames are equal.
        notes: what the table is like, in sentences.
        doubts: what is wrong with it.
    """

    features: Array
    labels: Array
    unit: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    frame: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    piece: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether these are a table of sightings."""
        return len(self.frame) > 0


def of_tracks(x: Array, a: Array, who: Sighted, clock: Clock, blocks: int, gap: int, every: int) -> Rows:
    """Features [N, F] and labels [N, D] of tracks with gaps, and of what short gaps are filled with.

    Args:
        x: features, not finite where a velocity could not be derived.
        a: labels.
        who: the sightings.
        clock: their times.
        blocks: of time, that each run is cut into.
        gap: frames between two blocks, whose sightings receive nothing.
        every: label each k-th frame only.
    """
    ticks = np.zeros(int(who.run.max()) + 1, dtype=np.int64)
    np.maximum.at(ticks, who.run, clock.tick + 1)
    length = np.maximum(1, (ticks - gap * (blocks - 1)) // blocks)[who.run]
    block, within = clock.tick // (length + gap), clock.tick % (length + gap)
    unit = np.where((within < length) & (block < blocks), who.run * blocks + block, -1)
    widest = max(BRIDGED, gap // 2)
    x = _with_velocities(x, a.shape[1], who, clock, widest)
    filled, frame = _bridges(x, a.shape[1], who, clock, widest)
    notes, doubts = _described(a, clock, _same_track(who), len(filled), widest)
    a = np.where((clock.tick % every == 0)[:, None], a, np.nan)
    none, unlabelled = np.full(len(filled), -1), np.full((len(filled), a.shape[1]), np.nan)
    x, piece = np.concatenate([x, filled]), np.concatenate([clock.pieces.piece, none])
    kept = np.isfinite(x).all(1)  # else of a lone sighting no velocity is known
    more = (np.concatenate([unit, none])[kept], np.concatenate([who.frame, frame])[kept], piece[kept])
    return Rows(x[kept][None], np.concatenate([a, unlabelled])[kept][None], *more, notes, doubts)


def _with_velocities(x: Array, dim: int, who: Sighted, clock: Clock, widest: int) -> Array:
    """Features [N, F] with the mean velocity between neighbouring sightings where no other is known."""
    lacking = np.flatnonzero(~np.isfinite(x).all(1))
    near = _same_track(who) & (np.diff(clock.tick) <= widest + 1)
    before, after = lacking - np.append(False, near)[lacking], lacking + np.append(near, False)[lacking]
    time = (clock.tick[after] - clock.tick[before]) * clock.dt[who.run[lacking]]
    found, columns = x.copy(), Columns(dim)
    with np.errstate(invalid="ignore"):
        moved = x[after, columns.position] - x[before, columns.position]
        found[lacking, columns.velocity] = moved / time[:, None]
    return found


def _same_track(who: Sighted) -> npt.NDArray[np.bool_]:
    """Whether the next row is of the same particle, shape [N − 1]."""
    return np.asarray((np.diff(who.run) == 0) & (np.diff(who.particle) == 0))


def _bridges(x: Array, dim: int, who: Sighted, clock: Clock, widest: int) -> tuple[Array, Index]:
    """Features [M, F] and frames [M] of sightings that are missing in gaps of up to so many frames.

    Positions go along a cubic through both ends and their velocities, where these are known. Frames in which
    nobody was seen stay empty.
    """
    step = np.diff(clock.tick)
    short = np.flatnonzero(_same_track(who) & (step > 1) & (step <= widest + 1))
    missing = step[short] - 1
    last = np.repeat(short, missing)
    ahead = np.arange(len(last)) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    span = int(clock.tick.max()) + 1
    moments, at = np.unique(who.run * span + clock.tick, return_index=True)
    wanted = who.run[last] * span + clock.tick[last] + ahead
    place = np.searchsorted(moments, wanted)
    there = moments[place] == wanted
    last, ahead, place = last[there], ahead[there], place[there]
    dt = clock.pieces.dt[clock.pieces.piece[last]] * step[last]
    made = x[last].copy()
    moving = slice(0, Columns(dim).charge)
    made[:, moving] = _between(x[:, moving], last, (ahead / step[last])[:, None], dt[:, None])
    return made, who.frame[at[place]]


def _between(state: Array, last: Index, share: Array, dt: Array) -> Array:
    """Positions and velocities [M, 2 D] at a share of the way from rows `last` to the next ones."""
    dim = state.shape[1] // 2
    (x0, v0), (x1, v1) = ((state[rows, :dim], state[rows, dim:]) for rows in (last, last + 1))
    if not np.nan_to_num(state[:, dim:]).any():  # motion of first order
        return np.concatenate([x0 + share * (x1 - x0), 0 * x0], 1)
    known, straight, s = np.isfinite(v0) & np.isfinite(v1), (x1 - x0) / dt, share
    v0, v1 = np.where(known, v0, straight), np.where(known, v1, straight)
    x = (2 * s**3 - 3 * s**2 + 1) * x0 + (3 * s**2 - 2 * s**3) * x1
    x += dt * ((s**3 - 2 * s**2 + s) * v0 + (s**3 - s**2) * v1)
    v = 6 * (s**2 - s) * (x0 - x1) / dt + (3 * s**2 - 4 * s + 1) * v0 + (3 * s**2 - 2 * s) * v1
    return np.concatenate([x, v], 1)


def _described(
    a: Array, clock: Clock, same: npt.NDArray[np.bool_], filled: int, widest: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is to be said about tracks with gaps, and what is wrong with them."""
    seen, lost = len(a), int((~np.isfinite(a).all(1)).sum())
    missing = int(np.diff(clock.tick)[same].sum() - same.sum())
    if missing == 0 and np.ptp(clock.pieces.length) == 0:
        return (), ()  # the same particles all the time
    notes = [
        f"particles come and go: {seen:,} sightings in {1 + int((~same).sum()):,} tracks, of "
        f"{len(clock.pieces.dt):,} unbroken pieces; {100 * missing / (missing + seen):.2g} % of the tracks "
        f"are gaps. {100 * lost / seen:.2g} % of the sightings have no label, which would reach beyond their "
        "piece"
    ]
    if filled:
        notes.append(
            f"gaps of up to {widest} frames are bridged: {filled:,} positions in them act on others, "
            "and are not learned from"
        )
    if (longer := missing - filled) <= MANY * seen:
        return tuple(notes), ()
    doubt = (
        f"{100 * longer / (missing + seen):.2g} % of the tracks are longer gaps: particles that were not "
        "seen then act on the others all the same, which no law of those that were seen can say"
    )
    return tuple(notes), (doubt,)
