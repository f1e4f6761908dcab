"""What acts on a particle by itself: the fewest terms of a list that explain what pairs leave over.

Shapes: R rows, D space dims, C columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.choose import beaten, compared
from gnn_distill.distil.motion.fit import Fit, Form, Term, fit, together, typical
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import AXES, VELOCITIES, Columns, sided

MOST = 12
"""Terms at most."""
EDGE = 0.03
"""Share of the positions that lie beyond a wall's first guess."""


def fields(columns: Columns, order: int, varying: Sequence[str]) -> list[Form]:
    """Vector fields that may act on a particle, a factor each; the simplest first.

    Args:
        columns: of the features.
        order: of the equation of motion; in one of first order velocities do not act.
        varying: names of the properties of a particle that are not the same for all.
    """
    dim = columns.dim
    place, speed = (sympy.symbols(names[:dim]) for names in (AXES, VELOCITIES))
    vectors = [(name, v) for name, v in (("trap", place), ("drag", speed)) if name == "trap" or order == 2]
    whole: list[tuple[str, tuple[sympy.Expr, ...]]] = []
    for name, v in vectors:
        size = sympy.sqrt(sympy.Add(*[c**2 for c in v]))
        whole.append((name, tuple(v)))
        if dim == 2:
            turned = "magnetic force" if name == "drag" else "rotation"
            whole.append((turned, (v[1], -v[0])))
        whole.append((f"quadratic {name}", tuple(c * size for c in v)))
        whole.append((f"cubic {name}", tuple(c * size**2 for c in v)))
    axes: list[tuple[str, tuple[sympy.Expr, ...]]] = []
    for k in range(dim):
        single = [sympy.S.One, *(c for _, v in vectors for c in v)]
        axes += [(f"{e} along {AXES[k]}", _along(e, k, dim)) for e in single]
        further = [sympy.Symbol(sided(name, 1)) for name in columns.further]
        axes += [(f"{e} along {AXES[k]}", _along(e, k, dim)) for e in further]
    m, q = sympy.Symbol("m1"), sympy.Symbol("q1")
    factors = [sympy.S.One]
    factors += [1 / m] if "m1" in varying else []
    factors += [q, *([q / m] if "m1" in varying else [])] if "q1" in varying else []
    found = []
    for (name, vector), factor in itertools.product((*whole, *axes), factors):
        scaled = tuple(c * factor for c in vector)
        title = name if factor == 1 else f"{name} × {factor}"
        size = 1 + len([c for c in vector if c != 0]) + (0 if factor == 1 else 2)
        found.append(Form(title, (Term(scaled, None),), size=size))
    return found


def _along(e: sympy.Expr, k: int, dim: int) -> tuple[sympy.Expr, ...]:
    return tuple(e if i == k else sympy.S.Zero for i in range(dim))


def walls(place: Array) -> list[Form]:
    """Soft walls: beyond a bound on one side of one axis a force back in proportion to the depth.

    Args:
        place: positions [N, D]; first guesses of the bounds are near their ends.
    """
    found, dim = [], place.shape[1]
    for k, (side, share) in itertools.product(range(dim), (("low", EDGE), ("high", 1 - EDGE))):
        x, bound = sympy.Symbol(AXES[k]), sympy.Symbol("b")
        beyond = (x - bound) if side == "high" else (bound - x)
        depth = (beyond + sympy.Abs(x - bound)) / 2
        force = -depth if side == "high" else depth
        start = (float(np.quantile(place[:, k], share)),)
        term = Term(_along(force, k, dim), None)
        found.append(Form(f"soft wall at {side} {AXES[k]}", (term,), ("b",), start, size=8))
    return found


def selected(seen: Motion, unseen: Motion, choices: Sequence[Form], pairs: tuple[Array, Array]) -> list[Form]:
    """The fewest of the choices that explain what pair columns leave.

    Terms are added one by one, each the one that explains most of the rest, as long as unseen rows agree;
    then those that can be spared are taken out.

    Args:
        seen: rows that are fitted.
        unseen: rows that judge.
        choices: of `fields`.
        pairs: pair columns [R D, X] on both.
    """
    size = typical(unseen.labels)
    table = np.concatenate([c.columns(seen, c.start) for c in choices], axis=1)
    alive = np.abs(table).max(axis=0) > 0
    alive &= np.isfinite(table).all(axis=0)
    chosen: list[int] = []

    def tried(which: Sequence[int]) -> Fit:
        return fit(seen, together(*(choices[k] for k in which)), pairs[0])

    current = tried(chosen)
    while len(chosen) < MOST:
        rest = (seen.labels - current.predicted(seen, pairs[0])).ravel()
        weight = 1.0 / np.sqrt(1.0 + (rest / (1.5 * typical(rest))) ** 2)
        basis = np.concatenate([pairs[0], table[:, chosen]], axis=1)
        gain = _gains(basis, table, rest, np.sqrt(weight)) * alive
        gain[chosen] = 0.0
        # an isotropic field has one factor where those of single axes need one each
        best = int(np.argmax(gain))
        more = tried([*chosen, best])
        before, after = compared([current, more], unseen, pairs[1])
        if gain[best] <= 0 or not beaten(before, after, size):
            break
        chosen, current = [*chosen, best], more
    for k in sorted(chosen, key=lambda k: -choices[k].size):
        fewer = [c for c in chosen if c != k]
        less = tried(fewer)
        without, with_it = compared([less, current], unseen, pairs[1])
        if not beaten(without, with_it, size):
            chosen, current = fewer, less
    found, constants = [], list(current.constants)
    for k in chosen:
        count = len(choices[k].symbols)
        found.append(replace(choices[k], start=tuple(constants[:count])))
        constants = constants[count:]
    return sorted(found, key=lambda f: [c.name for c in choices].index(f.name))


def _gains(basis: Array, table: Array, rest: Array, root: Array) -> Array:
    """By how much each column [R D, C] would lower the weighted squares of the rest, beside the basis."""
    y, a = rest * root, table * root[:, None]
    if basis.shape[1]:
        q, _ = np.linalg.qr(basis / np.maximum(np.abs(basis).max(axis=0), 1e-300) * root[:, None])
        a, y = a - q @ (q.T @ a), y - q @ (q.T @ y)
    norm = (a**2).sum(axis=0)
    before = ((table * root[:, None]) ** 2).sum(axis=0)
    return np.where(norm > 1e-8 * before, (a.T @ y) ** 2 / np.maximum(norm, 1e-300), 0.0)
