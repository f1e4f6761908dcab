"""Whatever stops a run, in whatever stage: one screen, the right exit code, nothing lost, and it goes on."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gnn_distill.pipeline.explain import exhausted, exit_code, explain
from gnn_distill.runs.directory import OUTPUTS, STAGES, RunDirectory
from tests.conftest import TINY

RUN = [*TINY, "hydra.run.dir=run", "hydra.output_subdir=null"]
LINES = 14
"""Lines of standard error that an error may fill beside the progress of the stages."""
PLACES = {
    "simulate": "gnn_distill.pipeline.stages.summarise",
    "train": "gnn_distill.train.epochs.EpochLog.on_train_epoch_end",
    "analyse": "gnn_distill.pipeline.stages.selection_scores",
    "distil": "gnn_distill.pipeline.stages.search",
    "report": "gnn_distill.report.render",
}
"""What is at work in the middle of each stage."""


def raising(error: BaseException) -> Callable[..., None]:
    def strike(*_: object, **__: object) -> None:
        raise error

    return strike


def signalling(number: signal.Signals) -> Callable[..., None]:
    return lambda *_, **__: signal.raise_signal(number)


FAULTS: dict[str, tuple[Callable[..., None], int, str, str]] = {
    "sigterm": (signalling(signal.SIGTERM), 143, "interrupted", ""),
    "sigint": (signalling(signal.SIGINT), 130, "interrupted", ""),
    "memory": (raising(MemoryError("Unable to allocate 9.3 TiB")), 1, "failed", "memory is exhausted"),
    "torch": (raising(RuntimeError("DefaultCPUAllocator: can't allocate memory")), 1, "failed", "memory is"),
    "full": (raising(OSError(errno.ENOSPC, "No space left on device", "x.npz")), 1, "failed", "disk is full"),
    "read-only": (raising(OSError(errno.EROFS, "Read-only file system", "x")), 2, "failed", "Read-only"),
}


def complete(folder: Path) -> dict[str, list[int]]:
    """The complete stages of a run, with the times at which their files were written."""
    path = folder / "status.json"
    entries = json.loads(path.read_text())["stages"] if path.exists() else {}
    done = [stage for stage in STAGES if entries.get(stage, {}).get("complete")]
    return {stage: [(folder / n).stat().st_mtime_ns for n in OUTPUTS[stage]] for stage in done}


def results(folder: Path) -> dict[str, object]:
    names = ("analysis.json", "equations.json", "law.json", "metrics.csv")
    return {name: (folder / name).read_text() for name in names}


@pytest.mark.parametrize(
    "kind", [k if k == "sigterm" else pytest.param(k, marks=pytest.mark.slow) for k in FAULTS]
)
def test_a_fault_in_every_stage(kind: str, command_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    strike, code, state, words = FAULTS[kind]
    folder = tmp_path / "run"
    assert command_line(*RUN[:-2], "hydra.run.dir=unbroken", "hydra.output_subdir=null")[0] == 0
    for k, stage in enumerate(STAGES):
        before = complete(folder)
        with monkeypatch.context() as patch:
            patch.setattr(PLACES[stage], strike)
            found, message = command_line(*RUN)
        assert found == code, message
        assert "Traceback" not in message and words in message
        assert len(message.splitlines()) <= LINES + 2 * len(STAGES)
        if k:
            how = "that was stopped in" if state == "interrupted" else "that failed in"
            assert f"holds a run {how} {STAGES[k - 1]}" in message
        status = json.loads((folder / "status.json").read_text())
        assert (status["state"], status["stage"]) == (state, stage)
        assert complete(folder) == before | {s: complete(folder)[s] for s in STAGES[:k]}
        assert list(complete(folder)) == list(STAGES[:k])
    assert command_line(*RUN)[0] == 0
    assert results(folder) == results(tmp_path / "unbroken")
    assert not [*folder.rglob(".unfinished-*")]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that is full by then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_files_that_no_longer_fit(command_line, tmp_path: Path):
    wide = [*RUN, "profile.width=32", "stages=[simulate,train]"]
    with largest_file(70_000):  # a checkpoint is larger, what the simulation leaves is not
        code, message = command_line(*wide)
    assert code == 1 and "the disk is full" in message and "Traceback" not in message
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["state"], status["stage"]) == ("failed", "train")
    assert list(complete(tmp_path / "run")) == ["simulate"]
    assert not [*(tmp_path / "run").rglob("*.ckpt"), *(tmp_path / "run").rglob(".unfinished-*")]
    code, message = command_line(*wide)
    assert code == 0 and "that failed in train" in message and "✓ simulate  (done before)" in message


def mounted(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 KiB: too small for the checkpoints of a run."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)):
        pytest.skip("only root may mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # a log is still open


def test_a_full_disk(command_line, small_disk: Path, tmp_path: Path):
    run = [*TINY, "profile.width=64", f"hydra.run.dir={small_disk}/run", "stages=[simulate,train]"]
    code, message = command_line(*run)
    assert code == 1 and "the disk is full" in message and "Traceback" not in message
    status = json.loads((small_disk / "run/status.json").read_text())
    assert (status["state"], status["stage"]) == ("failed", "train")
    assert list(complete(small_disk / "run")) == ["simulate"]
    assert mounted("-o", "remount,size=20m", str(small_disk))
    code, message = command_line(*run)
    assert code == 0 and "that failed in train" in message and "✓ simulate  (done before)" in message


def test_a_read_only_disk(command_line, small_disk: Path):
    assert mounted("-o", "remount,ro", str(small_disk))
    code, message = command_line(*TINY, f"hydra.run.dir={small_disk}/run")
    assert code == 2 and "Read-only file system" in message and "Traceback" not in message
    assert "hydra.run.dir=FOLDER" in message


def test_a_place_where_no_folder_can_be(command_line, tmp_path: Path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/run", "x" * 300):
        code, message = command_line(*TINY, f"hydra.run.dir={place}")
        assert code == 2 and place in message and "Traceback" not in message
    code, message = command_line(*TINY, "hydra.run.dir=run", "cache=file/cache")
    assert code == 2 and "file/cache" in message and "Traceback" not in message


def test_two_runs_in_one_directory(command_line, tmp_path: Path):
    with RunDirectory(tmp_path / "run").locked():
        code, message = command_line(*RUN)
    assert code == 2 and f"process {os.getpid()} on" in message and "wait for it or stop it" in message
    assert not (tmp_path / "run/status.json").exists()


def test_what_a_killed_process_has_left_is_cleared(tmp_path: Path):
    left = tmp_path / "run/checkpoints/.unfinished-last.ckpt-abc"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with RunDirectory(tmp_path / "run").locked():
        assert not left.exists()


def test_the_program_s_own_faults_are_not_explained_away():
    assert exit_code(ValueError("a bug")) is None and exit_code(RuntimeError("shape mismatch")) is None
    assert exit_code(OSError(errno.EIO, "Input/output error")) is None
    assert exhausted(RuntimeError("shape mismatch")) is None
    assert "profile.batch_size" in explain(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))


MEMORY = """
import resource, sys
import gnn_distill.pipeline.stages
from gnn_distill.cli import main as cli
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("more", [["profile.simulations=400000"], ["profile.width=20000"]])
def test_a_machine_without_memory(more: list[str], cache: Path, tmp_path: Path):
    command = [sys.executable, "-c", MEMORY, *RUN, *more, "stages=[simulate,train]"]
    place = os.environ | {"GNN_DISTILL_CACHE": str(tmp_path / "cache"), "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=place, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1, done.stderr
    assert "memory is exhausted" in done.stderr and "Traceback" not in done.stderr
