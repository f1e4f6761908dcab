"""What the documentation tells people to type: code blocks and commands, read from the pages themselves."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "multirun/README.md"])

FENCE = re.compile(r"^```(\w*)(?: title=\"(.+?)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)


def files(page: Path) -> dict[str, str]:
    """Content of the code blocks that have a file's name, by that name."""
    return {title: body for _, title, body in FENCE.findall(page.read_text()) if title}


def commands(page: Path, program: str) -> list[list[str]]:
    """Arguments of each call of `program` in the code blocks of a page."""
    text = page.read_text()
    blocks = [body for _, title, body in FENCE.findall(text) if not title]
    blocks += INDENTED.findall(FENCE.sub("", text))
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines if re.search(rf"(^|\s){program}(\s|$)", line)]
    return [words[words.index(program) + 1 :] for words in split if program in words]


def exports(page: Path) -> dict[str, str]:
    """What the code blocks of a page put into the environment."""
    blocks = [body for _, title, body in FENCE.findall(page.read_text()) if not title]
    return dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(blocks), re.MULTILINE))


def load(path: Path) -> ModuleType:
    """Import a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
