"""The wheel, installed apart from the checkout, works from an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import TINY

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    source = target / "source"
    elsewhere = shutil.ignore_patterns(".*", "build", "outputs", "multirun", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=elsewhere)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(target),
        str(source),
    ]
    subprocess.run(command, check=True, timeout=200)
    (built,) = target.glob("*.whl")
    return built


def test_wheel_holds_code_and_config_and_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {str(p.relative_to(ROOT)) for p in (ROOT / "gnn_distill").rglob("*.py")}
    shipped |= {f"gnn_distill/{p.relative_to(ROOT)}" for p in (ROOT / "conf").rglob("*.yaml")}
    for kind in ("*.j2", "*.yaml", "*.mplstyle"):
        shipped |= {str(p.relative_to(ROOT)) for p in (ROOT / "gnn_distill").rglob(kind)}
    shipped |= {"gnn_distill/py.typed", "gnn_distill/__init__.pyi"}
    assert shipped <= set(names)
    assert all(n.startswith(("gnn_distill/", "gnn_distill-")) for n in names)
    inside = {n for n in names if n.startswith("gnn_distill/")}
    assert {Path(n).suffix for n in inside} == {".py", ".pyi", ".yaml", ".j2", ".mplstyle", ".typed"}
    assert not [n for n in inside if "test" in Path(n).name or "benchmark" in n]
    (entry_points,) = (n for n in names if n.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert "gnn-distill = gnn_distill.cli.main:main" in text
    assert "gnn-distill-report = gnn_distill.cli.report:main" in text
    assert "gnn-distill-data = gnn_distill.cli.data:main" in text


def test_installed_wheel_runs_from_an_empty_folder(wheel: Path, tmp_path: Path, cache: Path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next((venv / "lib").glob("python*")) / "site-packages"
    install = [
        "-m",
        "pip",
        "--python",
        str(venv / "bin/python"),
        "install",
        "--quiet",
        "--no-deps",
        str(wheel),
    ]
    subprocess.run([sys.executable, *install], check=True, timeout=200)
    # the dependencies, but not the checkout: a path line does not run the editable hook beside them
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "GNN_DISTILL_CACHE": str(cache)
    }

    def call(program: str, *arguments: str) -> str:
        command = [str(venv / "bin" / program), *arguments]
        done = subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = call(
        "python",
        "-c",
        "import gnn_distill, gnn_distill.conf; print(gnn_distill.__file__, gnn_distill.conf.__file__)",
    )
    assert all(str(venv) in path for path in where.split())
    assert "gnn-distill" in call("gnn-distill", "--help")
    call("gnn-distill", *TINY, "hydra.run.dir=run")
    assert (empty / "run/report.html").exists()
