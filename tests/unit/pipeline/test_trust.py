"""What a config may name, and where it may come from."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from gnn_distill import compose
from gnn_distill.errors import InputError
from gnn_distill.pipeline.config import register
from gnn_distill.pipeline.stages import follow
from gnn_distill.pipeline.trust import VARIABLE, allow_typed, check_sources, check_targets, targets
from gnn_distill.runs.secrets import redacted

CONF = Path(__file__).parents[3] / "conf"
SECRET = "0123456789abcdef-secret"
FOREIGN = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "hydra.utils.get_method",
    "numpy.load",
    "joblib.load",
    "my_module.Yukawa",
    "gnn_distill_evil.Law",
    "torch.load",
    "torch.hub.load",
    "torch.serialization.os.system",
    "torch.fx.GraphModule",
    "torch.distributed.nn.RemoteModule",
    "lightning.pytorch.cli.LightningCLI",
    "lightning.pytorch.trainer.trainer.os.system",
    "gnn_distill.pipeline.build.os.system",
    "gnn_distill.runs.directory.RunDirectory",
    "gnn_distill.runs.files.write_metrics",
    "gnn_distill.distil.law.export.export",
    "gnn_distill.__main__.main",
    "gnn_distill.physics.laws.ForceLaw.__subclasses__",
    "",
    7,
]


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, "")


@pytest.mark.parametrize("target", FOREIGN)
def test_code_from_elsewhere_is_refused_before_it_is_imported(target: object):
    for config in (
        {"dataset": {"law": {"_target_": target}}},
        {"callbacks": [{"deep": ({"_target_": target, "_partial_": True},)}]},
    ):
        with pytest.raises(InputError, match="_target_") as caught:
            check_targets(config)
        assert caught.value.value == target


def test_every_part_that_comes_with_the_package_is_taken():
    found = [
        target
        for path in CONF.rglob("*.yaml")
        if path.parent.parent != CONF / "hydra"
        for key, target in targets(yaml.safe_load(path.read_text()))
        if target and "hydra" not in key
    ]
    assert len(set(found)) > 20
    for target in (*found, "torch.nn.ReLU", "torch.optim.AdamW", "lightning.pytorch.loggers.CSVLogger"):
        check_targets({"part": {"_target_": target}})


def test_the_user_allows_by_name(monkeypatch: pytest.MonkeyPatch):
    config = {"law": {"_target_": "my_module.Yukawa"}, "other": {"_target_": "my_module_2.Yukawa"}}
    monkeypatch.setenv(VARIABLE, "numpy, my_module")
    with pytest.raises(InputError, match=r"my_module_2.Yukawa.*GNN_DISTILL_ALLOW=my_module_2"):
        check_targets(config)
    check_targets(config, allow=["my_module_2.Yukawa"])


@pytest.mark.parametrize(
    "typed", ["dataset.law._target_=a.b.Law", "+d={_target_: a.b.Law, k: 1}", "x={'_target_': 'a.b.Law'}"]
)
def test_what_is_typed_is_allowed_and_nothing_beside_it(typed: str):
    allow_typed(["profile=smoke", typed])
    check_targets({"law": {"_target_": "a.b.Law"}})
    with pytest.raises(InputError):
        check_targets({"law": {"_target_": "a.b.Other"}})


def test_another_process_of_a_training_trusts_its_run_directory_no_further(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(
        "stages: [train]\ndataset: {_target_: os.system, command: 'touch %s'}\n" % (tmp_path / "exploded")
    )
    with pytest.raises(InputError, match=r"dataset._target_ = 'os.system'"):
        follow(str(tmp_path))
    assert not (tmp_path / "exploded").exists()


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_configs_are_not_taken_from_a_run_directory_nor_from_a_pickle(command_line, tmp_path: Path):
    run, evil = tmp_path / "run", tmp_path / "exploded"
    (run / ".hydra").mkdir(parents=True)
    (run / "status.json").write_text("{}")
    callback = {"hydra": {"callbacks": {"evil": {"_target_": "os.system", "command": f"touch {evil}"}}}}
    for folder in (run, run / ".hydra"):
        (folder / "config.yaml").write_text(yaml.safe_dump(callback))
        for flags in (["--config-dir", str(folder)], [f"--config-path={folder}"], ["-cp", str(folder)]):
            code, message = command_line(*flags, "stages=[]")
            assert code == 2 and "it is a run directory" in message and "Traceback" not in message
    (run / "config.pickle").write_bytes(pickle.dumps(Bomb(evil)))
    code, message = command_line("--experimental-rerun", str(run / "config.pickle"))
    assert code == 2 and "it loads a pickle" in message
    assert not evil.exists()
    check_sources(["--config-dir", str(tmp_path), "profile=smoke"])


def test_a_law_in_a_yaml_file_needs_the_users_word(command_line, tmp_path: Path, monkeypatch):
    bomb = f"import pathlib; pathlib.Path({str(tmp_path / 'exploded')!r}).touch()"
    (tmp_path / "evil_law.py").write_text(bomb)
    (tmp_path / "groups/dataset").mkdir(parents=True)
    group = "defaults: [base/nbody@_here_, _self_]\nlaw: {_target_: evil_law.Law}\n"
    (tmp_path / "groups/dataset/evil.yaml").write_text(group)
    call = ("--config-dir", str(tmp_path / "groups"), "dataset=evil", "profile=smoke")
    code, message = command_line(*call)
    assert code == 2 and "GNN_DISTILL_ALLOW=evil_law" in message and len(message.splitlines()) < 5
    assert not (tmp_path / "exploded").exists()
    monkeypatch.setenv(VARIABLE, "evil_law")
    code, message = command_line(*call)
    assert code == 2 and "evil_law.Law" in message  # there is no such class, but the module was read
    assert (tmp_path / "exploded").exists()


def test_secrets_of_the_environment_cannot_be_read_into_a_config(monkeypatch: pytest.MonkeyPatch):
    register()
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("PLAIN", "word")
    assert OmegaConf.create({"a": "${oc.env:PLAIN}", "b": "${oc.env:NONE,x}"}) == {"a": "word", "b": "x"}
    for name in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "OPENAI_API_KEY"):
        for text in (f"${{oc.env:{name}}}", f"x${{oc.env:{name},none}}", "${oc.env:${name}}"):
            config = OmegaConf.create({"variant": text, "name": name})
            with pytest.raises(Exception, match="leave secrets in the environment") as caught:
                OmegaConf.to_container(config, resolve=True)
            assert SECRET not in str(caught.value)


def test_only_secrets_are_blotted_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("SHORT_TOKEN", "short")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    assert redacted(f"a {SECRET} b short safe.directory") == "a (hidden) b short safe.directory"


def test_what_python_code_asks_for_is_allowed_and_run_directories_are_not(tmp_path: Path, monkeypatch):
    law = "from gnn_distill.physics.laws import Spring\n\n\nclass Mine(Spring):\n    pass\n"
    (tmp_path / "law_of_mine.py").write_text(law)
    monkeypatch.syspath_prepend(tmp_path)
    config = compose(
        ["dataset=custom", "dataset.law._target_=law_of_mine.Mine", "profile=smoke", "threads=1"]
    )
    assert config.dataset.law._target_ == "law_of_mine.Mine"
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(InputError, match="it is a run directory"):
        compose(config_dir=tmp_path)
