"""Text tables: which lines are comments, what separates the cells, where the header is.

One header line, or none for the `id frame x y [z]` of PeTrack; comments begin with # or %.
"""

from __future__ import annotations

import csv
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.names import Heading, meanings

COMMENTS = ("#", "%")
SEPARATORS = ("\t", ";", ",", r"\s+")
SAMPLE = 50  # lines that tell separator and decimal mark
LONGEST = 1000  # lines of comments that are looked through for a header
PETRACK = ["id", "frame", "x", "y", "z"]
HEADER = "write a header: time,particle,x,y"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?|nan|", re.IGNORECASE)
_DECIMAL = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Sheet:
    """A table as a file has it.

    Attributes:
        rows: their index is the number of the row below the header, from 0.
        comments: lines of comments above it.
        notes: what was done to it, in sentences for the report.
        box: edges of the periodic box, where the file says them.
    """

    rows: pd.DataFrame
    comments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None


def read_text(path: Path) -> Sheet:
    """A text table; commas, semicolons, tabs or blanks separate its cells.

    Raises:
        InputError: naming the line that cannot be read.
    """
    encoding = _encoding(path)
    with path.open(newline=None, encoding=encoding) as file:
        top = [line.rstrip("\n") for line in itertools.islice(file, LONGEST + SAMPLE)]
    skipped, comments, mark = 0, [], next((t.lstrip()[0] for t in top if t.lstrip()[:1] in COMMENTS), None)
    while skipped < len(top) and (not top[skipped].strip() or top[skipped].lstrip().startswith(COMMENTS)):
        comments += [top[skipped].strip().lstrip("".join(COMMENTS)).strip()] * bool(top[skipped].strip())
        skipped += 1
    lines = [line for line in top[skipped : skipped + SAMPLE] if line.strip()]
    if not lines:
        problem = "there are only comments in it" if comments else "its first line is empty"
        raise bad(path, problem, HEADER)
    separator = max(SEPARATORS, key=lambda separator: _fit(lines, separator))
    first = cells(lines[0], separator)
    if header := not _numeric(first, separator):
        skipped, names = skipped + 1, first
    else:
        names = _names_elsewhere(path, comments, lines, separator)
    comma = separator != "," and _commas(lines, separator)
    known = meanings([Heading.of(name).name for name in names])
    labels = [n for n in names if known.get(Heading.of(n).name) in ("trajectory", "particle", "kind")]
    # Empty lines are read, too, so that row numbers in messages are those of the file; they are dropped
    # below. With low_memory a column may be numbers in one part of the file and text in another.
    numbered = [name if names.count(name) == 1 else k for k, name in enumerate(names)]
    fix = "save plain text with one cell per column in every line"
    try:
        rows = pd.read_csv(
            path, sep=separator, names=numbered, header=None, skiprows=skipped, encoding=encoding,
            dtype=dict.fromkeys(labels, str),  # "01" stays a name and is not the number 1
            comment=mark, decimal="," if comma else ".",
            skip_blank_lines=False, low_memory=False,
        )  # fmt: skip
    except pd.errors.ParserError as error:  # which names the line
        raise bad(path, f"it cannot be read ({str(error).strip()})", fix) from error
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame(columns=numbered)
    if not isinstance(rows.index, pd.RangeIndex):  # pandas takes cells too many for names of the rows
        raise bad(path, f"its first row has more cells than the header, {len(names)}", fix)
    notes = ["decimal commas are read as points"] if comma else []
    rows = rows.set_axis(names, axis=1).dropna(how="all")
    if not header:
        rows = rows if comments and names != PETRACK[: len(names)] else _smoother(rows)
        notes.append(f"the columns are taken for {', '.join(rows)}")
    return Sheet(rows, tuple(comments), tuple(notes))


def _encoding(path: Path) -> str:
    """UTF-8, or what older programs of Windows write."""
    try:
        path.open(encoding="utf-8-sig").read(1 << 20)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def cells(line: str, separator: str) -> list[str]:
    """The cells of a line; between blanks a unit in brackets belongs to the word before."""
    if separator == r"\s+":
        return re.sub(r"\s+([\[(][^\])]*[\])])", r"\1", line).split()
    try:
        found = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a quote that is not closed, a cell without end
        found = line.split(separator)
    return [cell.strip() for cell in found]


def _fit(lines: list[str], separator: str) -> tuple[float, int]:
    """How well a separator fits: the share of lines with as many cells as most, and how many these are."""
    counts = [len(cells(line, separator)) for line in lines]
    many = max(set(counts), key=counts.count)
    numbers = _numeric(cells(lines[-1], separator), separator)
    return (many > 1) * (1 + numbers) * counts.count(many) / len(counts), many


def _numeric(found: list[str], separator: str) -> bool:
    """Whether all of these cells are numbers."""
    return any(found) and all(
        _NUMBER.fullmatch(cell) or (separator != "," and _DECIMAL.fullmatch(cell)) for cell in found
    )


def _commas(lines: list[str], separator: str) -> bool:
    """Whether commas stand for points in the numbers of these lines."""
    found = [cell for line in lines for cell in cells(line, separator)]
    pointed = any("." in cell and _NUMBER.fullmatch(cell) for cell in found)
    return not pointed and any(_DECIMAL.fullmatch(cell) for cell in found)


def _names_elsewhere(path: Path, comments: list[str], lines: list[str], separator: str) -> list[str]:
    """Names of the columns of a table without a header line: from a comment, else by convention."""
    count = len(cells(lines[0], separator))
    for comment in reversed(comments):
        for other in (separator, *SEPARATORS):
            found = cells(comment, other)
            if len(found) == count and {"x", "y"} <= {Heading.of(name).name for name in found}:
                return found
    table = np.array(
        [[_float(cell) for cell in row] for line in lines if len(row := cells(line, separator)) == count]
    )
    if count not in (4, 5) or (table[:, :2] % 1 != 0).any():
        raise bad(path, f"there is no line with names of its {count} columns", HEADER)
    return PETRACK[:count]


def _smoother(rows: pd.DataFrame) -> pd.DataFrame:
    """The first two columns are particle and frame, in the order that makes the smoother tracks."""
    swapped = {"id": "frame", "frame": "id"}
    plain = rows[["id", "frame", "x"]].apply(pd.to_numeric, errors="coerce")
    step, other = (
        table.sort_values(["id", "frame"]).groupby("id")["x"].diff().abs().median()
        for table in (plain, plain.rename(columns=swapped))
    )
    return rows.rename(columns=swapped) if other < step else rows


def _float(cell: str) -> float:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return float("nan")
