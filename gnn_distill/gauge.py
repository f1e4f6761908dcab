"""The gauge: what a perfect network may do to its messages without changing a prediction.

φv knows the receiver's own features v_i, so it can undo e_ij → A(v_i)·e_ij + h(v_i). A message may thus
carry F, F/m_i, F·m_i^(−p) or any of them plus an offset that depends on the receiver. Here A ∝ m_i^(−p)
is fitted against the known force, with and without taking each receiver's mean over its incoming
edges off both sides, which removes h exactly. Source: PROTOCOL §6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from gnn_distill.linear import TRIM, Fit, fit_linear

Array = npt.NDArray[np.float64]

GRID = np.linspace(-0.5, 1.5, 9)


@dataclass(frozen=True)
class Gauge:
    """Messages ≈ offset + B · F m_i^(−p), component by component.

    Attributes:
        p: fitted (or fixed) power of the receiver's mass.
        centred: whether each receiver's mean was taken off both sides.
        robust: trimmed fits, one per message component; `ols` the ordinary ones.
    """

    p: float
    centred: bool
    robust: tuple[Fit, ...]
    ols: tuple[Fit, ...]

    @property
    def robust_mean(self) -> float:
        """Mean robust R² over the components."""
        return float(np.mean([fit.r2 for fit in self.robust]))


def fit_gauge(
    messages: Array,
    force: Array,
    m1: Array,
    receiver: npt.NDArray[np.int64],
    *,
    p: float | None = None,
    centred: bool | None = None,
) -> Gauge:
    """Fit messages [E, K] to F m1^(−p) with force F [E, D].

    Args:
        messages: selected components, standardised.
        force: exact pair forces.
        m1: receivers' masses [E].
        receiver: number of the receiving node of each edge [E], ascending.
        p: power of the receiver's mass; fitted if None.
        centred: take receivers' means off both sides; the better of the two if None.
    """
    if centred is None:
        both = [fit_gauge(messages, force, m1, receiver, p=p, centred=c) for c in (False, True)]
        return max(both, key=lambda gauge: gauge.robust_mean)
    if p is None:
        p = _best_power(messages, force, m1, receiver, centred)
    x, y = gauged(messages, force, m1, receiver, p, centred)
    columns = range(messages.shape[1])
    robust = tuple(fit_linear(x, y[:, k], TRIM) for k in columns)
    return Gauge(float(p), centred, robust, tuple(fit_linear(x, y[:, k]) for k in columns))


def centre(values: Array, receiver: npt.NDArray[np.int64]) -> Array:
    """Take each receiver's mean over its incoming edges off values [E, K]."""
    _, group, count = np.unique(receiver, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    return values - (sums / count[:, None])[group]


def fix_gauge(messages: Array, m1: Array, p: float, h: Array | float = 0.0) -> Array:
    """Messages that carry the force itself: the offset subtracted, the receiver's power divided out.

    Messages e = h(v_i) + B·F m_i^(−p) become (e − h) m_i^p = B·F, which symbolic regression can read
    without having to find m_i^(−p) and h with its operators.

    Args:
        messages: shape [E, K].
        m1: receivers' masses [E].
        p: power of the receiver's mass.
        h: offset, shape [E, K] or anything that broadcasts to it, in the units of `messages`.

    Returns:
        Shape [E, K].
    """
    return (messages - h) * m1[:, None] ** p


def gauged(
    messages: Array, force: Array, m1: Array, receiver: npt.NDArray[np.int64], p: float, centred: bool
) -> tuple[Array, Array]:
    """The two sides of the fit: F m1^(−p) and messages, receivers' means off both if `centred`."""
    x = force * m1[:, None] ** -p
    return (centre(x, receiver), centre(messages, receiver)) if centred else (x, messages)


def _best_power(
    messages: Array, force: Array, m1: Array, receiver: npt.NDArray[np.int64], centred: bool
) -> float:
    part = slice(0, int(np.searchsorted(receiver, receiver[min(len(receiver) - 1, 20_000)])) or None)

    def loss(p: float) -> float:
        x, y = gauged(messages[part], force[part], m1[part], receiver[part], p, centred)
        r2 = [fit_linear(x, y[:, k], TRIM, starts=2).r2 for k in range(y.shape[1])]
        return 1.0 - float(np.mean(r2))

    best = GRID[int(np.argmin([loss(p) for p in GRID]))]
    step = GRID[1] - GRID[0]
    return float(minimize_scalar(loss, bounds=(best - step, best + step), method="bounded").x)
