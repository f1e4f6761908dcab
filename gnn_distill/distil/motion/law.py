"""The chosen forms as one law: numbers, their intervals, and what the law leaves on unseen runs.

Shapes: R rows, D space dims, P numbers of the law, U units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import compiled, constants
from gnn_distill.distil.expressions.parse import R, write
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.energy import potential
from gnn_distill.distil.motion.choose import Tried
from gnn_distill.distil.motion.fit import Fit, Form, counting, fit, slopes
from gnn_distill.distil.motion.kicks import hearsay, kicked, slowed
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.steps import Step, averaged
from gnn_distill.physics.variables import DELTAS, HIDDEN, RELATIVE, Columns

BEYOND = 1.5
"""Times the distances of 1 and 99 % of the pairs: where measurements would be new."""
REPLICATES = 400
LEVEL = 0.95
D = sympy.Symbol("d")
NAMES = {"u": "along Δ/d", "w": "along the relative velocity", "t": "across Δ"}


def in_words(key: str) -> str:
    """A direction, and the pairs that have it where these are a group: `u:A-B`."""
    return NAMES[key[:1]] + (f" of {key[2:]}" if key[1:] else "")


def written(
    fit: Fit,
    columns: Columns,
    order: int,
    times: sympy.Expr = sympy.S.One,
    groups: Mapping[str, sympy.Expr] | None = None,
) -> Law:
    """The law of a fit.

    Args:
        fit: of its form.
        columns: of the features.
        order: of the equation of motion.
        times: multiplies functions of pairs.
        groups: by name, what is 1 for the pairs of a group and 0 for all others, see `Motion.groups`.
    """
    put = {
        sympy.Symbol(s): sympy.Float(float(v)) for s, v in zip(fit.form.symbols, fit.constants, strict=True)
    }
    functions: dict[str, sympy.Expr] = {}
    alone = [sympy.S.Zero] * columns.dim
    for term, factor in zip(fit.form.terms, fit.factors, strict=True):
        parts = [sympy.Float(float(factor)) * f.xreplace(put) for f in term.forms]
        if term.along is None:
            alone = [a + p for a, p in zip(alone, parts, strict=True)]
        else:
            way, group = term.along[:1], term.along[2:]
            where = (groups or {})[group] if group else sympy.S.One
            functions[way] = functions.get(way, sympy.S.Zero) + where * parts[0] * times
    if columns.softening == 0:
        functions = {k: f.xreplace({R: D}) for k, f in functions.items()}
        distance: sympy.Expr = D
    else:
        distance = R - sympy.Float(columns.softening)
    dim = columns.dim
    ways = {
        "u": [sympy.Symbol(n) / distance for n in DELTAS[:dim]],
        "w": list(sympy.symbols(RELATIVE[:dim])),
        "t": _across([sympy.Symbol(n) / distance for n in DELTAS[:dim]], list(sympy.symbols(RELATIVE[:dim]))),
    }
    pair = [sympy.Add(*(f * ways[k][axis] for k, f in functions.items())) for axis in range(dim)]
    return Law(
        tuple(pair),
        tuple(alone) if any(a != 0 for a in alone) else (),
        functions.get("u", sympy.S.Zero) if set(functions) <= {"u"} else None,
        order,
        functions,
    )


def _across(u: Sequence[sympy.Expr], w: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    if len(u) == 2:
        return [-u[1], u[0]]
    return [u[1] * w[2] - u[2] * w[1], u[2] * w[0] - u[0] * w[2], u[0] * w[1] - u[1] * w[0]]


@dataclass(frozen=True)
class Spread:
    """How the numbers of a fit scatter over draws of units with replacement.

    Attributes:
        values: constants, then factors, shape [P].
        draws: the same of each draw, shape [W, P].
    """

    values: Array
    draws: Array

    def beside(self, kicked: Spread, last: Fit) -> Spread:
        """Draws around a fit: of terms that read velocities from a fit beside kicks, of others from these."""
        moving = [False] * len(last.constants) + [term.moving for term in last.form.terms]
        values = np.concatenate([last.constants, last.factors])
        return Spread(values, np.where(moving, kicked.draws - kicked.values + values, self.draws))

    def intervals(self, moved: Array) -> Array:
        """Intervals [Q, 2] of quantities that change by `moved` [Q, P] for a unit of each number."""
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        return np.quantile((self.draws - self.values) @ moved.T, tails, axis=0).T


def spread(
    fit: Fit, motion: Motion, seed: int = 0, extra: Array | None = None, step: Step | None = None
) -> Spread:
    """Bootstrap over units: each draw moves the numbers to the optimum of the linearised robust fit.

    Args:
        fit: the law.
        motion: rows that it was fitted to.
        seed: of the draws.
        extra: further columns [R D, X] that it was fitted with; their factors scatter along.
        step: what labels were averages over; what they allow for moves with the numbers.
    """
    further = np.zeros((motion.labels.size, 0)) if extra is None else extra
    values = np.concatenate([fit.constants, fit.factors, fit.extra])
    count, many = len(fit.constants), len(fit.constants) + len(fit.factors)

    def predicted(v: Array) -> Array:
        return fit.form.columns(motion, v[:count]) @ v[count:many] + further @ v[many:]

    def averaged(v: Array) -> Array:
        if step is None:
            return predicted(v)
        return predicted(v) + step.change(Fit(fit.form, v[:count], v[count:many], fit.extra), motion).ravel()

    base = predicted(values)
    steps = np.diag(1e-6 * np.maximum(np.abs(values), 1e-6))
    design = np.concatenate([slopes(fit, motion), further], axis=1)
    # of labels by the numbers; the fit has looked along `design` alone
    grown = design
    if step is not None:
        whole = averaged(values)
        grown = np.stack([(averaged(values + a) - whole) / a.sum() for a in steps], axis=1)
    rest = motion.labels.ravel() - base
    trust = np.repeat(motion.trust[:, 0], motion.labels.shape[1])
    root = counting(rest)
    weight, slope = (
        trust * root,
        trust * root**3,
    )  # of the pull of an error, and of how it grows with the error
    norm = np.maximum(np.sqrt((design**2 * slope[:, None]).sum(axis=0)), 1e-300)
    design, grown = design / norm, grown / norm
    unit = np.repeat(np.unique(motion.pieces, return_inverse=True)[1], motion.labels.shape[1])
    units = int(unit.max()) + 1
    order = np.argsort(unit, kind="stable")
    starts = np.searchsorted(unit[order], np.arange(units))
    weighted = design * slope[:, None]
    normal = np.stack(
        [
            np.add.reduceat((weighted[:, k : k + 1] * grown)[order], starts, axis=0)
            for k in range(len(values))
        ],
        axis=1,
    )  # [U, P, P]
    pulls = design * (weight * rest)[:, None]
    pulls[:, :many] += hearsay(design[:, :many], slope, further, fit.extra, slice(count, many))
    pull = np.add.reduceat(pulls[order], starts, axis=0)
    counts = np.random.default_rng([seed, 7]).multinomial(units, np.full(units, 1 / units), size=REPLICATES)
    left = np.einsum("wu,upq->wpq", counts, normal) + 1e-12 * np.eye(len(values))
    moves = np.linalg.solve(left, np.einsum("wu,up->wp", counts, pull)[..., None])[..., 0]
    return Spread(values[:many], (values + moves / norm)[:, :many])


def estimated(motion: Motion, form: Form, seed: int, step: Step | None = None) -> tuple[Fit, Spread]:
    """The form fitted to all rows, with draws of a bootstrap; friction beside random forces where these act.

    Args:
        motion: the rows.
        form: to be fitted.
        seed: of the draws.
        step: that labels are averages over, if they are.
    """
    plain, motion = averaged(motion, form, step)
    still, kicks = spread(plain, motion, seed, step=step), kicked(motion, plain)
    last = slowed(motion, plain, kicks)
    if last is plain:
        return plain, still
    beside = spread(fit(motion, form, kicks, plain.constants.tolist()), motion, seed, kicks)
    return last, still.beside(beside, last)


def numbers(
    fit: Fit,
    law: Law,
    columns: Columns,
    known: Spread,
    rest: float = 0.0,
    times: sympy.Expr = sympy.S.One,
    groups: Mapping[str, sympy.Expr] | None = None,
) -> tuple[list[list[list[float]]], list[Array]]:
    """Intervals of the numbers printed: of each component's constants, and of each one-body component's.

    A printed number may be made of several that were fitted, as 1/λ of λ; to first order it moves with them.
    `rest` is the share of the motion that the law leaves beyond noise. More runs would not make it smaller,
    so each interval is wider by that share of its number.
    """
    count = len(fit.constants)
    moved = []
    for k, v in enumerate(known.values):
        step = 1e-5 * max(abs(float(v)), 1e-9)
        change = known.values.copy()
        change[k] += step
        other = Fit(fit.form, change[:count], change[count:], fit.extra)
        moved.append((written(other, columns, law.order, times, groups), step))

    def of(pick: Any) -> Array | None:
        base = np.array([float(c) for c in constants(*pick(law))])
        place, rows = np.argsort(np.argsort(base)), []  # sympy sorts summands by the digits of their factors
        for other, step in moved:
            values = np.array([float(c) for c in constants(*pick(other))])
            if len(values) != len(base):
                return None
            rows.append((np.sort(values)[place] - base) / step)
        if not len(base):
            return np.zeros((0, 2))
        wider = rest * np.abs(base)[:, None] * [-1.0, 1.0]
        return np.asarray(base[:, None] + known.intervals(np.stack(rows, axis=1)) + wider)

    def pair(k: int) -> Any:
        return lambda one: [one.components[k] if one.radial is None else one.radial]

    found = [of(pair(k)) for k in range(columns.dim)]
    alone = [of(lambda one, k=k: [one.one_body[k]]) for k in range(len(law.one_body))]
    unknown = np.zeros((0, 2))
    return [([] if f is None else f.tolist()) for f in found], [unknown if a is None else a for a in alone]


def stated_potential(law: Law, farthest: float, softening: float) -> dict[str, str] | None:
    """V(d) of the pair force, where it has a closed form, and where it is zero."""
    found = potential(law, farthest, softening)
    if found is None:
        return None
    whole = potential(law, None, softening)
    where = "infinity" if whole == found else f"d = {farthest:.3g}"
    return {"expression": write(found), "reference": f"zero at {where}"}


def rival(tried: Tried, law: Law, times: sympy.Expr, seen: Motion, key: str) -> dict[str, Any]:
    """A form that is level with the law's, and the distance beyond the data's where they differ most."""
    here = {name: sympy.S.One if key[2:] == name else sympy.S.Zero for name in seen.groups}
    f = written(tried.fit, seen.edges.columns, law.order, times, here).functions.get(key[:1])
    found: dict[str, Any] = {"name": tried.fit.form.name, "expression": None if f is None else write(f)}
    if f is None or key not in law.functions:
        return found
    d = np.quantile(seen.named["d"], [0.01, 0.99]) * [1 / BEYOND, BEYOND]
    usual = {name: np.full(2, np.median(values)) for name, values in seen.named.items()}
    usual |= {"d": d, "r": d + seen.edges.columns.softening, **dict.fromkeys(HIDDEN, np.ones(2))}
    with np.errstate(all="ignore"):
        one, other = (np.broadcast_to(compiled(g)(usual), (2,)) for g in (law.functions[key], f))
    off = np.abs(one - other)
    if np.isfinite(off).all():
        k = int(off.argmax())
        found["apart"] = {"d": float(d[k]), "law": float(one[k]), "other": float(other[k])}
    return found


def apart(
    fit: Fit,
    columns: Columns,
    order: int,
    known: Spread,
    rest: float,
    groups: Mapping[str, sympy.Expr],
) -> dict[str, dict[str, Any]]:
    """The law of each group of pairs by itself, as it stands in `law.json`; arguments as above."""
    found = {}
    for label in sorted({label for name in groups for label in name.split(",")}):
        here = {n: sympy.S.One if label in n.split(",") else sympy.S.Zero for n in groups}
        law = written(fit, columns, order, groups=here)
        bounds, _ = numbers(fit, law, columns, known, rest, groups=here)
        found[label] = law.to_dict() | {"intervals": bounds}
    return found
