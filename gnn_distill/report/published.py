"""Published numbers, as plain data.

Sources: "P20", Cranmer et al. 2020, arXiv 2006.11287; "R25", a Cambridge MPhil report of 2025 that
reproduced and extended it. Rows are force laws, columns the variants in the order of `VARIANTS`. All
hold for n = 4 particles in two dimensions, frames shuffled before the split, and the full training of
the `paper` profile.
"""

from __future__ import annotations

Row = dict[str, float]

P20 = "Cranmer et al. 2020, arXiv 2006.11287"
R25 = "Cambridge MPhil report, 2025"

VARIANTS = ("standard", "bottleneck", "l1", "kl", "pruning")
SETTING = {"n": 4, "dim": 2}


def _row(*values: float) -> Row:
    return dict(zip(VARIANTS, values, strict=False))


PRUNING_GRID: dict[str, dict[float, float]] = {
    "linear": {0.65: 0.9871, 0.75: 0.9936, 0.85: 0.4707},
    "exp": {0.65: 0.9912, 0.75: 0.9953, 0.85: 0.9730},
    "cosine": {0.65: 0.9977, 0.75: 0.9949, 0.85: 0.9705},
}
"""R25 Table 1: mean robust R² of the two components on `charge`, by schedule and end fraction."""

TEST_LOSS: dict[str, Row] = {
    "charge": _row(18.20, 19.12, 18.06, 39.80, 20.35),
    "r1": _row(0.26, 0.25, 0.32, 15.40, 0.30),
    "r2": _row(24.07, 25.25, 21.67, 57.80, 25.71),
    "spring": _row(0.24, 0.16, 0.20, 7.29, 0.23),
}
"""R25 Table 2: test loss as `mae_per_graph`, the sum over a graph's nodes and components."""

ROBUST_R2: dict[str, Row] = {
    "charge": _row(0.4663, 0.9953, 0.6923, 0.0290, 0.9977),
    "r1": _row(0.4143, 0.8387, 0.8441, 0.5935, 0.8378),
    "r2": _row(0.8329, 0.9671, 0.8303, 0.8659, 0.9728),
    "spring": _row(0.9196, 1.0000, 0.9979, 0.8014, 0.9523),
}
"""R25 Table 3: robust R² of messages against the force."""

OLS_R2: dict[str, Row] = {
    "charge": _row(0.0428, 0.5777, 0.2294, 0.2550, 0.6868),
    "r1": _row(0.1462, 0.3496, 0.3500, 0.1581, 0.3570),
    "r2": _row(0.0013, 0.3842, 0.0115, 0.2066, 0.4379),
    "spring": _row(0.6980, 0.9936, 0.9932, 0.6487, 0.6845),
}
"""R25 Table 4: ordinary R² of messages against the force."""

P20_R2: dict[str, Row] = {
    "charge": _row(0.016, 0.947, 0.004, 0.185),
    "r1": _row(0.000, 1.000, 1.000, 0.796),
    "r2": _row(0.004, 0.993, 0.990, 0.770),
    "spring": _row(0.032, 1.000, 1.000, 0.883),
}
"""P20: R² of messages against the force, two dimensions; the pruning variant is R25's own."""

RECOVERED: dict[str, dict[str, tuple[str, str]]] = {
    "charge": dict(
        zip(VARIANTS, [("✗", "✗"), ("✓§", "✓"), ("✓§*", "✗"), ("✗", "✗"), ("✓‡*", "✓‡*")], strict=True)
    ),
    "r1": dict(zip(VARIANTS, [("✓", "✓"), ("✓", "✓"), ("✓", "✓"), ("✗", "✗"), ("✓", "✓")], strict=True)),
    "r2": dict(zip(VARIANTS, [("✗", "✗"), ("✓", "✓"), ("✗", "✗"), ("✓§", "✗"), ("✓", "✓")], strict=True)),
    "spring": dict(
        zip(VARIANTS, [("✓†", "✓†"), ("✓", "✓"), ("✓", "✓§"), ("✗", "✗"), ("✓‡", "✓‡")], strict=True)
    ),
}
"""R25 Table 5: whether each of the two components gave the law, with R25's marks."""


def cell(table: dict[str, Row], law: str | None, variant: str, n: object, dim: object) -> float | None:
    """The published number of a law and variant; None if none was published for that setting."""
    if (n, dim) != (SETTING["n"], SETTING["dim"]) or law is None:
        return None
    return table.get(law, {}).get(variant)
