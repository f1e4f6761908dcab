import importlib
import linecache
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data import cache
from gnn_distill.data.cache import cache_key, load_or_simulate
from gnn_distill.physics.laws import Spring, String
from gnn_distill.physics.simulate import Simulation

SPEC = Simulation(Spring(), simulations=12, frames=5)
CHILD = """
import sys
from pathlib import Path
from gnn_distill.data import cache
from gnn_distill.physics.laws import Spring
from gnn_distill.physics.simulate import Simulation
{prepare}
spec = Simulation(Spring(), simulations=12, frames=5)
data = cache.load_or_simulate(spec, Path(sys.argv[1]), lambda done, total: print("made", flush=True))
print(float(data.features.sum()))
"""


def folder_of(cache: Path) -> Path:
    (folder,) = (p for p in cache.iterdir() if p.is_dir() and not p.name.startswith("."))
    return folder


def child(cache: Path, prepare: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD.format(prepare=prepare), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_second_load_reads_what_the_first_made(tmp_path):
    first = load_or_simulate(SPEC, tmp_path)
    stamp = (folder_of(tmp_path) / "features.npy").stat().st_mtime_ns
    again = load_or_simulate(SPEC, tmp_path)
    assert (folder_of(tmp_path) / "features.npy").stat().st_mtime_ns == stamp
    assert (again.features == first.features).all() and again.frames == first.frames == 5
    assert again.adjacency is None


def test_the_graph_is_kept(tmp_path):
    spec = Simulation(String(), simulations=3, frames=5)
    for _ in range(2):
        chain = load_or_simulate(spec, tmp_path).adjacency
        assert chain.sum() == 6 and chain[0, 1] and not chain[0, 2]


@pytest.mark.parametrize("name", ["features.npy", "accelerations.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["truncate", "edit", "remove"])
def test_damage_is_detected_named_and_mended(name: str, damage: str, tmp_path, caplog):
    first = np.array(load_or_simulate(SPEC, tmp_path).features)
    path = folder_of(tmp_path) / name
    content = bytearray(path.read_bytes())
    where = random.Random(name + damage).randrange(1, len(content) - 1)
    if damage == "truncate":
        path.write_bytes(content[:where])
    elif damage == "edit":
        content[where] ^= 0x11
        path.write_bytes(content)
    else:
        path.unlink()
    mended = load_or_simulate(SPEC, tmp_path)
    assert (mended.features == first).all()
    assert "damaged" in caplog.text and str(folder_of(tmp_path)) in caplog.text


def test_content_decides_the_folder(tmp_path):
    for spec in (
        SPEC,
        Simulation(Spring(rest_length=2.0), simulations=12, frames=5),
        Simulation(Spring(), simulations=12, frames=5, seed=1),
        Simulation(Spring(), simulations=12, frames=5, rtol=1e-6),
    ):
        load_or_simulate(spec, tmp_path)
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 4


def test_a_constant_beside_a_law_decides_too(tmp_path, monkeypatch):
    module = tmp_path / "cached_law.py"
    text = "from gnn_distill.physics.laws import Spring\nSTIFFNESS = {}\n"
    text += "class Stiff(Spring):\n    name = 'stiff'\n"
    keys = []
    monkeypatch.syspath_prepend(str(tmp_path))
    for value in (1.0, 2.0):
        module.write_text(text.format(value))
        sys.modules.pop("cached_law", None)
        linecache.clearcache()
        importlib.invalidate_caches()
        keys.append(cache_key(Simulation(importlib.import_module("cached_law").Stiff(), simulations=3)))
    assert keys[0] != keys[1]


def test_two_processes_make_a_dataset_once(tmp_path):
    outputs = [p.communicate(timeout=120)[0].split() for p in [child(tmp_path), child(tmp_path)]]
    assert sorted(len(o) for o in outputs) == [1, 2]  # one of them printed "made"
    assert outputs[0][-1] == outputs[1][-1]


def test_who_waits_is_told_how_far_the_other_is(tmp_path):
    slow = """
import time
simulate = cache._simulate
def slowly(temporary, spec, progress):
    progress(5, 12)
    print("begun", flush=True)
    time.sleep(2)
    return simulate(temporary, spec, progress)
cache._simulate = slowly
"""
    process, told = child(tmp_path, slow), []
    while "begun" not in process.stdout.readline():
        assert process.poll() is None
    load_or_simulate(SPEC, tmp_path, lambda done, total: told.append((done, total)))
    process.communicate(timeout=120)
    assert told[0] == (5, 12)
    assert not list(folder_of(tmp_path).glob(cache.TOLD))


def test_a_process_killed_while_writing_leaves_no_dataset(tmp_path):
    slow = """
import time
def half(path):
    print("half", flush=True)
    time.sleep(60)
cache.file_hash = half
"""
    process = child(tmp_path, slow)
    while "half" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()][0].startswith(".making-")
    made, total = child(tmp_path).communicate(timeout=120)[0].split()
    assert made == "made" and float(total) == pytest.approx(
        float(load_or_simulate(SPEC, tmp_path).features.sum())
    )
    assert not list(tmp_path.glob(".making-*"))
