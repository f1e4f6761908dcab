"""Whether individuals have strengths of their own, which ones, and of what kind: asked of accelerations.

The network gives a start: it says which individual pulls how hard, and what the curve looks like. It cannot
resolve strengths of one part in a million beside one, so they are fitted to accelerations with each form.

Shape letters: E edges, R rows, D space dims, K individuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.forms import FIT_POINTS
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.hidden.factor import Factors, asked, factorised
from gnn_distill.distil.motion.candidates import candidates
from gnn_distill.distil.motion.choose import CHANCE, compared, rated
from gnn_distill.distil.motion.fit import Form, fit, typical
from gnn_distill.distil.motion.samples import Motion, Strengths
from gnn_distill.distil.motion.search import Rows
from gnn_distill.distil.motion.strengths import Convention, Weighed, chosen, scatter, weighed
from gnn_distill.model.network import ParticleGNN

FINALISTS = 3
"""Forms whose strengths are fitted to all rows, of those that fit a few rows best."""
MORE = 1
"""Numbers that a form may have beyond those of the simplest one, where noise is much."""
NEAR = 2.0
"""Times the least error, within which the simpler forms are kept rather than the better ones."""
FAINT = 0.1
"""Share of the strongest pair's strength below which the network's word on a curve is not asked for."""


def read_off(model: ParticleGNN, motion: Motion) -> tuple[Strengths, Factors]:
    """Strengths as the network has them, and how well they explain its pair function."""
    columns, x = motion.edges.columns, motion.graphs.features.flatten(0, 1).cpu().numpy()
    who = x[:, columns.individual].astype(np.int64)
    count = len(motion.usual) if motion.usual is not None else int(who.max()) + 1
    typical_features = np.zeros((count, x.shape[1]), dtype=x.dtype)
    typical_features[who] = x
    typical_features[:, columns.individual] = np.arange(count)
    one, two = motion.edges.individuals or (who, who)
    _, values, weights = asked(model, columns, typical_features, (one, two, motion.named["d"]))
    below = np.maximum(weights.sum(axis=(0, 1)), 1e-300)
    size = np.sqrt((weights * values**2).sum(axis=(0, 1)) / below)
    found = factorised(values / np.maximum(size, 1e-300), weights)
    usual = np.ones(count) if motion.usual is None else motion.usual
    return Strengths(found.source, found.response * usual), found


def curve(motion: Motion, f: Array, strengths: Strengths) -> Points:
    """The network's f [E] of pairs without their strengths, against distance and properties that vary."""
    named, strength = motion.named, motion.weighed(strengths).strength
    names = ("r", *(n for n in motion.edges.properties if np.ptp(named[n]) > 0))
    loud = np.abs(strength) > FAINT * np.quantile(np.abs(strength), 0.95)
    X = np.stack([named[n][loud] for n in names], axis=1)
    return Points(X, f[loud] / strength[loud], np.ones(int(loud.sum())), names)


def weigh(
    model: ParticleGNN,
    rows: tuple[Rows, Rows, Rows],
    functions: Mapping[str, Array],
    others: tuple[Sequence[str], Sequence[Form]],
    optional: bool,
    noisy: bool,
) -> tuple[Weighed, Factors]:
    """The strengths that accelerations ask for; `mode` is `none` where individuals are all alike.

    Args:
        model: the network.
        rows: on which forms are screened, fitted, and compared.
        functions: of the network on the edges of the second, each [E].
        others: parts of the network, and fields, that stand beside each form.
        optional: whether there may be no strengths at all.
        noisy: whether noise is a good part of the labels.
    """
    few, seen, unseen = rows
    start, factors = read_off(model, seen.motion)
    beside = [r.beside(*others) for r in rows]
    rng = np.random.default_rng(0)
    points = curve(seen.motion, functions["u"], start)
    forms = candidates(points.sample(4 * FIT_POINTS, rng), None, "u")
    ones = np.ones_like(start.source)
    starts = [start, Strengths(start.source, ones)]
    found = []
    for form in forms:
        tried = [
            weighed(few.motion, form, beside[0], m, s) for m, s in (("source", starts[1]), ("both", start))
        ]
        errors = [typical(w.predicted(few.motion, beside[0]) - few.motion.labels) for w in tried]
        best = int(np.argmin(errors))
        found.append((errors[best], replace(form, start=tuple(tried[best].fit.constants))))
    found.sort(key=lambda one: one[0])
    near = [form for error, form in found if error <= NEAR * found[0][0]]
    kept = [*sorted(near, key=lambda form: form.cost)[: FINALISTS - 1], found[0][1]]
    kept = [form for k, form in enumerate(kept) if form not in kept[:k]]
    if noisy:  # where a few rows rank forms by chance
        kept = ranked(seen.motion, [form for _, form in found], kept[0], beside[1], start)
    more = ("none",) * optional
    told, _ = chosen(seen.motion, unseen.motion, kept, (beside[1], beside[2]), starts, more)
    if noisy and optional and told.mode != "none" and scatter(told, seen.motion, beside[1]) < CHANCE:
        told = weighed(seen.motion, told.fit.form, beside[1], "none", Strengths(ones, ones))
    return told, factors


def ranked(motion: Motion, forms: Sequence[Form], first: Form, beside: Array, start: Strengths) -> list[Form]:
    """The forms that explain most of all rows: first with one form's strengths, the best with their own."""
    known = weighed(motion, first, beside, "both", start).strengths
    alike = motion.weighed(known)
    fits = [fit(alike, form, beside) for form in forms if form.cost <= first.cost + MORE]
    order = np.argsort([float(t.losses.mean()) for t in compared(fits, alike, beside)], kind="stable")
    best = [replace(fits[k].form, start=tuple(fits[k].constants)) for k in order[: 2 * FINALISTS]]
    own = [weighed(motion, form, beside, "both", known) for form in best]
    errors = [w.predicted(motion, beside) - motion.labels for w in own]
    losses = [float(t.losses.mean()) for t in rated([w.fit for w in own], errors, motion)]
    return [
        replace(best[k], start=tuple(own[k].fit.constants))
        for k in np.argsort(losses, kind="stable")[:FINALISTS]
    ]


def convention(found: Weighed, names: Sequence[str], known: Mapping[str, Mapping[str, float]]) -> Convention:
    """A known individual has the mass or charge that the user gave it; else the strongest has one."""
    s, t = (np.abs(values) for values in (found.strengths.source, found.strengths.response))
    source, response = (int(np.argmax(s)), 1.0), (int(np.argmax(t)), 1.0)
    given = {names.index(str(label)): float(next(iter(v.values()))) for label, v in known.items()}
    for k, value in given.items():
        if found.mode == "response":
            response = k, 1.0 / value
        else:
            source = k, value
    return Convention(source, source if found.mode == "symmetric" else response)
