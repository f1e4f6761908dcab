"""Real people, filmed, as PedPy's data files have them. No law of them is known: the page is what counts."""

from __future__ import annotations

import json
from pathlib import Path

KEYS = {
    "bi_corr_400_b_03.txt": ("dataset.dynamics=second_order",),
    "uo-050-180-180.txt": ("dataset.time_step=0.0625", "dataset.dynamics=second_order"),  # 16 frames a second
    "n34_cam2.csv": ("dataset.time_step=0.04121",),
}
"""What each file does not say: the time step of the last is the one that `gnn-distill-data` proposes."""


def describe(folder: Path, recorded: Path) -> list[Path]:
    """NAME.truth.json in `folder`, without a truth, for each of the files that lies in `recorded`."""
    told = []
    for file, keys in KEYS.items():
        if not (recorded / file).exists():
            continue
        path = folder / f"{Path(file).stem}.truth.json"
        known = {"name": Path(file).stem, "file": str((recorded / file).resolve()), "keys": keys}
        known |= {"law": "real people, law unknown", "constants": {}, "order": 2, "shape": [1, 0, 0, 2]}
        path.write_text(json.dumps(known | {"pair": None, "one_body": None}, indent=1) + "\n")
        told.append(path)
    return told
