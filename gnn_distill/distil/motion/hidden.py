"""The law of individuals that nobody weighed: its strengths with intervals, shared out by a convention.

Shape letters: K individuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.hidden.factor import Factors
from gnn_distill.distil.hidden.reading import Strength, kinds, told
from gnn_distill.distil.motion.fit import Form
from gnn_distill.distil.motion.kicks import kicked, slowed
from gnn_distill.distil.motion.law import LEVEL, REPLICATES, Spread
from gnn_distill.distil.motion.samples import Index, Motion, Strengths
from gnn_distill.distil.motion.strengths import Drawn, Weighed, drawn, powers, weighed
from gnn_distill.distil.motion.trust import HARDLY, percent
from gnn_distill.distil.motion.unlabelled import LETTERS, Labelled, kind_names
from gnn_distill.distil.motion.weigh import convention
from gnn_distill.distil.problem import Evidence

SECOND = 0.05
"""Part of the network's pair function that a second product explains before it is worth a word."""
SYMBOLS = {"source": ("s2",), "response": ("t1",), "symmetric": ("s1", "s2"), "both": ("t1", "s2")}


@dataclass(frozen=True)
class Found:
    """Strengths, and what the network said of them.

    Attributes:
        weighed: the form by which they were found, with the strengths.
        factors: of the network's pair function.
    """

    weighed: Weighed
    factors: Factors

    @property
    def strengths(self) -> Strengths:
        """As sources and as receivers."""
        return self.weighed.strengths

    @property
    def times(self) -> sympy.Expr:
        """What multiplies the function of a pair in the law."""
        return sympy.Mul(*map(sympy.Symbol, SYMBOLS[self.weighed.mode]))

    def refitted(self, motion: Motion, form: Form, evidence: Evidence) -> Drawn:
        """The law of these forms with its strengths, end to end on all rows, with draws of a bootstrap."""
        none = np.zeros((motion.labels.size, 0))
        plain = weighed(motion, form, none, self.weighed.mode, self.strengths)
        rows = motion.weighed(plain.strengths)
        kicks = kicked(rows, plain.fit)
        last = slowed(rows, plain.fit, kicks)
        rule, job = convention(plain, evidence.individuals, evidence.known), (evidence.seed, REPLICATES)
        found = drawn(plain, motion, none, rule, *job)
        if last is plain.fit:
            return found
        beside = weighed(motion, form, kicks, plain.mode, plain.strengths)
        beside_rule = convention(beside, evidence.individuals, evidence.known)
        scatter = spread(drawn(beside, motion, kicks, beside_rule, *job))
        moving = np.array([term.moving for term in last.form.terms])
        factors = np.where(moving, last.factors, found.weighed.fit.factors)
        whole = replace(found.weighed, fit=replace(found.weighed.fit, factors=factors))
        return replace(found, weighed=whole, numbers=spread(found).beside(scatter, whole.fit).draws)


def spread(found: Drawn) -> Spread:
    """Draws of the numbers of the law."""
    return Spread(np.concatenate([found.weighed.fit.constants, found.weighed.fit.factors]), found.numbers)


def unneeded(own: Sequence[Form], found: Drawn) -> Form | None:
    """Of what acts on single particles by their strengths, the least sure term whose interval holds zero.

    Such terms were chosen beside strengths that were not yet those of the law.

    Args:
        own: the last terms of the law.
        found: the law with its draws.
    """
    idle: list[tuple[float, int]] = []
    begin = found.numbers.shape[1] - sum(len(form.terms) for form in own)
    for k, form in enumerate(own):
        draws = found.numbers[:, begin]
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        if any(powers(form.terms[0])) and low < 0 < high:
            idle.append((abs(float(draws.mean())) / max(float(draws.std()), 1e-300), k))
        begin += len(form.terms)
    return own[min(idle)[1]] if idle else None


def indistinct(told: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all individuals of `law.json` have the same strengths, within intervals or next to it."""
    for side in ("source", "response"):
        values, low, high = np.array([row[side] for row in told.values()]).T
        if low.max() - high.min() > HARDLY * np.abs(values).max():
            return False
    return True


def described(
    found: Drawn, factors: Factors, evidence: Evidence, motion: Motion, rest: float
) -> dict[str, Any]:
    """The part of `law.json` about individuals.

    Args:
        found: the law with its draws.
        factors: of the network's pair function.
        evidence: whose individuals they are.
        motion: rows that the law was fitted to.
        rest: share of the motion that the law leaves beyond noise.
    """
    names, mode = evidence.individuals, found.weighed.mode
    strengths = found.weighed.strengths
    source = Strength(strengths.source, found.source, rest * found.faint[0])
    response = Strength(strengths.response, found.response, rest * found.faint[1])
    bounds = source.intervals, response.intervals
    free = {"source": [source], "response": [response], "symmetric": [source]}.get(mode, [source, response])
    label = kinds(free) if len(names) > 3 else None
    seen = sightings(evidence)
    table = {
        name: {
            "source": [float(source.values[k]), *map(float, bounds[0][k])],
            "response": [float(response.values[k]), *map(float, bounds[1][k])],
            "kind": None if label is None else LETTERS[int(label[0][k])],
            "sure": None if label is None else float(label[1][k]),
            "sightings": int(seen[k]),
        }
        for k, name in enumerate(names)
    }
    sentences = told(mode, source, response, _columns(motion, len(names)))
    if label is not None:
        sentences.append(f"They fall into {int(label[0].max()) + 1} kinds")
    return {
        "hidden": table,
        "hidden_mode": mode,
        "hidden_names": list(SYMBOLS[mode]),
        "hidden_told": [*sentences, _said(strengths, mode, names, evidence.known)],
        "hidden_network": {"share": factors.share, "second": factors.second},
    }


def in_kinds(found: Labelled | None, evidence: Evidence, known: Mapping[str, str]) -> dict[str, Any]:
    """The part of `law.json` about kinds, those of the file, and those of individuals that none had labelled.

    Args:
        found: what was found of individuals.
        evidence: whose individuals they are.
        known: columns of the kinds that the file names.
    """
    names = evidence.individuals
    if not names:
        return {"kinds": dict(known)} if known else {}
    seen = sightings(evidence)
    if found is None or found.verdict != "kinds":
        usual = int(np.median(seen))
        told_alike = (
            "Individuals were told apart, and all seem alike: neither kinds nor strengths of their own "
            f"explain more of unseen runs. There are about {usual:,} sightings of each"
        )
        return {"hidden_told": [told_alike]}
    letters = LETTERS[: int(found.label.max()) + 1]
    one = [1.0, 1.0, 1.0]
    table = {
        name: {
            "source": one,
            "response": one,
            "kind": letters[int(found.label[k])],
            "sure": float(found.sure[k]),
            "sightings": int(seen[k]),
        }
        for k, name in enumerate(names)
    }
    what = "velocity" if evidence.order == 1 else "acceleration"
    told = {"alike": "one law for all", "strengths": "strengths of their own"}
    left = ", ".join(f"{told.get(by, by)} {percent(error)}" for by, error in found.errors.items())
    return {
        "hidden": table,
        "hidden_mode": "kinds",
        "hidden_names": [],
        "hidden_kinds": list(kind_names(len(letters))),
        "kinds": dict(zip(letters, kind_names(len(letters)), strict=True)),
        "hidden_told": [
            f"They are of {found.members}, with laws of their own. Which kind is called A is free",
            f"With free curves of the distance, typical errors on unseen runs are these shares of a typical "
            f"{what}: {left}",
        ],
        "hidden_curves": {name: values.tolist() for name, values in found.curves.items()},
    }


def more_than_one(factors: Factors) -> list[str]:
    """A doubt where the network's pair function is no single product."""
    if factors.second < SECOND:
        return []
    share = f"{100 * factors.second:.0f} %"
    return [
        f"Beside t s g(d), a second such product explains {share} of the network's pair function: "
        "individuals may be of kinds between which different laws hold"
    ]


def unsure(found: Found, exact: bool, loud: bool, names: Mapping[str, str]) -> list[str]:
    """Doubts of strengths: of a law that is not exact, and where noise is a good part of the labels."""
    told = [] if exact else more_than_one(found.factors)
    if loud:  # a wrong form may hide behind its strengths
        form = names.get("u") or "this form"
        told.append(
            f"Strengths and form were found together in much noise: beside {form} another, with other "
            "strengths, trap and friction, may leave as little"
        )
    return told


def sightings(evidence: Evidence) -> Index:
    """How often each individual was seen in the graphs of all parts."""
    column = evidence.test.columns.individual
    parts = (evidence.train[:], evidence.validation[:], evidence.test)
    found = [  # of receivers alone: their senders stand beside them
        p.table.features[p.index, column] if isinstance(p, Receivers) else p.features[..., column].flatten()
        for p in parts
    ]
    who = np.concatenate([numbers.cpu().numpy().astype(np.int64) for numbers in found])
    return np.asarray(np.bincount(who, minlength=len(evidence.individuals)), dtype=np.int64)


def _columns(motion: Motion, count: int) -> dict[str, Array]:
    """Columns of the file by name, one value for each individual, where they differ."""
    found, who = {}, motion.individuals
    for name, values in motion.nodes.named.items():
        if who is None or not name.endswith("1") or np.ptp(values) == 0:
            continue
        of = np.zeros(count)
        of[who] = values
        if (of[who] == values).all():
            found[name[:-1]] = of
    return found


def _said(
    strengths: Strengths, mode: str, names: Sequence[str], known: Mapping[str, Mapping[str, float]]
) -> str:
    """What was free, and how it was fixed."""
    roles = {"s": strengths.source} if mode != "response" else {}
    roles |= {"t": strengths.response} if mode in ("response", "both") else {}
    rule = [f"{name} of {names[int(np.argmax(np.abs(v)))]} is 1" for name, v in roles.items()]
    given = [(label, *next(iter(values.items()))) for label, values in known.items()]
    if given:
        rule = [f"{label} has the {what} {value:g} that was given" for label, what, value in given]
    free = "Tracks leave a common factor free between strengths and the factor of the law"
    return f"{free}: here {', '.join(rule)}"
