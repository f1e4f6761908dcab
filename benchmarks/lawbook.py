"""Forty pair laws with constants drawn from a seed: twenty of the textbook list, twenty that are not on it.

A law is the size of the force on the receiver along Δ/d, positive where it repels, in the softened distance
r, masses, charges and letters for its constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Range = tuple[float, float]
STRENGTH, LENGTH, REST, POWER = (0.7, 3.0), (0.5, 2.0), (0.8, 2.0), (1.2, 2.8)
NEAR = "((r + R - abs(r - R)) / 2)"


@dataclass(frozen=True)
class Entry:
    """A law whose constants are still letters.

    Attributes:
        name: of its folder.
        formula: in Python, with `exp`, `log`, `tanh`, `sin`, `cos`, `sqrt`.
        constants: where each letter is drawn from, evenly in its logarithm.
        charges: `sign` for charges of ±1, `normal` for N(0, 1).
        listed: whether the textbook list knows it.
    """

    name: str
    formula: str
    constants: dict[str, Range]
    charges: str = "normal"
    listed: bool = True

    def drawn(self, seed: int) -> dict[str, float]:
        """Its constants under a seed, three figures each."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        return {
            letter: float(f"{np.exp(rng.uniform(*np.log(limits))):.3g}")
            for letter, limits in self.constants.items()
        }

    def write(self, folder: Path, seed: int) -> str:
        """Write `folder`/MODULE.py with the law as a class `Law`; returns the module's name."""
        module = f"law_{self.name}_{seed}"
        values = self.drawn(seed)
        unpacked = ", ".join(values) + ("," if len(values) == 1 else "")
        lines = [
            "from dataclasses import dataclass\n",
            "import numpy as np",
            "from numpy import cos, exp, log, sin, sqrt, tanh  # noqa: F401\n",
            "from gnn_distill.physics.laws import ForceLaw\n\n",
            "@dataclass(frozen=True)",
            "class Law(ForceLaw):",
            *(f"    {letter}: float = {value}" for letter, value in values.items()),
            f'    name = "{self.name}"',
            f'    title = "{self.name}"',
            f'    formula = "{self.formula}"',
            "    time_step = 1e-2",
            f'    charges = "{self.charges}"\n',
            "    @staticmethod",
            "    def potential(r, m1, m2, q1, q2, params):",
            "        return 0.0 * r  # not needed to simulate\n",
            "    @staticmethod",
            "    def magnitude(r, m1, m2, q1, q2, params):",
            f"        {unpacked} = {', '.join(f'params[{k}]' for k in range(len(values)))}"
            + ("," if len(values) == 1 else ""),
            f"        return {self.formula} + 0.0 * r",
        ]
        folder.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines) + "\n"
        path = folder / f"{module}.py"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return module


def _on(name: str, formula: str, charges: str = "normal", **constants: Range) -> Entry:
    return Entry(name, formula, constants, charges)


def _off(name: str, formula: str, charges: str = "normal", **constants: Range) -> Entry:
    return Entry(name, formula, constants, charges, listed=False)


A, B, L, S, R, N = STRENGTH, STRENGTH, LENGTH, LENGTH, REST, POWER
BOOK = (
    _on("inverse", "-A*m1*m2/r", A=A),
    _on("charges", "A*q1*q2/r**2", "sign", A=A),
    _on("dipoles", "A/r**4", A=(0.1, 0.5)),
    _on("power", "A*m1*m2/r**n", A=A, n=N),
    _on("plasma", "A/r**2 - B*r", A=A, B=A),
    _on("spring", "-A*(r - R)", A=A, R=R),
    _on("logarithm", "-A*log(r/R)", A=A, R=R),
    _on("plummer", "-A*m1*m2*r/(r**2 + s**2)**1.5", A=A, s=(0.3, 1.0)),
    _on("flock", "A/(r**2 + s**2)**n", A=A, s=S, n=(0.7, 2.0)),
    _on("exponential", "A*exp(-r/L)", A=(2.0, 6.0), L=L),
    _on("swarm", "-A*m1*m2*r*exp(-r/L)", A=A, L=L),
    _on("gauss", "A*exp(-r**2/(2*s**2))", A=(1.5, 5.0), s=(0.7, 2.0)),
    _on("coils", "-A*q1*q2*r*exp(-r**2/(2*s**2))", "sign", A=A, s=(0.7, 2.0)),
    _on("yukawa", "A*q1*q2*exp(-r/L)*(1/r**2 + 1/(L*r))", "sign", A=A, L=L),
    _on("screened", "-A*m1*m2*exp(-r/L)/r", A=A, L=L),
    _on("morse", "A*(exp(-2*(r - R)/L) - exp(-(r - R)/L))", A=A, R=R, L=L),
    _on("two_ranges", "A*exp(-r/L) - B*exp(-r/s)", A=(4.0, 8.0), L=(0.4, 0.8), B=(0.7, 2.0), s=(1.5, 3.0)),
    _on("depletion", f"-A*(1 - ({NEAR}/R)**2)", A=A, R=(1.5, 3.0)),
    _on("logistic", "A/(1 + exp((r - R)/L))", A=(1.5, 4.0), R=R, L=(0.2, 0.6)),
    _on("hertz", "A*abs(R - r + abs(R - r))**1.5", A=(0.7, 2.0), R=(1.2, 2.5)),
    _off("cut_power", "A*exp(-r/L)/(r + s)", A=(2.0, 6.0), L=L, s=(0.3, 1.0)),
    _off("bump", "-A*r**2*exp(-r/L)", A=A, L=(0.5, 1.2)),
    _off("root_decay", "A*m1*m2*exp(-r/L)/sqrt(r)", A=(1.5, 4.0), L=L),
    _off("stretched", "A*exp(-(r/L)**n)", A=(1.5, 5.0), L=(0.8, 2.0), n=(1.3, 1.8)),
    _off("offset_power", "-A*m1*m2/(r + s)**n", A=(1.5, 5.0), s=(0.3, 1.0), n=(1.3, 2.7)),
    _off("offset_square", "A*q1*q2/(r + s)**2", "sign", A=(1.5, 5.0), s=(0.3, 1.0)),
    _off("saturating", "-A*r/(r + s)", A=A, s=S),
    _off("hill", "A/(1 + (r/s)**3)", A=(1.5, 5.0), s=(0.8, 2.0)),
    _off("two_powers", "A/r**n - B/r", A=A, B=A, n=(1.8, 2.8)),
    _off("rational", "-A*m1*m2*r/(r**2 + s*r + R)", A=(1.5, 5.0), s=S, R=R),
    _off("tanh", "-A*tanh(r/L)", A=A, L=L),
    _off("tanh_square", "-A*m1*m2*tanh(r/L)/r**2", A=A, L=L),
    _off("bond", "-A*tanh((r - R)/L)", A=A, R=R, L=L),
    _off("pull_push", "A*exp(-r/L) - B/r", A=(4.0, 9.0), L=L, B=A),
    _off("near_far", "A/r**2 - B*exp(-r/L)", A=A, B=(1.5, 4.0), L=(1.0, 2.5)),
    _off("charged_masses", "A*q1*q2/r - B*m1*m2/(r + s)", "sign", A=A, B=A, s=(0.3, 1.0)),
    _off("well", "A*r*exp(-r/L) - B*r", A=(4.0, 9.0), B=(0.4, 1.0), L=L),
    _off("ripple", "A*exp(-r/L)*cos(k*r)", A=(2.0, 5.0), L=(1.0, 2.5), k=(1.5, 3.0)),
    _off("soft_log", "-A*log(1 + r/s)", A=A, s=S),
    _off("root", "-A*sqrt(r + s)", A=A, s=S),
)
