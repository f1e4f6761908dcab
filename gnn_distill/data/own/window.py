"""How many frames a derivative is best fitted to, found from the data themselves.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gnn_distill.arrays import Array
from gnn_distill.data.own.derive import Differentiator

STEP = 1.15  # ratio of neighbouring windows that are tried, once they are wide
WORSE = 2.0  # times the least mean square error so far: no wider window is tried
LARGE = 300_000  # coordinates that are enough to choose by
KICKED = 0.05  # share of a derivative that random forces must make to be spoken of
DROWNED = 4.0  # times the mean square that scatter makes: what random forces make, and hide it
KNOWN = 1.1  # factor to which noise is known, where the narrowest fit is full of it
WIDER = (1.6, 2.4, 3.6)  # times the narrowest window: what they leave tells scatter from random forces


@dataclass(frozen=True)
class Noise:
    """What is random in a series, for frames 1 apart.

    Args:
        scatter: standard deviation of each value, independent from frame to frame.
        kicks: variance that random forces add to a velocity from one frame to the next.
        sums: of kicks, that make the series: 2 for positions, 1 for velocities.
    """

    scatter: float
    kicks: float
    sums: int

    @classmethod
    def of(cls, source: Array, order: int, sums: int) -> Noise:
        """The noise of tracks [S, T, n, D] by what narrow fits of polynomials leave.

        Scatter leaves the same in wider windows, kicks leave more, and smooth motion far more.
        """
        tracks, narrow = _sample(source), smallest(order)
        widths = [narrow] + [
            w for w in (2 * int(narrow * f / 2) + 1 for f in WIDER) if w <= source.shape[1] // 2
        ]
        if source.shape[1] < narrow:
            return cls(0.0, 0.0, sums)
        fits = [Differentiator(width, order) for width in widths]
        left = np.array([fit.scatter(tracks) ** 2 for fit in fits])
        if not left.all():
            return cls(0.0, 0.0, sums)
        kicked = [_kicked(fit.residual, sums) / (1 - fit.weights(0)[fit.half]) for fit in fits]
        smooth = (np.array(widths) / narrow) ** float(2 * (order + 2 - order % 2))
        parts, _ = nnls(np.stack([np.ones(len(fits)), kicked, smooth], 1) / left[:, None], np.ones(len(fits)))
        return cls(float(np.sqrt(parts[0])), float(parts[1]), sums)

    def error(self, weights: Array, *, kicks: bool = True) -> float:
        """Mean square of a sum over frames with these weights, with or without random forces."""
        return float(self.scatter**2 * (weights**2).sum() + kicks * self.kicks * _kicked(weights, self.sums))

    def drowned(self, weights: Array, whole: float) -> bool:
        """Whether random forces make far more of a sum with these weights than scatter, and much of it.

        Args:
            weights: of frames.
            whole: mean square of the sum.
        """
        scatter = self.error(weights, kicks=False)
        return max(DROWNED * scatter, KICKED**2 * whole) < self.error(weights) - scatter


def _kicked(weights: Array, sums: int) -> float:
    """What kicks of variance 1 in each frame make of a sum with these weights, mean square.

    Weights add up to zero, and with two sums have no linear part. A kick at any time between frames counts
    what lies between the sums of weights there.
    """
    counts = np.append(0.0, np.cumsum(weights))
    if sums == 1:
        return float((counts**2).sum())
    counts = np.append(0.0, np.cumsum(counts))
    before, after = counts[:-1], counts[1:]
    return float((before**2 + before * after + after**2).sum() / 3)


def choose(source: Array, derivative: int, order: int, widest: int, sums: int) -> int:
    """The odd window up to `widest` whose fit makes the least error in a derivative.

    Scatter of the data makes an error that falls with the window; what a polynomial of this order cannot
    follow makes one that grows with it. The second is seen in the difference to fits of two orders more, and
    to the narrowest fit (encounters are shorter than a wide window), less what noise makes of these. Their
    squares add. Random forces are no error: they are accelerations. But where they drown the scatter, a wider
    window tells nothing more, and mixes causes with effects.

    Args:
        source: what is differentiated, shape [S, T, n, D].
        derivative: 1 or 2.
        order: degree of the polynomials.
        widest: the narrowest window is returned where even that is wider.
        sums: 2 for positions, 1 for velocities.
    """
    best, noise = smallest(order), Noise.of(source, order, sums)
    least = np.inf
    for window in candidates(best, min(widest, source.shape[1])):
        fit = Differentiator(window, order)
        if noise.drowned(fit.weights(derivative), fit.mean_square(_sample(source), derivative)):
            return window
        error = _error(_sample(source), derivative, noise, window, order)
        if error < least:
            best, least = window, error
        elif error > WORSE * least:  # fits of both orders are flat where the window is wider than the motion
            break
    return best


def smoother(source: Array, fit: Differentiator, sums: int) -> bool:
    """Whether the fit at least halves the variance of the error of `source`."""
    noise = Noise.of(source, fit.order, sums)
    return _error(_sample(source), 0, noise, fit.window, fit.order) < noise.scatter**2 / 2


def smallest(order: int) -> int:
    """The narrowest window for polynomials of this order: 7 for the usual 4."""
    return order + 3 + order % 2


def candidates(narrowest: int, widest: int) -> list[int]:
    """Odd windows between these, each about `STEP` times the one before."""
    found = [narrowest] if widest >= narrowest else []
    while found and (following := max(found[-1] + 2, 2 * int(found[-1] * STEP / 2) + 1)) <= widest:
        found.append(following)
    return found


def _sample(source: Array) -> Array:
    """Some of the tracks, as [S', T, 1, D]."""
    tracks = np.moveaxis(source, 2, 1).reshape(-1, source.shape[1], 1, source.shape[3])
    return tracks[:: -(-source.size // LARGE)]


def _error(tracks: Array, derivative: int, noise: Noise, window: int, order: int) -> float:
    """Mean square error of a derivative that scatter and the order of the fit together make, for dt = 1."""
    fit, finer = Differentiator(window, order), Differentiator(window, order + 2)
    narrow = Differentiator(smallest(order), order)
    weights, unit = fit.weights(derivative), np.ones(len(tracks))
    inner = slice(fit.half, tracks.shape[1] - fit.half)

    def missed(other: Differentiator, known: float) -> float:
        apart = (fit(tracks, unit, derivative) - other(tracks, unit, derivative))[:, inner]
        beside = np.pad(other.weights(derivative), fit.half - other.half)
        return float((apart**2).mean()) - known * noise.error(weights - beside)

    return noise.error(weights, kicks=False) + max(0.0, missed(finer, 1.0), missed(narrow, KNOWN))
