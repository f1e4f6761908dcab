"""Files of a run directory one by one: written whole or not at all, read with an error that names them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gnn_distill.errors import InputError
from gnn_distill.runs.secrets import redacted

UNFINISHED = ".unfinished-"
"""How the names of files begin that are being written."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{UNFINISHED}{path.name}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as file:  # or a power cut may leave the name without the content
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, without the environment's secrets."""
    with atomic(path) as temporary:
        temporary.write_text(redacted(text), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file, or None where it says null.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    return _mapping(path, json.loads, "delete it to have it made again")


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a run directory's `config.yaml`, as plain data.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else.
    """
    found = _mapping(path, yaml.safe_load, "start the run again")
    if found is None:
        raise InputError(path.name, str(path), "it holds no settings: start the run again")
    return found


def _mapping(path: Path, parse: Callable[[str], Any], fix: str) -> dict[str, Any] | None:
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        problem = f"it cannot be read ({str(error).splitlines()[0]})"
        raise InputError(path.name, str(path), f"{problem}: {fix}") from error
    if not isinstance(found, dict | None):
        raise InputError(path.name, str(path), f"it holds a {type(found).__name__}, not a mapping: {fix}")
    return found


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics file, oldest first; none if there is no file."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            return [{k: float(v) for k, v in row.items() if v not in ("", None)} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        fix = f"it is damaged ({error}): delete the file and train again"
        raise InputError(path.name, str(path), fix) from error


def write_metrics(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write all rows of a metrics file atomically."""
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def fingerprint(*parts: Any) -> str:
    """Short hash of plain data: what a stage's result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
