"""The search goes on until a law is as exact as the labels, or its time is over.

First the forms that the network's contributions suggest; then curves that are fitted to the accelerations
themselves, and closed forms for these: short functions gone through one by one, and what the engine finds.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy

from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.alone import suggested
from gnn_distill.distil.motion.candidates import MOST
from gnn_distill.distil.motion.fit import Form, Term, fit, together
from gnn_distill.distil.motion.friction import damped
from gnn_distill.distil.motion.search import Chosen, Search
from gnn_distill.distil.motion.shapes import Short, shortest
from gnn_distill.distil.motion.target import Target, products, targets
from gnn_distill.distil.motion.trust import AS_NOISE, GAUSSIAN, mean, unexplained
from gnn_distill.distil.solve import Work

Step = Callable[[Chosen], tuple[str, list[Form]]]
"""From the choice so far to a direction and forms to be tried for it."""
DONE = 5e-4
"""Share of the motion beyond noise that a law may leave for the search to end at once."""
MUCH = 0.6
"""Share of what a law leaves that a more particular one may, where neither is as exact as the labels."""
BESIDE = 5
"""Functions of each of two products that are tried together."""


@dataclass(frozen=True)
class Rounds:
    """The search for the law of a network.

    Attributes:
        work: the engine; its `seconds`, of the processor, are the time for further rounds.
        search: the choice among forms.
        points: by direction, what the network says of its function.
        noise: RMS error of a label's component.
        moving: whether a law may read velocities.
    """

    work: Work
    search: Search
    points: Mapping[str, Points]
    noise: float = 0.0
    moving: bool = True

    def run(self, chosen: Chosen) -> Chosen:
        """The forms that were chosen in the first round, bettered by further ones."""
        seconds = float(getattr(self.work.engine, "seconds", 0.0))
        known = list(chosen.tried)  # a network that explains nothing suggests nothing, either
        if not known or seconds <= 0 or self.rest(chosen) < DONE:
            return self.search.pared(chosen)
        self.work.say(f"  no form is as exact as the labels: searching on, for {seconds:.0f} s at most")
        begun = time.process_time()

        def left() -> float:
            return seconds - (time.process_time() - begun)

        search, offered = self.search, tuple[Form, ...]()
        for step in self._steps(known, left):
            key, forms = step(chosen)
            search, before = replace(search, begun=time.process_time(), seconds=left()), chosen.pairs
            if key == "own":
                offered = tuple(forms)
            elif forms:
                chosen = search.bettered(chosen, key, forms)
            if offered and (key == "own" or chosen.pairs != before):
                wider = replace(search, more=(*search.more, *offered))
                new = wider.alone(chosen)
                # a few percent of anything can be said by forms of no list, and wrongly beyond the data
                if self.rest(new) < max(DONE, MUCH * self.rest(chosen)):
                    chosen, search, offered = new, wider, ()
            if left() <= 0 or self.rest(chosen) < DONE:
                break
        return self.search.pared(chosen)

    def rest(self, chosen: Chosen) -> float:
        """Share of the motion of unseen rows that a law leaves beyond noise."""
        motion = self.search.unseen.motion
        seen, unseen = (r.beside([]) for r in (self.search.seen, self.search.unseen))
        predicted = fit(self.search.seen.motion, chosen.form, seen).predicted(motion, unseen)
        error = mean(np.minimum(np.abs(predicted - motion.labels), 1e100), motion)
        return 0.0 if error <= AS_NOISE * GAUSSIAN * self.noise else unexplained(error, motion, self.noise)

    def _steps(self, keys: Sequence[str], left: Callable[[], float]) -> Iterator[Step]:
        """What is tried, without end where the engine draws anew each time."""
        if "own" in self.search.seen.network and self.moving:
            yield lambda chosen: ("own", suggested(self.work, self.search, chosen, 0, left() / 2))
        for key in keys:
            yield functools.partial(self.damped, key=key)
        for key, ways in itertools.product(keys, (0, 1)):
            yield functools.partial(self._gone_through, key=key, ways=ways)
        for k in itertools.count() if isinstance(self.work.engine, OperonEngine) else ():
            for key in keys:
                yield functools.partial(self._searched, key=key, k=k, left=left)

    def damped(self, chosen: Chosen, key: str) -> tuple[str, list[Form]]:
        """The form along Δ/d with friction along this line."""
        form = chosen.pairs.get(key)
        if key[:1] != "u" or form is None or self.search.order == 1 or not self.moving:
            return key, []
        return key, damped(form, key, self.search.seen.motion.named["d"], products(self.points[key])[:1])

    def _gone_through(self, chosen: Chosen, key: str, ways: int) -> tuple[str, list[Form]]:
        """Short functions for one product of properties, or for two."""
        found = self._targets(chosen, key)[ways:][:1]
        return key, [form for parts in found for form in _forms(parts, key)]

    def _searched(
        self, chosen: Chosen, key: str, k: int, left: Callable[[], float]
    ) -> tuple[str, list[Form]]:
        """What the engine finds, by turns for what the best so far leaves and for all."""
        best = chosen.pairs.get(key)
        if k % 2 or best is None:
            parts = self._targets(chosen, key)[0]
            return key, self._evolved(parts, key, k, left())
        parts = self._targets(chosen, key, (best,))[0]
        found = [*_forms(parts, key), *self._evolved(parts, key, k, left())]
        return key, [replace(together(best, form), name="") for form in found]

    def _targets(self, chosen: Chosen, key: str, known: Sequence[Form] = ()) -> list[list[Target]]:
        """Curves of one direction beside the rest of the law and these forms."""
        told, others = self.search.beside(chosen, key)
        few, seen = (
            (r.motion, r.beside(told, [*others, *known]))
            for r in (self.search.few or self.search.seen, self.search.seen)
        )
        return targets((few[0], seen[0]), self.points[key], key, (few[1], seen[1]))

    def _evolved(self, parts: Sequence[Target], key: str, k: int, seconds: float) -> list[Form]:
        """Equations that the engine finds for a curve, times its product."""
        engine = self.work.engine
        if not isinstance(engine, OperonEngine) or seconds < 1:
            return []
        target = parts[0]
        short = replace(engine, restarts=1, drop_nearest=0.0, drop_outliers=0.0, time_limit=seconds)
        work = replace(self.work, engine=short)
        x, what = target.r[:, None], f"round {k + 1}, {key}"
        front = work.fit(f"round_{k}_{key}", x, target.y, ["r"], None, work.seed + 1000 * (k + 1), what)
        found = []
        for e in front.equations:
            if e.expression.free_symbols:
                form = Form.of(sympy.expand(target.product * e.expression), key, "", e.complexity)
                found.append(form)
        return [form for form in found if form.cost <= MOST]


def _forms(parts: Sequence[Target], key: str) -> list[Form]:
    """Short functions for each curve, times its product; for several curves together."""
    if len(parts) == 1:
        return [_form(parts[0].product, short, key) for short in shortest(parts[0].r, parts[0].y, MOST)]
    sides = []
    for part in parts:
        found = sorted(shortest(part.r, part.y, MOST // 2), key=lambda s: s.loss * 1.5**s.cost)
        sides.append([_form(part.product, short, key) for short in found[:BESIDE]])
    return [replace(together(*both), name="") for both in itertools.product(*sides)]


def _form(product: sympy.Expr, short: Short, key: str) -> Form:
    terms = tuple(Term((product * term,), key) for term in short.terms)
    return Form("", terms, short.letters, short.values, short.size)
