"""A launcher whose plugin is missing, also where there is no plugin of Hydra's at all."""

import sys

import pytest
from omegaconf import OmegaConf

from gnn_distill.cli.sweep import check_launcher
from gnn_distill.errors import InputError


def test_missing_plugins_name_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("hydra_plugins.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hydra_plugins", None)
    target = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    with pytest.raises(InputError, match=r"pip install 'gnn_distill\[joblib\]'"):
        check_launcher(OmegaConf.create({"_target_": target}))


def test_the_launcher_of_hydra_needs_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins", None)
    target = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    check_launcher(OmegaConf.create({"_target_": target}))
