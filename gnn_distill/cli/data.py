"""What was understood of a file of tracked or simulated particles, before anything is trained.

Reads the file as `gnn-distill dataset=own` does, says what it holds, what will be derived and what is
doubtful, and ends with the command to give next.

Examples:
  gnn-distill-data tracks.csv
  gnn-distill-data runs/*.csv dataset.time_step=0.04
  gnn-distill-data dump.lammpstrj dataset.time_step=0.002 dataset.radius=2.2
  gnn-distill-data run.xtc dataset.topology=system.gro
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gnn_distill.errors import InputError

KEY = "="
"""What tells keys from files."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `gnn-distill-data`; exit code 0 if the file can be used, 2 if not."""
    given = parser().parse_args(arguments).given
    files, keys = [g for g in given if KEY not in g], [g for g in given if KEY in g]
    console = Console(soft_wrap=True, highlight=False)
    try:
        error = said(files, keys, console)
    except InputError as raised:
        error = raised
    if error is not None:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error[/] {escape(str(error))}", highlight=False
        )
        sys.exit(2)


def said(files: Sequence[str], keys: Sequence[str], console: Console) -> InputError | None:
    """Print what was understood; returns why the files cannot be used, or None if they can."""
    import logging

    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from gnn_distill.data.own.describe import describe
    from gnn_distill.pipeline.config import composed
    from gnn_distill.pipeline.explain import as_input

    log = logging.getLogger("gnn_distill")
    before = log.level
    log.setLevel(logging.ERROR)  # its warnings are printed below
    try:
        with as_input("keys", list(keys)):
            config = composed(["dataset=own", *keys])
            if files:
                OmegaConf.update(config, "dataset.path", files[0] if len(files) == 1 else [*files])
            source = instantiate(config.dataset, _convert_="all")
            found = describe(source)
    finally:
        log.setLevel(before)
    facts = Table.grid(padding=(0, 2))
    for label, text in found.facts:
        facts.add_row(f"[bold]{label}[/]", escape(text))
    console.print(facts)
    for title, sentences in (("how it is read", found.notes), ("doubts", found.doubts)):
        if sentences:
            console.print(f"\n[bold]{title}[/]")
            for sentence in sentences:
                console.print(f"  - {escape(sentence)}")
    path = [f"dataset.path={files[0] if len(files) == 1 else '[' + ','.join(files) + ']'}"] if files else []
    command = shlex.join(["gnn-distill", "dataset=own", *path, *keys, *found.keys])
    console.print(f"\n[bold]{'next' if found.error is None else 'then'}[/]\n  {escape(command)}")
    return found.error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    description, examples, rest = (__doc__ or "").partition("Examples:")
    made = argparse.ArgumentParser(
        "gnn-distill-data",
        None,
        description,
        examples + rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("gnn_distill")
    text: dict[str, Any] = {"help": "files, and keys as dataset.time_step=0.04", "metavar": "FILE|KEY=VALUE"}
    made.add_argument("given", nargs="+", **text)
    made.add_argument("--version", action="version", version=f"gnn-distill-data {version}")
    return made


if __name__ == "__main__":
    main()
