"""The gauge: what a perfect network may do to its messages without changing a prediction.

φv knows the receiver's own features v_i, so it can undo e_ij → A(v_i)·e_ij + h(v_i). A message may thus
carry F, F/m_i, F·m_i^(−p) or any of them plus an offset that depends on the receiver. Here A ∝ m_i^(−p)
is fitted against the known force, with and without taking each receiver's mean over its incoming
edges off both sides, which removes h exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from gnn_distill.analyse.bootstrap import Resamples
from gnn_distill.analyse.linear import TRIM, Fit, fit_column
from gnn_distill.arrays import Array

GRID = np.linspace(-0.5, 1.5, 9)
SEARCHED = 20_000
"""Edges on which the power is searched for."""
REFINED = 2
"""Corrections of the power on all edges."""


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

    @property
    def ols_mean(self) -> float:
        """The same of the ordinary fits."""
        return float(np.mean([fit.r2 for fit in self.ols]))


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

    ```python
    m = load_run(path).messages
    fit_gauge(m.selected, m.force, m.m1, m.receiver).p  # 0: they carry F, 1: F / m1
    ```

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
    robust = tuple(fit_column(x, y[:, k], TRIM) for k in columns)
    return Gauge(float(p), centred, robust, tuple(fit_column(x, y[:, k]) for k in columns))


def centre(values: Array, receiver: npt.NDArray[np.int64]) -> Array:
    """Take each receiver's mean over its incoming edges off values [E, K]."""
    _, group, count = np.unique(receiver, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    return values - (sums / count[:, None])[group]


def fix_gauge(messages: Array, m1: Array, p: float, h: Array | float = 0.0) -> Array:
    """Messages that carry the force itself: the offset subtracted, the receiver's power divided out.

    Messages e = h(v_i) + B·F m_i^(−p) become (e − h) m_i^p = B·F, which symbolic regression can read
    without having to find m_i^(−p) and h with its operators.

    ```python
    fit_linear(fix_gauge(m.selected, m.m1, gauge.p), m.force).r2
    ```

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


def correction(x: Array, y: Array, m1: Array, fits: Sequence[Fit], draws: Resamples) -> Array:
    """What is to be added to p on each draw [W], to first order, on the points that the fits keep.

    F m^(−p − δ) = F m^(−p) (1 − δ log m), so δ is one more coefficient of the linear fits; components count
    by the inverse of their residual variance.
    """
    top, bottom = np.zeros(len(draws.weights)), np.zeros(len(draws.weights))
    known = slice(0, x.shape[1] + 1)
    for fit, column in zip(fits, y.T, strict=True):
        z = -(x @ fit.slope) * np.log(m1)
        m = draws.moments(np.vstack([np.ones(len(z)), x.T, z, column - fit.predict(x)]), fit.kept)
        inverse = np.linalg.pinv(m[:, known, known], rcond=1e-13, hermitian=True)
        across = np.einsum("wij,wjk->wik", inverse, m[:, known, -2:])
        rest = m[:, -2:, -2:] - np.einsum("wji,wjk->wik", m[:, known, -2:], across)
        weight = 1.0 / max(float(rest[:, 1, 1].mean()), 1e-300)
        top, bottom = top + weight * rest[:, 0, 1], bottom + weight * rest[:, 0, 0]
    return np.asarray(top / np.where(bottom > 0, bottom, np.nan), dtype=np.float64)


def receiver_offsets(messages: Array, force: Array, m1: Array, gauge: Gauge, receiver: Any) -> Array:
    """h(v_i) as the known law shows it: each receiver's mean of messages − B·F m_i^(−p), shape [E, K].

    Args:
        messages: selected components [E, K].
        force: exact pair forces [E, D].
        m1: receivers' masses [E].
        gauge: fitted power and linear maps; B is the same with and without receivers' means.
        receiver: number of the receiving node of each edge [E].
    """
    x = force * m1[:, None] ** -gauge.p
    rest = messages - np.stack([x @ fit.slope for fit in gauge.robust], axis=1)
    return rest - centre(rest, receiver)


def _best_power(
    messages: Array, force: Array, m1: Array, receiver: npt.NDArray[np.int64], centred: bool
) -> float:
    """The power of largest likelihood: searched for on some receivers' edges, refined on all.

    The residuals of the points that the robust fits keep count as Gaussian, each component with its own
    variance.
    """
    if np.ptp(m1) == 0:
        return 0.0
    part = _some_receivers(receiver)
    few = messages[part], force[part], m1[part], receiver[part]
    near: list[Fit | None] = [None] * messages.shape[1]

    def loss(p: float) -> float:
        x, y = gauged(*few, p, centred)
        total = 0.0
        for k, column in enumerate(y.T):
            fit = near[k] = fit_column(x, column, TRIM, near=near[k])
            total += float(np.log(np.mean((column - fit.predict(x))[fit.kept] ** 2) + 1e-30))
        return total

    losses = [loss(p) for p in GRID]
    if not np.isfinite(losses).any():
        return 0.0
    best, step = GRID[int(np.nanargmin(losses))], GRID[1] - GRID[0]
    p = float(minimize_scalar(loss, bounds=(best - step, best + step), method="bounded").x)
    once = Resamples.once(len(m1))
    for _ in range(REFINED):
        x, y = gauged(messages, force, m1, receiver, p, centred)
        near = [fit_column(x, column, TRIM, near=fit) for column, fit in zip(y.T, near, strict=True)]
        change = float(correction(x, y, m1, [fit for fit in near if fit], once)[0])
        p += float(np.clip(np.nan_to_num(change), -step, step))
    return p


def _some_receivers(receiver: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """All edges of about as many receivers, drawn at random, as have `SEARCHED` edges."""
    nodes, group = np.unique(receiver, return_inverse=True)
    chosen = np.random.default_rng(0).random(len(nodes)) < SEARCHED / len(receiver)
    return chosen[group] if chosen.any() else np.ones(len(receiver), dtype=bool)


def mixing(fits: Sequence[Fit]) -> dict[str, Any]:
    """The matrix B of messages ≈ a + B·F, with K rows and D columns.

    Returns:
        `matrix`; its `condition` number; the `angle` in degrees of the rotation nearest to it (polar
        decomposition), and whether that includes a `reflection`; both None unless B is square.
    """
    matrix = np.stack([fit.slope for fit in fits])
    result = {"matrix": matrix.tolist(), **dict.fromkeys(("condition", "angle", "reflection"))}
    if not np.isfinite(matrix).all():
        return result
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    result["condition"] = float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("inf")
    if matrix.shape[0] == matrix.shape[1]:
        turn = left @ right
        flipped = bool(np.linalg.det(turn) < 0)
        # In 2D the angle has a sign: how far the x axis turns, a reflection of y apart.
        angle = np.arctan2(turn[1, 0], turn[0, 0])
        if len(turn) != 2:
            proper = -turn if flipped else turn
            angle = np.arccos(np.clip((np.trace(proper) - 1) / 2, -1, 1))
        result |= {"angle": float(np.degrees(angle)), "reflection": flipped}
    return result
