"""The documentation says what the code does: links, commands, the configuration reference."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gnn_distill import __version__
from gnn_distill.cli import main as cli
from gnn_distill.cli import report as command
from tests.docs_pages import FENCE, PAGES, ROOT, commands, load

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
HYDRA_FLAGS = {"-m", "--multirun"}
OTHER_USES = {"--help", "--version", "--cfg", "-sc", "--config-dir", "--hydra-help"}


@pytest.fixture(scope="module")
def generate():
    return load(ROOT / "docs/generate.py")


def test_configuration_reference_is_fresh(generate):
    assert generate.PAGE.read_text() == generate.markdown(), "run: python docs/generate.py"


def test_configuration_reference_explains_every_option_and_key(generate):
    text = generate.markdown()
    groups = {p.parent.relative_to(generate.CONF).as_posix() for p in generate.CONF.rglob("*.yaml")}
    assert groups - {".", *(f"{g}/base" for g in generate.BASES)} == set(generate.GROUPS)
    for path in (p for g in generate.GROUPS for p in (generate.CONF / g).glob("*.yaml")):
        group = path.parent.relative_to(generate.CONF)
        assert f"`{group}={path.stem}`" in text or f"- `{path.stem}`: " in text
    silent = [line for line in text.splitlines() if line.endswith("|  |") and "| class |" not in line]
    assert silent == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    prose = FENCE.sub("", page.read_text())
    targets = [t for t in LINK.findall(prose) if "://" not in t and not t.startswith("mailto:")]
    assert [t for t in targets if not (page.parent / t).exists()] == []


COMMANDS = [
    (p.name, words)
    for p in PAGES
    for words in commands(p, "gnn-distill")
    if not OTHER_USES & set(words) and not any(w.isupper() for w in words)
]


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{p}: {' '.join(w)}" for p, w in COMMANDS])
def test_commands_of_the_documentation_compose(page: str, words: list[str], compose):
    overrides = OverridesParser.create().parse_overrides([w for w in words if w not in HYDRA_FLAGS])
    first = [
        f"{o.input_line.partition('=')[0]}={next(o.sweep_string_iterator())}"
        if o.is_sweep_override()
        else o.input_line
        for o in overrides
    ]
    compose(*first)


def test_help_names_every_group():
    groups = {p.parent.name for p in (ROOT / "conf").glob("*/*.yaml")}
    done = subprocess.run(
        [sys.executable, "-m", "gnn_distill", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    explained = done.stdout.partition("Options")[0]
    assert {g for g in groups if not re.search(rf"^  {g} +\S", explained, re.MULTILINE)} == set()
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_tab_completes_options_and_keys():
    def completed(line: str) -> set[str]:
        environment = os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
        program = [sys.executable, "-m", "gnn_distill", "-sc", "query=bash"]
        done = subprocess.run(
            program, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return set(done.stdout.split())

    assert completed("gnn-distill dataset=r") == {"dataset=r1", "dataset=r2"}
    assert "profile.warmup=" in completed("gnn-distill profile.wa")


@pytest.mark.parametrize(
    ("main", "program"), [(cli.main, "gnn-distill"), (command.main, "gnn-distill-report")]
)
def test_commands_tell_their_version(main, program: str, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [program, "--version"])
    with suppress(SystemExit):
        main()
    assert capsys.readouterr().out == f"{program} {__version__}\n"


def test_the_functions_of_the_design_are_where_it_says():
    page = (ROOT / "docs/design.md").read_text()
    block = page.split("## From `gnn-distill` to the printed law")[1].split("## Rooms")[0]
    named = re.findall(r"^    (\S+\.py) +(\w+)", block, re.M)
    assert len(named) > 20
    for file, function in named:
        tree = ast.parse((ROOT / "gnn_distill" / file).read_text())
        assert function in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, file
