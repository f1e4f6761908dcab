"""Files of particles whose law is known, made outside of the package, each with its control.

    python benchmarks/cases.py list
    python benchmarks/cases.py make DIR [NAME ...] [--seed 0] [--controls]

writes NAME.csv and NAME.truth.json into DIR: the pair law on a grid of distances, the one-body part at some
sightings, the constants. Seed 0 is for tuning; any other seed also draws the constants anew, within 30 %.
The control is the same without what makes the case hard; for the recordings without a pair law, with one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from particles import exact, negative, noisy
from particles.case import Case

CASES: dict[str, Case] = {case.name: case for case in (*exact.CASES, *noisy.CASES, *negative.CASES)}


def make(folder: Path, names: list[str], seed: int, controls: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or CASES:
        for obstacle in (True, False)[: 1 + controls]:
            start = time.perf_counter()
            path = CASES[name].write(folder, seed, obstacle)
            print(
                f"{path}  {path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.1f} s", flush=True
            )


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
    chosen = parser.parse_args()
    if chosen.command == "list":
        print("\n".join(CASES))
        return
    if unknown := sorted(set(chosen.names) - set(CASES)):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    make(chosen.folder, chosen.names, chosen.seed, chosen.controls)


if __name__ == "__main__":
    main()
