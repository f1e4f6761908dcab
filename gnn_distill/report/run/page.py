"""`report.html`: one self-contained page, without scripts, for screens, phones and paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from gnn_distill.physics.variables import AXES
from gnn_distill.report import published
from gnn_distill.report.equations import acceleration_image, acceleration_text, law_terms
from gnn_distill.report.figures.all import caption
from gnn_distill.report.run import motion
from gnn_distill.report.run.story import component_name, shown_equation, told, verdict_line
from gnn_distill.report.text import data_url, fill, formula, number
from gnn_distill.runs.load import Run

GLOSSARY = yaml.safe_load((Path(__file__).parents[1] / "glossary.yaml").read_text("utf-8"))
ABOVE = ("functions", "individuals", "own", "residual", "trajectories", "rollout")
"""Figures that stand above the fold on the page of a law of motion."""


def render(run: Run, figures: Mapping[str, Path]) -> str:
    """The page as HTML.

    Args:
        run: what `read_run` read.
        figures: PNG files by the names of `FIGURES`; they are embedded.
    """
    terms = [] if motion.of_motion(run) else law_terms(run.law or {})
    counted = {"n": (run.data or {}).get("particles"), "dim": (run.data or {}).get("dim")}
    content = vars(run) | told(run)
    content |= {
        "motion": motion.told(run),
        "glossary": GLOSSARY,
        "shown_above": ABOVE if motion.of_motion(run) else ("law", "trajectories"),
        "formula": formula(run),
        "profile": (run.config.get("profile") or {}).get("name"),
        # The settings of the data, with what the data themselves say of particles and dimensions.
        "dataset": (run.config.get("dataset") or {}) | {k: v for k, v in counted.items() if v is not None},
        "split": (run.analysis or {}).get("split", run.config.get("split")),
        # The distilled law for the top of the page: one pair term per Cartesian component.
        "equation_images": [{"image": acceleration_image(*t), "text": acceleration_text(*t)} for t in terms],
        "axes": AXES,
        "source": published.R25,
        "fronts": fronts(run),
        "law_rows": law_rows(run),
        "figures": {
            name: {"src": data_url(path.read_bytes(), "png"), "caption": caption(run, name)}
            for name, path in figures.items()
        },
        "stages": {k: v for k, v in (run.status.get("stages") or {}).items() if v.get("complete", True)},
        "settings": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
    }
    return fill("run/run.html.j2", content)


def fronts(run: Run) -> list[dict[str, Any]]:
    """The Pareto fronts with their marked equations."""
    equations = run.equations or {}
    told = run.law is not None and not motion.of_motion(run)
    found = [_front(entry, told) for entry in equations.get("components") or []]
    for target, section in (equations.get("also") or {}).items():
        for entry in section["components"]:
            line = verdict_line(entry) if entry.get("verdict") else ""
            name = f"{component_name(entry)}, target {target}"
            found.append({**_front(entry, False), "name": name, "line": line})
    return found


def _front(entry: dict[str, Any], in_law: bool) -> dict[str, Any]:
    """One front with its marks; `in_law`: the law holds an equation of it."""
    verdict = entry.get("verdict") or {}
    recovered = verdict.get("equation") if verdict.get("recovered") is True else None
    marks = {
        "PySR's rule": entry.get("score_pick"),
        f"recovered{verdict.get('marks') or ''}": recovered,
        "in the law": shown_equation(entry) if in_law else None,
    }
    rows = [
        {**equation, "recovered": k == recovered, "marks": [mark for mark, at in marks.items() if at == k]}
        for k, equation in enumerate(entry["front"])
    ]
    return {"name": motion.component(entry), "line": "", "rows": rows}


def law_rows(run: Run) -> list[dict[str, Any]]:
    """The distilled law component by component, with its numbers."""
    rows = (run.law or {}).get("constants") or []
    bounds = (run.law or {}).get("intervals") or [[]] * len(rows)
    return [
        {"axis": axis, "pair": pair, "alone": alone, "numbers": _numbers(row, around) or "none"}
        for (axis, pair, alone), row, around in zip(law_terms(run.law or {}), rows, bounds, strict=False)
    ]


def _numbers(values: Sequence[float], intervals: Sequence[Sequence[float]]) -> str:
    """Constants with their intervals, where there are any."""
    return ", ".join(
        f"{number(v, 6)} [{number(around[0], 6)}, {number(around[1], 6)}]" if around else number(v)
        for v, around in zip_longest(values, intervals)
    )
