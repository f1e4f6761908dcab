"""Whole equations of motion: pair forces along Δ and the relative velocity, and what acts on one particle.

    second order   a₁ = h(x₁, v₁) + Σ₂ (f_u Δ/d + f_w w) / m₁
    first order    v₁ = h(x₁) + Σ₂ f_u Δ/d

with Δ = x₁ − x₂, d = |Δ|, w = v₁ − v₂; f_u, f_w and h are written down as text. Text is arithmetic alone:
it is checked node by node before anything is made of it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError, check_choice
from gnn_distill.physics.laws import SOFTENING, ForceLaw
from gnn_distill.physics.variables import AXES, VELOCITIES

FUNCTIONS = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "Abs": np.abs, "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "Max": np.maximum,
}  # fmt: skip
"""All of one argument, but for `Max` of two."""
PAIR = ("d", "r", "w", "uw", "m1", "m2", "q1", "q2")
"""What a pair term may read, in the order in which its compiled form takes it."""
MOVING = ("w", "uw")
DYNAMICS = ("second_order", "first_order")
LONGEST, HIGHEST = 4000, 20
"""Characters of an expression, and the largest exponent."""
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Load,
)  # fmt: skip
_f8, _out = numba.types.float64, numba.types.Array(numba.types.float64, 1, "C")
_WRITES = numba.types.void(*[_f8] * 8, _out)


@dataclass(frozen=True)
class Equation(ForceLaw):
    """An equation of motion in text, a law of a class beside it or alone.

    ```yaml
    law:
      _target_: gnn_distill.physics.equation.Equation
      along_distance: 2*exp(-d)
      one_body: [-0.8*x, -0.8*y]
      dynamics: first_order
    ```

    Args:
        base: a law of a class, whose forces act besides.
        along_distance: f_u, the pair force along Δ/d, in `d r w uw m1 m2 q1 q2`; empty for none.
        along_velocity: f_w, the factor of w = v₁ − v₂ in the pair force, in the same.
        one_body: h, the acceleration (in first order the velocity) of a particle by itself, one expression
            for each axis in `x y [z] vx vy [vz] m1 q1`.
        dynamics: second_order or first_order; in the second of these velocities count for nothing, pair terms
            and h make up the velocity, and no mass divides.
    """

    base: ForceLaw | None = None
    along_distance: str = ""
    along_velocity: str = ""
    one_body: tuple[str, ...] = ()
    dynamics: str = "second_order"

    name = "custom"
    title = "the law that was simulated"
    formula = "as it was written"
    time_step = 1e-2

    def __post_init__(self) -> None:
        object.__setattr__(self, "one_body", tuple(map(str, self.one_body)))
        check_choice("dataset.dynamics", self.dynamics, DYNAMICS)
        for key in ("along_distance", "along_velocity"):
            object.__setattr__(self, key, str(getattr(self, key)))
            checked(f"dataset.{key}", getattr(self, key) or "0", self._readable(PAIR, MOVING))
        for text in self.one_body:
            checked("dataset.one_body", text, self._readable(self.own_names, VELOCITIES))
        if self.one_body and len(self.one_body) not in (2, 3):
            raise InputError("dataset.one_body", list(self.one_body), "give one expression for each axis")
        if self.base is not None:
            for name in ("charges", "graph", "time_step"):
                object.__setattr__(self, name, getattr(self.base, name))
        if self.first_order and (self.along_velocity or (self.base is not None and self.base.drag)):
            fix = (
                "there is none in first order, where velocities are what is asked for: second_order has them"
            )
            raise InputError("dataset.dynamics", self.dynamics, f"a force that depends on velocity; {fix}")

    def _readable(self, names: Sequence[str], moving: Sequence[str]) -> list[str]:
        return [name for name in names if not (self.first_order and name in moving)]

    @property
    def own_names(self) -> tuple[str, ...]:
        """What h may read."""
        dim = len(self.one_body)
        return (*AXES[:dim], *VELOCITIES[:dim], "m1", "q1")

    @property
    def first_order(self) -> bool:
        """Whether particles are overdamped."""
        return self.dynamics == "first_order"

    @property
    def empty(self) -> bool:
        """Whether nothing acts at all."""
        return self.base is None and not (self.along_distance or self.along_velocity or self.one_body)

    @property
    def softening(self) -> float:
        """ε of r = d + ε: that of the laws of classes; without one r is d itself."""
        return 0.0 if self.base is None else SOFTENING

    @property
    def params(self) -> tuple[float, ...]:
        """Those of the law of a class."""
        return () if self.base is None else self.base.params

    @property
    def described(self) -> str:
        """All terms in one line."""
        terms = [("along Δ/d", "" if self.base is None else self.base.described)]
        terms += [("along Δ/d", self.along_distance), ("along v₁ − v₂", self.along_velocity)]
        terms.append(("on each particle", f"({', '.join(self.one_body)})" if self.one_body else ""))
        return "; ".join(f"{where}: {text}" for where, text in terms if text)

    @property
    def has_one_body_term(self) -> bool:
        """Whether particles are accelerated by more than pair forces."""
        return bool(self.one_body) or (self.base is not None and self.base.has_one_body_term)

    def force(self, delta: Array, relative: Array, m1: Array, m2: Array, q1: Array, q2: Array) -> Array:
        """Force on the receiver of each edge, shape [..., D]; zero where Δ = 0.

        In first order it is m₁ times what the pair adds to the velocity, so that F/m₁ is the contribution to
        the label there, too.

        Args:
            delta: Δ, shape [..., D].
            relative: velocities w = v₁ − v₂, shape [..., D].
            m1: masses of the receivers, shape [...].
            m2: masses of the senders.
            q1: charges of the receivers.
            q2: charges of the senders.
        """
        total = np.zeros_like(delta)
        if self.base is not None:
            total = self.base.pair_force(delta, m1, m2, q1, q2)
        if self.along_distance or self.along_velocity:
            d = np.linalg.norm(delta, axis=-1)
            apart = np.where(d > 0, d, 1.0)
            speed, drawing = np.linalg.norm(relative, axis=-1), (delta * relative).sum(-1) / apart
            known = (apart, apart + self.softening, speed, drawing, m1, m2, q1, q2)
            along, factor = (function(text or "0", PAIR)(*known) for text in self._pair)
            found = np.asarray(along / apart)[..., None] * delta + np.asarray(factor)[..., None] * relative
            total = total + np.where((d > 0)[..., None], found, 0.0)
        return total * m1[..., None] if self.first_order else total

    @property
    def _pair(self) -> tuple[str, str]:
        return self.along_distance, self.along_velocity

    @property
    def compiled_pair(self) -> Any:
        """f_u and f_w as a native function that writes both."""
        return native(tuple(text or "0" for text in self._pair), PAIR)

    @property
    def compiled_alone(self) -> Any:
        """The components of h as a native function that writes them."""
        return native(self.one_body or ("0",), (*AXES, *VELOCITIES, "m1", "q1"))


def as_equation(law: ForceLaw) -> Equation:
    """The equation of motion of a law; one of a class by itself is of second order."""
    return law if isinstance(law, Equation) else Equation(law)


def checked(key: str, text: str, names: Sequence[str]) -> ast.expr:
    """The tree of an expression that holds arithmetic, numbers, these names and `FUNCTIONS` alone.

    Raises:
        InputError: about `key`, where it holds anything else.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(key, text[:80], "write arithmetic such as -2*exp(-d)/d") from None
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in names:
            raise InputError(key, text[:80], f"{node.id} is not known here: use {', '.join(names)}")
        if not _allowed(node):
            told = f"use + - * / **, numbers, {', '.join(names)} and {', '.join(FUNCTIONS)}"
            raise InputError(key, text[:80], f"{ast.unparse(node)[:40]} is not known: {told}")
    return tree.body


def _allowed(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()):
            return True
        case ast.BinOp(op=ast.Pow(), right=power):
            bare = power.operand if isinstance(power, ast.UnaryOp) else power
            if isinstance(bare, ast.Constant) and isinstance(bare.value, int | float):
                return abs(bare.value) <= HIGHEST
            return any(isinstance(part, ast.Name) for part in ast.walk(power))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return name in FUNCTIONS and len(args) == 1 + (name == "Max")
        case ast.Name():
            return True
    return isinstance(node, _ARITHMETIC)


@functools.cache
def function(text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """The function of `names`, numbers or arrays, that an expression is."""
    return _made(names, [f"return {_source(text, names)}"])


@functools.cache
def native(texts: tuple[str, ...], names: tuple[str, ...]) -> Any:
    """A native function of eight numbers, called `names`, and an array, to which it writes the values."""
    lines = [f"out[{k}] = {_source(text, names)}" for k, text in enumerate(texts)]
    return numba.cfunc(_WRITES, error_model="numpy")(_made((*names, "out"), lines))


def _source(text: str, names: Sequence[str]) -> str:
    """The expression with its whole numbers as floats, but for exponents: they cannot overflow memory."""

    class Floats(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # noqa: N802 (ast's naming)
            power = node.right if isinstance(node.op, ast.Pow) else None
            self.generic_visit(node)
            node.right = node.right if power is None else _whole(power, node.right)
            return node

        def visit_Constant(self, node: ast.Constant) -> ast.AST:  # noqa: N802
            return ast.Constant(float(node.value))  # type: ignore[arg-type]

    return ast.unparse(Floats().visit(checked("expression", text, names)))


def _whole(power: ast.expr, changed: ast.expr) -> ast.expr:
    """An exponent as it was, where it is a whole number."""
    bare = power.operand if isinstance(power, ast.UnaryOp) else power
    return power if isinstance(bare, ast.Constant) and isinstance(bare.value, int) else changed


def _made(arguments: Sequence[str], lines: Sequence[str]) -> Callable[..., Any]:
    """A Python function with this body, which `checked` has let pass."""
    body = "".join(f"\n    {line}" for line in lines)
    space: dict[str, Any] = dict(FUNCTIONS)
    exec(f"def made({', '.join(arguments)}):{body}", space)
    made: Callable[..., Any] = space["made"]
    return made
