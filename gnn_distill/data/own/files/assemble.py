"""Arrays of equal frames from a table of sightings.

Shape letters: S trajectories, T frames, n particles, K further features.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.columns import VECTORS, Table
from gnn_distill.data.own.files.names import CELL, LABELS
from gnn_distill.data.own.files.tables import where, wrong_cell
from gnn_distill.data.own.tracks import ALIASES, Contents, Sighted
from gnn_distill.physics.variables import AXES


def assemble(table: Table, path: Path) -> Contents:
    """Arrays from the columns of a table.

    Trajectories longer than the shortest one are cut to its length, with a note. Where frames hold different
    particles the rows stay a table, see `Contents.sighted`; those without a position are no sightings.

    Raises:
        InputError: a cell is no finite number, or rows are out of order.
    """
    rows, clock = table.rows, table.clock
    seen = rows[[*AXES[: table.dim]]].notna().any(axis=1)
    rows = rows[seen] if seen.any() else rows
    for name in (name for name in rows if name not in LABELS):
        wrong = ~np.isfinite(rows[name].to_numpy())
        if wrong.any():
            raise wrong_cell(rows, str(name), int(np.flatnonzero(wrong)[0]), path)
    vectors = {k: [prefix + axis for axis in AXES[: table.dim]] for k, prefix in VECTORS.items()}
    arrays = {k: names for k, names in vectors.items() if names[0] in rows}
    arrays |= {ALIASES[name]: [name] for name in (clock, "mass", "charge") if name in rows}
    arrays |= {"features": [*table.features]} if table.features else {}
    arrays |= {"cell": [name for name in CELL if name in rows]} if CELL[0] in rows else {}
    ordered, shape, notes, sighted = _in_order(rows, clock, path)
    found = {k: ordered[names].to_numpy().reshape(*shape, len(names)) for k, names in arrays.items()}
    for name in {*found} - {*VECTORS, "features", "cell"}:
        found[name] = found[name][..., 0]  # numbers, no vectors
    found[ALIASES[clock]] = found[ALIASES[clock]][..., 0]  # the same for all particles of a frame
    said = (*table.notes, *notes)
    labels = ordered["particle"].astype(str).to_numpy(dtype=str).reshape(shape)
    labels = labels[:, 0] if sighted is None else labels[..., 0]
    return Contents(found, table.features, said, table.doubts, table.box, table.units, labels, sighted)


def _in_order(
    table: pd.DataFrame, clock: str, path: Path
) -> tuple[pd.DataFrame, tuple[int, int, int], tuple[str, ...], Sighted | None]:
    """Rows sorted by trajectory, time and particle; (S, T, n) of them; a note if some were cut off.

    Where not all frames hold the same particles, rows sorted by trajectory, particle and time, and whose they
    are.
    """
    tracks = table.groupby([*LABELS], observed=True)
    back = (tracks[clock].diff() <= 0).to_numpy()
    if back.any():
        k = int(np.flatnonzero(back)[0])
        before, now = tracks[clock].shift().iloc[k], table[clock].iloc[k]
        problem = f"particle {table['particle'].iloc[k]} goes from {clock} {before:g} to {now:g}"
        fix = "sort the rows by time, remove repeated ones, or tell runs apart in a column 'run'"
        raise bad(path, f"{problem} {where(table, k)}", fix)

    many = table.groupby("trajectory", observed=True)["particle"].nunique()
    here = table.groupby(["trajectory", clock], observed=True).size()
    # no particle is in a frame twice, since times ascend
    if here.lt(many, level="trajectory").any() or many.nunique() > 1:
        rows = table.sort_values(["trajectory", "particle", clock])
        run, particle = (pd.factorize(rows[name])[0].astype(np.int64) for name in LABELS)
        sighted = Sighted.of(run, particle, rows[clock].to_numpy(dtype=np.float64))
        return rows, (1, len(rows), 1), (), sighted

    shortest, longest = tracks.size().min(), tracks.size().max()
    note = f"trajectories have {shortest} to {longest} frames; all are cut to the first {shortest}"
    rows = table[(tracks.cumcount() < shortest).to_numpy()].sort_values(["trajectory", clock, "particle"])
    return rows, (len(many), shortest, many.iloc[0]), (note,) if shortest < longest else (), None
