"""Published numbers; they stand in `published.yaml`, one row for each force law.

Sources: "P20", Cranmer et al. 2020, arXiv 2006.11287; "R25", a Cambridge MPhil report of 2025 that
reproduced and extended it. All hold for n = 4 particles in two dimensions, frames shuffled before the
split, and the full training of the `paper` profile.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Row = dict[str, float]

R25 = "Cambridge MPhil report, 2025"

VARIANTS = ("standard", "bottleneck", "l1", "kl", "pruning")
"""The columns of the tables."""
SETTING = {"n": 4, "dim": 2}

_TABLES = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))


def _rows(name: str) -> dict[str, dict[str, Any]]:
    """A table as values by law and variant; a row may be shorter than `VARIANTS`."""
    return {law: dict(zip(VARIANTS, values, strict=False)) for law, values in _TABLES[name].items()}


PRUNING_GRID: dict[str, dict[float, float]] = _TABLES["pruning_grid"]
TEST_LOSS: dict[str, Row] = _rows("test_loss")
ROBUST_R2: dict[str, Row] = _rows("robust_r2")
OLS_R2: dict[str, Row] = _rows("ols_r2")
P20_R2: dict[str, Row] = _rows("p20_r2")
RECOVERED = {
    law: {variant: tuple(marks.split()) for variant, marks in row.items()}
    for law, row in _rows("recovered").items()
}


def cell(table: dict[str, Row], law: str | None, variant: str, n: object, dim: object) -> float | None:
    """The published number of a law and variant; None if none was published for that setting."""
    if (n, dim) != (SETTING["n"], SETTING["dim"]) or law is None:
        return None
    return table.get(law, {}).get(variant)
