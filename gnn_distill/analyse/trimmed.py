"""Least trimmed squares: the fit that is best on the points that it fits best.

A concentration step fits the points kept and then keeps those that fit best, which can only lower the sum of
their squared residuals (Rousseeuw & Van Driessen, Data Min. Knowl. Disc. 12, 2006). From one robust start
these steps end in the nearest minimum. Where few points carry most of the regressors' variance, as forces
near r → 0 do, there are many, so the fit then jumps along the principal axes of the regressors and
concentrates again, for as long as that finds a lower one.

`data` [P + 2, E] holds a row of ones, the P regressors and the response y of E points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array

Bools = npt.NDArray[np.bool_]

SAMPLES = (5_000, 50_000)  # points on which minima are looked for: roughly, then finely; all concentrate last
SEARCHED = 12  # coefficients at most for a search: its cost grows with their cube
STEPS = 200  # concentration steps at most
ROUNDS = 8  # of jumps at most
TRIES = 10  # jumps of a round that are followed up, those of the lowest objective
JUMPS: Array = np.outer(
    [1.0, -1.0], 2.0 ** np.arange(-4, 13)
).ravel()  # in standard errors of a one-point fit


@dataclass(frozen=True)
class End:
    """Where concentration ends: coefficients [P + 1], points kept [E], sum of their squared residuals."""

    beta: Array
    kept: Bools
    objective: float


def smallest(residual: Array, trim: float) -> Bools:
    """Which points [E] have the smallest residuals, the fraction `trim` left out; at least two."""
    count = _count(len(residual), trim)
    if count >= len(residual):
        return np.ones(len(residual), dtype=bool)
    limit = np.partition(residual, count - 1)[count - 1]
    kept = residual <= limit
    # Ties at the limit would keep too many; any of them may go.
    if surplus := int(np.count_nonzero(kept)) - count:
        kept[np.flatnonzero(residual == limit)[:surplus]] = False
    return kept


def solve(gram: Array) -> Array:
    """Least squares [P + 1] from the moments data·dataᵀ [P + 2, P + 2]; a column without variance gets 0."""
    scale = np.sqrt(np.diag(gram)[:-1])
    scale = np.where(scale > 0, scale, 1.0)  # so that units do not decide what counts as singular
    inverse = np.linalg.pinv(gram[:-1, :-1] / scale / scale[:, None], rcond=1e-13, hermitian=True)
    return np.asarray(inverse @ (gram[:-1, -1] / scale) / scale, dtype=np.float64)


def search(data: Array, trim: float) -> Array:
    """Coefficients [P + 1] near the lowest minimum that jumps find, on samples of the points."""
    order = np.random.default_rng(0).permutation(data.shape[1])
    beta = _start(data)
    for size in SAMPLES if len(beta) <= SEARCHED else ():
        part = np.ascontiguousarray(data[:, order[:size]])
        beta = _jump(part, concentrate(part, beta, trim), trim)
        if size >= data.shape[1]:
            break
    return beta


def _jump(data: Array, end: End, trim: float) -> Array:
    """Jump along the principal axes of the kept points and concentrate, until no lower minimum is found."""
    for _ in range(ROUNDS):
        z = np.compress(end.kept, data[:-1], axis=1)
        values, axes = np.linalg.eigh(z @ z.T)
        axes = axes[:, values > 0] * np.sqrt(end.objective / values[values > 0])
        tries = [end.beta + jump * axis for axis in axes.T for jump in JUMPS]
        tries.sort(key=lambda beta: _objective(data, beta, trim))
        ends = [concentrate(data, beta, trim) for beta in tries[:TRIES]]
        best = min(ends, key=lambda found: found.objective)
        if best.objective >= (1 - 1e-9) * end.objective:
            break
        end = best
    return end.beta


def concentrate(data: Array, beta: Array, trim: float) -> End:
    """Fit the kept points, keep those that fit best, and again: the objective never rises."""
    kept, objective = smallest(_residual(data, beta), trim), np.inf
    for _ in range(STEPS):
        part = np.compress(kept, data, axis=1)
        beta = solve(part @ part.T)
        residual = _residual(data, beta)
        before, kept = kept, smallest(residual, trim)
        best = np.compress(kept, residual)
        last, objective = objective, float(best @ best)
        if np.array_equal(kept, before) or objective >= (1 - 1e-12) * last:
            break
    return End(beta, kept, objective)


def _start(data: Array) -> Array:
    """Least squares [P + 1] of the half of the points whose regressors lie nearest to their mean.

    Neither an outlier of y among ten points nor one of x, which would pull any other fit to itself, gets far.
    """
    x = data[1:-1] - data[1:-1].mean(1, keepdims=True)
    inverse = np.linalg.pinv(x @ x.T, rcond=1e-13, hermitian=True)
    part = data[:, smallest(np.sum(x * (inverse @ x), axis=0), 0.5)]
    return solve(part @ part.T)


def _objective(data: Array, beta: Array, trim: float) -> float:
    count = _count(data.shape[1], trim)
    best = np.partition(_residual(data, beta), count - 1)[:count]
    return float(best @ best)


def _residual(data: Array, beta: Array) -> Array:
    """|y − X·beta|, shape [E]."""
    residual = np.append(-beta, 1.0) @ data
    return np.abs(residual, out=residual)


def _count(points: int, trim: float) -> int:
    return max(2, int(round((1 - trim) * points)))
