"""The names that an equation may hold."""

from __future__ import annotations

import re

SPACE = ("dx", "dy", "dz")


LATEX = {f"d{axis}": rf"\Delta {axis}" for axis in "xyz"}


VARIABLES = ("dx", "dy", "dz", "r", "m1", "m2", "q1", "q2")
"""Names that inputs may have: Δ, r = |Δ| + ε, masses and charges (1 receiver, 2 sender)."""

FURTHER = re.compile(r"f([1-9]\d*)_([12])")
"""Names of further features: `f3_2` is the third one of the sender."""

FURTHER_NAMES = tuple(f"f{k}_{side}" for k in range(1, 100) for side in (1, 2))
"""Those that an equation from a file or from the user may have."""
