"""Runs of cases as one table in Markdown, beside what each was made with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEAD = "| recording | made with | printed | pair law | one-body | s |\n| --- | --- | --- | --- | --- | --- |"
ENDS = (" error on ", "report:")
EXACT = 1e-8


def rows(folder: Path, out: Path) -> Iterator[str]:
    """A row for each run.

    Args:
        folder: with the truth of each.
        out: with `table.jsonl` and what each run printed.
    """
    known = (json.loads(line) for line in (out / "table.jsonl").read_text().splitlines())
    for row in sorted(known, key=lambda row: row["case"]):
        truth = json.loads((folder / f"{row['case']}.truth.json").read_text())
        made = ", ".join(f"{name} = {value:g}" for name, value in truth["constants"].items())
        keys = "".join(f"<br>`{key}`" for key in truth["keys"])
        cells = [
            f"{row['case']}{keys}",
            f"{truth['law']}{'; ' * bool(made)}{made}",
            printed((out / f"{row['case']}.log").read_text()),
            share(row.get("pair")),
            share(None if row.get("own") is None else 1 - row["own"]),
            str(row["seconds"]),
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def printed(log: str) -> str:
    """The law, its names, constants and verdict, or the error, from what a run printed."""
    text = re.sub(r"\s+", " ", log)
    if refused := re.search(r"error \S+ = .* cannot be used: .*", text):
        return re.sub(r"'/\S*/", "'", refused[0]).strip()
    told = text.rpartition("variant none ")[2]
    told = re.split("|".join(map(re.escape, ENDS)), told)[0]
    known = r" ?·? ?Σ₂: sum over all other particles 2(?: that are (closer than \S+))?.*?\|Δ\|"
    told = re.sub(known, lambda found: f" · pairs {found[1]}" if found[1] else "", told).strip()
    return re.sub(
        r" (?=pair: |one-body: |constants \[|As exact|Holds, |No law yet|Each pair takes)", "<br>", told
    )


def share(value: Any) -> str:
    """A relative error."""
    if value is None:
        return "–"
    return "exact" if abs(value) < EXACT else f"{100 * value:.2g} %"
