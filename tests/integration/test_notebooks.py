"""The notebooks run as they are, at a tiny size, and their stored outputs are those of a real run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
FIGURES = {
    "01_quickstart": 6,
    "02_gauge": 4,
    "03_your_own_data": 3,
    "04_pruning_grid": 4,
    "05_colloids": 1,
    "06_atoms": 1,
    "07_solar_system": 1,
    "08_dust": 2,
    "09_shoal": 1,
    "10_magnet": 1,
}
LEFT = {
    "01_quickstart": ["runs/quickstart/law.json", "runs/quickstart/report.html"],
    "02_gauge": ["runs/gauge/analysis.json"],
    "03_your_own_data": ["tracks.csv", "runs/own/law.json", "runs/own/figures/law.png"],
    "04_pruning_grid": [f"runs/grid/{s}_{e}/analysis.json" for s in ("linear", "exp") for e in (0.65, 0.85)],
    "05_colloids": ["colloids.csv", "runs/colloids/law.json"],
    "06_atoms": ["atoms.lammpstrj", "runs/atoms/law/law_numpy.py"],
    "07_solar_system": ["planets.csv", "runs/planets/law.json"],
    "08_dust": ["dust.csv", "runs/dust/report.html"],
    "09_shoal": ["shoal.csv", "runs/shoal/report.html"],
    "10_magnet": ["magnet.csv", "runs/magnet/law/law_numpy.py"],
}
TOLD = {
    "01_quickstart": r"(not )?recovered – \S",
    "02_gauge": r"fitted, p = -?\d",
    "03_your_own_data": r"Coulomb's law\? (yes|no)",
    "04_pruning_grid": r"Table 1: pruning grid on charge",
    "05_colloids": r"diffusion[^:]*: [\d.]+ \[",
    "06_atoms": r"law\.table",
    "07_solar_system": r"jupiter +[\d.]+ of its mass",
    "08_dust": r"report\.html",
    "09_shoal": r"report\.html",
    "10_magnet": r"report\.html",
}
NAMES = tuple(FIGURES)
LARGEST = 400_000


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[dict]:
    return [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]


def pictures(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in out.get("data", {}) for out in outputs(notebook))


def text(notebook: nbformat.NotebookNode) -> str:
    shown = [
        out.get("text") or str(out.get("data", {}).get("text/markdown", "")) for out in outputs(notebook)
    ]
    return "\n".join(shown)


def test_every_notebook_is_tested():
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_runs(name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    if name == "07_solar_system":
        pytest.importorskip("jplephem"), pytest.importorskip("de421")
    for key, value in {"NOTEBOOK_SIZE": "tiny", "GNN_DISTILL_CACHE": str(cache)}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    notebook = read(name)
    NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert pictures(notebook) == FIGURES[name]
    assert [left for left in LEFT[name] if not (tmp_path / left).exists()] == []
    assert re.search(TOLD[name], text(notebook)), text(notebook)[-2000:]


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_are_whole_and_small(name: str):
    notebook = read(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(out.output_type != "error" for out in outputs(notebook))
    assert pictures(notebook) == FIGURES[name] and re.search(TOLD[name], text(notebook))
    file = FOLDER / f"{name}.ipynb"
    assert file.stat().st_size < LARGEST
    assert not re.search(r"/(home|root|tmp|Users|work)/", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_use_the_public_api_only(name: str):
    source = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "code")
    modules = set(re.findall(r"^(?:from|import) (gnn_distill[\w.]*)", source, re.MULTILINE))
    assert modules <= {"gnn_distill", "gnn_distill.physics.laws"} and "gnn_distill" in modules
