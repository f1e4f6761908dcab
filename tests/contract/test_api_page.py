"""`docs/api.md` says what the docstrings say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import gnn_distill

DOCS = Path(__file__).parents[2] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_fresh():
    made = generator().page()
    assert (DOCS / "api.md").read_text(encoding="utf-8") == made, "run python docs/make_api.py"


def test_every_public_name_has_its_place():
    made = generator()
    named = [name for modules in made.SECTIONS.values() for name in made.names(modules)]
    assert sorted(named) == sorted(set(gnn_distill.__all__) - {"__version__"})
