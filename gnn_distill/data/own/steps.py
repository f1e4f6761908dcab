"""What the steps between frames tell: diffusion, localisation noise, and whether motion has a memory.

Shape letters: S trajectories, T frames, n particles, D space dims, U pieces of track, K strides.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import nnls
from scipy.stats import t as student

from gnn_distill.arrays import Array

PIECES = 40  # of the tracks, at least, so that their scatter gives intervals
SHORTEST = 12  # steps of a piece
APART = (2, 3, 4, 5)  # steps between those whose product holds what the steps share: the mean drift
POWERS = (0, 1, 3, 4)  # growth with the stride: scatter of positions, diffusion, kicks of velocity, smooth
DRAWS = 200  # of the bootstrap
STRIDES = 64  # the longest
SEEN = 2.0  # times the second difference over one frame: less is scatter alone


def pieces(series: Array) -> Array:
    """Tracks [S, T, n, D] cut in time into U pieces of equal length L, as [U, L, D].

    Pieces of different particles and of different times count as independent.
    """
    sims, frames, n, dim = series.shape
    cuts = max(1, min(-(-PIECES // (sims * n)), frames // SHORTEST))
    length = frames // cuts
    kept = series[:, : cuts * length].reshape(sims, cuts, length, n, dim)
    return np.moveaxis(kept, 3, 2).reshape(-1, length, dim)


def estimates(positions: Array, dt: Array) -> dict[str, tuple[float, float, float]]:
    """Diffusion constant D and localisation noise σ of overdamped tracks, with intervals of 95 %.

    With c_k the mean product of steps k apart, D = (c₀ − c)/(2 dt) + (c₁ − c)/dt and σ² = c − c₁, where c,
    the mean of those 2 to 5 apart, takes off what drift adds to all of them. Intervals: Student's, over
    pieces of track.

    Source: C. L. Vestergaard, P. C. Blainey, H. Flyvbjerg (2014), Phys. Rev. E 89, 022726.

    Args:
        positions: shape [S, T, n, D], without jumps across a box.
        dt: time between frames [S].

    Returns:
        `diffusion` in length²/time and `localisation_noise` in length, each its value, low and high end.
    """
    steps = pieces(np.diff(positions, axis=1))
    time = np.repeat(dt, len(steps) // len(dt))
    apart = [k for k in APART if k < steps.shape[1]]
    drift = np.mean([_product(steps, k) for k in apart], axis=0)
    near = _product(steps, 1) - drift
    diffusion = ((_product(steps, 0) - drift) / 2 + near) / time
    found = {"diffusion": interval(diffusion)}
    variance = interval(-near)
    low, value, high = (float(np.sqrt(max(0.0, variance[k]))) for k in (1, 0, 2))
    return found | {"localisation_noise": (value, low, high)}


def velocity_diffusion(source: Array, dt: Array, sums: int) -> tuple[float, float, float]:
    """Diffusion constant of velocities that random forces kick, ⟨Δv²⟩ = 2 D dt, with an interval of 95 %.

    Products of neighbouring changes of velocity, c_k for those k apart, add up to what kicks make of one;
    scatter adds nothing to the sum. The mean of those further apart takes off what forces add to all.

    Args:
        source: positions (`sums` 2) or velocities (`sums` 1), shape [S, T, n, D].
        dt: time between frames [S].
        sums: of changes of velocity that make the series.
    """
    changes = pieces(np.diff(source, sums, axis=1))
    time = np.repeat(dt, len(changes) // len(dt))
    slow = np.mean([_product(changes, k + sums - 1) for k in APART], axis=0)
    total = sum((1 if k == 0 else 2) * (_product(changes, k) - slow) for k in range(sums + 1))
    return interval(total / (2 * time ** (2 * sums - 1)))


def _product(steps: Array, apart: int) -> Array:
    """Mean product of one component of steps [U, L, D] so far apart, for each piece [U]."""
    return (steps[:, : steps.shape[1] - apart] * steps[:, apart:]).mean((1, 2))


def interval(values: Array) -> tuple[float, float, float]:
    """Mean of independent estimates [U], and the interval of 95 % that holds it."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, -np.inf, np.inf
    half = float(student.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def diffusive_share(positions: Array) -> tuple[float, float, float] | None:
    """Share that diffusion has in the second differences of a track over k frames, scatter left aside.

    |x(t + k) − 2 x(t) + x(t − k)|² grows as k⁰ where positions scatter, as k where they diffuse, as k³
    where random forces kick velocities and as k⁴ where motion is smooth. Parts of these four, none of them
    negative, are fitted to it at several strides; the share is that where scatter does not hide the rest.

    Args:
        positions: shape [S, T, n, D], without jumps across a box.

    Returns:
        The share with the interval of 95 % of a bootstrap over pieces of track; None where positions
        scatter and nothing else is seen, or tracks are too short.
    """
    tracks = pieces(positions)
    length = tracks.shape[1]
    if length < 2 * 4 + 1:
        return None
    longest = 4
    first = np.median(_bends(tracks, np.array([1])))
    if not first > 0:
        return 0.0, 0.0, 0.0
    while np.median(_bends(tracks, np.array([longest]))) < SEEN * first:
        longest *= 2
        if longest > min(STRIDES, (length - 1) // 2):
            return None
    strides = np.unique(np.round(np.geomspace(1, longest, 8)).astype(int))
    bends = _bends(tracks, strides)
    value = _share(np.median(bends, 0), strides)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(bends), (DRAWS, len(bends)))
    low, high = np.quantile([_share(np.median(bends[d], 0), strides) for d in drawn], [0.025, 0.975])
    return value, float(low), float(high)


def _bends(tracks: Array, strides: Array) -> Array:
    """Median square of second differences of tracks [U, L, D] over each stride, [U, K].

    The mean would be that of the few close encounters, where even smooth tracks have kinks.
    """
    found = []
    for k in strides:
        bend = tracks[:, 2 * k :] - 2 * tracks[:, k:-k] + tracks[:, : -2 * k]
        found.append(np.median((bend**2).sum(-1), 1))
    return np.stack(found, 1)


def _share(bends: Array, strides: Array) -> float:
    """Share of diffusion beside all but scatter, at the first stride where scatter is less than half."""
    grown = strides[:, None] ** np.array(POWERS, dtype=float) / bends[:, None]
    parts, _ = nnls(grown, np.ones(len(strides)))
    parts = parts * grown
    moving = parts[:, 1:].sum(1)
    clear = np.flatnonzero(moving >= parts[:, 0])
    k = clear[0] if len(clear) else -1
    return float(parts[k, 1] / max(moving[k], 1e-300))


def noise_of(found: Mapping[str, tuple[float, float, float]], dt: float) -> float:
    """RMS of what is random in one component of a step's velocity Δx/dt."""
    diffusion, scatter = (max(0.0, found[name][0]) for name in ("diffusion", "localisation_noise"))
    return float(np.sqrt(2 * diffusion / dt + 2 * scatter**2 / dt**2))
