"""A central pair law as a table of LAMMPS.

Shape: K distances.
"""

from __future__ import annotations

import numpy as np

from gnn_distill.distil.law.central import Central

ROWS = 2000
_ASCII = str.maketrans({"Å": "A", "µ": "u", "μ": "u", "×": "x", "²": "^2", "–": "-", "’": "'"})


def in_lammps(found: Central, told: list[str]) -> str:
    """A file for `pair_style table`: a section for each pair of kinds, with `index r energy force`.

    Its first lines say which commands read it, and what the numbers are.

    Args:
        found: the pair forces.
        told: sentences for the head of the file.
    """
    numbers = {label: k for k, label in enumerate(found.particles, 1)}
    where = f"{found.outer:.12g}"
    lines = ["The distilled pair law, for LAMMPS. Made by gnn_distill.", "", *told, ""]
    lines += [
        f"{numbers[label]} is {label}: " + ", ".join(f"{name} = {value:g}" for name, value in row.items())
        for label, row in found.particles.items()
    ]
    lines += ["", f"pair_style table spline {ROWS}"]
    lines += [
        f"pair_coeff {numbers[a]} {numbers[b]} law.table {_keyword(a, b)} {where}" for a, b in found.forces
    ]
    text = [f"# {line}".rstrip() for line in lines]
    d = np.linspace(found.inner, found.outer, ROWS)
    for pair in found.forces:
        energy, force = found.values(pair, d)
        zero = "infinity" if abs(energy[-1]) > 1e-6 * abs(force[-1] * d[-1]) else f"r = {where}"
        text += ["", f"# energy is zero at {zero}", _keyword(*pair)]
        text += [f"N {ROWS} R {found.inner:.12g} {where}", ""]
        text += [
            f"{k} {r:.12g} {e:.12g} {f:.12g}"
            for k, (r, e, f) in enumerate(zip(d, energy, force, strict=True), 1)
        ]
    return "\n".join(text).translate(_ASCII).encode("ascii", "replace").decode() + "\n"


def _keyword(a: str, b: str) -> str:
    return f"{a}_{b}"
