"""Every law, from simulation to report, in process and tiny."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnn_distill.pipeline.stages import run
from gnn_distill.runs.load import read_run
from tests.conftest import LAWS, TINY

TARGETS = {"discontinuous": "components", "superposition": "components"}


@pytest.mark.parametrize("law", [law.name for law in LAWS])
def test_law_runs_to_the_end(law: str, tmp_path: Path, cache: Path, compose):
    target = TARGETS.get(law, "pullback")
    overrides = [*TINY, f"dataset={law}", f"symbolic.target={target}", f"cache={cache}", "dataset.n=3"]
    run(compose(*overrides), tmp_path / "run")
    finished = read_run(tmp_path / "run")
    assert finished.status["state"] == "complete"
    assert finished.analysis["pullback"]["kind"] == ("odd" if law in ("damped", "string") else "share")
    assert all(c["verdict"]["recovered"] in (True, False) for c in finished.equations["components"])
    assert (tmp_path / "run/report.html").exists()
