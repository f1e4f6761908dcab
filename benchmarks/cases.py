"""Files of particles whose law is known, made outside of the package, each with its control.

    python benchmarks/cases.py list
    python benchmarks/cases.py make DIR [NAME ...] [--seed 0] [--controls] [--pedestrians DATA]
    python benchmarks/cases.py run DIR [NAME ...] [--out RUNS] [--set SETTINGS]
    python benchmarks/cases.py page DIR [--out RUNS]

writes NAME.csv (or another file) and NAME.truth.json into DIR: the pair law on a grid of distances, the
one-body part at some sightings, the constants. Seed 0 is for tuning; any other seed also draws the constants
anew, within 30 %. `run` gives the plain command on each file of DIR and writes RUNS/table.jsonl, a row each:
the law, the median relative error of its pair force on the grid, R² of its one-body part, its own verdict,
seconds; what is there already is not run again. `page` prints the rows as a table in Markdown, with what each
file was made with and what its run printed. The control is the same without what makes the case hard; for
the recordings without a pair law, with one. DATA may hold the real walkers that PedPy is tried on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from particles import (
    exact,
    groups,
    hidden,
    judge,
    little,
    negative,
    noisy,
    page,
    recorded,
    unlabelled,
    walkers,
)
from particles.case import Case

KINDS = (exact, noisy, negative, little, hidden, recorded, groups, unlabelled)
CASES: dict[str, Case] = {case.name: case for kind in KINDS for case in kind.CASES}


def make(folder: Path, names: list[str], seed: int, controls: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or CASES:
        for obstacle in (True, False)[: 1 + controls]:
            start = time.perf_counter()
            path = CASES[name].write(folder, seed, obstacle)
            print(
                f"{path}  {path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.1f} s", flush=True
            )


def table(folder: Path, names: list[str], out: Path, settings: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = out / "table.jsonl"
    done = {json.loads(line)["case"] for line in rows.read_text().splitlines()} if rows.exists() else set()
    truths = [folder / f"{name}.truth.json" for name in names] or sorted(folder.glob("*.truth.json"))
    for truth in (t for t in truths if t.name.removesuffix(".truth.json") not in done):
        row = judge.run(truth, out.resolve(), settings)
        print(row, flush=True)
        with rows.open("a") as lines:
            lines.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names of the cases")
    making = commands.add_parser("make", help="write files and truths")
    making.add_argument("folder", type=Path)
    making.add_argument("names", nargs="*", metavar="NAME", help="all, if none is given")
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--controls", action="store_true", help="the control of each, too")
    making.add_argument("--pedestrians", type=Path, metavar="DATA", help="real walkers, described, too")
    running = commands.add_parser("run", help="the plain command on each file, beside the truth")
    running.add_argument("folder", type=Path)
    running.add_argument("names", nargs="*", metavar="NAME", help="of files; all, if none is given")
    running.add_argument("--out", type=Path, default=Path("cases"))
    running.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings")
    telling = commands.add_parser("page", help="what has been run, as a table in Markdown")
    telling.add_argument("folder", type=Path)
    telling.add_argument("--out", type=Path, default=Path("cases"))
    chosen = parser.parse_args()
    if chosen.command == "list":
        print("\n".join(CASES))
        return
    if chosen.command == "run":
        table(chosen.folder, chosen.names, chosen.out, chosen.set)
        return
    if chosen.command == "page":
        print(page.HEAD, *page.rows(chosen.folder, chosen.out), sep="\n")
        return
    if unknown := sorted(set(chosen.names) - set(CASES)):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    make(chosen.folder, chosen.names, chosen.seed, chosen.controls)
    if chosen.pedestrians is not None:
        print(*walkers.describe(chosen.folder, chosen.pedestrians), sep="\n")


if __name__ == "__main__":
    main()
