"""The equation of motion: forms for each part of it, from the network; chosen and fitted on accelerations.

An acceleration is the sum of a part along Δ/d of each pair, of one along its relative velocity, of one
across, and of what acts on a particle alone. The network says what each part looks like; data that no fit has
seen say which closed form it has.

Shapes: E edges, R rows, D space dims.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.candidates import GIVEN, MOST, lean
from gnn_distill.distil.motion.choose import Tried, beaten, compared, simplest
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, fit, holds, together, typical
from gnn_distill.distil.motion.kicks import innovations
from gnn_distill.distil.motion.own import fields, selected, walls, wells
from gnn_distill.distil.motion.samples import Motion, Strengths
from gnn_distill.physics.variables import AXES, PROPERTIES

SCREENED, FINALISTS = 10, 5
"""Forms that are fitted to all rows, of those that fit a part of them best; and of these once more."""
SPARE = ("trap", "rotation", "drag", "magnetic force")
RIVALS = 3
"""Known forms that are named beside the chosen one, where noise is nearly all of the labels."""
LEAST = 4
"""Forms that are fitted however long it takes."""
PASSES = 2
"""Rounds over the parts, each chosen while the others stay."""


@dataclass(frozen=True)
class Parts:
    """What a network says of some rows.

    Attributes:
        functions: f of each direction of a pair that it has (see `Motion.directions`), each [E], or of the
            pairs of a group alone.
        own: what acts on each particle alone, [N, D]; None where it tells no such part.
    """

    functions: Mapping[str, Array]
    own: Array | None

    def columns(self, motion: Motion) -> dict[str, Array]:
        """The parts as columns [R D, 1], by direction and `own`."""
        found = {}
        for key, f in self.functions.items():
            found[key] = motion.pairs(motion.vectors(f, key)).reshape(-1, 1)
        if self.own is not None:
            found["own"] = motion.averaged(self.own).reshape(-1, 1)
        return found


@dataclass(frozen=True)
class Chosen:
    """The form of each part, and how the choice came out.

    Attributes:
        pairs: by direction; those without a form are left out.
        own: what acts on a particle alone.
        level: by direction, other forms that the data cannot tell from the chosen one.
        tried: by direction, all that were compared on all rows.
        unsaid: whether the network knows more of what acts on single particles than these forms say.
    """

    pairs: dict[str, Form]
    own: tuple[Form, ...]
    level: dict[str, list[Tried]]
    tried: dict[str, list[Tried]]
    unsaid: bool = False

    @property
    def form(self) -> Form:
        """All parts as one form."""
        return together(*self.pairs.values(), *self.own)


@dataclass(frozen=True)
class Rows:
    """Labels, and what the network says of them as columns [R D, 1], by direction and `own`.

    `functions` are f of each pair [E] that the columns were made of, as far as they are known.
    """

    motion: Motion
    network: Mapping[str, Array]
    functions: Mapping[str, Array] = field(default_factory=dict)

    @property
    def pairs(self) -> list[str]:
        """Directions of pairs that the network has."""
        return [key for key in self.network if key != "own"]

    @property
    def told(self) -> Array:
        """The network's prediction, shape [R, D]."""
        return np.add.reduce(list(self.network.values())).reshape(self.motion.labels.shape)

    @functools.cached_property
    def kicks(self) -> Array:
        """What random forces do to velocities, see `innovations`."""
        pairs = [column for key, column in self.network.items() if key[:1] in ("u", "t")]
        return innovations(self.motion, np.concatenate([np.zeros((self.motion.labels.size, 0)), *pairs], 1))

    def nearer(self, reach: float) -> Rows:
        """The same rows where only pairs nearer than this act."""
        near = self.motion.named["d"] < reach
        motion = replace(self.motion, edges=self.motion.edges.where(near))
        return Rows(motion, self.network, {k: f[near] for k, f in self.functions.items()})

    def weighed(self, strengths: Strengths, u: Array) -> Rows:
        """The same rows with these strengths of individuals, and another word for the part along Δ/d."""
        return Rows(self.motion.weighed(strengths), {**self.network, "u": u.reshape(-1, 1)})

    def grouped(self, groups: Mapping[str, Mapping[str, sympy.Expr]]) -> Rows:
        """The same rows where functions stand for groups of pairs, as `u:NAME`.

        Args:
            groups: by direction, what is 1 for the pairs of each group and 0 for all others.
        """
        motion = self.motion.grouped(
            {name: where for found in groups.values() for name, where in found.items()}
        )
        each: dict[str, Array] = {}
        for way, f in self.functions.items():
            each |= {f"{way}:{name}": f[motion.members[name]] for name in groups.get(way, ())}
        columns = {k: v for k, v in self.network.items() if k not in groups}
        return Rows(motion, Parts(each, None).columns(motion) | columns, self.functions)

    def beside(self, keys: Sequence[str], forms: Sequence[Form] = ()) -> Array:
        """Columns of these parts of the network, of these forms and of kicks, shape [R D, X]."""
        parts = [self.network[k] for k in keys] + [f.columns(self.motion, f.start) for f in forms]
        return np.concatenate([*parts, self.kicks], axis=1)


@dataclass(frozen=True)
class Search:
    """Which forms the parts of a law have.

    Attributes:
        few: rows on which forms are screened; None where `candidates` have been.
        seen: rows that fits see; `unseen` rows that choose.
        order: of the equation of motion.
        candidates: forms of one direction, from points of the network.
        say: prints one line of text.
        fresh: whether the network has not seen the rows that choose.
        seconds: of the processor, after which no form beyond the first `LEAST` is fitted any more.
        begun: when they began.
        more: forms that may act on single particles, beside those of the list.
    """

    few: Rows | None
    seen: Rows
    unseen: Rows
    order: int
    candidates: Callable[[str], list[Form]]
    say: Callable[[str], None] = lambda line: None
    fresh: bool = True
    seconds: float = 25.0
    begun: float = field(default_factory=time.process_time)
    more: tuple[Form, ...] = ()

    def run(self) -> Chosen:
        """Choose the parts one after another, then once more beside the others' closed forms."""
        parts = alive(self.seen, self.unseen)
        pairs: dict[str, Form] = {}
        own = self.own(parts, ())
        rest = self._unsaid(parts, own)
        forms: dict[str, list[Form]] = {}
        level: dict[str, list[Tried]] = {}
        tried: dict[str, list[Tried]] = {}
        spare = self.spare()
        for _ in range(PASSES):
            before = {k: f.name for k, f in pairs.items()}, [f.name for f in own]
            for key in parts:
                known = [pairs[k] for k in parts if k != key and k in pairs] + own
                known += [f for f in spare if all(f.name != o.name for o in own)]
                told = [k for k in parts if k != key and k not in forms]  # until they have a form
                told += rest
                if key not in forms:
                    forms[key] = self._screened(self.candidates(key), told, known)
                best, level[key], tried[key] = self._choose(forms[key], told, known)
                name, count = best.fit.form.name or "an equation of the search", len(forms[key])
                self.say(f"  part {key} on unseen runs: {name}, the simplest of {count} that no other beats")
                simple = self.few is not None or self.seen.motion.count > 0
                forms[key] = _finalists(best, tried[key], simple)
                pairs.pop(key, None)
                if best.fit.form.terms:
                    pairs[key] = replace(best.fit.form, start=tuple(best.fit.constants))
            if len(parts) == 1 and "own" not in self.seen.network:
                break  # nothing stands beside it that could move the choice
            own = self.own([], tuple(pairs.values()))
            if before == ({k: f.name for k, f in pairs.items()}, [f.name for f in own]):
                break
        unsaid = bool(rest) and bool(self._unsaid([], [*pairs.values(), *own]))
        return Chosen(pairs, tuple(own), level, tried, unsaid)

    def beside(self, chosen: Chosen, key: str) -> tuple[list[str], list[Form]]:
        """All but one direction: parts that the network still has to tell, and forms."""
        known = [f for k, f in chosen.pairs.items() if k != key] + list(chosen.own)
        known += [f for f in self.spare() if all(f.name != o.name for o in chosen.own)]
        return ["own"] if chosen.unsaid else [], known

    def bettered(self, chosen: Chosen, key: str, forms: Sequence[Form]) -> Chosen:
        """The choice with one direction chosen anew, among the best so far and these forms."""
        told, known = self.beside(chosen, key)
        forms = self._screened([f for f in forms if f.cost <= MOST], told, known)
        before = [_moved(t) for t in _ranked(chosen.tried.get(key, []))]
        if key in chosen.pairs:
            before = [chosen.pairs[key], *(f for f in before if f.terms != chosen.pairs[key].terms)]
        rivals = [
            t.fit.form.terms for t in chosen.level.get(key, [])
        ]  # level with the choice, if not the best
        before = before[:FINALISTS] + [f for f in before[FINALISTS:] if f.terms in rivals]
        best, level, tried = self._choose([*before, *forms], told, known)
        pairs = {k: f for k, f in chosen.pairs.items() if k != key}
        if best.fit.form.terms:
            pairs[key] = replace(best.fit.form, start=tuple(best.fit.constants))
        now = replace(
            chosen, pairs=pairs, level=chosen.level | {key: level}, tried=chosen.tried | {key: tried}
        )
        if best.fit.form.terms == (chosen.pairs[key].terms if key in chosen.pairs else ()):
            return now
        own = self.own([], tuple(pairs.values()))
        unsaid = chosen.unsaid and bool(self._unsaid([], [*pairs.values(), *own]))
        return replace(now, own=tuple(own), unsaid=unsaid)

    def pared(self, chosen: Chosen) -> Chosen:
        """The choice without what does nothing in its forms of pairs, where they are no worse for it."""
        pairs = dict(chosen.pairs)
        for key, form in () if self.seen.motion.count else chosen.pairs.items():
            told, known = self.beside(chosen, key)
            whole = fit(self.seen.motion, form, self.seen.beside(told, known))
            shorter = None if form.name == GIVEN else lean(whole, self.seen.motion)
            if shorter is not None and shorter.cost < form.cost:
                best = self._choose([form, shorter], told, known)[0]
                pairs[key] = _moved(best) if best.fit.form.terms else form
        return replace(chosen, pairs=pairs)

    def alone(self, chosen: Chosen) -> Chosen:
        """The choice with its one-body part chosen anew."""
        own = self.own([], tuple(chosen.pairs.values()))
        unsaid = chosen.unsaid and bool(self._unsaid([], [*chosen.pairs.values(), *own]))
        return replace(chosen, own=tuple(own), unsaid=unsaid)

    def spare(self) -> list[Form]:
        """The simplest fields, which stand beside every pair form that is tried.

        A trap and the repulsion that balances it are each nothing alone, and a network may tell one as the
        other.
        """
        if "own" not in self.seen.network:
            return []
        known = self._fields(self._varying("m1", "q1"))
        return [f for f in known if f.name.startswith(SPARE) or f.name.startswith("1 along")]

    def fields(self) -> list[Form]:
        """Vector fields that may act on a particle."""
        return self._fields(self._varying("m1", "q1", *self._kinds()))

    def _fields(self, varying: Sequence[str]) -> list[Form]:
        return fields(self.seen.motion.edges.columns, self.order, varying, self.seen.motion.brought)

    def _varying(self, *names: str) -> list[str]:
        """Those of these properties that are not the same for all particles."""
        named = self.seen.motion.nodes.named
        return [name for name in names if np.ptp(named[name]) > 0]

    def _kinds(self) -> list[str]:
        """What says of which kind a particle is, 0 or 1."""
        named = self.seen.motion.nodes.named
        own = (n for n in named if n.endswith("1") and n not in PROPERTIES)
        return self._varying(*(n for n in own if np.isin(named[n], (0.0, 1.0)).all()))

    def _unsaid(self, told: Sequence[str], forms: Sequence[Form]) -> list[str]:
        """`own` where the network knows more of what acts on single particles than these forms say."""
        if "own" not in self.seen.network or not self.fresh:
            return []
        keys = [told, [*told, "own"]]
        seen, unseen = ([r.beside(k, forms) for k in keys] for r in (self.seen, self.unseen))
        fits = [fit(self.seen.motion, NOTHING, extra) for extra in seen]
        without, with_it = compared(fits, self.unseen.motion, unseen)
        return ["own"] if beaten(without, with_it, typical(self.unseen.motion.labels)) else []

    def own(self, told: Sequence[str], forms: Sequence[Form]) -> list[Form]:
        """The one-body terms beside what is known of pairs."""
        if "own" not in self.seen.network:
            return []
        motion = self.seen.motion
        place = np.stack([motion.nodes.named[a] for a in AXES[: motion.edges.columns.dim]], axis=1)
        listed = [*self.fields(), *walls(place), *wells(place)]
        names = {form.name for form in listed}
        choices = [*listed, *(form for form in dict.fromkeys(self.more) if form.name not in names)]
        pairs = self.seen.beside(told, forms), self.unseen.beside(told, forms)
        return selected(motion, self.unseen.motion, choices, pairs)

    def _screened(self, forms: Sequence[Form], told: Sequence[str], known: Sequence[Form]) -> list[Form]:
        """The forms that fit a few rows best, their constants moved there."""
        if self.few is None or not forms:
            return list(forms)
        motion, extra = self.few.motion, self.few.beside(told, known)
        fits = self._fits(motion, forms, extra)
        rated = sorted(compared(fits, motion, extra), key=lambda t: float(t.losses.mean()))
        size = typical(motion.labels)
        level = [t for t in rated if t is rated[0] or not beaten(t, rated[0], size)]
        simple = sorted(level, key=lambda t: t.order)[: SCREENED // 2]  # noise may hide how well these fit
        kept = [*simple, *(t for t in rated if all(t is not s for s in simple))][:SCREENED]
        return [_moved(t) for t in kept]

    def _fits(self, motion: Motion, forms: Sequence[Form], extra: Array) -> list[Fit]:
        """The forms fitted, the first ones alone where time is over: powers in powers take long."""
        fits: list[Fit] = []
        for form in forms:
            if len(fits) >= LEAST and time.process_time() - self.begun > self.seconds:
                break
            fits.append(fit(motion, form, extra))
        return fits

    def _choose(
        self, forms: Sequence[Form], told: Sequence[str], known: Sequence[Form]
    ) -> tuple[Tried, list[Tried], list[Tried]]:
        """The simplest form that no other beats, those that are level with it, and all."""
        extra, unseen = self.seen.beside(told, known), self.unseen.beside(told, known)
        fits = self._fits(self.seen.motion, (NOTHING, *forms), extra)
        found = compared([f for f in fits if holds(f, self.unseen.motion)], self.unseen.motion, unseen)
        chosen, level = simplest(found, self.unseen.motion)
        level = [t for t in level if t.order[0] <= chosen.order[0] + (self.few is None)]
        if self.few is None:  # in noise a form may be the simplest although others are a little better
            named = {t.fit.form.name: t for t in reversed(level) if t.fit.form.name}
            level = sorted(named.values(), key=lambda t: float(t.losses.mean()))[:RIVALS]
        return chosen, level, found


def _finalists(best: Tried, tried: Sequence[Tried], simple: bool) -> list[Form]:
    """The chosen form, those as simple if asked, those of the least losses; constants as fits moved them."""
    rated = _ranked([t for t in tried if t is not best])
    rated = [best, *sorted(rated, key=lambda t: simple and t.order[0] > best.order[0])]
    return [_moved(t) for t in rated if t.fit.form.terms][:FINALISTS]


def _moved(tried: Tried) -> Form:
    """The form that was tried, its constants where the fit moved them."""
    return replace(tried.fit.form, start=tuple(tried.fit.constants))


def _ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Those with a form by their losses, the least first."""
    return sorted((t for t in tried if t.fit.form.terms), key=lambda t: float(t.losses.mean()))


def alive(seen: Rows, unseen: Rows) -> list[str]:
    """Directions of the network that explain anything of unseen rows beside its other parts."""
    size, kept = typical(unseen.motion.labels), list(seen.network)
    for key in [k for k in kept if k != "own"]:
        rest = [k for k in kept if k != key]
        fits = [fit(seen.motion, NOTHING, seen.beside(keys)) for keys in (rest, kept)]
        beside = [unseen.beside(keys) for keys in (rest, kept)]
        without, with_it = compared(fits, unseen.motion, beside)
        if not beaten(without, with_it, size):
            kept = rest
    return [k for k in kept if k != "own"]
