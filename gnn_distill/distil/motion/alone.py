"""Forms that no list has for what acts on single particles: the engine's, for what the rest of a law leaves.

Shapes: R rows, D space dims.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy

from gnn_distill.distil.engines.engine import MIN_POINTS
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.refine import template
from gnn_distill.distil.motion.candidates import MOST
from gnn_distill.distil.motion.choose import ROUNDED
from gnn_distill.distil.motion.fit import Form, Term, fit, together, typical
from gnn_distill.distil.motion.search import Chosen, Search
from gnn_distill.distil.solve import Work
from gnn_distill.physics.variables import AXES, VELOCITIES

COUNT = 5_000
"""Rows that a search sees."""
BEST = 3
"""Equations of each component, those of the least loss, whose summands are tried."""
SPEED = 2
"""Order of the equation of motion from which on velocities act."""


def suggested(work: Work, search: Search, chosen: Chosen, k: int, seconds: float) -> list[Form]:
    """Summands of the equations that the engine finds for each component of what pairs leave.

    Args:
        work: the engine.
        search: the choice among forms.
        chosen: the law so far; its pair part counts, its one-body part is searched anew.
        k: number of the round, which draws its own points.
        seconds: of the processor.
    """
    motion, columns = search.seen.motion, search.seen.motion.edges.columns
    dim, box = columns.dim, columns.box or (None,) * columns.dim
    # in a box that repeats itself no place is another one's better
    names = [axis for axis, edge in zip(AXES[:dim], box, strict=True) if edge is None]
    names += VELOCITIES[:dim] if search.order >= SPEED else ()
    if not isinstance(work.engine, OperonEngine) or search.few is None or seconds < dim or not names:
        return []
    pairs = together(*chosen.pairs.values())
    known = fit(motion, chosen.form)
    count = len(pairs.terms)
    told = pairs.columns(motion, known.constants[: len(pairs.symbols)]) @ known.factors[:count]
    left = motion.labels - told.reshape(motion.labels.shape)
    names += [n for n in ("m1", "q1") if np.ptp(motion.nodes.named[n]) > 0]
    X = motion.inner(np.stack([motion.nodes.named[n] for n in names], axis=1))
    if len(X) < MIN_POINTS:
        return []
    drawn = np.random.default_rng([work.seed, 7, k]).permutation(len(X))[:COUNT]
    engine = replace(work.engine, restarts=1, drop_nearest=0.0, time_limit=seconds / dim)
    found: dict[str, Form] = {}
    for axis in range(dim):
        y = left[drawn, axis]
        if np.abs(y - np.median(y)).mean() < ROUNDED * typical(motion.labels):  # at most a constant is left
            continue
        what = f"round {k + 1}, what acts on one along {AXES[axis]}"
        job = replace(work, engine=engine)
        front = job.fit(
            f"alone_{k}_{axis}", X[drawn], y, names, None, work.seed + 1000 * (k + 1) + axis, what
        )
        for equation in sorted(front.equations, key=lambda e: e.loss)[:BEST]:
            for form in summands(equation.expression, axis, dim):
                found.setdefault(form.name, form)
    return list(found.values())


def summands(expression: sympy.Expr, axis: int, dim: int) -> list[Form]:
    """Each summand of an equation for one component as a form with a factor; plain numbers are left out.

    With a power of a coordinate come the lower ones, in whose place a search may have found it.
    """
    found, parts_of = [], sympy.Add.make_args(sympy.expand(expression))
    bare = [sympy.Mul(*(f for f in sympy.Mul.make_args(e) if f.free_symbols)) for e in parts_of]
    powers = [e for e in bare if e.is_Pow and e.base.is_Symbol and e.exp.is_Integer and e.exp > 2]
    lower = [e.base**k for e in powers for k in range(2, int(e.exp))]
    for plain in dict.fromkeys([*bare, *lower]):
        if not plain.free_symbols:
            continue
        parts = template(plain)
        letters = {s: sympy.Symbol(f"a{i}") for i, s in enumerate(parts.symbols)}
        vector = tuple(parts.form.xreplace(letters) if i == axis else sympy.S.Zero for i in range(dim))
        if len(letters) > MOST:
            continue
        start = tuple(float(v) for v in parts.start)
        rounded = {s: sympy.Float(f"{v:.3g}", 3) for s, v in zip(parts.symbols, start, strict=True)}
        name = f"{parts.form.xreplace(rounded)} along {AXES[axis]}"
        size = 2 + int(sympy.count_ops(plain, visual=False))
        found.append(Form(name, (Term(vector, None),), tuple(map(str, letters.values())), start, size=size))
    return found
