"""`q` and Enter end the training of the real command on a terminal; the page says so."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from gnn_distill.runs.files import read_metrics
from tests.conftest import TINY

EPOCHS = 4000


def test_q_ends_the_training_and_the_page_says_so(cache: Path, tmp_path: Path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "gnn_distill", *TINY, f"profile.epochs={EPOCHS}"]
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [*command, f"hydra.run.dir={run}", "variant=bottleneck", "stages=[simulate,train,analyse,report]"],
        cwd=tmp_path,
        env=os.environ | {"GNN_DISTILL_CACHE": str(cache), "COLUMNS": "200"},
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # which the terminal then is not in control of
    )
    try:
        since = time.monotonic()
        while (
            not (run / "metrics.csv").exists() and process.poll() is None and time.monotonic() < since + 120
        ):
            time.sleep(0.1)
        os.write(keyboard, b"q\n")
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
        os.close(keyboard), os.close(terminal)
    assert process.returncode == 0, told
    status = json.loads((run / "status.json").read_text())
    train = status["stages"]["train"]
    assert (status["state"], train["complete"], train["ended"], train["of"]) == (
        "complete",
        True,
        "by hand",
        EPOCHS,
    )
    assert 0 < train["epochs"] < EPOCHS
    assert (
        len(read_metrics(run / "metrics.csv")) - 1 < train["epochs"] <= len(read_metrics(run / "metrics.csv"))
    )
    said = f"Training was ended by hand after {train['epochs']:g} of {EPOCHS} epochs"
    assert said in told and said in (run / "report.html").read_text()
