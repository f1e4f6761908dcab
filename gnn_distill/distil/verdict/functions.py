"""Is a law made of functions the true one? Part by part: pair functions, and what acts on one particle.

A part is recovered if the true one has its values on points all over the range of the data, once the
constants of the truth are moved: by a factor of `PARAM_FACTOR` at most, as in `family`. Exponents stay, but
for those that are no whole numbers, which move by `POWER` of their size. Index 1 is the receiver.

Shapes: S points, E edges, N nodes, P constants, D space dims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import Template, at
from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.distil.verdict.family import FLOOR, FRESH_POINTS, PARAM_FACTOR, THRESHOLD
from gnn_distill.distil.verdict.judge import NEGLIGIBLE, SAME, Verdict
from gnn_distill.physics.equation import Equation, as_equation
from gnn_distill.physics.laws import ONE_BODY, ForceLaw
from gnn_distill.physics.variables import DELTAS, PROPERTIES, VELOCITIES
from gnn_distill.read.recording import Edges

INSIDE = (0.02, 0.98)
"""Quantiles of the data between which points lie."""
POWER = 0.05
BUMPS = (0.8, 1.0, 1.25)
"""Factors on the distance at which the size of a force around a point is looked up."""
OWN = "one_body"
Values = Callable[[Mapping[str, Array], Array], Array]


@dataclass(frozen=True)
class Truth:
    """A true function whose constants can be moved.

    Attributes:
        values: from columns by name, each [S], and factors on the constants [P] to [S].
        start: the constants, shape [P].
        reach: by which factor each may move, shape [P].
        text: the function as a reader knows it.
    """

    values: Values
    start: Array
    reach: Array
    text: str


def judge_functions(
    functions: Mapping[str, sympy.Expr],
    one_body: Sequence[sympy.Expr],
    law: ForceLaw,
    edges: Edges,
    own: Mapping[str, Array],
    size: float,
) -> dict[str, Verdict]:
    """A verdict for each part that the true law or the one that was found has.

    Args:
        functions: what was found along Δ/d, `u`, along the relative velocity, `w`, and across, `t`, as
            contributions to accelerations (velocities, in first order).
        one_body: what was found to act on a particle by itself, for each axis; empty if nothing.
        law: the true law.
        edges: pairs of the data.
        own: what one-body terms read of particles, by name, each [N].
        size: of a typical label; what is below `NEGLIGIBLE` of it counts as absent.
    """
    columns = edges.columns
    truth = pair_truths(as_equation(law))
    named = _pairs(edges)
    speed = {"u": np.ones(FRESH_POINTS), "w": named["w"], "t": named["w"] if columns.dim == 3 else 1.0}
    found = {}
    for key in dict.fromkeys((*truth, *functions)):
        values = at(functions[key], named, FRESH_POINTS) if key in functions else None
        text = write(functions[key]) if key in functions else ""
        if key not in truth:
            found[key] = _absent(values, speed[key], text, size)
        else:
            found[key] = _compared([truth[key]], named, values, text, _around(truth[key], named))
    return found | _alone(one_body, as_equation(law), columns.dim, own, size)


def _alone(
    one_body: Sequence[sympy.Expr], law: Equation, dim: int, own: Mapping[str, Array], size: float
) -> dict[str, Verdict]:
    """The verdict on what acts on a particle by itself; none where nothing does, in truth and in the law."""
    rng, named = np.random.default_rng(1), {}
    for name, column in own.items():
        named[name] = np.clip(rng.choice(column, FRESH_POINTS), *np.quantile(column, INSIDE))
    texts = own_truths(law, dim)
    text = f"({', '.join(map(write, one_body))})" if one_body else ""
    values = np.stack([at(f, named, FRESH_POINTS) for f in one_body]) if one_body else None
    if all(e == 0 for e in texts):
        return {} if values is None else {OWN: _absent(values, 1.0, text, size)}
    truth = [_freed(e) for e in texts]
    right = np.stack([t.values(named, np.ones(len(t.start))) for t in truth])
    scale = np.full(FRESH_POINTS, max(float(np.sqrt((right**2).mean())), 1e-300))
    return {OWN: _compared(truth, named, values, text, scale)}


def pair_truths(law: Equation) -> dict[str, Truth]:
    """The true pair functions, as contributions to accelerations, in first order to velocities."""
    power = 0.0 if law.first_order else 1.0
    texts = {"u": law.along_distance, "w": law.along_velocity}
    found = {}
    for key, text in texts.items():
        parts = [_scaled(_freed(parse(text.replace("^", "**"))), power)] if text else []
        if key == "u" and law.base is not None:
            parts.insert(0, _scaled(_of_class(law.base), power))
        if parts:
            found[key] = _joined(parts, _total, " + ".join(part.text for part in parts))
    return found


def own_truths(law: Equation, dim: int) -> list[sympy.Expr]:
    """The true h of each axis."""
    texts = law.one_body or ("0",) * dim
    found = [parse(text.replace("^", "**")) for text in texts]
    drag, gravity = (0.0, 0.0) if law.base is None else (float(law.base.drag), float(law.base.gravity))
    for k, name in enumerate(VELOCITIES[:dim]):
        found[k] += -sympy.Float(drag) * sympy.Symbol(name) / sympy.Symbol("m1") if drag else 0
        found[k] += -sympy.Float(gravity) if gravity and k == 1 else 0
    return found


def _of_class(law: ForceLaw) -> Truth:
    """The magnitude of a law's pair force, with a factor in front."""
    names = [f.name for f in fields(law)]
    pair = [k for k, name in enumerate(names) if name not in ONE_BODY and law.params[k] != 0]

    def values(named: Mapping[str, Array], moved: Array) -> Array:
        params = np.array(law.params)
        params[pair] *= moved[1:]
        return np.asarray(
            moved[0] * law.magnitude(named["r"], *(named[p] for p in PROPERTIES), tuple(params))
        )

    start = np.array([1.0, *(law.params[k] for k in pair)])
    return Truth(values, start, np.full(len(start), PARAM_FACTOR), law.described)


def _freed(expression: sympy.Expr) -> Truth:
    """An expression with all its numbers free, but for whole exponents; each summand has a factor."""
    start: list[float] = []
    reach: list[float] = []

    def number(value: sympy.Expr, factor: float = PARAM_FACTOR) -> sympy.Symbol:
        start.append(float(value))
        reach.append(factor)
        return sympy.Symbol(f"free_{len(start)}")

    def free(e: sympy.Expr, factored: bool) -> sympy.Expr:
        if e.is_Add:
            return sympy.Add(*(free(part, True) for part in e.args))
        if e.is_number:
            return number(e) if e != 0 else e
        factor, rest = e.as_coeff_Mul()
        front = number(factor) if factored or factor != 1 else sympy.S.One
        if rest.is_Mul:
            return front * sympy.Mul(*(free(part, False) for part in rest.args))
        if rest.is_Pow:
            power = rest.exp
            loose = power.is_number and not power.is_Integer and abs(power) != 0.5
            inner = free(rest.base, False)
            return front * inner ** (number(power, 1 + POWER) if loose else power)
        if rest.args:
            return front * rest.func(*(free(part, True) for part in rest.args))
        return front * rest

    form = free(expression, True)
    symbols = sympy.symbols([f"free_{k + 1}" for k in range(len(start))])
    known = np.array(start)
    inner = Template(form, tuple(symbols), known).function()

    def values(named: Mapping[str, Array], moved: Array) -> Array:
        count = len(next(iter(named.values())))
        return np.array(np.broadcast_to(inner(named, known * moved), (count,)), dtype=np.float64)

    return Truth(values, known, np.array(reach), write(expression))


def _scaled(truth: Truth, power: float) -> Truth:
    """The same over a power of the receiver's mass."""
    return Truth(
        lambda named, moved: truth.values(named, moved) / named["m1"] ** power,
        truth.start,
        truth.reach,
        truth.text,
    )


def _joined(parts: Sequence[Truth], how: Callable[[list[Array]], Array], text: str) -> Truth:
    """Several functions as one, each with its own constants."""
    ends = np.cumsum([len(part.start) for part in parts])[:-1]

    def values(named: Mapping[str, Array], moved: Array) -> Array:
        each = zip(parts, np.split(moved, ends), strict=True)
        return how([part.values(named, some) for part, some in each])

    start, reach = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "reach"))
    return Truth(values, start, reach, text)


def _total(each: list[Array]) -> Array:
    return np.asarray(sum(each))


def _pairs(edges: Edges) -> dict[str, Array]:
    """Points all over the range of pairs: distances uniform in the logarithm, all else drawn by itself."""
    rng, columns = np.random.default_rng(0), edges.columns
    low, high = np.quantile(np.linalg.norm(edges.delta, axis=1), INSIDE)
    d = np.exp(rng.uniform(np.log(max(low, 1e-12)), np.log(max(high, 1e-12)), FRESH_POINTS))
    direction = rng.normal(size=(FRESH_POINTS, columns.dim))
    delta = d[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    relative = edges.relative[rng.integers(len(edges.r), size=FRESH_POINTS)]
    drawn = {}
    for name, column in edges.properties.items():
        drawn[name] = np.clip(rng.choice(column, FRESH_POINTS), *np.quantile(column, INSIDE))
    receiver = np.zeros(FRESH_POINTS, dtype=np.int64)
    return Edges(columns, delta, relative, d + columns.softening, drawn, receiver, None).named


def _around(truth: Truth, named: Mapping[str, Array]) -> Array:
    """Size of a true function at and around each point [S], so that its zeros do not count infinitely."""
    still, sizes = np.ones(len(truth.start)), []
    for bump in BUMPS:
        for sign in (1.0, -1.0):
            moved = {name: named[name] * bump for name in ("d", "r", *DELTAS) if name in named}
            sizes.append(np.abs(truth.values({**named, **moved, "q2": sign * named["q2"]}, still)))
    envelope = np.max(np.stack(sizes), axis=0)
    acting = envelope[envelope > 0]
    return np.asarray(np.maximum(envelope, FLOOR * (np.median(acting) if acting.size else 1.0)))


def _compared(
    truth: Sequence[Truth], named: Mapping[str, Array], values: Array | None, text: str, scale: Array
) -> Verdict:
    """The verdict on values [S], or one row for each axis, against a truth whose constants may move."""
    told = truth[0].text if len(truth) == 1 else f"({', '.join(t.text for t in truth)})"
    if values is None:
        return Verdict(False, None, "", f"nothing was found where {told} acts")
    if not np.isfinite(values).all():
        return Verdict(False, None, "", f"{text} is not finite everywhere in the range of the data")
    whole = _joined(truth, np.stack, told)
    target = (values.reshape(len(truth), -1) / scale).ravel()
    bounds = np.log(whole.reach)

    def residual(logs: Array) -> Array:
        return target - (whole.values(named, np.exp(logs)).reshape(len(truth), -1) / scale).ravel()

    start = np.zeros(len(whole.start))
    best = start
    if len(start):
        best = least_squares(
            residual, start, bounds=(-bounds, bounds), max_nfev=200, ftol=1e-14, xtol=1e-12, gtol=1e-14
        ).x
    total = max(float(target @ target), 1e-300)
    r2 = 1.0 - float((residual(best) ** 2).sum()) / total
    moved = whole.start * np.exp(best)
    constants = {f"{k + 1}": float(c) for k, c in enumerate(moved)}
    score = "the same function" if 1 - r2 < SAME else f"1 − R² = {1 - r2:.0e}"
    score += " within the range of the data"
    if not r2 > THRESHOLD:
        fault = (
            f"{text} is not of the form {told}, with constants within a factor of {PARAM_FACTOR:g}; {score}"
        )
        return Verdict(False, None, "", fault, constants, r2)
    beside = ", ".join(f"{c:.4g} for {s:.4g}" for c, s in zip(moved, whole.start, strict=True))
    return Verdict(True, None, "", f"equal to {told} with {beside}; {score}", constants, r2)


def _absent(values: Array | None, speed: Any, text: str, size: float) -> Verdict:
    """The verdict on a part that the truth does not have."""
    left = np.inf if values is None else float(np.sqrt(np.mean((values * speed) ** 2)))
    if left <= NEGLIGIBLE * size:
        return Verdict(True, None, "", f"{text} is next to nothing, and nothing acts", r2=1.0)
    return Verdict(False, None, "", f"{text} was found where nothing acts")


def whole_verdict(parts: Mapping[str, Verdict], against: str = "") -> dict[str, Any]:
    """The parts' verdicts as plain data, and whether all are recovered.

    Args:
        parts: of `judge_functions`.
        against: what speaks against the law as a whole, in a sentence; then no part of it is recovered.
    """
    if against:
        known = {key: replace(v, reason=f"{v.reason}. {against}") for key, v in parts.items() if v.recovered}
        parts = {**parts, **{key: replace(v, recovered=False) for key, v in known.items()}}
    recovered = [verdict.recovered for verdict in parts.values()]
    return {"recovered": all(recovered), "parts": {key: v.to_dict() for key, v in parts.items()}}
