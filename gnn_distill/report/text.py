"""Numbers and expressions as a physicist would write them."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np

from gnn_distill.runs.load import Run, law_of

DIGITS = 4
_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?")
_DELTA = re.compile(r"\bd([xyz])\b")
_INDEXED = re.compile(r"\b([mqst]|[A-Za-z]\w+?)_?([12])\b")
"""Masses, charges and further columns with their side; `l1` and `r2` are names of other things."""
_REST = re.compile(r"\b(?:r0|rest_length)\b")
_COUPLING = re.compile(r"\bmass_coupling\b")
_SQUARE = re.compile(r"(?:\*\*|\^)([234])(?![\w.])")
_SUPERSCRIPT = str.maketrans("234", "²³⁴")
_SUBSCRIPT = str.maketrans("12", "₁₂")


def readable(expression: str) -> str:
    """An expression in one line: numbers of four digits, `-1.99824*dx/r**2` as `−1.998 Δx/r²`."""
    return with_signs(_NUMBER.sub(_shorten, expression))


def _shorten(match: re.Match[str]) -> str:
    digits = match[0].lower().partition("e")[0].replace(".", "").lstrip("0")
    return f"{float(match[0]):#.4g}".rstrip(".") if len(digits) > DIGITS else match[0]


def with_signs(text: str) -> str:
    """A sentence or expression with the signs of physics for names and operators."""
    text = _COUPLING.sub("k", _REST.sub("r₀", _DELTA.sub(r"Δ\1", text)))
    text = re.sub(r"\bk12\b", "k₁₂", text)
    text = _INDEXED.sub(lambda m: m[1] + m[2].translate(_SUBSCRIPT), text)
    text = _SQUARE.sub(lambda m: m[1].translate(_SUPERSCRIPT), text).replace("**", "^")
    text = re.sub(r"(?<=[\w)₁₂²³⁴])\s*\*\s*(?=[\wΔ(])", " ", text)
    return re.sub(r"(?<![A-Za-z])-(?=[\w.ΔA-Za-z(\s])", "−", text)


def number(value: float | None, digits: int = 4) -> str:
    """A short number; a dash for what is undefined."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}".replace("-", "−")


def r2_text(value: float | None) -> str:
    """An R² to four decimals, to six where four would make it perfect."""
    if value is None or not math.isfinite(value):
        return "–"
    if 0.99995 <= value < 1:
        return f"{min(value, 0.999999):.6f}"  # never one that is not
    return f"{value:.4f}".replace("-", "−")


def mean(values: Sequence[float | None]) -> float | None:
    """Mean; None if there is nothing to average or a value is undefined."""
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def law_title(run: Run) -> str:
    """The law's name as a physicist would say it."""
    law = law_of(run.config)
    if law is not None:
        return law.title
    if told := (run.data or {}).get("law"):
        return str(told["title"])
    target = ((run.config.get("dataset") or {}).get("law") or {}).get("_target_")
    return str(target).rpartition(".")[2] if target else "Unknown law"


def capitalised(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def data_url(content: bytes, kind: str) -> str:
    """A picture as an address that holds it; `kind`: png or svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def fill(template: str, content: Mapping[str, Any]) -> str:
    """A template of this room with its content; in HTML, whatever a run holds is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gnn_distill.report", ""),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = {"number": number, "r2": r2_text, "readable": readable, "capitalised": capitalised}
    environment.filters |= filters | {"in_markdown": in_markdown}
    return environment.get_template(template).render(content)


def in_markdown(text: str) -> str:
    """One line of Markdown that holds neither HTML nor links nor bars."""
    text = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("](", "]\\(").replace("`", "\\`")


def formula(run: Run) -> str | None:
    """The magnitude of the true pair force with its parameters' values; None if the law is unknown."""
    law, told = law_of(run.config), (run.data or {}).get("law")
    text = law.described if law else told and told["formula"]
    return with_signs(str(text)) if text else None
