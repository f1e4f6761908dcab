"""Pair forces between kinds of particles, as programs of molecular dynamics take them, or why there are none.

Shapes: G graphs, n particles, F features, K points.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import R, rounded
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.energy import MASS, D, potential, pull_of, radial_of
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import BETWEEN, EDGE, HIDDEN, MOVING, RELATIVE, Columns, sided

MOST = 6
"""Kinds of particles that are told apart; their pairs are 21."""
CLOSER = 0.5
"""Forces are given down to this share of the least distance of the data."""
UNEQUAL = 0.01
"""Share of the largest force by which action and reaction may differ; their mean is then taken."""
NODES = 16
"""Of the quadrature between two points."""

Particles = dict[str, dict[str, float]]
"""Properties of each kind of particles by its label: `m`, and those others that the law reads."""


class NoPotentialError(ValueError):
    """Pair forces of a law that no potential of the distance makes; the message says why, in words."""


@dataclass(frozen=True)
class Central:
    """Forces along the line between two particles, by the kinds that these are of.

    Attributes:
        particles: properties of the kinds.
        forces: of the distance d, positive where pairs repel, for each pair of labels once.
        potentials: V of d with −dV/dd the force; None where no closed form is known.
        inner: least distance that forces are given for.
        outer: largest one: the radius of the data, half the shortest edge of their box, or their largest.
        of_mass: whether forces are mass × acceleration; else they are accelerations.
        averaged: the largest share by which action and reaction differ, where their mean is taken.
    """

    particles: Particles
    forces: dict[tuple[str, str], sympy.Expr]
    potentials: dict[tuple[str, str], sympy.Expr | None]
    inner: float
    outer: float
    of_mass: bool
    averaged: float = 0.0

    def values(self, pair: tuple[str, str], d: Array) -> tuple[Array, Array]:
        """Potential and force at ascending distances d, each [K].

        A potential without a closed form is zero at the last of them.
        """
        force, known = self.forces[pair], self.potentials[pair]
        f = at(force, {"d": d}, len(d))
        if known is not None:
            return at(known, {"d": d}, len(d)), f
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        half, middle = np.diff(d)[:, None] / 2, (d[1:] + d[:-1])[:, None] / 2
        steps = (at(force, {"d": (middle + half * nodes).ravel()}, half.size * NODES)).reshape(-1, NODES)
        work = (steps * half) @ weights
        return np.append(np.cumsum(work[::-1])[::-1], 0.0), f


def particles_of(
    law: Law, features: npt.NDArray[np.float32], columns: Columns, kinds: Mapping[str, str] | None = None
) -> Particles:
    """The kinds of particles in some data, as far as a law tells them apart.

    Args:
        law: the law.
        features: of the particles, shape [G, n, F].
        columns: of the features.
        kinds: further columns that are 1 for the particles of a kind, by its label.

    Returns:
        `{"A": {"m": 1.0, "q": -1.0}, …}`, without charges and columns that the law does not read; empty
        where there are more than `MOST`.
    """
    named = {str(s) for f in law.components for s in f.free_symbols}
    known = {"m": columns.mass, "q": columns.charge}
    known |= {name: k for k, name in enumerate(columns.further, columns.mass + 1)}
    labelled = {label: name for label, name in (kinds or {}).items() if name in known}
    read = [n for n in known if n == "m" or {sided(n, 1), sided(n, 2)} & named or n in labelled.values()]
    rows = pd.DataFrame(features.reshape(-1, features.shape[-1])[:, [known[n] for n in read]], columns=read)
    rows = rows.drop_duplicates().dropna()
    if not 0 < len(rows) <= MOST:
        return {}
    each = [{n: float(f"{v:.7g}") for n, v in row.items()} for row in rows.to_dict("records")]
    each.sort(
        key=lambda row: [-row[n] if n in labelled.values() else row[n] for n in (*labelled.values(), *read)]
    )
    plain = [next((k for k, name in labelled.items() if row[name] == 1.0), "") for row in each]
    many = [sum(p == label for p in plain[: k + 1]) for k, label in enumerate(plain)]
    alone = [plain.count(label) == 1 and label != "" for label in plain]
    return {
        label if single else f"{label or 'particle'}{number}": row
        for label, single, number, row in zip(plain, alone, many, each, strict=True)
    }


def central(law: Law, content: Mapping[str, Any]) -> Central:
    """The pair forces of a law, for each pair of kinds.

    Args:
        law: the law.
        content: that of `law.json`, with `particles` and `distances`.

    Raises:
        NoPotentialError: forces depend on more than the distance and what kinds the particles are of, or
            action and reaction differ.
    """
    radial = _checked(law, content)
    particles = _with_hidden(content)
    softening = content.get("softening", SOFTENING)
    forms = {
        (a, b): radial.xreplace({R: D + sympy.Float(softening)} | _put(particles[a], particles[b]))
        for a in particles
        for b in particles
    }
    inner, outer = _reach(content)
    d = np.geomspace(inner, outer, 400)
    values = {pair: at(f, {"d": d}, len(d)) for pair, f in forms.items()}
    finite = np.logical_and.reduce([np.isfinite(v) for v in values.values()])
    if not finite[-1]:
        raise NoPotentialError("the force is not finite at the largest distance of the data")
    first = 0 if finite.all() else int(np.flatnonzero(~finite)[-1]) + 1
    seen = np.arange(len(d)) >= max(first, np.searchsorted(d, d[0] / CLOSER))
    tries = []
    for of_mass in (True, False):
        weight = {a: properties["m"] if of_mass else 1.0 for a, properties in particles.items()}
        off = {
            (a, b): _apart(weight[a] * values[a, b][seen], weight[b] * values[b, a][seen])
            for a, b in itertools.combinations_with_replacement(particles, 2)
        }
        tries.append(off)
        if max(off.values()) <= UNEQUAL:
            break
    else:
        (a, b), share = max(tries[0].items(), key=lambda item: item[1])
        raise NoPotentialError(
            f"what {a} does to {b} and what {b} does to {a} differ by {100 * share:.0f} %, against Newton's "
            "third law, so no potential makes these forces"
        )
    forces = {
        (a, b): weight[a] * forms[a, b]
        if share < 1e-9
        else (weight[a] * forms[a, b] + weight[b] * forms[b, a]) / 2
        for (a, b), share in off.items()
    }
    grid = d[first:]
    return Central(
        particles,
        forces,
        _potentials(law, particles, forces, weight, grid, softening),
        float(grid[0]),
        float(grid[-1]),
        of_mass and any(properties["m"] != 1.0 for properties in particles.values()),
        max(off.values()) if max(off.values()) >= 1e-9 else 0.0,
    )


def _checked(law: Law, content: Mapping[str, Any]) -> sympy.Expr:
    """The factor of Δ/d, which reads no more than the distance and properties."""
    names = {str(s) for f in law.components for s in f.free_symbols}
    if law.order != 2:
        raise NoPotentialError("the law gives velocities, and no forces")
    if names & {*RELATIVE, *MOVING}:
        raise NoPotentialError("forces between particles depend on velocities")
    if names & {*HIDDEN}:
        raise NoPotentialError("individuals have strengths of their own")
    if "edges" in content or EDGE in names or any(name.endswith(BETWEEN) for name in names):
        raise NoPotentialError("pairs have numbers of their own")
    radial = radial_of(law)
    if radial is None:
        raise NoPotentialError("forces between particles are not along the line between the two")
    if radial == 0:
        raise NoPotentialError("there are no forces between particles")
    if "particles" not in content or not content.get("distances"):
        raise NoPotentialError("they are written for particles of your own at known distances")
    if not content["particles"]:
        raise NoPotentialError(
            f"there are more than {MOST} kinds of particles that differ in what forces read"
        )
    return radial


def _with_hidden(content: Mapping[str, Any]) -> Particles:
    """The kinds of particles, with those that nobody had labelled."""
    found, unlabelled = content["particles"], content.get("hidden_kinds") or ()
    if not unlabelled:
        return dict(found)
    letters = {name: label for label, name in content["kinds"].items()}
    return {
        letters[one] + (label if len(found) > 1 else ""): row | {n: float(n == one) for n in unlabelled}
        for label, row in found.items()
        for one in unlabelled
    }


def _put(one: Mapping[str, float], two: Mapping[str, float]) -> dict[sympy.Basic, sympy.Basic]:
    """Numbers in the place of the properties of receiver and sender."""
    both = ((1, one), (2, two))
    return {sympy.Symbol(sided(n, side)): sympy.Float(v) for side, row in both for n, v in row.items()}


def _reach(content: Mapping[str, Any]) -> tuple[float, float]:
    """Least and largest distance that forces are given for."""
    least, most = content["distances"]
    edges = [
        edge for edge in content.get("box") or () if edge
    ]  # and no 0, which stands for cells of the data
    outer = content.get("radius") or (min(edges) / 2 if edges else most)
    return CLOSER * least, float(max(outer, least))


def _apart(one: Array, other: Array) -> float:
    """The largest difference as a share of the force there, or of a typical one where that is larger."""
    size = np.maximum(np.abs(one), np.abs(other))
    typical = float(np.median(size)) or float(np.mean(size))
    return float(np.max(np.abs(one - other) / np.maximum(size, typical))) if typical > 0 else 0.0


def _potentials(
    law: Law,
    particles: Particles,
    forces: Mapping[tuple[str, str], sympy.Expr],
    weight: Mapping[str, float],
    d: Array,
    softening: float,
) -> dict[tuple[str, str], sympy.Expr | None]:
    """Closed forms, from the one of all pairs; None where its slope is not the force."""
    whole, pull = potential(law, float(d[-1]), softening), pull_of(law, softening)
    found: dict[tuple[str, str], sympy.Expr | None] = dict.fromkeys(forces)
    if whole is None or pull is None:
        return found
    for (a, b), force in forces.items():
        times = weight[a] / (particles[a]["m"] if pull.weight == MASS else 1.0)
        one = times * whole.xreplace({R: D + sympy.Float(softening)} | _put(particles[a], particles[b]))
        slope, f = at(-sympy.diff(one, D), {"d": d}, len(d)), at(force, {"d": d}, len(d))
        if np.allclose(slope, f, rtol=1e-6, atol=1e-9 * float(np.median(np.abs(f)))):
            found[a, b] = one
    return found


def units_of(found: Central, units: Mapping[str, str] | None) -> str:
    """In which units distances, energies and forces are, in a sentence."""
    known = units or {}
    length, time, mass = (known.get(k, "") for k in ("length", "time", "mass"))
    inside = "Distances, energies and forces are in the units of the data"
    if length and time and (mass or not found.of_mass):
        force, energy = f"{length}/{time}^2", f"{length}^2/{time}^2"
        force, energy = (f"{mass} {unit}" if found.of_mass else unit for unit in (force, energy))
        inside = f"Distances are in {length}, energies in {energy}, forces in {force}"
    if found.of_mass:
        return f"{inside}; forces are mass x acceleration."
    return f"{inside}; forces are accelerations, energies those of a unit of mass: give all particles mass 1."


def told(found: Central, law: Law, content: Mapping[str, Any]) -> list[str]:
    """What a user has to know of these forces, in sentences."""
    least, most = content["distances"]
    sentences = [
        units_of(found, content.get("units")),
        f"The data hold distances from {least:.6g} to {most:.6g}; what is said of others is extrapolated.",
    ]
    if trust := (content.get("trust") or {}).get("sentence"):
        sentences.append(str(trust))
    if found.averaged:
        share = f"{100 * found.averaged:.2g} %"
        sentences.append(f"Action and reaction differ by up to {share} in the law; these are their means.")
    if any(f != 0 for f in law.one_body):
        alone = ", ".join(sympy.sstr(rounded(f, 4), full_prec=False) for f in law.one_body)
        sentences.append(f"Left out is what acts on one particle by itself, the accelerations ({alone}).")
    return [
        " ".join(s.replace("\\", "/").replace('"', "'").split()) for s in sentences
    ]  # units are the user's
