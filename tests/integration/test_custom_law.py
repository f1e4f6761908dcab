"""A force law from a file of the user's, without touching the package."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import TINY

MODULE = '''
from dataclasses import dataclass

import numpy as np

from gnn_distill.forces import ForceLaw


@dataclass(frozen=True)
class Yukawa(ForceLaw):
    """Screened attraction."""

    strength: float = 1.0
    name = "yukawa"
    title = "the Yukawa force"
    formula = "-k m1 m2 exp(-r) (1 + r) / r^2"
    time_step = 5e-3

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        return -params[0] * m1 * m2 * np.exp(-r) / r

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return -params[0] * m1 * m2 * np.exp(-r) * (1 + r) / r**2
'''


def test_custom_law_runs_to_the_end(gnn_distill, tmp_path: Path):
    (tmp_path / "my_module.py").write_text(MODULE)
    law = ["dataset=custom", "dataset.law._target_=my_module.Yukawa", "+dataset.law.strength=2.0"]
    gnn_distill(*TINY, *law, "hydra.run.dir=run", cwd=tmp_path)
    analysis = json.loads((tmp_path / "run/analysis.json").read_text())
    assert set(analysis["r2"]) == {"force", "acceleration", "gauge", "pullback"}
    verdict = json.loads((tmp_path / "run/equations.json").read_text())["components"][0]["verdict"]
    assert verdict["recovered"] is False  # two epochs teach nothing


def test_law_that_is_no_law_is_refused(gnn_distill, tmp_path: Path):
    (tmp_path / "my_module.py").write_text("class Yukawa: pass\n")
    failed = gnn_distill("dataset=custom", "dataset.law._target_=my_module.Yukawa", cwd=tmp_path, code=2)
    assert "dataset.law" in failed.stderr and "ForceLaw" in failed.stderr
