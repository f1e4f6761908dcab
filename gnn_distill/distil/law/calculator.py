"""A central pair law as a calculator of ASE, in a file of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from string import Template

import sympy

from gnn_distill.distil.law.central import Central
from gnn_distill.distil.law.code import with_numpy

ASE_FILE = Template('''\
"""The distilled pair law as a calculator of ASE. Made by gnn_distill; needs NumPy and ASE.

$told

    atoms.calc = LawCalculator()
"""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

PARTICLES = $particles  # what the law knows of each kind, by its label
CUTOFF = $cutoff  # distance up to which pairs act; None: all pairs, in a periodic cell up to half of it
REFERENCE = $outer  # where potentials are zero that are integrated
NODES, WEIGHTS = np.polynomial.legendre.leggauss(128)


def integrated(force, d):
    """The potential of a force at distances d, zero at REFERENCE: quadrature in the logarithm of d."""
    half, middle = np.log(REFERENCE / d) / 2, np.log(REFERENCE * d) / 2
    r = np.exp(middle[:, None] + half[:, None] * NODES)
    return half * ((force(r) * r) @ WEIGHTS)


$functions
PAIRS = {$pairs}  # forces, positive where pairs repel, and potentials, of arrays of distances


class LawCalculator(Calculator):
    """Energy and forces of ASE's atoms under the law; pairs by the nearest images of their cell.

    kinds: labels of PARTICLES, one for each atom; None: its chemical symbol, or the only kind that there is.
    cutoff: distance beyond which pairs do not act, in units of the law; the potential is zero there.
    length, energy: one unit of the law in those of ASE, Angstrom and eV; 1 for reduced units.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces"]

    def __init__(self, kinds=None, *, cutoff=CUTOFF, length=1.0, energy=1.0, **more):
        super().__init__(**more)
        self.kinds, self.cutoff, self.length, self.energy = kinds, cutoff, length, energy

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        atoms, cutoff = self.atoms, self._reach(self.atoms)
        kinds = np.array(self._labels(atoms))
        far = cutoff if np.isfinite(cutoff) else np.ptp(atoms.positions, axis=0).sum() / self.length + 1.0
        i, j, d, to = neighbor_list("ijdD", atoms, far * self.length)  # each pair twice; to: x_j - x_i
        d = d / self.length
        energies, forces = np.zeros(len(atoms)), np.zeros((len(atoms), 3))
        for (a, b), (force, potential) in PAIRS.items():
            here = (kinds[i] == a) & (kinds[j] == b) | (kinds[i] == b) & (kinds[j] == a)
            if not here.any():
                continue
            energy = potential(d[here])
            if np.isfinite(cutoff):
                energy = energy - potential(np.array([cutoff]))
            np.add.at(energies, i[here], energy / 2)
            pull = (force(d[here]) / d[here])[:, None] * to[here] / self.length
            np.add.at(forces, i[here], -pull)
        self.results["energies"] = energies * self.energy
        self.results["energy"] = self.results["free_energy"] = energies.sum() * self.energy
        self.results["forces"] = forces * self.energy / self.length

    def _labels(self, atoms):
        labels = self.kinds
        if labels is None:
            labels = [*PARTICLES] * len(atoms) if len(PARTICLES) == 1 else atoms.get_chemical_symbols()
        if len(labels) != len(atoms) or not {*labels} <= {*PARTICLES}:
            raise ValueError(f"give kinds: for each of {len(atoms)} atoms one of {', '.join(PARTICLES)}")
        return labels

    def _reach(self, atoms):
        if self.cutoff is not None or not atoms.pbc.any():
            return np.inf if self.cutoff is None else self.cutoff
        heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.complete()), axis=0)
        return heights[atoms.pbc].min() / 2 / self.length
''')


def in_ase(found: Central, told: Sequence[str], cutoff: float | None) -> str:
    """A Python module with a class `LawCalculator`, for `ase.Atoms`.

    Args:
        found: the pair forces.
        told: sentences for its docstring.
        cutoff: largest distance of pairs that act in the data; None where all do.
    """
    functions, pairs = [], []
    for k, (pair, force) in enumerate(found.forces.items(), 1):
        known = found.potentials[pair]
        energy = f"integrated(force_{k}, d)" if known is None else _code(known)
        functions.append(f"def force_{k}(d):\n    return {_code(force)}\n\n")
        functions.append(f"def potential_{k}(d):\n    return {energy}\n\n")
        pairs.append(f"{pair!r}: (force_{k}, potential_{k})")
    return ASE_FILE.substitute(
        told="\n".join(textwrap.fill(sentence, 100, break_on_hyphens=False) for sentence in told),
        particles=found.particles,
        cutoff=cutoff,
        outer=found.outer,
        functions="\n".join(functions),
        pairs=", ".join(pairs),
    )


def _code(expression: sympy.Expr) -> str:
    text = with_numpy(expression)
    return text if expression.free_symbols else f"{text} + 0.0 * d"
