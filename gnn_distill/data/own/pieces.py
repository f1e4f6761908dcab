"""Where tracks are unbroken, so that derivatives may be taken along them.

`Even` is for frames that all hold the same particles, `Pieces` for tracks with gaps. Methods are the same.
Shape letters: S trajectories, T frames, n particles, D space dims; N sightings, P pieces, U stretches of L
sightings.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from gnn_distill.arrays import Array
from gnn_distill.data.own.derive import JITTER, ROUNDED, Differentiator, counted_without_step
from gnn_distill.data.own.tracks import Observed
from gnn_distill.errors import InputError

Index = npt.NDArray[np.int64]

STRETCHES = np.unique(np.geomspace(8, 400, 60).astype(int))
"""Lengths of equal stretches that are looked at where tracks have gaps."""
KEPT = 0.5  # share of the sightings that must lie in such stretches
ROWS = 300_000  # sightings that are enough to choose by
INSIDE = 1 / 3  # share of the sightings that must keep their labels


@dataclass(frozen=True)
class Even:
    """Series [S, T, n, D] of frames that hold the same particles, `times` [S] apart."""

    times: Array
    frames: int

    @property
    def longest(self) -> int:
        """Frames of a track."""
        return self.frames

    def sample(self, series: Array) -> Array:
        """What scatter, windows and steps are judged by."""
        return series

    def derivative(self, series: Array, fit: Differentiator, order: int) -> Array:
        """Derivative of a series in time."""
        return fit(series, self.times, order)

    def ends(self, window: int, drop: bool, x: Array, v: Array, a: Array) -> tuple[int, Array, Array, Array]:
        """Positions, velocities and labels without those at the ends, and the number of the first frame."""
        lost = window // 2 if drop else 0
        cut = slice(lost, x.shape[1] - lost)
        return lost, x[:, cut], v[:, cut], a[:, cut]

    def steps(self, x: Array, late: int) -> tuple[Array, Array]:
        """Positions, and the velocities of steps that begin so many frames later."""
        labels = np.diff(x, axis=1) / self.times[:, None, None, None]
        return x[:, : x.shape[1] - 1 - late], labels[:, late:]


@dataclass(frozen=True)
class Pieces:
    """Series [1, N, 1, D] of sightings, track after track, each in order of time.

    Attributes:
        piece: number of the unbroken stretch of a track that a sighting belongs to, ascending, shape [N].
        dt: time between the frames of each piece, shape [P].
    """

    piece: Index
    dt: Array

    @functools.cached_property
    def length(self) -> Index:
        """Sightings of each piece, shape [P]."""
        return np.bincount(self.piece)

    @functools.cached_property
    def start(self) -> Index:
        """First row of each piece, shape [P]."""
        return np.cumsum(self.length) - self.length

    @property
    def longest(self) -> int:
        """Sightings of the longest piece."""
        return int(self.length.max())

    @functools.cached_property
    def drawn(self) -> Index:
        """Rows [U, L] of equal stretches inside of pieces."""
        kept = [(self.length // long * long).sum() for long in STRETCHES]
        good = np.flatnonzero(np.array(kept) >= KEPT * len(self.piece))
        long = int(STRETCHES[good[-1] if len(good) else np.argmax(kept)])
        long = min(long, self.longest)
        count = self.length // long
        first = np.repeat(self.start, count) + long * (
            np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        )
        every = -(-len(first) * long // ROWS)
        return np.asarray(first[::every, None] + np.arange(long))

    @property
    def times(self) -> Array:
        """Time between frames of each stretch that is drawn, shape [U]."""
        return np.asarray(self.dt[self.piece[self.drawn[:, 0]]])

    @property
    def widest(self) -> int:
        """The widest window that leaves `INSIDE` of the labels."""
        window = self.drawn.shape[1]
        while window > 3 and self.inside(window).mean() < INSIDE:
            window -= 1
        return window

    def sample(self, series: Array) -> Array:
        """Equal stretches of a series, shape [U, L, 1, D]."""
        return np.asarray(series[0][self.drawn])

    def inside(self, window: int) -> npt.NDArray[np.bool_]:
        """Sightings whose window lies inside of their piece, shape [N]."""
        at = np.arange(len(self.piece)) - self.start[self.piece]
        return (at >= window // 2) & (at < self.length[self.piece] - window // 2)

    def derivative(self, series: Array, fit: Differentiator, order: int) -> Array:
        """Derivative of a series in time; one-sided where the window would stick out of a piece.

        Pieces shorter than the window are fitted as a whole, by polynomials of lower degree. NaN where they
        are too short for a derivative.
        """
        values, window, half = series[0, :, 0], fit.window, fit.half
        found = correlate1d(values, fit.weights(order), axis=0, mode="nearest")
        whole, whole_start = _read_off(window, fit.order, order), self.start[self.length >= window]
        for rows, begin in ((slice(0, half), 0), (slice(window - half, window), window)):
            first = whole_start if not begin else whole_start + self.length[self.length >= window] - window
            place = first[:, None] + np.arange(window)
            found[place[:, rows]] = np.einsum("kw,pwd->pkd", whole[rows], values[place])
        for long in np.unique(self.length[self.length < window]):
            place = self.start[self.length == long][:, None] + np.arange(long)
            degree = min(int(long) - 1, max(order, -(-fit.order * int(long) // window)))
            found[place] = np.einsum("kw,pwd->pkd", _read_off(int(long), degree, order), values[place])
        scaled = found / self.dt[self.piece][:, None] ** order
        return np.asarray(scaled[None, :, None])

    def ends(self, window: int, drop: bool, x: Array, v: Array, a: Array) -> tuple[int, Array, Array, Array]:
        """The same series, labels NaN where the window sticks out of a piece; nothing is cut off in front."""
        inside = self.inside(window) if drop else self.length[self.piece] >= window
        return 0, x, v, np.where(inside[None, :, None, None], a, np.nan)

    def steps(self, x: Array, late: int) -> tuple[Array, Array]:
        """Positions, and the velocities of steps that begin so many frames later; NaN where there is none."""
        labels = np.full_like(x, np.nan)
        ahead = 1 + late
        with_step = np.flatnonzero(self.piece[ahead:] == self.piece[: len(self.piece) - ahead])
        moved = x[0, with_step + ahead] - x[0, with_step + late]
        labels[0, with_step] = moved / self.dt[self.piece[with_step]][:, None, None]
        return x, labels


def _read_off(window: int, degree: int, order: int) -> Array:
    """What each frame counts in the derivative of a fitted polynomial at each frame, [window, window]."""
    if degree < order:
        return np.full((window, window), np.nan)
    t = np.arange(window) - (window - 1) / 2
    scale = max(1.0, (window - 1) / 2)
    fitted = np.linalg.pinv(np.vander(t / scale, degree + 1, increasing=True))
    powers = np.arange(degree + 1)
    factor = np.ones(degree + 1)
    for k in range(order):
        factor = factor * (powers - k)
    read = (t[:, None] / scale) ** np.maximum(powers - order, 0) * factor / scale**order
    return np.asarray(read @ fitted)


@dataclass(frozen=True)
class Clock:
    """When sightings took place: numbers of frames on an even clock, and where tracks are unbroken.

    Attributes:
        pieces: see there.
        tick: number of the frame within its run, by the clock, shape [N].
        dt: time between frames of each run; in frames where no time step is known.
    """

    pieces: Pieces
    tick: Index
    dt: Array


def clock(seen: Observed, time_step: float | None, needed: bool) -> Clock:
    """The clock of tracks with gaps.

    Args:
        seen: the file.
        time_step: time between frames, where it is known.
        needed: whether derivatives have to be taken.

    Raises:
        InputError: derivatives are needed and the time step is unknown, or file and config disagree.
    """
    who: Any = seen.sighted
    if needed and time_step is None and seen.counted:
        raise counted_without_step()
    first = np.flatnonzero(np.diff(who.run, prepend=-1))
    usual = np.array([_usual(part) for part in np.split(who.time, first[1:])])
    if time_step is not None and not seen.counted:
        if (np.abs(usual - time_step) > ROUNDED * time_step).any():
            fix = f"the file's own times are {usual[0]:g} apart: leave it null, or mend the file"
            raise InputError("dataset.time_step", time_step, fix)
        usual = np.full(len(usual), time_step)
    step, run = np.diff(who.time), who.run[1:]
    same = (np.diff(who.run) == 0) & (np.diff(who.particle) == 0)
    jitter = ROUNDED if time_step is not None and not seen.counted else JITTER
    unbroken = same & (np.abs(step - usual[run]) <= jitter * usual[run])
    piece = np.concatenate([[0], np.cumsum(~unbroken)])
    count = np.bincount(run[unbroken], minlength=len(usual))
    mean = np.bincount(run[unbroken], step[unbroken], minlength=len(usual)) / np.maximum(count, 1)
    unit = (time_step or 1.0) if seen.counted else 1.0
    dt = np.where(count > 0, mean, usual) * unit
    begin = np.minimum.reduceat(who.time, first)
    tick = np.round((who.time - begin[who.run]) / usual[who.run]).astype(np.int64)
    ends = np.flatnonzero(np.diff(piece, prepend=-1))
    return Clock(Pieces(piece, dt[who.run[ends]]), tick, dt)


def _usual(times: Array) -> float:
    """The usual time between two frames of a run."""
    steps = np.diff(np.unique(times))
    return float(np.median(steps)) if len(steps) else 1.0
