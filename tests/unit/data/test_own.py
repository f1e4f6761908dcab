"""The user's own files: every format, and every graph."""

import csv
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.files.columns import Wanted
from gnn_distill.data.own.files.read import read
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Spring

S, T, N = 4, 30, 3


def oscillators(dim: int = 2, sims: int = S, frames: int = T, dt: float = 0.01) -> dict[str, np.ndarray]:
    """Independent harmonic oscillators x = A cos(ωt + φ), with everything a file can hold."""
    rng = np.random.default_rng(0)
    size, phase, omega = rng.uniform(0.5, 2, (3, sims, 1, N, dim))
    t = dt * np.arange(frames)
    angle = omega * t[:, None, None] + phase
    return {
        "positions": size * np.cos(angle),
        "velocities": -size * omega * np.sin(angle),
        "accelerations": -size * omega**2 * np.cos(angle),
        "masses": rng.uniform(1, 2, (sims, N)),
        "charges": rng.standard_normal((sims, N)),
        "features": rng.standard_normal((sims, N, 2)),
        "times": t,
    }


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, **arrays)


def write_pt(path: Path, arrays: dict[str, np.ndarray]) -> None:
    torch.save({k: torch.from_numpy(v.copy()) for k, v in arrays.items()}, path)


def table(arrays: dict[str, np.ndarray]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the long format; particles from the last to the first, named p0, p1, …."""
    x = arrays["positions"]
    axes = "xyz"[: x.shape[-1]]
    vectors = [
        (k, p) for k, p in (("positions", ""), ("velocities", "v"), ("accelerations", "a")) if k in arrays
    ]
    constants = [(k, name) for k, name in (("masses", "mass"), ("charges", "charge")) if k in arrays]
    extra = arrays.get("features", np.zeros((*x.shape[:1], x.shape[2], 0)))
    header = ["trajectory", "time", "particle", *(p + a for _, p in vectors for a in axes)]
    header += [name for _, name in constants] + [f"extra{k}" for k in range(extra.shape[-1])]
    rows: list[list[object]] = []
    for s, t, i in np.ndindex(x.shape[:3]):
        i = x.shape[2] - 1 - i
        row = [s, arrays["times"][t].item(), f"p{i}"]
        row += [float(c) for k, _ in vectors for c in arrays[k][s, t, i]]
        row += [float(arrays[k][s, i]) for k, _ in constants] + extra[s, i].tolist()
        rows.append(row)
    return header, rows


def write_csv(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header, rows = table(arrays)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_parquet(path: Path, arrays: dict[str, np.ndarray]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    header, rows = table(arrays)
    columns = zip(*rows, strict=True)
    parquet.write_table(pyarrow.table(dict(zip(header, map(list, columns), strict=True))), path)


WRITERS = {"npz": write_npz, "pt": write_pt, "csv": write_csv, "parquet": write_parquet}


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_graphs(tmp_path: Path, ending: str, dim: int):
    arrays, path = oscillators(dim), tmp_path / f"tracks.{ending}"
    WRITERS[ending](path, arrays)
    further = ["extra0", "extra1"] if ending in ("csv", "parquet") else None
    data = OwnData(str(path), features=further).load()
    per_frame = {k: np.repeat(arrays[k][:, None], T, 1) for k in ("masses", "charges", "features")}
    columns = [arrays["positions"], arrays["velocities"], per_frame["charges"][..., None]]
    columns += [per_frame["masses"][..., None], per_frame["features"]]
    expected = np.concatenate(columns, -1).reshape(S * T, N, 2 * dim + 4)
    assert data.features.dtype == data.accelerations.dtype == np.float32
    assert (data.features == expected.astype(np.float32)).all()
    assert (data.accelerations == arrays["accelerations"].reshape(-1, N, dim).astype(np.float32)).all()
    assert (data.frames, data.adjacency, data.replaced) == (T, None, 0)


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_derivatives(tmp_path: Path, ending: str):
    arrays = {k: v for k, v in oscillators().items() if k in ("positions", "times")}
    WRITERS["npz"](tmp_path / "reference.npz", arrays)
    WRITERS[ending](tmp_path / f"tracks.{ending}", arrays)
    reference = OwnData(str(tmp_path / "reference.npz"), dynamics="second_order").load()
    data = OwnData(str(tmp_path / f"tracks.{ending}"), dynamics="second_order").load()
    np.testing.assert_allclose(data.features, reference.features, rtol=1e-6)
    np.testing.assert_allclose(data.accelerations, reference.accelerations, rtol=1e-6)
    assert (data.features[..., 4] == 0).all() and (data.features[..., 5] == 1).all()


def test_complete_files_need_no_clock_and_raise_no_warning(tmp_path: Path, caplog):
    arrays = oscillators()
    del arrays["times"]
    np.savez(tmp_path / "t.npz", **arrays)
    assert OwnData(str(tmp_path / "t.npz")).load().frames == T
    assert caplog.text == ""


def test_frame_numbers_are_multiplied_by_the_time_step(tmp_path: Path):
    arrays = oscillators()
    header, rows = table({k: arrays[k] for k in ("positions", "times")})
    counted = [[r[0], 5 * round(r[1] / 0.01), *r[2:]] for r in rows]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[h.replace("time", "Frame") for h in header], *counted])
    data = OwnData(str(tmp_path / "t.csv"), dynamics="second_order", time_step=0.002).load()
    true = arrays["accelerations"][:, 3:-3].reshape(-1, N, 2)
    np.testing.assert_allclose(data.accelerations, true, atol=1e-4)
    with pytest.raises(InputError, match="dataset.time_step = None.*dataset.time_step=0.01"):
        OwnData(str(tmp_path / "t.csv"), dynamics="second_order").load()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_rows_may_be_grouped_by_particle(tmp_path: Path, delimiter: str):
    arrays = oscillators()
    write_csv(tmp_path / "by_time.csv", arrays)
    header, rows = table(arrays)
    rows.sort(key=lambda r: (r[2], -int(str(r[0])), r[1]))
    with (tmp_path / "by_particle.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    first, second = (OwnData(str(tmp_path / f"{n}.csv")).load() for n in ("by_time", "by_particle"))
    assert (first.features == second.features).all() and (first.accelerations == second.accelerations).all()


def test_particles_with_numbers_are_sorted_as_numbers(tmp_path: Path):
    rows = [[t, i, 100 * t + i, 0] for t in range(9) for i in (10, 9, 2)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["time", "particle", "x", "y"], *rows])
    options = {"dynamics": "second_order", "blocks": 3, "window": 3, "order": 2, "drop_edges": False}
    assert OwnData(str(tmp_path / "t.csv"), **options).load().features[0, :, 0].tolist() == [2, 9, 10]


def test_longer_trajectories_are_cut_to_the_shortest(tmp_path: Path, caplog):
    arrays = oscillators()
    header, rows = table(arrays)
    rows = [row for row in rows if row[0] != 2 or row[1] < arrays["times"][20]]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    data = OwnData(str(tmp_path / "t.csv")).load()
    assert data.frames == 20 and len(data.features) == S * 20
    assert "20 to 30 frames" in caplog.text
    assert (data.features[60:, :, :2] == arrays["positions"][3, :20].astype("f4")).all()


def test_masses_may_be_shared_by_all_trajectories(tmp_path: Path):
    arrays = oscillators() | {"masses": np.array([1.0, 2.0, 3.0]), "charges": np.array([-1.0, 0.0, 1.0])}
    del arrays["features"]
    arrays["mass"] = arrays.pop("masses")
    np.savez(tmp_path / "t.npz", **arrays)
    data = OwnData(str(tmp_path / "t.npz")).load()
    assert (data.features[:, :, 4:] == [[-1, 1], [0, 2], [1, 3]]).all()


def loaded(tmp_path: Path, arrays: dict[str, np.ndarray], **options) -> np.ndarray | None:
    np.savez(tmp_path / "t.npz", **arrays)
    return OwnData(str(tmp_path / "t.npz"), **options).load().adjacency


def senders(tmp_path: Path, arrays: dict[str, np.ndarray], **options) -> np.ndarray:
    """Who acts on whom in each frame of data whose frames are a table, bool [frames, n, n]."""
    np.savez(tmp_path / "t.npz", **arrays)
    data = OwnData(str(tmp_path / "t.npz"), **options).load()
    seen, n = data.sightings, arrays["positions"].shape[-2]
    assert seen is not None and data.adjacency is None
    number = (np.cumsum(np.ones_like(seen.frame)) - 1) // (seen.piece == 0).sum() % n
    joined = np.zeros((seen.frame.max() + 1, n, n), dtype=bool)
    for row, (first, last) in enumerate(zip(seen.first, seen.last, strict=True)):
        others = seen.senders[first:last]
        assert (seen.frame[others] == seen.frame[row]).all()
        joined[seen.frame[row], number[row], number[others]] = True
    return joined


def test_graphs(tmp_path: Path):
    line = np.array([0.0, 1.0, 3.0, 3.5])
    x = np.zeros((3, 2, 4, 2))
    x[..., 0] = line
    x[1, 1, 0] = [10.0, 0.0]  # one frame is another graph
    arrays = {"positions": x, "velocities": x, "accelerations": x}
    assert loaded(tmp_path, arrays) is None
    assert loaded(tmp_path, arrays, graph="complete") is None
    chain = loaded(tmp_path, arrays, graph="chain")
    assert chain is not None and chain.astype(int).tolist() == [
        [0, 1, 0, 0],
        [1, 0, 1, 0],
        [0, 1, 0, 1],
        [0, 0, 1, 0],
    ]
    nearest = senders(tmp_path, arrays, graph="nearest", neighbours=1)
    assert nearest.argmax(-1).tolist() == [[1, 0, 3, 2]] * 3 + [[3, 2, 3, 2]] + [[1, 0, 3, 2]] * 2
    assert (nearest.sum(-1) == 1).all()
    cutoff = senders(tmp_path, arrays, graph="cutoff", radius=2.2)
    distance = np.linalg.norm(x[:, :, :, None] - x[:, :, None], axis=-1).reshape(6, 4, 4)
    assert (cutoff == ((distance < 2.2) & ~np.eye(4, dtype=bool))).all() and cutoff.any()


def test_numbers_of_a_torch_file_keep_their_digits(tmp_path: Path):
    arrays = {name: torch.from_numpy(value) for name, value in oscillators().items()}
    torch.save({k: v for k, v in arrays.items() if k != "times"} | {"dt": 0.01}, tmp_path / "t.pt")
    assert OwnData(str(tmp_path / "t.pt")).load().spacing == pytest.approx(0.01, rel=1e-14)


def test_edges_of_the_file_run_from_sender_to_receiver(tmp_path: Path):
    arrays = oscillators() | {"edge_index": np.array([[0, 1], [2, 0]])}
    for graph in (None, "file"):
        joined = loaded(tmp_path, arrays, graph=graph)
        assert joined is not None and joined.astype(int).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert loaded(tmp_path, arrays, graph="complete") is None


def test_a_known_law_is_kept_for_comparison(tmp_path: Path):
    np.savez(tmp_path / "t.npz", **oscillators())
    assert OwnData(str(tmp_path / "t.npz")).law is None
    assert OwnData(str(tmp_path / "t.npz"), law=Spring()).law == Spring()


def test_parquet_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"t\.parquet.*pip install pyarrow.*\.csv"):
        OwnData(str(tmp_path / "t.parquet")).load()


def test_further_columns_are_named(tmp_path: Path, caplog):
    write_csv(tmp_path / "t.csv", oscillators())
    with caplog.at_level(logging.WARNING):
        assert OwnData(str(tmp_path / "t.csv")).load().further == ()
    assert "left out: extra0, extra1" in caplog.text and "dataset.features=[extra0,extra1]" in caplog.text
    caplog.clear()
    data = OwnData(str(tmp_path / "t.csv"), features=["extra1", "Extra0"]).load()
    assert "inputs of every particle: extra0, extra1" in caplog.text
    assert data.further == ("extra0", "extra1")
    np.savez(tmp_path / "t.npz", **oscillators())
    assert OwnData(str(tmp_path / "t.npz")).load().further == ("f1", "f2")


@pytest.mark.parametrize(
    ("headings", "names"),
    [
        (["spin", "size"], ("spin", "size")),
        (["Spin", "spin1", "spin3"], ("spin", "f2", "spin3")),  # spin1 is the spin of the receiver
        (["size (µm)", "größe", "2nd", "a-b"], ("size", "f2", "f3", "f4")),
        (["d", "q2", "vx1", "c0", "f1", "lambda", "exp", "m"], tuple(f"f{k}" for k in range(1, 9))),
    ],
)
def test_further_columns_keep_their_names_where_equations_can_hold_them(
    tmp_path: Path, headings: list[str], names: tuple[str, ...]
):
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(3, 9, 2, 2 + len(headings)))
    rows = [[s, t, i, 1, *cells[s, t, i]] for s, t, i in np.ndindex(3, 9, 2)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["run", "time", "particle", "mass", "x", "y", *headings], *rows])
    options = {"dynamics": "second_order", "window": 3, "order": 2, "drop_edges": False}
    data = OwnData(str(tmp_path / "t.csv"), features=headings, **options).load()
    assert data.further == names
    assert (data.features[..., 6:] == cells[..., 2:].reshape(-1, 2, len(headings)).astype("f4")).all()
    notes = " ".join(data.notes)
    for heading, name in zip(headings, names, strict=True):
        plain = heading.lower().removesuffix(" (µm)")
        assert plain in notes and (f"{plain} is {name}" in notes) is (plain != name)


def test_numbers_of_a_text_table_are_read_to_the_last_digit(tmp_path: Path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 50, 2)) * 10.0 ** rng.integers(-200, 200, (9, 50, 2))
    rows = [f"{t},{i},{x[t, i, 0]:.17g}, {x[t, i, 1]!s} " for t, i in np.ndindex(9, 50)]
    (tmp_path / "t.csv").write_text("\n".join(["time,particle,x,y", *rows]))
    assert (read([tmp_path / "t.csv"], Wanted()).arrays["positions"] == x).all()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_names_of_particles_are_text_and_no_numbers(tmp_path: Path, ending: str):
    names = ["1", "01", "Na"]
    rows = [[t, name, t + k, k] for t in range(9) for k, name in enumerate(names)]
    if ending == "csv":
        text = "\n".join(["time,particle,x,y", *(",".join(map(str, row)) for row in rows)])
        (tmp_path / "t.csv").write_text(text)
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        columns = dict(zip(["time", "particle", "x", "y"], map(list, zip(*rows, strict=True)), strict=True))
        parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    positions = read([tmp_path / f"t.{ending}"], Wanted()).arrays["positions"]
    assert positions.shape == (1, 9, 3, 2) and positions[0, 0, :, 1].tolist() == [1, 0, 2]


def test_short_names_of_columns(tmp_path: Path):
    rows = [
        f"{s},{k / 10},{i},{i + k * k / 50},{s},{i - 1},{i + 2}"
        for s in range(3)
        for k in range(9)
        for i in range(2)
    ]
    (tmp_path / "short.csv").write_text("\n".join(["run,t,id,x,y,q,m", *rows]) + "\n")
    long = ["trajectory,time,particle,x,y,charge,mass", *rows]
    (tmp_path / "long.csv").write_text("\n".join(long) + "\n")
    short, named = (
        OwnData(str(tmp_path / f"{n}.csv"), dynamics="second_order").load() for n in ("short", "long")
    )
    np.testing.assert_array_equal(short.features, named.features)
    assert short.features.shape[-1] == 6  # no further features
    both = [line + ",7" for line in long[1:]]
    (tmp_path / "both.csv").write_text("\n".join([long[0] + ",m", *both]) + "\n")
    both = OwnData(str(tmp_path / "both.csv"), dynamics="second_order", features=["m"])
    assert (both.load().features[..., 6] == 7).all()


@pytest.mark.parametrize(
    ("sims", "masses", "warned"), [(1, [1, 2, 3], True), (1, [1, 1, 1], False), (3, [1, 2, 3], False)]
)
def test_few_runs_with_different_particles_are_warned_of(
    tmp_path: Path, caplog, sims: int, masses: list, warned: bool
):
    x = np.random.default_rng(0).normal(size=(sims, 60, 3, 2))
    file = tmp_path / "few.npz"
    np.savez(file, positions=x, velocities=x, accelerations=x, masses=np.array(masses, dtype=float))
    OwnData(str(file), dynamics="second_order").load()
    assert ("different particles" in caplog.text) is warned
