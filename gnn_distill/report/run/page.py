"""`report.html`: one self-contained page, without scripts, for screens, phones and paper."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from gnn_distill.report import published
from gnn_distill.report.equations import acceleration_image, acceleration_text, law_terms, plain_distance
from gnn_distill.report.figures.all import FIGURES
from gnn_distill.report.run.doubts import doubts, missing, network_mae, share_text
from gnn_distill.report.run.facts import data_rows, transform_rows
from gnn_distill.report.run.story import (
    component_name,
    explanations,
    outcome,
    r2_rows,
    shown_equation,
    verdict_line,
)
from gnn_distill.report.run.story import published as published_cells
from gnn_distill.report.text import AXES, capitalised, formula, law_title, number, r2_text, readable
from gnn_distill.runs.load import Run


def render(run: Run, figures: Mapping[str, Path]) -> str:
    """The page as HTML.

    Args:
        run: what `read_run` read.
        figures: PNG files by the names of `FIGURES`; they are embedded.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gnn_distill.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "r2": r2_text, "readable": readable, "capitalised": capitalised}
    return environment.get_template("run/run.html.j2").render(content(run, figures))


def content(run: Run, figures: Mapping[str, Path]) -> dict[str, Any]:
    """Everything that the template shows, as plain data."""
    return {
        "title": capitalised(law_title(run)),
        "formula": formula(run),
        "variant": run.config.get("variant"),
        "profile": (run.config.get("profile") or {}).get("name"),
        "dataset": _dataset(run),
        "split": (run.analysis or {}).get("split", run.config.get("split")),
        "outcome": outcome(run),
        "equations": top_equations(run),
        "plain": plain_distance(run.law or {}),
        "analysis": run.analysis,
        "rows": r2_rows(run.analysis),
        "transform": transform_rows(run),
        "axes": AXES,
        "data": data_rows(run),
        "notes": (run.data or {}).get("notes") or [],
        "explanations": explanations(run),
        "published": published_cells(run),
        "source": published.R25,
        "fronts": fronts(run),
        "engine": (run.equations or {}).get("engine"),
        "target": (run.equations or {}).get("target"),
        "law": run.law,
        "law_rows": law_rows(run),
        "figures": {name: _embed(name, path, run) for name, path in figures.items()},
        "missing": [*doubts(run), *missing(run)],
        "share": share_text(run, network_mae(run)),
        "law_share": share_text(run, run.law["test"]["mae"]) if run.law else "",
        "status": run.status,
        "stages": {k: v for k, v in (run.status.get("stages") or {}).items() if v.get("complete", True)},
        "config": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
    }


def _dataset(run: Run) -> dict[str, Any]:
    """The settings of the data, with what the data themselves say of particles and dimensions."""
    told = run.data or {}
    counted = {"n": told.get("particles"), "dim": told.get("dim")}
    return (run.config.get("dataset") or {}) | {k: v for k, v in counted.items() if v is not None}


def top_equations(run: Run) -> list[dict[str, Any]]:
    """The distilled law for the top of the page: one pair term per Cartesian component."""
    if run.law is None:
        return []
    return [
        {"image": acceleration_image(*terms), "text": acceleration_text(*terms)}
        for terms in law_terms(run.law)
    ]


def fronts(run: Run) -> list[dict[str, Any]]:
    """The Pareto fronts with their marked equations."""
    equations = run.equations or {}
    found = [_front(entry, "in the law" if run.law else None) for entry in equations.get("components") or []]
    for target, section in (equations.get("also") or {}).items():
        for entry in section["components"]:
            line = verdict_line(entry) if entry.get("verdict") else ""
            front = _front(entry, None)
            found.append({**front, "name": f"{front['name']}, target {target}", "line": line})
    return found


def _front(entry: dict[str, Any], label: str | None) -> dict[str, Any]:
    """One front with its marks; `label` marks the equation that is shown elsewhere."""
    verdict = entry.get("verdict") or {}
    labels = {shown_equation(entry): label} if label else {}
    recovered = verdict.get("equation") if verdict.get("recovered") is True else None
    rows = [
        {
            **equation,
            "recovered": k == recovered,
            "marks": [
                *(["PySR's rule"] if k == entry.get("score_pick") else []),
                *(["recovered" + str(verdict.get("marks") or "")] if k == recovered else []),
                *([labels[k]] if k in labels else []),
            ],
        }
        for k, equation in enumerate(entry["front"])
    ]
    return {"name": component_name(entry), "line": "", "rows": rows}


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
    around = [f" [{number(low, 6)}, {number(high, 6)}]" for low, high in intervals]
    around += [""] * (len(values) - len(around))
    return ", ".join(number(v, 6 if a else 4) + a for v, a in zip(values, around, strict=True))


def _embed(name: str, path: Path, run: Run) -> dict[str, str]:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"src": f"data:image/png;base64,{data}", "caption": FIGURES[name].tell(run)}
