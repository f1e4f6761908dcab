"""The law in the languages of others: LaTeX, sympy, NumPy, torch, LAMMPS, ASE."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import sympy
import torch

from gnn_distill.distil.expressions.parse import rounded, write
from gnn_distill.distil.law.calculator import in_ase
from gnn_distill.distil.law.central import NoPotentialError, central, told
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.code import with_numpy
from gnn_distill.distil.law.module import LawModule, strengths_of
from gnn_distill.distil.law.table import in_lammps
from gnn_distill.physics import variables
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import AXES, DELTAS, MOVING, RELATIVE, VELOCITIES, Bonds, sided
from gnn_distill.runs.files import atomic

_FUNCTION = re.compile(r"\b(exp|log|sqrt|Abs|Max|sin|cos|tanh)\(")

NUMPY_FILE = Template('''\
"""The distilled law. Made by gnn_distill; needs NumPy only.

1 is the receiver, 2 the sender; dx dy dz: x1 - x2, in a periodic box its shortest image, d its length,
r = d + SOFTENING; wx wy wz: v1 - v2, w its length, uw its component along x1 - x2.
"""

import re

import numpy as np

SOFTENING = $softening
BOX = $box  # edges of the periodic box of the data, None along an open axis, 0 where it has to be given
RADIUS = $radius  # from this distance on pairs do not act; None where all do
STRENGTHS = $strengths  # what individuals bring, by label
BROUGHT = $brought  # its names: strengths as a source, s, and as a receiver, t; 1 or 0 for each kind
KINDS = $kinds  # columns of `features` that are 1 for particles of a kind, by its label
EDGES = $edges  # kinds of edges by the names of the law; None where it reads no numbers of edges
FURTHER = $further  # columns of `features` that the law reads of receivers (1) and of senders (2)
PAIRS = 1_000_000  # that are held in memory together


def pair($pair_names):
    """What sender 2 adds to the $quantity of receiver 1, by components."""
    return $pair


def own($own_names):
    """What is there without a partner, by components."""
    return $own

$inverse
def $quantity(x, v=None, m=None, q=None, *, box=None, kinds=None, ids=None, edges=None, features=None):
    """The $quantity of n particles by components, shape [n, $dim].

    x: positions [n, $dim]; v: velocities [n, $dim], 0 if None.
    m: masses [n], 1 if None; q: charges [n], 0 if None.
    box: edges [$dim] of a periodic box, None along an open axis, or its vectors [$dim, $dim] as rows, with
        zeros above the diagonal; BOX if None.
    edges: receivers and senders$numbers, each [E]$every.
    features: further columns [n, K], here $columns; $read.
    ids: labels [n] of individuals, $labels.
    kinds: labels [n] of kinds, $labelled.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or x.shape[1] != $dim:
        raise ValueError(f"give positions of shape [n, $dim], not {list(x.shape)}")
    n = len(x)
    v = np.zeros_like(x) if v is None else np.asarray(v, dtype=float).reshape(x.shape)
    m, q = np.ones(n) * (1.0 if m is None else m), np.ones(n) * (0.0 if q is None else q)
    if features is None and kinds is not None and KINDS:
        named = [re.sub("[^0-9A-Za-z]+", "_", str(kind)).strip("_") for kind in kinds]
        if not {*named} <= {*KINDS}:
            raise ValueError(f"give kinds, labels of {', '.join(KINDS)}")
        features = np.zeros((n, $width))
        features[np.arange(n), [KINDS[name] for name in named]] = 1.0
    if EDGES is not None and (edges is None or len(edges) < 3):
        raise ValueError("give edges: receivers, senders and numbers k12, which the law reads")
    if features is None and (FURTHER[1] or FURTHER[2]):
        raise ValueError("give features: $read")
    features = np.empty((n, 0)) if features is None else np.asarray(features, dtype=float).reshape(n, -1)

    if STRENGTHS:
        if ids is None or not {*map(str, ids)} <= {*STRENGTHS}:
            raise ValueError(f"give ids, labels of {', '.join(STRENGTHS)}")
        brought = np.array([STRENGTHS[str(label)] for label in ids])

    def properties(side, k):
        known = {f"m{side}": m[k], f"q{side}": q[k]}
        known |= {f"{name}{side}": brought[k, c] for c, name in enumerate(BROUGHT)} if STRENGTHS else {}
        return known | {name: features[k, column] for name, column in FURTHER[side].items()}

    space = np.array(BOX if box is None else box, dtype=float)
    if (space == 0).any() and box is None:
        raise ValueError("give box: the data's was tilted or not always the same")
    vectors = space if space.ndim == 2 else np.diag(np.broadcast_to(space, x.shape[1:]))
    total = np.zeros_like(x)
    for i, j, *numbers in _pairs(n) if edges is None else [edges]:
        i, j = np.asarray(i, dtype=int), np.asarray(j, dtype=int)
        delta, w = x[i] - x[j], v[i] - v[j]
        for k in (k for k in reversed(range(len(vectors))) if vectors[k, k] > 0):
            delta -= np.round(delta[:, k] / vectors[k, k])[:, None] * vectors[k]
        d = np.sqrt((delta**2).sum(axis=1))
        apart = (delta * w).sum(axis=1) / np.where(d > 0, d, 1.0)
        known = {"r": d + SOFTENING, "d": d, "w": np.sqrt((w**2).sum(axis=1)), "uw": apart}
        known |= dict(zip($deltas, delta.T)) | dict(zip($relative, w.T))
        for k in numbers[:1] if EDGES is not None else ():
            known |= {"k12": np.asarray(k, dtype=float)}
            known |= {name: 1.0 * np.isclose(k, number) for name, number in EDGES.items()}
        with np.errstate(all="ignore"):
            found = _side_by_side(pair(**known, **properties(1, i), **properties(2, j)), d)
        acts = (d > 0) & (RADIUS is None or d < RADIUS)  # without a direction there is no force, either
        np.add.at(total, i, np.where(acts[:, None], found, 0.0))
    places = dict(zip($places, np.concatenate([x, v], axis=1).T))
    return total + _side_by_side(own(**places, **properties(1, slice(None))), m)


def _pairs(n):
    """Receivers and senders of all pairs, in parts."""
    for some in np.array_split(np.arange(n), n * n // PAIRS + 1):
        i, j = np.repeat(some, n), np.tile(np.arange(n), len(some))
        yield i[i != j], j[i != j]


def _side_by_side(parts, like):
    return np.stack([np.broadcast_to(part, like.shape) for part in parts], axis=-1)
''')


README = {
    "law.tex": "LaTeX",
    "law_sympy.py": "the expressions of sympy",
    "law_numpy.py": "accelerations of any number of particles, with NumPy alone",
    "law.pt": "a module of torch, gnn_distill.distil.law.module.LawModule",
    "curves.csv": "free curves of the distance for pairs of kinds",
    "edges.csv": "the factor of each pair",
    "law.table": "forces and energies of pairs for LAMMPS, pair_style table; its head has the commands",
    "law_ase.py": "LawCalculator: forces and energies of pairs for ASE",
}

INVERSE = '''
def _inverse(base, power):
    """base ** -power, and 0 where base is 0: at rest v/|v| has no direction, and counts nothing."""
    return np.where(base == 0, 0.0, np.where(base == 0, 1.0, base) ** -power)

'''
_INVERSE = sympy.Function("_inverse")


def export(law: Law, content: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `law.tex`, `law_sympy.py`, `law_numpy.py`, `law.pt` and `README.txt` into `folder`.

    Beside them `curves.csv`, free curves of the distance, where individuals were found to be of kinds; and
    `law.table` and `law_ase.py`, where the forces of pairs have a potential of their distance. Where they
    have none, `README.txt` says why.

    `law.pt` holds a `state_dict` of `gnn_distill.distil.law.module.LawModule` and what builds that module.

    Args:
        law: the law.
        content: that of `law.json`.
        folder: where to.
    """
    lists, laws = ("acceleration", "one_body", "further", "box"), content.get("laws") or {}
    softening = content.get("softening", SOFTENING)
    built: dict[str, Any] = {"order": law.order, "softening": softening} | {
        key: list(content.get(key) or []) for key in lists
    }
    built |= {"hidden": found} if (found := strengths_of(content)) else {}
    built |= {"kinds": kinds} if (kinds := list(content.get("hidden_kinds") or ())) else {}
    built |= {key: content[key] for key in ("bonds", "radius") if content.get(key)}
    each = [f"% {label}, receiver first\n{latex(Law.of(one), softening)}" for label, one in laws.items()]
    texts = {
        "law.tex": "\n".join(each) or latex(law, softening),
        "law_sympy.py": in_sympy(law, softening),
        "law_numpy.py": in_numpy(
            law,
            built["further"],
            content.get("box"),
            softening,
            dict(zip(content.get("hidden") or (), found, strict=True)),
            content.get("kinds"),
            content.get("bonds"),
            content.get("hidden_kinds") or (),
            content.get("radius"),
        ),
    }
    if curves := content.get("hidden_curves"):
        rows = [
            ",".join(curves),
            *(",".join(f"{v:.8g}" for v in row) for row in zip(*curves.values(), strict=True)),
        ]
        texts["curves.csv"] = "\n".join(rows) + "\n"
    why = None
    try:
        texts |= for_dynamics(law, content)
    except NoPotentialError as error:
        why = str(error)
        for name in ("law.table", "law_ase.py"):  # of an earlier law
            (folder / name).unlink(missing_ok=True)
    texts["README.txt"] = readme([*texts, "law.pt", *(["edges.csv"] if "edges" in content else [])], why)
    for name, text in texts.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    buffer = io.BytesIO()  # torch writes the name of a file into it, and the temporary one has another
    torch.save(built | {"state_dict": LawModule.from_law(content).state_dict()}, buffer)
    with atomic(folder / "law.pt") as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return [folder / name for name in (*texts, "law.pt")]


def for_dynamics(law: Law, content: Mapping[str, Any]) -> dict[str, str]:
    """The texts of `law.table` and `law_ase.py`.

    Raises:
        NoPotentialError: the forces of pairs have no potential of their distance.
    """
    found = central(law, content)
    sentences = told(found, law, content)
    return {
        "law.table": in_lammps(found, sentences),
        "law_ase.py": in_ase(found, sentences, content.get("radius")),
    }


def readme(names: Sequence[str], why: str | None) -> str:
    """What the files are, and why there are no tables where there are none."""
    lines = [f"{name}: {what}" for name, what in README.items() if name in names]
    missing = [] if why is None else [f"No law.table for LAMMPS and no law_ase.py for ASE: {why}."]
    return "\n".join(["The distilled law.", "", *lines, *missing]) + "\n"


def latex(law: Law, softening: float = SOFTENING) -> str:
    """An `align*` environment, numbers with six figures; names that need it are explained in a note."""
    used = names(law)
    symbols = {sympy.Symbol(name): variables.latex(name) for name in used}
    alone = law.one_body or (sympy.S.Zero,) * len(law.components)
    lines = []
    for axis, *terms in zip(AXES, law.components, alone, strict=False):
        pair, single = (sympy.latex(rounded(term, 6), symbol_names=symbols) for term in terms)
        rest = "" if terms[1] == 0 else f" + {single}"
        left = f"{'a' if law.order == 2 else 'v'}_{axis}"
        lines.append(rf"  {left} &= \sum_j \left[ {pair} \right]{rest}".replace("+ -", "- "))
    body = " \\\\\n".join(lines)
    note = "; ".join([*definitions(used, softening), "1: receiver, 2: sender"])
    return f"% {note}\n\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def names(law: Law) -> list[str]:
    """All variables of the law, sorted."""
    return sorted({str(s) for f in (*law.components, *law.one_body) for s in f.free_symbols})


def definitions(used: Collection[str], softening: float = SOFTENING) -> list[str]:
    """What the names that a law uses stand for, in LaTeX; those that explain themselves are left out."""
    meant = {
        rf"r = |\Delta| + {softening:g}": {"r"},
        r"d = |\Delta|": {"d"},
        r"u = \Delta/|\Delta|": {"uw"},
        "w = v_1 - v_2": {*RELATIVE, *MOVING},
        "k_{12}: number of the edge": {variables.EDGE},
    }
    return [text for text, known in meant.items() if known & set(used)]


def in_sympy(law: Law, softening: float = SOFTENING) -> str:
    """A Python module with the expressions as sympy objects."""
    used = names(law)
    symbols = f'{", ".join(used)} = sympy.symbols("{" ".join(used)}")' if used else "# numbers alone"
    text = f'''\
        """The distilled law: contributions of a pair to its receiver's {_quantity(law)}, then one-body terms.

        1 is the receiver, 2 the sender; dx dy dz: x1 - x2, d its length, r = d + {softening:g};
        wx wy wz: v1 - v2, w its length, uw its component along x1 - x2; x y z vx vy vz: one particle's own.
        """

        import sympy

        {symbols}
        pair = {_tuple(law.components)}
        one_body = {_tuple(law.one_body)}
        '''
    return textwrap.dedent(text)


def _quantity(law: Law) -> str:
    return "acceleration" if law.order == 2 else "velocity"


def _tuple(expressions: tuple[sympy.Expr, ...]) -> str:
    inner = ", ".join(_FUNCTION.sub(r"sympy.\1(", write(f)) for f in expressions)
    return f"({inner},)" if expressions else "()"


def in_numpy(
    law: Law,
    further: Sequence[str] = (),
    box: Sequence[float | None] | None = None,
    softening: float = SOFTENING,
    strengths: Mapping[str, Sequence[float]] | None = None,
    kinds: Mapping[str, str] | None = None,
    bonds: tuple[int, Sequence[float]] | None = None,
    unlabelled: Sequence[str] = (),
    radius: float | None = None,
) -> str:
    """A Python module that needs NumPy only: accelerations of n particles, or velocities in first order.

    Args:
        law: the law.
        further: names of the further columns of the data, in order.
        box: edges of the periodic box of the data, None along an open axis.
        softening: ε of r = d + ε.
        strengths: what individuals bring, by label: source and response, and 1 or 0 for each of
            `unlabelled`; none where the law reads none.
        kinds: columns among `further` that are 1 for the particles of a kind, by its label.
        bonds: number of particles, and numbers of edges that are kinds; None where edges are alike.
        unlabelled: names of the kinds that individuals are of.
        radius: distance from which on pairs do not act; None where all do.
    """
    used, dim = names(law), len(law.components)
    alone = law.one_body or (sympy.S.Zero,) * dim
    columns = {
        side: {name: k for k, column in enumerate(further) if (name := sided(column, side)) in used}
        for side in (1, 2)
    }
    edges = None if bonds is None else Bonds(bonds[0], tuple(bonds[1]))
    numbered = edges is not None and not {*edges.names}.isdisjoint(used)
    known = dict(zip(edges.names[1:], edges.kinds, strict=True)) if edges and numbered else {}
    read = ", ".join(further[k] for k in sorted({*columns[1].values(), *columns[2].values()}))
    return NUMPY_FILE.substitute(
        quantity=_quantity(law),
        box=None if box is None else list(box),
        radius=radius,
        softening=softening,
        further=columns,
        strengths=dict(strengths or {}),
        brought=("s", "t", *unlabelled),
        labels="of STRENGTHS" if strengths else "accepted, and change nothing",
        columns=", ".join(further) or "none in these data",
        read=f"the law reads {read}" if read else "the law reads none",
        kinds={label: list(further).index(name) for label, name in (kinds or {}).items() if name in further},
        edges={name: value for name, value in known.items() if name in used} if numbered else None,
        numbers=" and numbers k12" if numbered else "",
        every="" if numbered else "; all pairs if None",
        labelled="of KINDS, in the place of features" if kinds else "accepted, and change nothing",
        width=len(further),
        dim=dim,
        deltas=DELTAS[:dim],
        relative=RELATIVE[:dim],
        places=(*AXES[:dim], *VELOCITIES[:dim]),
        pair_names=_parameters(law.components),
        pair=_in_numpy(law.components),
        own_names=_parameters(alone),
        own=_in_numpy(directed := [_directed(f) for f in alone]),
        inverse=INVERSE if any(f.has(_INVERSE) for f in directed) else "",
    )


def _directed(term: sympy.Expr) -> sympy.Expr:
    """With `_inverse` in the place of negative powers of what may be 0, such as a speed."""
    places = {*map(sympy.Symbol, (*AXES, *VELOCITIES))}
    return term.replace(
        lambda p: p.is_Pow and bool(p.exp.is_negative) and not places.isdisjoint(p.free_symbols),
        lambda p: _INVERSE(p.base, -p.exp),
    )


def _parameters(terms: Sequence[sympy.Expr]) -> str:
    """Parameters of a function of these terms; it is handed more than it uses."""
    used = sorted({str(s) for f in terms for s in f.free_symbols})
    return ", ".join(["*", *used, "**_"] if used else ["**_"])


def _in_numpy(terms: Sequence[sympy.Expr]) -> str:
    return ", ".join(with_numpy(f, "_inverse") for f in terms)
