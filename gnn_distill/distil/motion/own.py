"""What acts on a particle by itself: the fewest terms of a list that explain what pairs leave over.

Shapes: R rows, D space dims, C columns.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.choose import beaten, compared
from gnn_distill.distil.motion.fit import TUNING, Fit, Form, Term, fit, together, typical
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import ANGLES, AXES, HEADINGS, PROPERTIES, VELOCITIES, Columns, sided

MOST = 12
"""Terms at most."""
FAINT = 2e-5
"""Share of a typical label below which a term may stand for the errors of derivatives that are fitted."""
SPAN = 1e-8
"""Share of a column's square that must lie outside of what others span."""
EDGES = 0.003, 0.03
"""Shares of the positions that lie beyond a wall's first guesses."""


def fields(
    columns: Columns, order: int, varying: Sequence[str], brought: Sequence[sympy.Expr] = ()
) -> list[Form]:
    """Vector fields that may act on a particle, a factor each; the simplest first.

    Args:
        columns: of the features.
        order: of the equation of motion; in one of first order velocities do not act.
        varying: names of the properties of a particle that are not the same for all; others than mass and
            charge say of which kind it is, 0 or 1.
        brought: further factors, of what individuals bring that the file does not hold.
    """
    dim = columns.dim
    place, speed = (sympy.symbols(names[:dim]) for names in (AXES, VELOCITIES))
    vectors = [(name, v) for name, v in (("trap", place), ("drag", speed)) if name == "trap" or order == 2]
    whole: list[tuple[str, tuple[sympy.Expr, ...]]] = []
    for name, v in vectors:
        size = sympy.sqrt(sympy.Add(*[c**2 for c in v]))
        whole.append((name, tuple(v)))
        turned, about = ("magnetic force", ", field along") if name == "drag" else ("rotation", " about")
        if dim == 2:
            whole.append((turned, (v[1], -v[0])))
        for k in range(dim if dim == 3 else 0):
            across = sympy.Matrix(v).cross(sympy.eye(3)[:, k])
            whole.append((f"{turned}{about} {AXES[k]}", tuple(across)))
        whole.append((f"quadratic {name}", tuple(c * size for c in v)))
        whole.append((f"cubic {name}", tuple(c * size**2 for c in v)))
        if name == "drag":  # Schienbein and Gruler 1993, Bull. Math. Biol. 55, 585
            whole.append(("propulsion", tuple(c / size for c in v)))
    for name in columns.further if dim == 2 else ():
        if name in ANGLES:
            angle = sympy.Symbol(sided(name, 1))
            whole.append((f"drive along {name}", (sympy.cos(angle), sympy.sin(angle))))
    for stem in HEADINGS:
        parts = [f"{stem}{axis}" for axis in AXES[:dim]]
        if {*parts} <= {*columns.further}:
            whole.append((f"drive along {stem.strip('_')}", tuple(sympy.Symbol(sided(p, 1)) for p in parts)))
    axes: list[tuple[str, tuple[sympy.Expr, ...]]] = []
    for k in range(dim):
        single = [sympy.S.One, *(c for _, v in vectors for c in v)]
        axes += [(f"{e} along {AXES[k]}", _along(e, k, dim)) for e in single]
        further = [sympy.Symbol(sided(name, 1)) for name in columns.further]
        axes += [(f"{e} along {AXES[k]}", _along(e, k, dim)) for e in further]
        if order == 2:  # walkers of two streams, whose headings nobody recorded
            axes.append((f"drive along {AXES[k]}", _along(speed[k] / sympy.Abs(speed[k]), k, dim)))
    m, q = sympy.Symbol("m1"), sympy.Symbol("q1")
    factors = [sympy.S.One]
    factors += [1 / m] if "m1" in varying else []
    factors += [sympy.Symbol(name) for name in varying if name not in PROPERTIES]
    factors += [q, *([q / m] if "m1" in varying else [])] if "q1" in varying else []
    factors += brought
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
    for k, side, edge in itertools.product(range(dim), ("low", "high"), EDGES):
        x, bound = sympy.Symbol(AXES[k]), sympy.Symbol("b")
        beyond = (x - bound) if side == "high" else (bound - x)
        depth = sympy.Max(0, beyond)
        force = -depth if side == "high" else depth
        start = (float(np.quantile(place[:, k], edge if side == "low" else 1 - edge)),)
        term = Term(_along(force, k, dim), None)
        found.append(Form(f"soft wall at {side} {AXES[k]}", (term,), ("b",), start, size=8))
    return found


WELL, OFF = "Gaussian well", " off the origin"
"""In the names of wells, and of those that have the place of their centre among their constants."""


def wells(place: Array) -> list[Form]:
    """Gaussian wells in all directions or along one: of optical tweezers, or of a sheet of light.

    Args:
        place: positions [N, D]; first guesses of centre and width are theirs.
    """
    found, dim = [], place.shape[1]
    mean, spread = place.mean(axis=0), place.var(axis=0)
    for axes, off in itertools.product(([*range(dim)], *([k] for k in range(dim) if dim > 1)), (False, True)):
        centre, b = sympy.symbols([f"c{k}" for k in axes]), sympy.Symbol("b")
        from_ = [sympy.Symbol(AXES[k]) - (c if off else 0) for k, c in zip(axes, centre, strict=True)]
        depth = sympy.exp(-sympy.Add(*(x**2 for x in from_)) / b)
        force = tuple(from_[axes.index(k)] * depth if k in axes else sympy.S.Zero for k in range(dim))
        along = f" along {AXES[axes[0]]}" if len(axes) < dim else ""
        symbols = (*(map(str, centre) if off else ()), "b")
        start = (*(mean[axes] if off else ()), float(2 * spread[axes].mean()))
        name = f"{WELL}{along}{OFF if off else ''}"
        found.append(Form(name, (Term(force, None),), symbols, start, size=8 + 2 * len(symbols)))
    return found


def selected(seen: Motion, unseen: Motion, choices: Sequence[Form], pairs: tuple[Array, Array]) -> list[Form]:
    """The fewest of the choices that explain what pair columns leave.

    Args:
        seen: rows that are fitted.
        unseen: rows that judge.
        choices: of `fields`, `walls` and `wells`, and others.
        pairs: pair columns [R D, X] on both.
    """
    job = _Selection(seen, unseen, choices, pairs)
    chosen = job.gathered(job.centred(job.plainest()))
    constants = list(job.fitted(chosen).constants)
    found = []
    for k in chosen:
        count = len(choices[k].symbols)
        found.append(replace(choices[k], start=tuple(constants[:count])))
        constants = constants[count:]
    return [found[i] for i in np.argsort(chosen)]


@dataclass(frozen=True)
class _Selection:
    """Terms are told by their numbers among the choices."""

    seen: Motion
    unseen: Motion
    choices: Sequence[Form]
    pairs: tuple[Array, Array]
    known: dict[tuple[int, ...], Fit] = field(default_factory=dict)

    def fitted(self, which: Sequence[int]) -> Fit:
        """These terms fitted."""
        if tuple(which) not in self.known:
            form = together(*(self.choices[k] for k in which))
            self.known[tuple(which)] = fit(self.seen, form, self.pairs[0])
        return self.known[tuple(which)]

    def better(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Whether the terms of `other` explain more of unseen rows than those of `one`.

        Not with a well that no particle sees the rim of: with a trap it would be a cubic force, or any.
        """
        if not self.seen_whole(other):
            return False
        fits = [self.fitted(which) for which in (one, other)]
        before, after = compared(fits, self.unseen, self.pairs[1])
        size, gain = typical(self.unseen.labels), float(before.losses.mean() - after.losses.mean())
        return gain > (FAINT * size) ** 2 and beaten(before, after, size)

    def seen_whole(self, which: Sequence[int]) -> bool:
        """Whether the particles go through all wells of these terms: their centres, and more than a width."""
        constants = iter(self.fitted(which).constants)
        for form in (self.choices[k] for k in which):
            values = dict(zip(form.symbols, constants, strict=False))
            pulls = form.terms[0].forms if form.name.startswith(WELL) else ()
            for axis, k in ((AXES[k], k) for k, pull in enumerate(pulls) if pull != 0):
                centre = values.get(f"c{k}", 0.0)
                low, high = np.quantile(self.seen.nodes.named[axis], [EDGES[0], 1 - EDGES[0]])
                rim = max(high - centre, centre - low)
                if not (low <= centre <= high and 0 < values["b"] < rim**2):
                    return False
        return True

    @functools.cached_property
    def table(self) -> Array:
        """The choices as columns [R D, C], with the constants that they start from."""
        return np.concatenate([c.columns(self.seen, c.start) for c in self.choices], axis=1)

    def grown(self, among: npt.NDArray[np.bool_] | None = None) -> list[int]:
        """Term after term, each the one that explains most of the rest, as long as unseen rows agree.

        `among` says which may be chosen; all if None. Where no single one does, two at once: a drive and the
        drag that balances it are each nothing alone.
        """
        table = self.table
        guessed = np.array([bool(c.symbols) for c in self.choices])  # which explain more once they are fitted
        alive = (np.abs(table).max(axis=0) > 0) & np.isfinite(table).all(axis=0)
        alive = alive if among is None else alive & among
        chosen: list[int] = []
        while len(chosen) < MOST:
            rest = (self.seen.labels - self.fitted(chosen).predicted(self.seen, self.pairs[0])).ravel()
            weight = np.ones(len(rest))
            if not self.seen.count:
                weight /= np.sqrt(1.0 + (rest / (TUNING * typical(rest))) ** 2)
            basis = np.concatenate([self.pairs[0], table[:, chosen]], axis=1)
            free = alive & ~np.isin(np.arange(len(alive)), chosen)
            steps = _steps(basis, table * free, rest, np.sqrt(weight))
            steps += _steps(basis, table * (free & guessed), rest, np.sqrt(weight))[:1]
            step = next((s for s in steps if self.better(chosen, [*chosen, *s])), None)
            if step is None:
                break
            chosen += step
        return chosen

    def pared(self, chosen: list[int]) -> list[int]:
        """Without the terms that can be spared, one after another, each the one that is missed least."""
        while True:
            fewer = [[c for c in chosen if c != k] for k in chosen]
            spared = [some for some in fewer if not self.better(some, chosen)]
            if not spared:
                return chosen
            tried = compared([self.fitted(some) for some in spared], self.unseen, self.pairs[1])
            chosen = spared[int(np.argmin([t.losses.mean() for t in tried]))]

    def plainest(self) -> list[int]:
        """The terms that grow from all choices, or from those without constants where these do as well.

        Walls and wells each explain much of any field, and one that has begun with them may not come out.
        """
        chosen = self.pared(self.grown())
        plain = np.array([not c.symbols for c in self.choices])
        if plain[chosen].all():
            return chosen
        other = self.pared(self.grown(plain))
        costs = [sum(self.choices[k].cost for k in which) for which in (other, chosen)]
        simpler = costs[0] <= costs[1] and not self.better(other, chosen)
        return other if simpler or self.better(chosen, other) else chosen

    def centred(self, chosen: list[int]) -> list[int]:
        """With the origin as a centre where that will do."""
        names = [c.name for c in self.choices]
        for k in [k for k in chosen if names[k].endswith(OFF)]:
            plain = [c if c != k else names.index(names[k].removesuffix(OFF)) for c in chosen]
            chosen = chosen if self.better(plain, chosen) else plain
        return chosen

    def gathered(self, chosen: list[int]) -> list[int]:
        """With one vector in the place of its components, where these have one factor."""
        forms = [c.terms[0].forms for c in self.choices]
        for k, vector in enumerate(forms):
            axes = [e for e in vector if e != 0]
            parts = [c for c in chosen if c != k and _is_part(forms[c], vector)]
            whole = [*(c for c in chosen if c not in parts), k]
            if len(axes) > 1 and len(parts) == len(axes) and not self.better(whole, chosen):
                chosen = whole
        return chosen


def _is_part(form: Sequence[sympy.Expr], vector: Sequence[sympy.Expr]) -> bool:
    """Whether a field is one component of another, up to its sign."""
    along = [k for k, e in enumerate(form) if e != 0]
    return len(along) == 1 and vector[along[0]] in (form[along[0]], -form[along[0]])


def _steps(basis: Array, table: Array, rest: Array, root: Array) -> list[list[int]]:
    """The column of a table [R D, C], and the two columns, that would explain most beside the basis."""
    y, a = rest * root, table * root[:, None]
    before = (a**2).sum(axis=0)
    if basis.shape[1]:
        q, _ = np.linalg.qr(basis / np.maximum(np.abs(basis).max(axis=0), 1e-300) * root[:, None])
        a, y = a - q @ (q.T @ a), y - q @ (q.T @ y)
    gram, pull = a.T @ a, a.T @ y
    norm = np.diag(gram)
    usable = norm > SPAN * before
    alone = np.where(usable, pull**2 / np.where(usable, norm, 1.0), 0.0)
    area = np.outer(norm, norm) - gram**2
    apart = np.outer(usable, usable) & (area > SPAN * np.outer(norm, norm))
    both = np.outer(pull**2, norm) + np.outer(norm, pull**2) - 2 * gram * np.outer(pull, pull)
    both = np.where(apart, both / np.where(apart, area, 1.0), 0.0)
    one, two = int(np.argmax(alone)), np.unravel_index(int(np.argmax(both)), both.shape)
    return [[one], [int(k) for k in two]] if alone[one] > 0 else []
