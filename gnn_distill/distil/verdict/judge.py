"""Is an equation the law? Computed, not read by eye.

Two questions are asked of each equation of a front. Has it the law's form: is there a member of the law's
family (see `family`) with the same values on fresh points that reach further than the data? And do the data
agree: does it fit well, and does no equation of about the same size and another form fit much better? The
second one is needed since a front holds many small equations that fit badly, and one of them may look like
any law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import write
from gnn_distill.distil.verdict.family import (
    THRESHOLD,
    Fresh,
    Member,
    Target,
    fresh_points,
    nearest_member,
    same_symbolically,
)
from gnn_distill.errors import InputError, check_choice
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.variables import further

TRIVIAL = 3
"""Complexity up to which an equation is trivial; the best of them sets the scale of losses."""
CONVINCING, POOR = 0.4, 0.6
"""A loss up to CONVINCING, in units of the trivial one, convinces by itself; up to POOR, where a network is
inaccurate, if no equation of another form that is larger by at most SLIGHTLY fits better."""
SLIGHTLY = 2
CLOSE, RIVAL = 4, 3.0
"""A law is not recovered where an equation larger by at most CLOSE fits RIVAL times better."""
SLACK, NEGLIGIBLE = 1.1, 0.01
"""An equation fits as well as the best if its loss is at most SLACK times the best one's, plus
NEGLIGIBLE times the trivial loss; rivals below that do not count either."""
WORTH_SAYING = 2.0
"""How many times better another equation must fit for the reason to mention it."""
STILL = "nothing moves along this axis: no equation for it can be right or wrong"
"""The reason of a component that cannot be judged."""
PRINTED, SAME = 1e-6, 1e-12
"""An R² nearer to 1 than PRINTED would be printed as 1.000000, so 1 − R² is printed; nearer than SAME it
differs by rounding only."""
OFF_AXIS = 0.02
"""Below this share of the largest coefficient a Δ component counts as absent."""


@dataclass(frozen=True)
class Verdict:
    """What became of one component.

    Attributes:
        recovered: whether an equation on the front has the law's form.
        equation: index on the front of the simplest such equation that fits about as well as the
            best of them.
        marks: ``*`` a small constant inside r, ``†`` all components show the same Δ component,
            ``‡`` each component shows its own pure Δ component, ``§`` this one shows only one.
        reason: one sentence for a physicist.
        constants: of the nearest member of the law's family.
        r2: of the equation's values against that member, on fresh points of a wider range.
        symbolic: whether algebra alone confirms it.
    """

    recovered: bool
    equation: int | None
    marks: str
    reason: str
    constants: dict[str, float] = field(default_factory=dict)
    r2: float = float("-inf")
    symbolic: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; R² is None where no equation could be compared."""
        return asdict(self) | {"r2": self.r2 if np.isfinite(self.r2) else None}


def data_ranges(X: Array, names: Sequence[str], share: float = 0.02) -> dict[str, tuple[float, float]]:
    """(low, high) quantiles of |column| for `judge`: `share` of the points is left out at each end."""
    size = np.abs(np.asarray(X, dtype=np.float64))
    low, high = np.quantile(size, [share, 1.0 - share], axis=0)
    return {n: (float(low[i]), float(high[i])) for i, n in enumerate(names)}


def judge(
    fronts: Sequence[Front],
    law: ForceLaw,
    names: Sequence[str],
    *,
    dim: int,
    target: Target,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> list[Verdict]:
    """A verdict for each component.

    Args:
        fronts: one front a component; for ``pullback`` in the order of the Cartesian components.
        law: the true law.
        names: the variables that equations may use.
        dim: space dimensions.
        target: ``pullback``: accelerations F/m1, each along its own axis and of the law's sign;
            ``components``: message components, any mixture of axes, any power of the receiver's mass.
        ranges: (low, high) of the data by name, see `data_ranges`; fresh points go beyond both ends.
            None takes those of a usual simulation.
        fixed: masses and charges that do not vary in the data, see `constant_inputs`: how the law depends on
            them cannot be judged.
    """
    check_choice("symbolic.target", target, get_args(Target))
    if target == "pullback" and len(fronts) != dim:
        raise InputError("fronts", len(fronts), f"give one front for each of the {dim} axes")
    fresh = fresh_points(law, dim, ranges or {}, fixed=fixed, further=further(names))
    if unknown := set(names) - fresh.columns.keys():
        raise InputError("names", sorted(unknown), f"use names from {', '.join(fresh.columns)}")
    axes = range(dim) if target == "pullback" else [None] * len(fronts)
    verdicts = [_judge_front(f, law, names, fresh, axis) for f, axis in zip(fronts, axes, strict=True)]
    if fixed:
        limit = f"; {', '.join(sorted(fixed))} never vary in the data, so nothing is said of them"
        verdicts = [replace(v, reason=v.reason + limit) if v.recovered else v for v in verdicts]
    return verdicts if target == "pullback" else _mark_components(verdicts, fresh.deltas)


def _judge_front(
    front: Front, law: ForceLaw, names: Sequence[str], fresh: Fresh, axis: int | None
) -> Verdict:
    """The simplest equation of the law's form that fits about as well as any other of that form.

    A front often holds the law along one axis before it holds the law along the mixture that the
    component really shows; the latter is the one that its marks and constants must describe.
    """
    verdicts = [judge_equation(e.expression, law, names, fresh, axis) for e in front.equations]
    formal = [i for i, v in enumerate(verdicts) if v.recovered]
    if not formal:
        return max(verdicts, key=lambda v: v.r2)
    doubts = {i: _doubt(front, i, formal) for i in formal}
    convincing = [i for i in formal if not doubts[i]]
    if not convincing:
        best = min(formal, key=lambda i: front.equations[i].loss)
        return replace(verdicts[best], recovered=False, marks="", reason=doubts[best], symbolic=False)
    losses = [front.equations[i].loss for i in convincing]
    limit = SLACK * min(losses) + NEGLIGIBLE * _trivial_loss(front, 0.0)
    index = next(i for i, loss in zip(convincing, losses, strict=True) if loss <= limit)
    reason, ratio = verdicts[index].reason, front.equations[index].loss / front.equations[-1].loss
    if ratio > WORTH_SAYING:
        other = "the best equation of the front, of another form or larger"
        reason += f"; {other}, fits {ratio:.2g} times better"
    return replace(verdicts[index], equation=index, reason=reason)


def _trivial_loss(front: Front, default: float) -> float:
    return min((e.loss for e in front.equations if e.complexity <= TRIVIAL), default=default)


def _doubt(front: Front, index: int, formal: Sequence[int]) -> str:
    """Why the data reject an equation of the law's form, in words; empty if they do not."""
    equation, trivial = front.equations[index], _trivial_loss(front, np.inf)
    text = _short(equation.expression)
    others = [e for i, e in enumerate(front.equations) if i > index and i not in formal]
    # where all that fits better is much larger, the front bends here: then more error is accepted
    elbow = all(e.complexity > equation.complexity + SLIGHTLY for e in others)
    if equation.loss > (POOR if elbow else CONVINCING) * trivial:
        share = f"{equation.loss / trivial:.0%}"
        return f"{text} has the law's form but leaves {share} of the error of a trivial equation"
    near = [e for e in front.equations if equation.complexity < e.complexity <= equation.complexity + CLOSE]
    rival = min(near, key=lambda e: e.loss, default=equation)
    if equation.loss > NEGLIGIBLE * trivial and rival.loss * RIVAL < equation.loss:
        return (
            f"{text} has the law's form, but {_short(rival.expression)}, hardly larger, "
            f"fits {equation.loss / rival.loss:.2g} times better"
        )
    return ""


def judge_equation(
    expression: sympy.Expr, law: ForceLaw, names: Sequence[str], fresh: Fresh, axis: int | None
) -> Verdict:
    """The verdict on one equation.

    Args:
        expression: the equation.
        law: the true law.
        names: its variables.
        fresh: points to judge on.
        axis: the Cartesian axis of a pulled-back acceleration, or None for a message component.
    """
    values = evaluate(expression, np.stack([fresh.columns[n] for n in names], axis=1), names)
    text = _short(expression)
    if not np.isfinite(values).all():
        return Verdict(False, None, "", f"{text} is not finite everywhere on a wider range than the data")
    member = nearest_member(values, law, fresh, "components" if axis is None else "pullback")
    constants = member.constants(law, fresh.deltas)
    fault = _fault(member, law, fresh.deltas, axis)
    if fault:
        return Verdict(False, None, "", f"{text}: {fault}", constants, member.r2)
    star = "*" if member.eps1 or member.eps2 else ""
    reason = f"equal to {_describe(member, law, fresh.deltas)}; {_quality(member)}"
    symbolic = same_symbolically(expression, law, member, fresh.deltas)
    return Verdict(True, None, star, reason, constants, member.r2, symbolic)


def _short(expression: sympy.Expr) -> str:
    """The expression as text, four figures a number."""
    rounded = {f: sympy.Float(float(f"{float(f):.4g}")) for f in expression.atoms(sympy.Float)}
    return write(expression.xreplace(rounded))


def _fault(member: Member, law: ForceLaw, deltas: Sequence[str], axis: int | None) -> str:
    """Why a member is not the law, in words; empty if it is."""
    if not member.r2 > THRESHOLD:
        family = f"(a·Δ)/r · ({law.formula})" + (" / m1" if axis is not None else " · m1^(−p)") + " + b"
        return f"the nearest function of the form {family} differs from it; {_quality(member)}"
    if axis is None:
        return ""
    on_axis = member.a[axis]
    others = [d for k, d in enumerate(deltas) if k != axis and abs(member.a[k]) > OFF_AXIS * abs(on_axis)]
    if others:
        return f"the law's form, but component {deltas[axis][1:]} must not depend on {', '.join(others)}"
    if on_axis < 0:
        return "the law's form with the opposite sign"
    return ""


def _quality(member: Member) -> str:
    if not np.isfinite(member.r2):
        return "it contains nothing of the law"
    missing = 1.0 - member.r2
    if missing < SAME:
        return "the same function on fresh points over a wider range"
    score = f"R² = {member.r2:.6f}" if missing > PRINTED else f"1 − R² = {missing:.0e}"
    return f"{score} against it on fresh points over a wider range"


def _describe(member: Member, law: ForceLaw, deltas: Sequence[str]) -> str:
    least = OFF_AXIS * max(map(abs, member.a))
    shown = [f"{a:.4g} {d}" for a, d in zip(member.a, deltas, strict=True) if abs(a) > least]
    size = " + ".join(shown).replace("+ -", "− ")
    text = f"({size})/r · ({law.formula})"
    if abs(member.power) > 5e-3:
        text += f" · m1^{-member.power:.3g}"
    if abs(member.b) > 1e-12:
        text += f" {'−' if member.b < 0 else '+'} {abs(member.b):.3g}"
    named = member.constants(law, deltas)
    told = ("b", "eps1", "eps2", "mass_power", *(f"a_{d}" for d in deltas))  # said above and below
    extra = [f"{k} = {v:.4g}" for k, v in named.items() if k not in told]
    if member.eps1 or member.eps2:
        extra.append(f"r shifted by {member.eps1:.3g} (direction) and {member.eps2:.3g} (magnitude)")
    return text + (" with " + ", ".join(extra) if extra else "")


def _mark_components(verdicts: Sequence[Verdict], deltas: Sequence[str]) -> list[Verdict]:
    """Add † ‡ §: which Δ each component shows, compared with the others."""
    pure = [_pure(v, deltas) for v in verdicts]
    if len(verdicts) > 1 and None not in pure:
        if len(set(pure)) == 1:
            return [replace(v, marks=v.marks + "†") for v in verdicts]
        if len(set(pure)) == len(pure):
            return [replace(v, marks=v.marks + "‡") for v in verdicts]
    return [replace(v, marks=v.marks + "§") if p else v for v, p in zip(verdicts, pure, strict=True)]


def _pure(verdict: Verdict, deltas: Sequence[str]) -> str | None:
    """The only Δ component of a recovered equation, or None."""
    if not verdict.recovered:
        return None
    size = {d: abs(verdict.constants[f"a_{d}"]) for d in deltas}
    present = [d for d, a in size.items() if a > OFF_AXIS * max(size.values())]
    return present[0] if len(present) == 1 else None
