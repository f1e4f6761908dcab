"""Files are written whole: their content is on the disk before they have their name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gnn_distill.runs.directory import RunDirectory
from gnn_distill.runs.files import UNFINISHED, atomic, write_metrics
from gnn_distill.train.checkpoint import AtomicCheckpointIO


def by_json(folder: Path) -> Path:
    RunDirectory(folder).write_json("it.json", {"a": [1, 2]})
    return folder / "it.json"


def by_arrays(folder: Path) -> Path:
    RunDirectory(folder).write_arrays("it.npz", {"a": np.arange(9)})
    return folder / "it.npz"


def by_metrics(folder: Path) -> Path:
    write_metrics(folder / "metrics.csv", [{"epoch": 0.0}])
    return folder / "metrics.csv"


def by_checkpoint(folder: Path) -> Path:
    AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(3)}, folder / "last.ckpt")
    return folder / "last.ckpt"


@pytest.mark.parametrize("write", [by_json, by_arrays, by_metrics, by_checkpoint], ids=lambda f: f.__name__)
def test_content_is_synchronised_before_the_name(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def synchronise(handle: int) -> None:
        order.append(("fsync", os.fstat(handle).st_ino))
        sizes.append(os.fstat(handle).st_size)
        fsync(handle)

    def rename(source: Path, target: Path) -> None:
        order.append(("replace", os.stat(source).st_ino))
        replace(source, target)

    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", synchronise)
    monkeypatch.setattr(os, "replace", rename)
    written = write(tmp_path)
    inode = written.stat().st_ino
    assert order == [("fsync", inode), ("replace", inode)] and sizes == [written.stat().st_size]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "it.txt"
    file.write_text("before")

    def refuse(handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"), atomic(file) as temporary:
        assert temporary.name.startswith(UNFINISHED)
        temporary.write_text("after")
    assert file.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["it.txt"]
