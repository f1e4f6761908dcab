"""How many frames a derivative is best fitted to, found from the data themselves.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.derive import Differentiator

STEP = 1.15  # ratio of neighbouring windows that are tried, once they are wide
LARGE = 300_000  # coordinates that are enough to choose by


def choose(source: Array, derivative: int, order: int, widest: int) -> int:
    """The odd window up to `widest` whose fit makes the least error in a derivative.

    Scatter of the data makes an error that falls with the window; what a polynomial of this order cannot
    follow makes one that grows with it. The first follows from the scatter about the narrowest fit, the
    second from the difference to fits of two orders more. Their squares add.

    Args:
        source: what is differentiated, shape [S, T, n, D].
        derivative: 1 or 2.
        order: degree of the polynomials.
        widest: the narrowest window is returned where even that is wider.
    """
    narrowest = smallest(order)
    tracks, scatter = _sample(source, order)
    tried = {
        window: _error(tracks, derivative, scatter, window, order)
        for window in candidates(narrowest, min(widest, source.shape[1]))
    }
    return min(tried, key=tried.__getitem__, default=narrowest)


def smoothed(source: Array, dt: Array, fit: Differentiator) -> Array | None:
    """`source` as the fit has it, where that at least halves the variance of its error; else None."""
    tracks, scatter = _sample(source, fit.order)
    if not _error(tracks, 0, scatter, fit.window, fit.order) < scatter**2 / 2:
        return None
    return fit(source, dt, 0)


def smallest(order: int) -> int:
    """The narrowest window for polynomials of this order: 7 for the usual 4."""
    return order + 3 + order % 2


def candidates(narrowest: int, widest: int) -> list[int]:
    """Odd windows between these, each about `STEP` times the one before."""
    found = [narrowest] if widest >= narrowest else []
    while found and (following := max(found[-1] + 2, 2 * int(found[-1] * STEP / 2) + 1)) <= widest:
        found.append(following)
    return found


def _sample(source: Array, order: int) -> tuple[Array, float]:
    """Some of the tracks [S', T, 1, D], and the scatter about the narrowest fit to them."""
    tracks = np.moveaxis(source, 2, 1).reshape(-1, source.shape[1], 1, source.shape[3])
    tracks = tracks[:: -(-source.size // LARGE)]
    return tracks, Differentiator(smallest(order), order).scatter(tracks)


def _error(tracks: Array, derivative: int, scatter: float, window: int, order: int) -> float:
    """Mean square error of a derivative that scatter and the order of the fit together make, for dt = 1."""
    fit, finer = Differentiator(window, order), Differentiator(window, order + 2)
    weights, unit = fit.weights(derivative), np.ones(len(tracks))
    inner = slice(fit.half, tracks.shape[1] - fit.half)
    apart = (fit(tracks, unit, derivative) - finer(tracks, unit, derivative))[:, inner]
    missed = (apart**2).mean() - scatter**2 * ((weights - finer.weights(derivative)) ** 2).sum()
    return float(scatter**2 * (weights**2).sum() + max(0.0, missed))
