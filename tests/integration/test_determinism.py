"""The same seed on the same machine with one thread: the same bits, in two processes that share nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import TINY

RUN = [*TINY, "profile.epochs=3", "symbolic.target=[pullback,components_raw]", "hydra.run.dir=run"]


def made(folder: Path, *more: str) -> Path:
    folder.mkdir()
    environment = os.environ | {"GNN_DISTILL_CACHE": str(folder / "cache"), "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "gnn_distill", *RUN, *more]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=600)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_compute_the_same_bits(tmp_path: Path):
    one, two, other = made(tmp_path / "one"), made(tmp_path / "two"), made(tmp_path / "other", "seed=1")
    arrays = {path.relative_to(one): np.load(path) for path in sorted((one / "cache").rglob("*.npy"))}
    assert len(arrays) == 2
    for name, array in arrays.items():
        assert array.tobytes() == np.load(two / name).tobytes()
    a, b, c = (weights(folder) for folder in (one, two, other))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)
    with np.load(one / "run/messages.npz") as first, np.load(two / "run/messages.npz") as second:
        assert all(first[name].tobytes() == second[name].tobytes() for name in first.files)
    for name in ("metrics.csv", "data.json", "analysis.json", "equations.json", "law.json"):
        texts = [(folder / "run" / name).read_text() for folder in (one, two, other)]
        assert texts[0] == texts[1] != texts[2], name
