"""Run directories, caches and sweeps made by somebody else: read, shown, and never believed to be code."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import gnn_distill
from gnn_distill.cli.job import check_inside
from gnn_distill.cli.report import main as report_command
from gnn_distill.data.cache import cache_key, load_or_simulate
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.module import LawModule
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Spring
from gnn_distill.physics.simulate import Simulation
from gnn_distill.pipeline.build import Experiment, build
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.pipeline.stages import fit
from gnn_distill.report.run.page import render
from gnn_distill.runs.files import file_hash, fingerprint
from gnn_distill.runs.load import read_run
from gnn_distill.runs.sweep import read_sweep
from gnn_distill.train.checkpoint import load_weights, read_checkpoint
from tests.conftest import TINY
from tests.unit.pipeline.test_trust import SECRET, Bomb
from tests.unit.report.test_run_page import make_run
from tests.unit.report.test_sweep_page import make, plan

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """What must not be there after the test."""
    return tmp_path / "exploded"


@pytest.fixture(scope="module")
def trained(cache: Path, compose, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Experiment]:
    path = tmp_path_factory.mktemp("trained")
    experiment = build(compose(*TINY, "profile.epochs=1", f"cache={cache}"), Reporter())
    fit(experiment, path, None)
    return path, experiment


def test_a_malicious_checkpoint_is_not_opened(trained: tuple[Path, Experiment], tmp_path: Path, evil: Path):
    content = torch.load(trained[0] / "checkpoints/last.ckpt", weights_only=True)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({**content, "more": Bomb(evil)}, folder / "last.ckpt")
    experiment = trained[1]
    with pytest.raises(InputError, match=r"last.ckpt.*cannot be read.*delete it to train again"):
        load_weights(experiment.module, tmp_path)
    with pytest.raises(InputError, match=r"last.ckpt.*cannot be read"):
        read_checkpoint(folder / "last.ckpt")
    with pytest.raises(Exception, match="(?i)weights.only"):  # Lightning's own reading of it
        fit(experiment, tmp_path, folder / "last.ckpt")
    assert not evil.exists()


@pytest.mark.parametrize("content", [{"a": 1}, [1], {"state_dict": {"model.mask": torch.zeros(3)}}])
def test_a_checkpoint_of_something_else_is_named(trained, tmp_path: Path, content: object):
    (tmp_path / "checkpoints").mkdir()
    torch.save(content, tmp_path / "checkpoints/last.ckpt")
    with pytest.raises(InputError, match=r"last.ckpt.*delete it to train again"):
        load_weights(trained[1].module, tmp_path)


def test_a_killed_write_leaves_the_checkpoint_before(trained, tmp_path: Path, monkeypatch):
    from gnn_distill.train.checkpoint import AtomicCheckpointIO

    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 1}, path)

    real = Path.write_bytes

    def half(self: Path, content: bytes) -> int:
        assert self.parent == path.parent  # a rename within one file system
        real(self, bytes(content[:9]))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 2}, path)
    monkeypatch.undo()
    assert read_checkpoint(path)["epoch"] == 1 and list(tmp_path.iterdir()) == [path]


def test_a_malicious_cached_dataset_is_not_opened(tmp_path: Path, evil: Path):
    spec = Simulation(Spring(), simulations=4, frames=3)
    good = load_or_simulate(spec, tmp_path).features.copy()
    folder = tmp_path / f"spring-{cache_key(spec)}"
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb(evil)
    np.save(folder / "features.npy", bomb, allow_pickle=True)
    meta = json.loads((folder / "meta.json").read_text())
    meta.pop("check")
    meta["sha256"]["features"] = file_hash(folder / "features.npy")  # checksums are no secret
    (folder / "meta.json").write_text(json.dumps(meta | {"check": fingerprint(meta)}))
    assert (load_or_simulate(spec, tmp_path).features == good).all()
    assert not evil.exists()


@pytest.mark.parametrize("name", ["messages", "trajectories", "rollout"])
def test_malicious_arrays_of_a_run_are_not_opened(tmp_path: Path, evil: Path, name: str):
    path = make_run(tmp_path / "run")
    np.savez(path / f"{name}.npz", delta=np.array([Bomb(evil)], dtype=object))
    with pytest.raises(InputError, match=rf"{name}.npz.*cannot be read"):
        getattr(read_run(path), name)()
    assert not evil.exists()


def test_a_malicious_expression_is_not_evaluated(command_line, tmp_path: Path, evil: Path):
    attack = f'__import__("os").system("touch {evil}")'
    shapes = ("{}", "r + {}", "(lambda: {})()", "[{} for r in [1]][0]", "r.__class__")
    for text in (shape.format(attack) for shape in shapes):
        with pytest.raises(InputError, match="expression"):
            parse(text, ("r", "m1"))
        with pytest.raises(InputError, match="symbolic.expression"):
            GivenEngine(text)
        with pytest.raises(InputError, match="expression"):
            LawModule.from_law({"acceleration": [text, text]})
    quoted = attack.replace('"', '\\"')
    code, message = command_line("symbolic=given", f'symbolic.expression="{quoted}"')
    assert code == 2 and "symbolic.expression" in message and "Traceback" not in message
    path = make_run(tmp_path / "run")
    equations = json.loads((path / "equations.json").read_text())
    for component in equations["components"]:
        for equation in component["front"]:
            equation["expression"] = attack
    (path / "equations.json").write_text(json.dumps(equations))
    law = json.loads((path / "law.json").read_text()) | {"acceleration": [attack, attack]}
    (path / "law.json").write_text(json.dumps(law))
    assert "__import__" in render(read_run(path), {})  # shown as text
    assert not evil.exists()


def test_the_page_of_a_run_holds_no_markup_of_others(tmp_path: Path):
    path = make_run(tmp_path / "run")
    config = yaml.safe_load((path / "config.yaml").read_text())
    config |= {"variant": SCRIPT, "split": SCRIPT, "profile": {"name": SCRIPT}}
    config["dataset"] |= {"law": {"_target_": f"own.{SCRIPT}"}, "n": SCRIPT}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    status = json.loads((path / "status.json").read_text())
    status |= {"error": SCRIPT, "versions": {SCRIPT: SCRIPT}, "commit": SCRIPT, "seed": SCRIPT}
    (path / "status.json").write_text(json.dumps(status))
    equations = json.loads((path / "equations.json").read_text())
    for component in equations["components"]:
        component["front"][0]["expression"] = SCRIPT
        component["verdict"] |= {"reason": SCRIPT, "marks": SCRIPT}
    (path / "equations.json").write_text(json.dumps(equations | {"engine": SCRIPT, "target": SCRIPT}))
    page = render(read_run(path), {})
    assert "<script" not in page and page.count("&lt;script&gt;") >= 8


def test_the_report_of_a_sweep_holds_no_markup_of_others(tmp_path: Path):
    sweep = tmp_path / "sweep"
    hostile = ["<script>alert(1)<", "=HYPERLINK(1)", "$_{$", "[bold](http:", "@SUM(A1)|x"]
    for k, name in enumerate(hostile):
        folder = make(sweep, name, variant=f"{SCRIPT}{name}" if k else "bottleneck", seed=k)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["profile"]["name"] = "=cmd|' /C calc'!A0"
        config["dataset"]["law"]["_target_"] = (
            "own.$\\frac{$" if k == 3 else "gnn_distill.physics.laws.Spring"
        )
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    failed = make(sweep, "failed")
    status = {"state": "failed", "error": f"{SCRIPT} [red]no[/]", "stages": {}}
    (failed / "status.json").write_text(json.dumps(status))
    report_command([str(sweep)])
    report_command([str(sweep), "--status"])
    made = sweep / "report"
    for name in ("index.html", "report.md"):
        text = (made / name).read_text()
        assert "<script>alert" not in text and "&lt;script&gt;" in text
    assert "](http:" not in (made / "report.md").read_text().replace("](figures/", "")
    for table in (*made.glob("tables/*.csv"), made / "settings.csv", made / "timings.csv"):
        with table.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert cells and not [c for c in cells if c.startswith(("=", "@", "+"))], table
    latex = "".join(p.read_text() for p in made.glob("tables/*.tex"))
    assert r"\frac{" not in latex


def test_an_error_in_the_report_command_is_no_markup(tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as stop:
        report_command([str(tmp_path / "[/red][bold]none")])
    assert stop.value.code == 2 and "[/red][bold]none" in capsys.readouterr().err


def test_a_plan_names_jobs_of_its_own_sweep_only(tmp_path: Path):
    make(tmp_path, "elsewhere")
    make(tmp_path / "sweep", "mine")
    plan(tmp_path / "sweep", "mine", "../elsewhere", str(tmp_path / "elsewhere"), "a/../../elsewhere", "")
    assert [job.name for job in read_sweep(tmp_path / "sweep").jobs] == ["mine"]
    with pytest.raises(InputError, match="inside"):
        check_inside(tmp_path / "elsewhere", tmp_path / "sweep")


def test_sweeps_and_groups_do_not_leave_their_folders(command_line, tmp_path: Path):
    for arguments in (
        ("-m", "seed=0,1", "hydra.sweep.subdir=../out", "hydra.sweep.dir=sweep"),
        ("-m", "seed=0,1", f"hydra.sweep.subdir={tmp_path}/out", "hydra.sweep.dir=sweep"),
        ("dataset=../../../../etc/passwd",),
        ("dataset=/etc/passwd",),
    ):
        code, message = command_line(*arguments, "stages=[]")
        assert code == 2 and "Traceback" not in message, message
    assert not (tmp_path / "out").exists()


LEAKY = f"""
from gnn_distill.physics.laws import Spring


class Law(Spring):
    @property
    def described(self):
        raise RuntimeError("401: the key " + "{SECRET[:9]}" + "{SECRET[9:]} is not valid")
"""


def test_secrets_are_not_written_down(command_line, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    run = (
        "profile=smoke",
        "stages=[simulate,report]",
        f"profile.name={SECRET}",
        f"dataset.law.rest_length={SECRET}",
    )
    code, message = command_line(*run, "hydra.run.dir=one", "hydra.output_subdir=null")
    assert code == 2 and SECRET not in message.split("\nerror ")[1]  # before it Hydra repeats what was typed
    code, _ = command_line(*run[:-1], "hydra.run.dir=one", "hydra.output_subdir=null")
    assert code == 0

    (tmp_path / "leaky.py").write_text(LEAKY)
    law = ("dataset=custom", "dataset.law._target_=leaky.Law")
    jobs = (*law, "profile=smoke", "stages=[simulate]", "hydra.sweep.dir=many", "seed=0,1")
    code, message = command_line("-m", *jobs)
    assert code == 1 and SECRET not in message and "the key (hidden) is not" in message
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.name for p in written} >= {"status.json", "config.yaml", "report.html", "run.log"}
    assert [str(p) for p in written if SECRET in p.read_text(errors="ignore")] == []
    assert "name: (hidden)" in (tmp_path / "one/config.yaml").read_text()


def test_a_file_in_the_working_folder_is_no_library(tmp_path: Path, evil: Path):
    for name in ("lightning", "yaml", "pyoperon", "rich"):
        (tmp_path / f"{name}.py").write_text(f"import pathlib; pathlib.Path({str(evil)!r}).touch()")
    code = "import sys; from gnn_distill.cli.main import main; sys.argv = ['gnn-distill', 'split=no']; main()"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2 and "split" in done.stderr
    assert not evil.exists()


def test_damaged_files_of_a_run_are_named(tmp_path: Path):
    for name in ("config.yaml", "status.json", "analysis.json", "equations.json", "law.json", "metrics.csv"):
        for k, content in enumerate((b"", b"\xff\xfe\x00", b"[" * 100_000, b"[1, 2]", b"{", b"a,b\n1,x\n")):
            path = make_run(tmp_path / f"{name}-{k}")
            (path / name).write_bytes(content)
            try:
                found = read_run(path)
            except InputError as error:
                assert error.key == name and str(path / name) in str(error)
            else:
                assert isinstance(found.config, dict) and isinstance(found.status, dict)


def test_the_stored_configuration_is_plain(tmp_path: Path):
    path = make_run(tmp_path / "run")
    (path / "config.yaml").write_text("variant: !!python/object/apply:os.system ['touch exploded']\n")
    with pytest.raises(InputError, match="config.yaml"):
        read_run(path)
    assert not (Path.cwd() / "exploded").exists()


def test_code_that_the_config_of_a_loaded_run_names_is_not_run(tmp_path: Path, evil: Path):
    path = make_run(tmp_path / "run")
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["model"] = {"_target_": "os.system", "command": f"touch {evil}"}
    config["dataset"]["_target_"] = "gnn_distill.physics.simulate.Simulation"
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=r"model._target_ = 'os.system'"):
        gnn_distill.load_run(path).graphs()
    assert not evil.exists()
