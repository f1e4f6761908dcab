"""The law in the languages of others: LaTeX, sympy, NumPy, torch."""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy
import torch
from sympy.printing.numpy import NumPyPrinter

from gnn_distill.distil.expressions.parse import rounded, write
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.module import LawModule
from gnn_distill.physics import variables
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import AXES, sided
from gnn_distill.runs.files import atomic

_FUNCTION = re.compile(r"\b(exp|log|sqrt|Abs|sin|cos)\(")


def export(law: Law, content: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `law.tex`, `law_sympy.py`, `law_numpy.py` and `law.pt` into `folder`.

    `law.pt` holds a `state_dict` of `gnn_distill.distil.law.module.LawModule` and what builds that module.

    Args:
        law: the law.
        content: that of `law.json`.
        folder: where to.
    """
    built = {key: list(content.get(key) or []) for key in ("acceleration", "one_body", "further")}
    texts = {
        "law.tex": latex(law),
        "law_sympy.py": in_sympy(law),
        "law_numpy.py": in_numpy(law, built["further"]),
    }
    for name, text in texts.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    buffer = io.BytesIO()  # torch writes the name of a file into it, and the temporary one has another
    torch.save(built | {"state_dict": LawModule.from_law(content).state_dict()}, buffer)
    with atomic(folder / "law.pt") as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return [folder / name for name in (*texts, "law.pt")]


def latex(law: Law) -> str:
    """An `align*` environment, numbers with six figures."""
    symbols = {s for f in (*law.components, *law.one_body) for s in f.free_symbols}
    names = {s: variables.latex(str(s)) for s in symbols}
    alone = law.one_body or (sympy.S.Zero,) * len(law.components)
    lines = []
    for axis, *terms in zip(AXES, law.components, alone, strict=False):
        pair, single = (sympy.latex(rounded(term, 6), symbol_names=names) for term in terms)
        rest = "" if terms[1] == 0 else f" + {single}"
        lines.append(rf"  a_{axis} &= \sum_j \left[ {pair} \right]{rest}".replace("+ -", "- "))
    body = " \\\\\n".join(lines)
    note = f"% r = |\\Delta| + {SOFTENING:g}; 1: receiver, 2: sender"
    return f"{note}\n\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def in_sympy(law: Law) -> str:
    """A Python module with the expressions as sympy objects."""
    symbols = sorted({str(s) for f in (*law.components, *law.one_body) for s in f.free_symbols})
    text = f'''\
        """The distilled law: contributions of a pair to its receiver's acceleration, then one-body terms.

        1 is the receiver, 2 the sender, d = x1 - x2 by components, r = |d| + {SOFTENING:g}.
        """

        import sympy

        {", ".join(symbols)} = sympy.symbols("{" ".join(symbols)}")
        pair = {_tuple(law.components)}
        one_body = {_tuple(law.one_body)}
        '''
    return textwrap.dedent(text)


def _tuple(expressions: tuple[sympy.Expr, ...]) -> str:
    inner = ", ".join(_FUNCTION.sub(r"sympy.\1(", write(f)) for f in expressions)
    return f"({inner},)" if expressions else "()"


def in_numpy(law: Law, further: Sequence[str] = ()) -> str:
    """A Python module that needs NumPy only: accelerations of n particles.

    Args:
        law: the law.
        further: names of the further columns of the data, in order.
    """
    printer = NumPyPrinter({"fully_qualified_modules": True})
    pair = [printer.doprint(f).replace("numpy.", "np.") for f in law.components]
    alone = [printer.doprint(f).replace("numpy.", "np.") for f in law.one_body]
    names = ", ".join(f"d{a}" for a in AXES[: len(pair)])
    speeds = ", ".join(f"v{a}" for a in AXES[: len(pair)])
    used = {str(s) for f in law.components for s in f.free_symbols}
    more = given = ""  # further columns that the law uses, as parameters and as arguments
    for (k, name), (side, end) in itertools.product(enumerate(further), ((1, "i"), (2, "j"))):
        if sided(name, side) in used:
            more += f", {sided(name, side)}"
            given += f", features[{end}, {k}]"
    lines = [
        '"""The distilled law. Made by gnn_distill; needs NumPy only."""',
        "",
        "import numpy as np",
        "",
        f"SOFTENING = {SOFTENING!r}",
        "",
        "",
        f"def pair_acceleration(delta, m1, m2, q1, q2{more}):",
        '    """What sender 2 adds to the acceleration of receiver 1; delta = x1 - x2, shape [..., D]."""',
        f"    {names} = np.moveaxis(np.asarray(delta, dtype=float), -1, 0)",
        f"    r = np.sqrt({' + '.join(f'd{a} ** 2' for a in AXES[: len(pair)])}) + SOFTENING",
        f"    parts = [{', '.join(pair)}]",
        "    found = np.stack([np.broadcast_to(p, r.shape) for p in parts], axis=-1)",
        "    return np.where((np.asarray(delta) == 0).all(-1, keepdims=True), 0.0, found)",
        "",
        "",
        "def acceleration(x, v, m, q, edges=None, features=None):",
        '    """Accelerations [n, D] from positions and velocities [n, D], masses and charges [n].',
        "",
        "    edges: receivers and senders, each [E]; all pairs if None. features: further ones [n, K].",
        '    """',
        "    x, v, m, q = (np.asarray(part, dtype=float) for part in (x, v, m, q))",
        "    i, j = np.nonzero(~np.eye(len(x), dtype=bool)) if edges is None else edges",
        "    total = np.zeros_like(x)",
        f"    pairs = pair_acceleration(x[i] - x[j], m[i], m[j], q[i], q[j]{given})",
        "    np.add.at(total, i, pairs)",
    ]
    if alone:
        lines += [
            f"    {speeds} = v.T",
            "    m1 = m",
            f"    alone = [{', '.join(alone)}]",
            "    total += np.stack([np.broadcast_to(p, m1.shape) for p in alone], axis=-1)",
        ]
    return "\n".join([*lines, "    return total", ""])
