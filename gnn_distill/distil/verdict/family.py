"""The functions that count as a given force law, and the distance of an equation from them.

An equation need not be the law to the letter: a message may mix the axes, carry an offset and another power
of the receiver's mass, and a fit may put a small constant into r. All these are one family, and the equation
has the law's form if the nearest member of the family has the same values.

The family of a law is

    f = Σ_k a_k Δ_k / (r + ε1) · magnitude(r + ε2, m1, m2, q1, q2, params) · m1^(−p) + b

with a and b free, |ε| ≤ `MAX_EPS`, the law's parameters within a factor `PARAM_FACTOR` of their
values, and p the receiver-mass power. The exact force, along Δ/d with d = r − 0.01, is a member.

Shape letters: S points, D space dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Literal

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.parse import NO_VALUE
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import ONE_BODY, SOFTENING, ForceLaw
from gnn_distill.physics.variables import DELTAS

Target = Literal["pullback", "components"]

MAX_EPS = 0.05
PARAM_FACTOR = 2.0
MAX_POWER = 3.0
THRESHOLD = 0.99999
HOPELESS = 0.5
"""R² without ε below which no small ε can help."""
FRESH_POINTS = 1500
WIDER = 2.0
"""Fresh points reach this factor beyond the data at both ends, in r and in the masses."""
DEFAULT_RANGES = {"r": (0.2, 8.0), "m1": (0.2, 5.0), "m2": (0.2, 5.0)}
FLOOR = 1e-6
"""Smallest size of a force, in units of its median, that differences are divided by."""
ROUNDING = 1e-20
"""Values whose squared deviation from b is below this share of their own squared size are the constant b."""
_BUMPS = (0.8, 1.0, 1.25)
"""Factors on r and m1 at which the size of the force around a point is looked up."""


@dataclass(frozen=True)
class Fresh:
    """Points to judge on: columns by name, each of shape [S]."""

    columns: Mapping[str, Array]
    deltas: tuple[str, ...]

    @property
    def arguments(self) -> tuple[Array, ...]:
        """r, m1, m2, q1, q2, as a law's functions take them."""
        return tuple(self.columns[n] for n in ("r", "m1", "m2", "q1", "q2"))


def fresh_points(
    law: ForceLaw,
    dim: int,
    ranges: Mapping[str, tuple[float, float]],
    *,
    fixed: Mapping[str, float] | None = None,
    further: Sequence[str] = (),
    seed: int = 0,
) -> Fresh:
    """Random points over a wider range than the data.

    r and the masses are uniform in the logarithm, directions uniform on the sphere, charges ±1 (times a size
    uniform in the logarithm where those of the data have several) or N(0, 1) as the law says.

    Args:
        law: the law to be judged.
        dim: 2 or 3 (1 works too).
        ranges: (lowest, highest) value in the data by name; r, m1, m2, q1 and q2 are used.
        fixed: masses and charges that do not vary in the data, and so not here.
        further: names of further features, which no law knows.
        seed: of the points.
    """
    if not 1 <= dim <= 3:
        raise InputError("dim", dim, "give 2 or 3")
    rng = np.random.default_rng(seed)
    columns: dict[str, Array] = {}
    for name, default in DEFAULT_RANGES.items():
        low, high = (float(v) for v in ranges.get(name, default))
        if not (0 < low <= high < np.inf):
            raise InputError(f"ranges[{name}]", (low, high), "give 0 < lowest ≤ highest")
        low, high = max(low / WIDER, 2 * SOFTENING if name == "r" else 0.0), high * WIDER
        columns[name] = np.exp(rng.uniform(np.log(low), np.log(max(high, low)), FRESH_POINTS))
    for name in ("q1", "q2"):
        normal = rng.normal(size=FRESH_POINTS)
        columns[name] = np.sign(normal) if law.charges == "sign" else normal
    for name in ("q1", "q2") if law.charges == "sign" else ():
        low, high = ranges.get(name, (1.0, 1.0))
        if 0 < low < high:  # charges of other sizes than the simulated ones
            columns[name] *= np.exp(rng.uniform(np.log(low / WIDER), np.log(high * WIDER), FRESH_POINTS))
    for name, value in (fixed or {}).items():
        columns[name] = np.full(FRESH_POINTS, value)
    for name in further:
        columns[name] = rng.uniform(*ranges.get(name, (0.0, 1.0)), FRESH_POINTS)
    direction = rng.normal(size=(FRESH_POINTS, dim))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    for k, name in enumerate(DELTAS[:dim]):
        columns[name] = (columns["r"] - SOFTENING) * direction[:, k]
    return Fresh(columns, DELTAS[:dim])


def constant_inputs(ranges: Mapping[str, tuple[float, float]], varying: Sequence[str]) -> dict[str, float]:
    """Masses and charges of data in which they do not vary; one for those that are absent.

    Args:
        ranges: of the data by name, see `gnn_distill.distil.verdict.judge.data_ranges`.
        varying: names of the inputs that equations may use.
    """
    kinds = [name for name in ("m1", "m2", "q1", "q2") if name in ranges and name not in varying]
    return {name: ranges[name][0] or 1.0 for name in kinds}


@dataclass(frozen=True)
class Member:
    """The family member nearest to an equation, and R² of the equation's values against it."""

    r2: float
    a: tuple[float, ...]
    b: float
    eps1: float
    eps2: float
    power: float
    params: tuple[float, ...]

    def constants(self, law: ForceLaw, deltas: Sequence[str]) -> dict[str, float]:
        """All fitted constants by name."""
        named = {f"a_{d}": a for d, a in zip(deltas, self.a, strict=True)}
        named |= {"b": self.b, "eps1": self.eps1, "eps2": self.eps2, "mass_power": self.power}
        pair = [f.name for f in fields(law) if f.name not in ONE_BODY]
        return named | dict(zip(pair, self.params, strict=False))


def nearest_member(values: Array, law: ForceLaw, fresh: Fresh, target: Target) -> Member:
    """The member of the law's family that is nearest to `values` [S] at the fresh points.

    Differences are relative to the size of the force, so that every decade of r counts; R² is
    that of the part left when b is taken off.
    """
    powers, reach = ((1.0,), 0.0) if target == "pullback" else ((1.0, 0.0), MAX_POWER)
    params = np.array(law.params)
    low, high = np.sort(np.stack([params / PARAM_FACTOR, params * PARAM_FACTOR]), axis=0)

    def fit(eps1: float, eps2: float, power: float) -> Member:
        start = np.array([0.0, 0.0, power, *params])
        least = np.array([-eps1, -eps2, power - reach, *low])
        most = np.array([eps1, eps2, power + reach, *high])
        return _fit(values, law, fresh, start, (least, most))

    r2 = attrgetter("r2")
    best = max((fit(0.0, 0.0, power) for power in powers), key=r2)
    # small constants inside r only where they are missed: each makes the fit slower and easier to mislead
    for eps in ((MAX_EPS, 0.0), (0.0, MAX_EPS), (MAX_EPS, MAX_EPS)):
        if not HOPELESS < best.r2 <= THRESHOLD:
            break
        best = max(best, fit(*eps, best.power), key=r2)
    return best


def _fit(values: Array, law: ForceLaw, fresh: Fresh, full: Array, bounds: tuple[Array, Array]) -> Member:
    """The best member from (ε1, ε2, p, params…) on, each free to move where its bounds differ."""
    free = bounds[1] > bounds[0]
    rounds = 2 if free[2] else int(free.any())
    for _ in range(rounds):  # a second one, since the scale depends on the power of the mass that is found
        scale = force_scale(law, fresh, full[2])
        full = _solve(values / scale, law, fresh, scale, full, bounds)
    scale = force_scale(law, fresh, full[2])
    whole, design = values / scale, _design(law, fresh, scale, full)
    linear, residual = _project(design, whole)
    rest = whole - design[:, -1] * linear[-1]
    total = float(rest @ rest)
    varies = total > ROUNDING * float(whole @ whole) and np.any(linear[:-1] != 0)
    r2 = 1.0 - float(residual @ residual) / total if varies else -np.inf
    eps1, eps2, power, *params = (float(v) for v in full)
    *a, b = (float(v) for v in linear)
    return Member(r2, tuple(a), b, eps1, eps2, power, tuple(params))


def _solve(
    target: Array, law: ForceLaw, fresh: Fresh, scale: Array, start: Array, bounds: tuple[Array, Array]
) -> Array:
    free = bounds[1] > bounds[0]
    low, high = (limit[free] for limit in bounds)

    def filled(values: Array) -> Array:
        full = start.copy()
        full[free] = values
        return full

    def residual(values: Array) -> Array:
        return _project(_design(law, fresh, scale, filled(values)), target)[1]

    inside = np.clip(start[free], low + 1e-9, high - 1e-9)
    try:
        found = least_squares(
            residual, inside, bounds=(low, high), x_scale=0.1, max_nfev=60,
            ftol=1e-14, xtol=1e-12, gtol=1e-14,
        )  # fmt: skip
    except (ValueError, np.linalg.LinAlgError):
        return start
    return filled(found.x)


def _design(law: ForceLaw, fresh: Fresh, scale: Array, full: Array) -> Array:
    """Columns of the linear part, over `scale`: one for each Δ component, and the constant."""
    r, m1, m2, q1, q2 = fresh.arguments
    size = law.magnitude(r + full[1], m1, m2, q1, q2, tuple(full[3:])) * m1 ** -full[2] / (r + full[0])
    columns = [fresh.columns[d] * size for d in fresh.deltas]
    return np.stack([*columns, np.ones_like(r)], axis=1) / scale[:, None]


def _project(design: Array, target: Array) -> tuple[Array, Array]:
    """Least squares with columns brought to equal size: (coefficients, residual)."""
    size = np.linalg.norm(design, axis=0)
    size = np.where(size > 0, size, 1.0)
    linear = np.linalg.lstsq(design / size, target, rcond=1e-12)[0]
    return linear / size, target - (design / size) @ linear


def force_scale(law: ForceLaw, fresh: Fresh, power: float) -> Array:
    """Size of the force at and around each point, so that its zeros do not count infinitely."""
    r, m1, m2, q1, q2 = fresh.arguments
    sizes = [
        np.abs(law.magnitude(r * br, m1 * bm, m2, q1, sign * q2, law.params))
        for br in _BUMPS
        for bm in _BUMPS
        for sign in (1.0, -1.0)
    ]
    envelope = np.max(np.stack([np.broadcast_to(s, r.shape) for s in sizes]), axis=0)
    acting = envelope[envelope > 0]  # some laws vanish over a whole range of r
    typical = float(np.median(acting)) if acting.size else 1.0
    return np.maximum(envelope, FLOOR * typical) * m1**-power


def same_symbolically(expression: sympy.Expr, law: ForceLaw, member: Member, deltas: Sequence[str]) -> bool:
    """Whether algebra alone shows that an equation is its nearest member, up to small constants.

    Both are written as one fraction of polynomials; the cross products must agree coefficient by
    coefficient. Cheap by construction: large expressions, powers and non-rational laws give False.
    """
    try:
        pairs = [sympy.fraction(sympy.together(e)) for e in (expression, _expression(member, law, deltas))]
        if any(part.count_ops() > 60 or not part.is_polynomial() for pair in pairs for part in pair):
            return False
        (n1, d1), (n2, d2) = pairs
        left, right = (_coefficients(e, law.charges == "sign") for e in (n1 * d2, n2 * d1))
    except NO_VALUE:
        return False
    keys = sorted(left.keys() | right.keys())
    u, v = (np.array([side.get(k, 0.0) for k in keys]) for side in (left, right))
    return bool(np.allclose(u, v, atol=3e-3 * np.abs(v).max(), rtol=0.0))


def _expression(member: Member, law: ForceLaw, deltas: Sequence[str]) -> sympy.Expr:
    r, m1, m2, q1, q2 = sympy.symbols("r m1 m2 q1 q2")
    power = sympy.Integer(round(member.power))
    size = law.magnitude(r + member.eps2, m1, m2, q1, q2, member.params) * m1**-power / (r + member.eps1)
    return member.b + sum(a * sympy.Symbol(d) * size for a, d in zip(member.a, deltas, strict=True))


def _coefficients(expression: sympy.Expr, signs: bool) -> dict[tuple[int, ...], float]:
    """Coefficients by powers of the variables; powers of charges of ±1 count modulo 2."""
    found: dict[tuple[int, ...], float] = {}
    for powers, value in sympy.Poly(expression, *sympy.symbols("dx dy dz r m1 m2 q1 q2")).terms():
        key = (*powers[:6], powers[6] % 2, powers[7] % 2) if signs else powers
        found[key] = found.get(key, 0.0) + float(value)
    return found
