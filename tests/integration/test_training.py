"""Training as a whole: broken off and resumed, spread over processes, in other precisions, diverging."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gnn_distill.errors import DivergedError, InputError
from gnn_distill.pipeline.stages import run
from gnn_distill.runs.load import read_run
from gnn_distill.train.lit import DistilModule

# random numbers in every step (kl), a mask that grows (pruning), 21 batches an epoch
SMALL = [
    "regulariser=kl",
    "model.head._target_=gnn_distill.model.heads.GaussianHead",
    "model.message_dim=12",
    "schedule.end=0.7",
    "schedule.sample=100",
    "profile.simulations=100",
    "profile.frames=10",
    "profile.epochs=3",
    "profile.batch_size=32",
    "profile.width=16",
    "stages=[simulate,train]",
    "threads=1",
]
STEPS = 3 * 21


@pytest.fixture
def train(cache: Path, tmp_path: Path, compose):
    def call(name: str, *overrides: str) -> dict[str, Any]:
        run(compose(*SMALL, f"cache={cache}", *overrides), tmp_path / name)
        return torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)

    return call


def broken_off(train, name: str, step: int, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    """Train until an error in the given step, counted from 0."""
    whole, left = DistilModule.training_step, iter(range(step))

    def training_step(self: DistilModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if next(left, None) is None:
            raise RuntimeError("power cut")
        return whole(self, batch, batch_idx)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(DistilModule, "training_step", training_step)
        train(name, *overrides)


def same(one: Any, two: Any) -> bool:
    """Whether nested containers hold the same numbers, bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


@pytest.mark.parametrize("often", [None, 5])
def test_resumed_from_any_step_is_bitwise_the_unbroken_run(
    often: int | None, train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    more = [f"checkpoint_steps={often or 'null'}"]
    whole = train("whole", *more)
    step = random.randrange(1, STEPS)
    print("broken off in step", step)
    broken_off(train, "broken", step, monkeypatch, *more)
    resumed = train("broken", *more)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert same(whole[part], resumed[part]), part
    read = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "broken")]
    assert read[0] == read[1]


def test_mid_epoch_checkpoint_saves_steps(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken_off(train, "broken", 30, monkeypatch, "checkpoint_steps=4")
    last = torch.load(tmp_path / "broken/checkpoints/last.ckpt", weights_only=True)
    assert (last["global_step"], last["epoch"]) == (28, 1)
    steps: list[int] = []
    whole = DistilModule.training_step

    def counted(self: DistilModule, batch: Any, batch_idx: int) -> torch.Tensor:
        steps.append(batch_idx)
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(DistilModule, "training_step", counted)
    train("broken", "checkpoint_steps=4")
    assert steps == [*range(7, 21), *range(21)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_what_was_saved_on_a_gpu_is_resumed_without_one(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = train("whole", "schedule.target_dims=auto")
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        broken_off(train, "broken", 50, monkeypatch, "schedule.target_dims=auto")
    with pytest.raises(RuntimeError, match="CUDA device"):
        torch.load(tmp_path / "broken/checkpoints/last.ckpt", weights_only=True)
    resumed = train("broken", "schedule.target_dims=auto")
    assert same(whole["state_dict"], resumed["state_dict"])


def test_two_processes_train_as_one(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = train("one")
    broken_off(train, "two", 30, monkeypatch)
    two = train("two", "trainer=ddp")  # begun by one process, ended by two
    masks = [part["state_dict"]["model.mask"] for part in (one, two)]
    assert torch.equal(*masks) and int(masks[0].sum()) == 2
    for key, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][key], value, rtol=1e-4, atol=1e-5)
    assert {p.name for p in (tmp_path / "two").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
    rows = [read_run(tmp_path / name).metrics for name in ("one", "two")]
    assert len(rows[1]) == 3 and rows[1][0] == rows[0][0]  # the epoch before the break is not made again
    for alone, together in zip(*rows, strict=True):
        assert together == pytest.approx(alone, rel=1e-5)


def test_mixed_precision_trains_like_full(train, tmp_path: Path):
    train("full")
    mixed = train("mixed", "trainer.precision=bf16-mixed", "trainer.gradient_clip_val=100.0")
    assert all(v.dtype == torch.float32 for k, v in mixed["state_dict"].items())
    rows = [read_run(tmp_path / name).metrics[-1] for name in ("full", "mixed")]
    assert rows[1]["val_mae"] != rows[0]["val_mae"]
    assert rows[1]["val_mae"] == pytest.approx(rows[0]["val_mae"], rel=0.02)


def test_diverging_training_names_the_batch_and_keeps_the_last_checkpoint(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = DistilModule.training_step

    def training_step(self: DistilModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if (self.current_epoch, batch_idx) == (1, 4):
            with torch.no_grad():
                self.model.edge_net[0].weight.fill_(torch.nan)
        return whole(self, batch, batch_idx)

    monkeypatch.setattr(DistilModule, "training_step", training_step)
    with pytest.raises(DivergedError, match=r"batch 4 in epoch 1 .* weights have diverged"):
        train("run", "checkpoint_steps=7")
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 0 and all(v.isfinite().all() for v in last["state_dict"].values())
    status = read_run(tmp_path / "run").status
    assert status["state"] == "failed" and "batch 4 in epoch 1" in status["error"]


def test_bad_data_are_named(cache: Path, train, monkeypatch: pytest.MonkeyPatch):
    from gnn_distill.data.module import Batches

    rows = Batches.__iter__

    def poisoned(self: Batches):
        self.subset.features[37, 0, 0] = torch.nan
        yield from rows(self)

    monkeypatch.setattr(Batches, "__iter__", poisoned)
    with pytest.raises(DivergedError, match="data are to blame, features of 1 of its 32 graphs"):
        train("run")


def test_a_compiler_that_fails_is_named(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "/bin/false"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "nothing compiled before"))
    with pytest.raises(InputError, match=r"compile = 'default' .* give null: the compiler of this machine"):
        train("run", "compile=default")
    assert read_run(tmp_path / "run").status["state"] == "failed"


def test_a_missing_compiler_is_named(train, monkeypatch: pytest.MonkeyPatch):
    from torch._inductor.exc import TritonMissing

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        raise TritonMissing(None)

    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, mode: compiler(f, backend=backend))
    with pytest.raises(InputError, match="compile = 'reduce-overhead' .*Cannot find a working triton"):
        train("run", "compile=reduce-overhead")


def test_compiled_in_one_piece_and_once(train, monkeypatch: pytest.MonkeyPatch):
    """Neither a growing mask, nor a rising penalty, nor the job before makes the compiler begin anew."""
    compiler, graphs = torch.compile, []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f, mode: compiler(f, backend=backend))
    monkeypatch.setattr(torch._dynamo.config, "error_on_recompile", True)
    train("one", "compile=default", "regulariser.warmup=0.5")
    train("two", "compile=default", "profile.width=24", "trainer.precision=bf16-mixed")
    assert len(graphs) == 2


def test_where_pruning_never_ends_the_last_epoch_is_the_best(train, tmp_path: Path):
    last = train("run", "schedule.end=1.0")
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert last["epoch"] == best["epoch"] == 2
    assert 2 < best["state_dict"]["model.mask"].sum() < 12


def test_best_are_weights_that_have_borne_the_whole_penalty(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scores, log = [], DistilModule.log

    def note(self: DistilModule, name: str, value: Any, **options: Any) -> None:
        scores.extend([value] * (name == "val/selection"))
        log(self, name, value, **options)

    monkeypatch.setattr(DistilModule, "log", note)
    train("run", "regulariser.warmup=0.6", "profile.epochs=4", "schedule.end=0.1")
    losses = [epoch["val_mae_per_graph"] for epoch in read_run(tmp_path / "run").metrics]
    assert scores[0] > scores[1] > 1e6 * max(losses)  # 0.6 · 4 epochs end in the third
    assert scores[2:] == pytest.approx(losses[2:])


def test_a_further_process_that_cannot_start_ends_the_run(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    environment = tmp_path / "sitecustomize.py"
    environment.write_text("import os\nif os.environ.get('LOCAL_RANK') == '1': raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="a further process ended before training: see .*rank_"):
        train("run", "trainer=ddp", "trainer.accelerator=cpu")
    assert read_run(tmp_path / "run").status["state"] == "failed"


def command(module: str, *arguments: str) -> str:
    """Run a module with two CPU processes a training; what it prints."""
    more = ["trainer=ddp", "trainer.accelerator=cpu"]
    done = subprocess.run(
        [sys.executable, "-m", *module.split(), *SMALL, *more, *arguments],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_processes_of_torchrun_join_the_training_and_end_where_there_is_none(
    train, cache: Path, tmp_path: Path
):
    whole, there = train("one"), [f"cache={cache}", f"hydra.run.dir={tmp_path / 'two'}"]
    torchrun = "torch.distributed.run --standalone --nproc-per-node=2 -m gnn_distill"
    command(torchrun, *there)
    two = torch.load(tmp_path / "two/checkpoints/last.ckpt", weights_only=True)
    for key, value in whole["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][key], value, rtol=1e-4, atol=1e-5)
    assert command(torchrun, *there).count("train  (done before)") == 1


@pytest.mark.slow
def test_jobs_of_a_sweep_that_run_side_by_side_have_processes_of_their_own(cache: Path, tmp_path: Path):
    there = [f"cache={cache}", f"hydra.sweep.dir={tmp_path}", "hydra/launcher=cores"]
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    assert "2 complete" in command("gnn_distill -m", "seed=0,1", *there)
    assert not list(tmp_path.glob("*/rank_*.log"))
