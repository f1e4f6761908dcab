"""Writes `docs/api.md` from the docstrings of the public names: `python docs/make_api.py`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import gnn_distill
from gnn_distill.report.figures.all import CAPTIONS, FIGURES

PAGE = Path(__file__).with_name("api.md")
SECTIONS = {
    "Run": ("api.launch",),
    "Read": ("api.loaded", "api.sweeps"),
    "Messages and forces": ("api.fits", "analyse.gauge"),
    "Equations": ("api.distilling",),
    "Figures": ("api.plots",),
    "Errors": ("errors",),
}
"""The modules whose public names stand under a title."""
HEAD = """# Python API

Everything here is imported from `gnn_distill`; the force laws `Spring`, `InverseDistance`,
`InverseSquare`, `Coulomb`, `Superposition`, `Damped`, `String` and `Discontinuous` from
`gnn_distill.physics.laws`.

```python
from gnn_distill import compose, load_run, run_pipeline
from gnn_distill.physics.laws import Coulomb

config = compose(["dataset=own", "dataset.path=tracks.csv"])
run = run_pipeline(config, "runs/first")
print(run.law)  # the law in closed form
run.judge(Coulomb())  # is it Coulomb's?
run.plot("law")  # a matplotlib Figure
run = load_run("runs/first")  # the same, another day
```

Shapes: E edges (ordered pairs of interacting particles), M message dimensions, K selected ones,
D space dimensions, B graphs (snapshots), n particles. Quantities have the units of the data. What
cannot be used raises `InputError`, which names the argument, its value and what to write instead.

This page is made from the docstrings by `python docs/make_api.py`.
"""
FIGURES_OF_A_RUN = """`run.plot(name)` draws a figure of the report, where its files allow it. The names:

"""
PARTS = {"Args:": "Arguments", "Attributes:": "Attributes", "Returns:": "Returns", "Raises:": "Raises"}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, modules in SECTIONS.items():
        parts.append(f"## {title}\n")
        if title == "Figures":
            parts.append(FIGURES_OF_A_RUN + "\n".join(f"- `{k}`: {CAPTIONS[k]}" for k in FIGURES) + "\n")
        parts += [entry(name, getattr(gnn_distill, name)) for name in names(modules)]
    return "\n".join(parts)


def names(modules: tuple[str, ...]) -> list[str]:
    """The public names of some modules, functions before classes, in the order in which they are defined."""

    def place(name: str) -> tuple[int, bool, int]:
        found = getattr(gnn_distill, name)
        return where[name], inspect.isclass(found), inspect.getsourcelines(found)[1]

    rooms = [f"gnn_distill.{module}" for module in modules]
    where = {name: rooms.index(room) for name, room in gnn_distill._MODULE.items() if room in rooms}
    return sorted(where, key=place)


def entry(name: str, found: Any) -> str:
    """One public name."""
    if inspect.isclass(found):
        return f"### {name}\n\n{prose(found.__doc__ or '')}\n{members(found)}"
    signature = inspect.signature(found)
    plain = {
        key: re.sub(r"\bnpt?\.", "", f"{key}: {p.annotation}")
        + ("" if p.default is p.empty else f" = {p.default!r}")
        for key, p in signature.parameters.items()
    }
    keyword = [k for k, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
    words = [("*, " if key in keyword[:1] else "") + text for key, text in plain.items()]
    end = f") -> {str(signature.return_annotation).strip(chr(39))}"
    call = f"{name}({', '.join(words)}{end}"
    if len(call) > 90:
        call = f"{name}(\n    " + ",\n    ".join(words) + f",\n{end}"
    return f"### {name}\n\n```python\n{call}\n```\n\n{prose(found.__doc__ or '')}"


def members(kind: type) -> str:
    """Properties and methods of a class, one line each."""
    rows = []
    fields = {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    for name, value in vars(kind).items():
        if name.startswith("_") or name in fields or name == "of":
            continue
        text = getattr(value, "__doc__", None)
        known = isinstance(value, property | cached_property) or inspect.isfunction(value)
        if known and text:
            call = f"{name}()" if inspect.isfunction(value) else name
            rows.append(f"- `{call}`: {lowered(text.strip().split(chr(10) * 2)[0])}")
    return "**Properties and methods**\n\n" + "\n".join(rows) + "\n" if rows else ""


def prose(text: str) -> str:
    """A Google docstring as Markdown."""
    lines, listing, code = [], False, False
    for line in inspect.cleandoc(text).splitlines():
        code = code != line.startswith("```")
        if line.strip() in PARTS and not code:
            listing = True
            lines.append(f"**{PARTS[line.strip()]}**\n")
        elif listing and not code and (item := re.match(r"    (\w+(?:, \w+)*): (.*)", line)):
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif listing and line.startswith("        "):
            lines.append(f"  {line.strip()}")
        elif listing and line.startswith("    "):
            lines.append(line.strip())
        else:
            listing = listing and bool(not line or line.startswith(" "))
            lines.append(line)
    return "\n".join(lines) + "\n"


def lowered(text: str) -> str:
    """A docstring's first paragraph in one line."""
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
