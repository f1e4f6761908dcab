"""Tables as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from gnn_distill.report.sweep.tables import Cell, Table

LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{",
     "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": r"$-$",
     "✓": r"\checkmark{}", "✗": r"$\times$", "†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}",
     "²": r"\textsuperscript{2}",
     "₁": r"\textsubscript{1}", "Σ": r"$\Sigma$", "|": r"\textbar{}", "–": "--"}
)  # fmt: skip


def lines(cell: Cell, table: Table, names: Sequence[str]) -> list[str]:
    """What a cell says: one line for each sweep, the published value in brackets behind the last."""
    found = [
        (f"{name}: " if len(names) > 1 else "") + measured.text(table.kind)
        for name, measured in zip(names, cell.measured, strict=True)
    ]
    reference = cell.published_text(table.digits)
    return found if reference is None else [*found[:-1], f"{found[-1]} ({reference})"]


def markdown(table: Table, names: Sequence[str]) -> str:
    """A section with the table; published values stand in brackets."""
    head = f"| | {' | '.join(in_markdown(c) for c in table.columns)} |\n|---|{'---|' * len(table.columns)}\n"
    body = "".join(
        f"| {' | '.join([in_markdown(row), *(_stacked(c, table, names) for c in cells)])} |\n"
        for row, cells in zip(table.rows, table.cells, strict=True)
    )
    return f"### {in_markdown(table.title)}\n\n{in_markdown(table.note)}\n\n{head}{body}"


def _stacked(cell: Cell, table: Table, names: Sequence[str]) -> str:
    return "<br>".join(map(in_markdown, lines(cell, table, names)))


def csv_text(table: Table, names: Sequence[str]) -> str:
    """One line per cell and sweep: mean, standard deviation, number of seeds, marks, state, published."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["table", "row", "column", "sweep", "mean", "sd", "seeds", "marks", "state", "published", "values"]
    )
    for row, cells in zip(table.rows, table.cells, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            for name, m in zip(names, cell.measured, strict=True):
                numbers = [m.mean, m.sd, len(m.values) or len(m.marks)]
                reference = "" if cell.published is None else cell.published
                marks, values = " | ".join(m.marks), " ".join(map(repr, m.values))
                content = [table.name, row, column, name, *numbers, marks, m.state, reference, values]
                writer.writerow(map(in_cell, content))
    return out.getvalue()


def latex(table: Table, names: Sequence[str]) -> str:
    r"""A `table` environment for booktabs and amssymb; published values stand in brackets."""
    columns = "l" + "c" * len(table.columns)
    head = " & ".join(["", *(c.translate(LATEX) for c in table.columns)])
    body = ""
    for row, cells in zip(table.rows, table.cells, strict=True):
        stacked = [[text.translate(LATEX) for text in lines(c, table, names)] for c in cells]
        for k in range(max(map(len, stacked), default=0)):
            first = row.translate(LATEX) if k == 0 else ""
            body += " & ".join([first, *(s[k] if k < len(s) else "" for s in stacked)]) + " \\\\\n"
    caption = f"{table.title}. {table.note} Published values in brackets.".translate(LATEX)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{table.name}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\\bottomrule\n"
        "\\end{tabular}\n\\end{table}\n"
    )


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute, or let start a program."""


def in_markdown(text: str) -> str:
    """One line of Markdown that holds neither HTML nor links nor bars."""
    text = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("](", "]\\(").replace("`", "\\`")


def in_cell(value: object) -> object:
    """The value of a CSV cell; text that is no number does not begin like a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
