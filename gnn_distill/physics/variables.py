"""The one vocabulary: what is known of a particle, and the names that equations have for it.

A particle's features stand in the order position, velocity, charge, mass, further columns of the user's, and
last, where it is known, which individual it is.
Index 1 is the receiver of a force, 2 its sender, and Δ = x₁ − x₂.

Shape letters: F features of a particle, D space dims, K further columns.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOFTENING = 1e-2
"""ε of the distances r = d + ε that simulated laws see."""
AXES = ("x", "y", "z")
DELTAS = ("dx", "dy", "dz")
"""Components of Δ."""
VELOCITIES = ("vx", "vy", "vz")
"""Components of a particle's own velocity, for what acts on it without a partner."""
ANGLES = ("theta", "heading")
"""Further columns that are the direction in which a particle heads, in radians from the x axis."""
HEADINGS = ("e", "heading_", "heading")
"""How further columns begin that are the components of such a direction."""
PROPERTIES = ("m1", "m2", "q1", "q2")
"""Masses and charges of the two particles."""
HIDDEN = ("s1", "s2", "t1")
"""What individuals have that the file does not hold: strengths as sources, and the receiver's response."""
VARIABLES = (*DELTAS, "r", *PROPERTIES)
"""What every pair has: Δ, the softened distance r = |Δ| + ε, masses and charges."""

RELATIVE = ("wx", "wy", "wz")
"""Components of the relative velocity w = v₁ − v₂."""
MOVING = ("w", "uw")
"""Relative speed |w|, and the speed u·w at which a pair draws apart, u = Δ/d."""

EDGE, BETWEEN = "k12", "_12"
"""The number of a pair's edge; and how names end that say of which kind it is."""

KNOWN = (*VARIABLES, "d", *RELATIVE, *MOVING, EDGE, *AXES, *VELOCITIES)
"""The same with the plain distance d = |Δ|, relative velocities, the edge's number, and what acts on a single
particle."""

_FURTHER = re.compile(r"[A-Za-z]\w*[12]")
_TAKEN = re.compile(r"([cdfmqrstuvwxyz]|[dvw][xyz]|uw)\d*|f\d+_[12]|exp|log|sqrt|abs|sin|cos|tanh|inv")
"""What equations use for something else: letters with a digit (m1, q2, the constants c0, c1, …), vectors and
functions. A further column so called is f1, f2, … in them."""


def sided(name: str, side: int) -> str:
    """The name of a particle's property in an equation: `m` of the receiver is `m1`, `size` is `size1`.

    After a digit stands an underscore: the third column without a name is `f3_1`.
    """
    return f"{name}_{side}" if name[-1].isdigit() else f"{name}{side}"


def column_names(headings: Sequence[str]) -> tuple[str, ...]:
    """Names of further columns in equations: their headings where these can be, else f1, f2, ….

    Equations add 1 for the receiver and 2 for the sender, so that `spin1` is the one of a column `spin`,
    not another column.

    >>> column_names(("spin", "m", "size (µm)"))
    ('spin', 'f2', 'f3')
    """

    def free(name: str) -> bool:
        plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
        of_another = name.endswith(("1", "2")) and name[:-1] in headings
        return plain and not _TAKEN.fullmatch(name) and not of_another

    return tuple(name if free(name) else f"f{k}" for k, name in enumerate(headings, 1))


def is_variable(name: str) -> bool:
    """Whether an equation may hold this name: a known one, or a further column's with its side."""
    return name in KNOWN or _FURTHER.fullmatch(name) is not None


def further(names: Sequence[str]) -> list[str]:
    """Those names that stand for further columns of the user's data."""
    return [name for name in names if name not in KNOWN]


def latex(name: str) -> str:
    r"""A variable in LaTeX: `dx` is `\Delta x`, `m1` is `m_1`, `size2` is `\mathrm{size}_2`."""
    if name in DELTAS:
        return rf"\Delta {name[1]}"
    if name in (*VELOCITIES, *RELATIVE):
        return f"{name[0]}_{name[1]}"
    if name in MOVING:
        return {"w": "|w|", "uw": r"(u \cdot w)"}[name]
    if name in (*PROPERTIES, *HIDDEN):
        return f"{name[0]}_{name[1]}"
    if name == EDGE:
        return "k_{12}"
    if name.endswith(BETWEEN):
        word = name.removesuffix(BETWEEN).replace("_", r"\_")
        return rf"\mathrm{{{word}}}_{{12}}"
    if _FURTHER.fullmatch(name):
        word = name[:-1].removesuffix("_").replace("_", r"\_")
        return rf"\mathrm{{{word}}}_{name[-1]}"
    return name


@dataclass(frozen=True)
class Bonds:
    """Numbers of the edges between particles: strengths, or kinds.

    Attributes:
        count: of the particles of a graph.
        kinds: the numbers that occur; none where they are too many to be kinds.
    """

    count: int
    kinds: tuple[float, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What equations call an edge's number, and that it is of a kind: `k12`, `edge_0_5_12`."""
        words = (re.sub(r"\W", "_", f"{kind:g}".replace("-", "minus ")) for kind in self.kinds)
        return (EDGE, *(f"edge_{word}{BETWEEN}" for word in words))


def nearest_image(delta: Any, cell: Any) -> Any:
    """Separations [..., D], arrays or tensors, by their shortest image; they are changed in place.

    Exact for pairs closer than half of the shortest edge L, whatever the tilt.

    Args:
        delta: the separations.
        cell: of each its cell, shape [..., D (D + 1)/2]: Lx, xy, Ly, xz, yz, Lz, that is the vectors
            (Lx, 0, 0), (xy, Ly, 0) and (xz, yz, Lz), as LAMMPS has them; an edge of 0 is an open axis.
    """
    for k in reversed(range(delta.shape[-1])):
        vector = cell[..., k * (k + 1) // 2 : (k + 1) * (k + 2) // 2]
        edge = vector[..., k]
        turns = (edge > 0) * (delta[..., k] / (edge + (edge == 0))).round()
        delta[..., : k + 1] -= turns[..., None] * vector
    return delta


@dataclass(frozen=True)
class Columns:
    """Where the features of a particle stand.

    ```python
    columns = Columns(dim=2, further=("size",))
    features[..., columns.mass]         # masses
    columns.pair_names                  # dx dy r m1 m2 q1 q2 size1 size2
    ```

    Args:
        dim: space dimensions D.
        further: names of the K columns after charge and mass.
        box: edges of the periodic box, None along an open axis, 0 where each particle's own columns say its
            cell, see `cell`; None where nothing is periodic.
        softening: ε of r = d + ε, in units of the data; 0 where nobody has softened their forces.
        identity: whether a last column holds the number of the individual, 0 to K − 1. It is no property:
            equations do not read it.
        bonds: numbers of edges; each particle has those of its own edges, sender by sender, after the cell,
            and then its number among the senders. None where edges are alike.
    """

    dim: int
    further: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None
    softening: float = SOFTENING
    identity: bool = False
    bonds: Bonds | None = None

    @classmethod
    def of(cls, dim: int, features: int) -> Columns:
        """The columns of so many features F; further ones are called `f1`, `f2` and so on."""
        return cls(dim, column_names([""] * (features - cls(dim).count)))

    def separation(self, one: Any, two: Any) -> Any:
        """Δ = x₁ − x₂ of features [..., F], arrays or tensors; in a periodic box its shortest image."""
        delta = one[..., self.position] - two[..., self.position]
        if self.in_cells:
            return nearest_image(delta, one[..., self.cell])
        for k, edge in enumerate(self.box or ()):
            if edge is not None:
                delta[..., k] -= edge * (delta[..., k] / edge).round()
        return delta

    @property
    def in_cells(self) -> bool:
        """Whether particles bring the cell that they are in, because it is tilted or not always the same."""
        return any(edge == 0 for edge in self.box or ())

    @property
    def cell(self) -> slice:
        """Columns of the cell after the further ones, as `nearest_image` reads them; none in other boxes."""
        return slice(self.rest.stop, self.rest.stop + self.in_cells * self.dim * (self.dim + 1) // 2)

    @property
    def position(self) -> slice:
        """Columns of the position."""
        return slice(0, self.dim)

    @property
    def velocity(self) -> slice:
        """Columns of the velocity."""
        return slice(self.dim, 2 * self.dim)

    @property
    def charge(self) -> int:
        """Column of the charge."""
        return 2 * self.dim

    @property
    def mass(self) -> int:
        """Column of the mass."""
        return 2 * self.dim + 1

    @property
    def rest(self) -> slice:
        """The further columns."""
        return slice(2 * self.dim + 2, 2 * self.dim + 2 + len(self.further))

    @property
    def constant(self) -> slice:
        """All columns that motion does not change: charge, mass and the further ones."""
        return slice(2 * self.dim, 2 * self.dim + 2 + len(self.further))

    def between(self, one: Any, two: Any) -> dict[str, Any]:
        """Numbers and kinds of the edges from senders `two` to receivers `one`, features [..., F] of both.

        By the names they have in equations, each of shape [...]; none where edges are alike.
        """
        if self.bonds is None:
            return {}
        first, count = self.cell.stop, self.bonds.count
        of = two[..., first + count]
        k = 0.0 * of
        for number in range(count):
            k = k + one[..., first + number] * (of == number)
        return {EDGE: k} | {
            n: 1.0 * (k == v) for n, v in zip(self.bonds.names[1:], self.bonds.kinds, strict=True)
        }

    @property
    def unmoved(self) -> slice:
        """`constant`, and the number of the individual where there is one."""
        return slice(2 * self.dim, None)

    @property
    def individual(self) -> int:
        """Column of the number of the individual, where `identity` says that there is one."""
        return self.count - 1

    @property
    def parts(self) -> dict[str, slice]:
        """The features of a receiver, part by part: `x1`, `v1`, `q1`, `m1`, and all further ones, `f1`."""
        single = {"q1": slice(self.charge, self.charge + 1), "m1": slice(self.mass, self.mass + 1)}
        return {"x1": self.position, "v1": self.velocity, **single, "f1": self.rest}

    @property
    def count(self) -> int:
        """Number of features F."""
        linked = 0 if self.bonds is None else self.bonds.count + 1
        return self.cell.stop + linked + self.identity

    @property
    def pair_names(self) -> tuple[str, ...]:
        """What an equation for a pair may read: `dx dy [dz] r m1 m2 q1 q2`, then further columns."""
        sides = [sided(name, side) for side in (1, 2) for name in self.further]
        edges = () if self.bonds is None else self.bonds.names
        return (*DELTAS[: self.dim], "r", *PROPERTIES, *sides, *edges)

    @property
    def law_names(self) -> tuple[str, ...]:
        """The same with what a law of moving pairs may read besides: `d wx wy [wz] w uw`."""
        return (*self.pair_names, "d", *RELATIVE[: self.dim], *MOVING)

    @property
    def own_names(self) -> tuple[str, ...]:
        """What an equation for one particle may read: `x y [z] vx vy [vz] m1 q1`, then further columns."""
        place = (*AXES[: self.dim], *VELOCITIES[: self.dim], "m1", "q1")
        return (*place, *(sided(name, 1) for name in self.further))

    def own(self, features: Any) -> dict[str, Any]:
        """`own_names` of particles with features [..., F], an array or a tensor; each of shape [...]."""
        place = zip(self.own_names, range(2 * self.dim), strict=False)
        return {name: features[..., k] for name, k in place} | self.properties(features, 1)

    def properties(self, features: Any, side: int) -> dict[str, Any]:
        """Mass, charge and further columns of particles by the names they have in equations.

        Args:
            features: shape [..., F], an array or a tensor.
            side: 1 for receivers, 2 for senders.

        Returns:
            For each name an array of shape [...].
        """
        columns = {"m": self.mass, "q": self.charge}
        columns |= {name: k for k, name in enumerate(self.further, self.mass + 1)}
        return {sided(name, side): features[..., k] for name, k in columns.items()}
