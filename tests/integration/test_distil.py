"""Distillation of a small run: several targets, a given equation, and what a law leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gnn_distill.distil.problem import Evidence, Problem, Settings, problem
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Spring
from gnn_distill.pipeline.stages import run
from gnn_distill.runs.load import read_run
from tests.conftest import TINY
from tests.unit.distil.test_closed_form import world

MANY = [
    "symbolic.target=[pullback,components,components_raw]",
    "symbolic.sample=stratified",
    "symbolic.weights=decades",
    "symbolic.probes=60",
    "symbolic.engine.max_length=8",
]
EXPORTS = {"law.tex", "law_sympy.py", "law_numpy.py", "law.pt", "README.txt"}


@pytest.mark.slow
def test_targets_given_equation_and_files(tmp_path: Path, cache: Path, compose):
    path = tmp_path / "run"
    for changes in (MANY, ["symbolic=given", "symbolic.expression='-3*(r - 1.5)/m1'"]):
        tiny = [o for o in TINY if changes is MANY or ".engine." not in o]
        run(compose(*tiny, *changes, "variant=bottleneck", f"cache={cache}"), path)
        if changes is MANY:
            first = read_run(path).equations
    assert first["target"] == "pullback" and set(first["also"]) == {"components", "components_raw"}
    for section in (first, *first["also"].values()):
        assert len(section["components"]) == 2
        for entry in section["components"]:
            assert entry["verdict"]["recovered"] in (True, False)
            assert 0 <= entry["extrapolation"]["equation"] < len(entry["front"])
    assert isinstance(first["also"]["components"]["mass_slope"], float)
    finished = read_run(path)
    assert finished.equations["engine"] == "given" and finished.equations["also"] == {}
    law = finished.law
    assert law["test"]["mae"] < 1e-4 < law["network"]["mae"]  # its two constants, fitted to accelerations
    assert np.shape(law["intervals"]) == (2, 2, 2)
    assert law["rollouts"]["law"]["position_error"] < law["rollouts"]["network"]["position_error"]
    assert EXPORTS == {p.name for p in (path / "law").iterdir()} and not (path / "fronts").exists()
    assert finished.rollout()["law_error"].shape[1] == 10
    assert (path / "figures/rollout.png").exists() and "law_numpy.py" in (path / "report.html").read_text()
    json.dumps(law, allow_nan=False)


def posed(pullback: np.ndarray, edges, points: int = 200) -> Problem:
    """The points that a search would see of these contributions, each graph a unit of its own."""
    recording = SimpleNamespace(edges=edges, n=4, pullback=pullback)
    evidence = Evidence(None, recording, None, None, None, None, whole=False)
    return problem(evidence, Settings(points=points), "pullback")


def test_held_out_edges_belong_to_other_graphs():
    edges, _ = world(Spring(), graphs=100)
    found = posed(edges.acceleration, edges, 10_000)
    seen = {float(v) for v in found.X[:, found.names.index("m1")]}
    unseen = {float(v) for v in found.unseen[:, found.names.index("m1")]}
    assert len(found.X) == 70 * 12 and len(found.unseen) == 30 * 12 and not seen & unseen


def test_messages_that_are_not_finite_are_named():
    edges, _ = world(Spring(), graphs=100)
    broken = edges.acceleration.copy()
    broken[::2] = np.nan
    with pytest.raises(InputError, match="messages.*NaN.*diverged"):
        posed(broken, edges)


def test_too_few_edges_are_named():
    edges, _ = world(Spring(), graphs=5)
    with pytest.raises(InputError, match="symbolic.points.*fewer than 50"):
        posed(edges.acceleration, edges)


def test_inputs_that_do_not_vary_are_left_out():
    edges, _ = world(Spring(), graphs=100)
    charges = {name: np.ones(len(edges.r)) for name in ("q1", "q2")}
    alike = replace(edges, properties=edges.properties | charges)
    assert posed(edges.acceleration, alike).names == ("dx", "dy", "r", "m1", "m2")
