"""Whether the velocities of a file are those of its positions, and its accelerations those of its velocities.

What a particle has moved is the integral of its velocity; factors between the two are units that differ.
Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.pieces import clock
from gnn_distill.data.own.tracks import Observed

CLOSE = 0.9  # correlation from which on a factor is read off
OFF = 0.05  # by which a factor may differ from 1
LIKE = 0.02  # of a known factor, by which one that was found may differ from it
TRIMMED = 0.05  # of the steps that count least, those that differ most
LARGE = 300_000  # coordinates that are enough
FEWEST = 60  # steps that a factor can be read off
STRIDES = (2, 4, 8, 16, 32)  # frames over which what was moved is compared
FACTORS = {
    20.4548: "the time unit of CHARMM and NAMD files, 48.89 fs",
    10.1805: "the time unit of ASE, 10.18 fs",
    10.0: "nm and Å",
    100.0: "m and cm",
    1000.0: "a thousand, as between s and ms, ps and fs or m and mm",
    60.0: "minutes and seconds",
    3.6: "km/h and m/s",
}
"""Factors that are known, or their inverses, and where they come from."""


@dataclass(frozen=True)
class Agreement:
    """How steps of one series go with another that should be its derivative.

    Attributes:
        factor: steps over the integral of the other; `low` and `high` are its ends, since both have noise.
        correlation: of the two, at the stride where it is largest.
    """

    factor: float
    low: float
    high: float
    correlation: float

    @property
    def differs(self) -> bool:
        """Whether the factor is clearly not 1."""
        clear = abs(self.correlation) > CLOSE
        return clear and not self.low * (1 - OFF) <= 1 <= self.high * (1 + OFF)


def agreement(series: Array, rate: Array, dt: Array) -> Agreement | None:
    """Compare steps of a series [S, T, n, D] with the integral of its rate of change, by Simpson's rule.

    Args:
        series: positions, without jumps across a box, or velocities.
        rate: velocities, or accelerations; same shape.
        dt: time between frames [S].

    Returns:
        None where nothing changes, or there are too few steps.
    """
    some = slice(None, None, -(-series.size // LARGE))
    found = []
    for stride in (k for k in STRIDES if k < series.shape[1]):
        weights = np.full(stride + 1, 2.0)
        weights[1::2], weights[[0, -1]] = 4.0, 1.0
        ends = series.shape[1] - stride
        summed = sum(w * rate[:, k : k + ends] for k, w in enumerate(weights)) / (3.0 * stride)
        moved = (series[:, stride:] - series[:, :ends]) / (stride * dt[:, None, None, None])
        moved, summed = (part.reshape(-1, series.shape[3])[some] for part in (moved, summed))
        found.append(_compared(moved, summed) if len(moved) >= FEWEST else None)
    return max((each for each in found if each), key=lambda each: abs(each.correlation), default=None)


def _compared(moved: Array, summed: Array) -> Agreement | None:
    moved, summed = moved - moved.mean(0), summed - summed.mean(0)
    for _ in range(2):  # the second time without the steps that fit worst, of close encounters
        sizes = np.sqrt((moved**2).sum()), np.sqrt((summed**2).sum())
        if not min(sizes) > 0:
            return None
        cosine, factor = float((moved * summed).sum() / np.prod(sizes)), float(sizes[0] / sizes[1])
        off = ((moved - np.sign(cosine) * factor * summed) ** 2).sum(1)
        kept = off <= np.quantile(off, 1 - TRIMMED)
        moved, summed = moved[kept], summed[kept]
    ends = abs(cosine) * factor, factor / max(abs(cosine), 1e-300)
    signed = np.copysign(1.0, cosine)
    low, high = sorted((signed * ends[0], signed * ends[1]))
    return Agreement(float(signed * factor), float(low), float(high), cosine)


def check_velocities(seen: Observed, x: Array, dt: Array) -> list[str]:
    """Doubts about given velocities and accelerations.

    Args:
        seen: the file.
        x: its positions [S, T, n, D], without jumps across a box.
        dt: time between frames [S].

    Raises:
        InputError: velocities are those of the positions but for a factor.
    """
    v, a = seen.velocities, seen.accelerations
    doubts = []
    found = None if v is None else agreement(x, v, dt)
    if found is not None and found.differs:
        meant = _named(found.factor, float(dt.mean()))
        problem = f"velocities times {found.factor:.4g} are what positions and times say{meant}"
        fix = f"multiply them by {found.factor:.4g}, or leave them out, and they are derived"
        raise bad(seen.path, problem, f"{fix}; or mend the times, if these are wrong (dataset.time_step)")
    if found is not None and abs(found.correlation) < CLOSE:
        doubts.append(
            "Velocities of the file hardly go with the steps of its positions (correlation "
            f"{found.correlation:.2f}): one of them is noise, or they are of other times. Without "
            "columns of velocities, they are derived"
        )
    found = None if v is None or a is None else agreement(v, a, dt)
    if found is not None and found.differs:
        doubts.append(
            f"Accelerations of the file times {found.factor:.4g} are the change of its velocities"
            f"{_named(found.factor, float(dt.mean()))}: the law is in the units of the former, as of forces "
            "without masses"
        )
    return doubts


def implied_step(seen: Observed, x: Array) -> float | None:
    """The time from one frame to the next that velocities and positions together say; None for none."""
    if seen.velocities is None:
        return None
    frames, v = np.ones(len(x)) if seen.times is None else np.diff(seen.times).mean(1), seen.velocities
    if seen.sighted is not None:
        pieces = clock(seen, None, needed=False).pieces
        frames, x, v = pieces.times, pieces.sample(x), pieces.sample(v)
    found = agreement(x, v, frames)
    clear = found is not None and found.correlation > CLOSE and found.factor > 0
    return found.factor if found is not None and clear else None


def _named(factor: float, dt: float) -> str:
    """Where a factor may come from."""
    size = abs(factor)
    words = [] if factor > 0 else ["backwards"]
    words += [w for f, w in FACTORS.items() if min(abs(size / f - 1), abs(size * f - 1)) < LIKE]
    if abs(size * dt - 1) < LIKE:
        words.append("velocities per frame")
    return f" ({', or '.join(words)})" if words else ""
