"""Text for CSV and LaTeX: whatever a run holds, it can do no more there than be read."""

from __future__ import annotations

import pandas as pd

LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{",
     "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": r"$-$",
     "✓": r"\checkmark{}", "✗": r"$\times$", "†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}",
     "²": r"\textsuperscript{2}",
     "₁": r"\textsubscript{1}", "Σ": r"$\Sigma$", "|": r"\textbar{}", "–": "--"}
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute, or let start a program."""


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, without its index."""
    return frame.rename(columns=in_cell).map(in_cell).to_csv(index=False, lineterminator="\n")


def in_cell(value: object) -> object:
    """The value of a CSV cell; text that is no number does not begin like a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
