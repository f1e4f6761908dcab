"""Imports run down the list of rooms, there is no circle, and frameworks stay where they belong."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gnn_distill"

# A room may import from the rooms before it; rooms of one line are siblings and do not import each other.
ROOMS = [
    ["errors", "arrays"],
    ["physics"],
    ["runs"],
    ["data"],
    ["model"],
    ["train", "read"],
    ["analyse"],
    ["distil"],
    ["report"],
    ["pipeline"],
    ["api"],
    ["cli"],
    ["__main__"],
]
INSIDE = {
    "distil": [
        ["expressions"],
        ["joint"],
        ["engines"],
        ["verdict"],
        ["problem"],
        ["solve"],
        ["law"],
        ["hidden"],
        ["motion"],
    ],
    "report": [
        ["text", "published", "groups"],
        ["style"],
        ["equations", "formula"],
        ["dimensions"],
        ["headline"],
        ["figures"],
        ["run", "sweep"],
    ],
}
"""The order within rooms that have rooms of their own."""

FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE)
HYDRA = {"pipeline", "cli", "api"}
LIGHTNING = {"data", "train", "pipeline"}
NO_TORCH = {"errors", "arrays", "physics", "runs", "analyse", "report"}


def parts_of(path: Path) -> tuple[str, ...]:
    """Rooms and name of a file: `distil/law/module.py` is `("distil", "law", "module")`."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(path: Path) -> set[tuple[str, ...]]:
    """The files of the package that a file imports, as `parts_of` names them."""
    found = set()
    for name in imports(path):
        root, *rest = name.split(".")
        if root == "gnn_distill" and rest and (PACKAGE / Path(*rest)).with_suffix(".py").exists():
            found.add(tuple(rest))
    return found


def level(name: str, order: list[list[str]]) -> int:
    places = [k for k, names in enumerate(order) if name in names]
    assert places, f"place {name} in the order of the rooms"
    return places[0]


def runs_down(importer: str, imported: str, order: list[list[str]]) -> bool:
    return importer == imported or level(imported, order) < level(importer, order)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path: Path):
    here = parts_of(path)
    for there in modules(path):
        assert runs_down(here[0], there[0], ROOMS), f"{'/'.join(here)} imports {'/'.join(there)}"
        inside = INSIDE.get(here[0])
        if inside and there[0] == here[0] and "__init__" not in (here[1], there[1]):
            assert runs_down(here[1], there[1], inside), f"{'/'.join(here)} imports {'/'.join(there)}"


def test_there_is_no_circle_of_files():
    graph = {parts_of(p): modules(p) - {parts_of(p)} for p in FILES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_frameworks_stay_where_they_belong(path: Path):
    roots = {name.split(".")[0] for name in imports(path)}
    room = parts_of(path)[0]
    if room not in HYDRA:
        assert "hydra" not in roots
    if room not in LIGHTNING:
        assert "lightning" not in roots
    if room in NO_TORCH:
        assert "torch" not in roots


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_columns_of_features_are_counted_in_the_vocabulary_alone(path: Path):
    if parts_of(path) == ("physics", "variables"):
        return
    products = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.BinOp)]
    doubled = [
        ast.unparse(node)
        for node in products
        for one, other in ((node.left, node.right), (node.right, node.left))
        if isinstance(node.op, ast.Mult) and isinstance(one, ast.Constant) and one.value == 2
        if getattr(other, "id", getattr(other, "attr", None)) == "dim"
    ]
    assert doubled == []


def test_no_file_holds_more_than_one_idea_can_fill():
    assert {p.name: n for p in FILES if (n := len(p.read_text().splitlines())) > 400} == {}
