"""Imports run downward in the order of the rooms; frameworks stay where they belong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gnn_distill"

# A module may import from its own level and the ones before it.
LEVELS = [
    ["errors", "provenance", "redact", "heap", "definition"],
    ["files", "rundir"],
    ["forces"],
    ["simulate"],
    ["noise", "edges"],
    ["data"],
    ["cache"],
    ["own"],
    ["summary"],
    ["mlp", "generated"],
    ["node"],
    ["model"],
    ["regularise", "optim"],
    ["tally"],
    ["lit"],
    ["trial", "prune"],
    ["pullback", "messages", "probe", "record"],
    ["trimmed", "linear", "gauge", "subspace", "bootstrap", "mixing", "analysis"],
    ["symbolic"],
    ["report"],
    [
        "config",
        "explain",
        "sources",
        "user_code",
        "trust",
        "checkpoint",
        "request",
        "progress",
        "ranks",
        "build",
        "distil",
        "run",
        "follow",
        "sweep",
        "job",
        "cli",
        "__main__",
        "api",
    ],
]
LEVEL = {name: k for k, names in enumerate(LEVELS) for name in names}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE)
HYDRA = {"config", "explain", "sources", "user_code", "trust", "build", "sweep", "cli"}
LIGHTNING = {"data", "lit", "prune", "progress", "ranks", "trust", "checkpoint", "build", "run"}
NO_TORCH = {
    "errors",
    "provenance",
    "definition",
    "forces",
    "simulate",
    "summary",
    "trimmed",
    "linear",
    "gauge",
    "subspace",
    "bootstrap",
    "mixing",
    "files",
    "rundir",
    "report",
}


def room(path: Path) -> str:
    inside = path.relative_to(PACKAGE).parts
    return inside[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path: Path):
    assert room(path) in LEVEL, f"place {room(path)} in LEVELS"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "gnn_distill" and len(parts) > 1:
            assert LEVEL[parts[1]] <= LEVEL[room(path)], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_frameworks_stay_where_they_belong(path: Path):
    roots = {name.split(".")[0] for name in imports(path)}
    if room(path) not in HYDRA:
        assert "hydra" not in roots
    if room(path) not in LIGHTNING:
        assert "lightning" not in roots
    if room(path) in NO_TORCH:
        assert "torch" not in roots


def test_every_file_is_short():
    assert {p.name: n for p in FILES if (n := len(p.read_text().splitlines())) > 320} == {}
