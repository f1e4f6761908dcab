"""Least trimmed squares: the fit that is best on the points that it fits best.

FAST-LTS (Rousseeuw & Van Driessen, Data Min. Knowl. Disc. 12, 2006): concentration steps from several starts
on nested random samples, the best of them on all points. Where few points carry most of the regressors'
variance, as forces near r → 0 do, the objective has many minima; so the search also steps along the
principal axes of the fit and concentrates again, and the end of Powell's method from zero, which the
published work used, is a start as well: concentration makes no objective worse.

`data` [P + 2, E] holds a row of ones, the P regressors and the response y of E points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from gnn_distill.arrays import Array

Bools = npt.NDArray[np.bool_]

LEVELS = (5_000, 50_000)
"""Points of the nested samples on which starts compete."""
SURVIVORS = 3
"""Starts that a level hands on."""
STEPS = 200
"""Concentration steps at most."""
ROUNDS = 8
"""Of the search for a better minimum, on samples."""
STRIDES: Array = np.logspace(-2, 6, 9, base=4.0)
"""Its steps, in standard errors of a fit to one point."""
TIGHT = {"xtol": 1e-8, "ftol": 1e-12}
"""Tolerances of Powell's method; SciPy's own on more points than the samples hold."""


@dataclass(frozen=True)
class End:
    """Where concentration ends: coefficients [P + 1], points kept [E], sum of their squared residuals."""

    beta: Array
    kept: Bools
    objective: float


def least_trimmed(
    data: Array, ordinary: Array, trim: float, starts: int, seed: int, first: Array | None = None
) -> tuple[Array, Bools]:
    """Coefficients [P + 1] of the trimmed fit, and the points it keeps.

    Args:
        data: see above.
        ordinary: coefficients of the ordinary fit, one of the starts.
        trim: fraction of points to leave out, in [0, 0.5].
        starts: random starts.
        seed: of the starts and samples.
        first: the only start, where the solution is known to lie close.
    """
    if first is not None:
        end = _concentrate(data, first, trim)
        return end.beta, end.kept
    rng = np.random.default_rng(seed)
    order = rng.permutation(data.shape[1])
    part = data[:, order[: LEVELS[0]]]
    tries = [ordinary, _least_absolute(part)]
    for _ in range(starts):
        few = part[:, rng.choice(part.shape[1], size=min(part.shape[1], 3 * len(data)), replace=False)]
        tries.append(solve(few @ few.T))
    for size in LEVELS:
        small = size >= data.shape[1]
        tries = _compete(data if small else np.ascontiguousarray(data[:, order[:size]]), tries, trim)
        if small:
            break
    tries = [*tries[:2], _powell(data, trim, TIGHT if small else {})]
    end = min((_concentrate(data, beta, trim) for beta in tries), key=lambda e: e.objective)
    return end.beta, end.kept


def smallest(residual: Array, trim: float) -> Bools:
    """Which points [E] have the smallest residuals, the fraction `trim` left out; at least two."""
    count = _count(len(residual), trim)
    if count >= len(residual):
        return np.ones(len(residual), dtype=bool)
    limit = residual[np.argpartition(residual, count - 1)[count - 1]]
    kept = residual <= limit
    if surplus := int(np.count_nonzero(kept)) - count:
        kept[np.flatnonzero(residual == limit)[:surplus]] = False
    return kept


def solve(gram: Array) -> Array:
    """Least squares [P + 1] from the moments data·dataᵀ [P + 2, P + 2], columns scaled."""
    inner = gram[:-1, :-1]
    scale = np.sqrt(np.diag(inner))
    scale = np.where(scale > 0, scale, 1.0)
    scaled, right = inner / scale / scale[:, None], gram[:-1, -1] / scale
    try:
        pivots = np.diag(np.linalg.cholesky(scaled))
        beta = np.linalg.solve(scaled, right) if pivots.min() ** 2 > 1e-10 else None
    except np.linalg.LinAlgError:
        beta = None
    if beta is None:
        beta = np.linalg.pinv(scaled, rcond=1e-14, hermitian=True) @ right
    return np.asarray(beta / scale, dtype=np.float64)


def _compete(data: Array, tries: list[Array], trim: float) -> list[Array]:
    """Concentrate all tries; the distinct best, the first two of them improved further."""
    ends = sorted((_concentrate(data, beta, trim) for beta in tries), key=lambda end: end.objective)
    found: list[End] = []
    for end in ends:
        spread = 1e-6 * np.mean((end.beta @ data[:-1]) ** 2)
        if all(np.mean(((end.beta - other.beta) @ data[:-1]) ** 2) > spread for other in found):
            found.append(end)
    best = [_hop(data, end, trim) for end in found[:2]]
    best = sorted([*best, *found[2:SURVIVORS]], key=lambda end: end.objective)
    return [end.beta for end in best]


def _hop(data: Array, end: End, trim: float) -> End:
    """Look for a better minimum along the principal axes of the kept points' information matrix."""
    for _ in range(ROUNDS):
        z = np.compress(end.kept, data[:-1], axis=1)
        values, axes = np.linalg.eigh(z @ z.T / z.shape[1])
        noise = np.sqrt(end.objective / z.shape[1])
        axes = axes[:, values > 0] / np.sqrt(values[values > 0]) * noise
        tries = [end.beta + sign * t * axis for axis in axes.T for t in STRIDES for sign in (1, -1)]
        tries.sort(key=lambda beta: _objective(data, beta, trim))
        ends = [_concentrate(data, beta, trim, steps=3) for beta in tries[: len(tries) // 4]]
        found = _concentrate(data, min(ends, key=lambda e: e.objective).beta, trim)
        if found.objective >= (1 - 1e-9) * end.objective:
            break
        end = found
    return end


def _concentrate(data: Array, beta: Array, trim: float, steps: int = STEPS) -> End:
    """Fit the kept points, keep those that fit best, and again: the objective never rises."""
    kept = smallest(_residual(data, beta), trim)
    objective = np.inf
    for _ in range(steps):
        part = np.compress(kept, data, axis=1)
        beta = solve(part @ part.T)
        residual = _residual(data, beta)
        new = smallest(residual, trim)
        best = np.compress(new, residual)
        before, objective = objective, float(best @ best)
        if np.array_equal(new, kept) or objective >= (1 - 1e-12) * before:
            break
        kept = new
    return End(beta, new, objective)


def _least_absolute(data: Array, rounds: int = 15) -> Array:
    """Least absolute deviations [P + 1] by iteratively reweighted least squares."""
    weight = np.ones(data.shape[1])
    for _ in range(rounds):
        beta = solve(data * weight @ data.T)
        residual = _residual(data, beta)
        weight = 1.0 / np.maximum(residual, 1e-6 * residual.mean() or 1.0)
    return beta


def _powell(data: Array, trim: float, options: dict[str, float]) -> Array:
    """Powell's minimisation of the trimmed mean square from zero, shape [P + 1]."""
    count = _count(data.shape[1], trim)
    zero = np.zeros(len(data) - 1)
    found = minimize(lambda b: _objective(data, b, trim) / count, zero, method="Powell", options=options)
    return np.asarray(found.x, dtype=np.float64)


def _objective(data: Array, beta: Array, trim: float) -> float:
    residual = _residual(data, beta)
    count = _count(len(residual), trim)
    best = residual if count >= len(residual) else np.partition(residual, count - 1)[:count]
    return float(best @ best)


def _residual(data: Array, beta: Array) -> Array:
    """|y − X·beta|, shape [E]."""
    residual = np.append(-beta, 1.0) @ data
    return np.abs(residual, out=residual)


def _count(points: int, trim: float) -> int:
    return max(2, int(round((1 - trim) * points)))
