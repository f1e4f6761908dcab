"""Tables, formats and the page over synthetic sweeps: seeds, gaps, failures, comparisons, hostile text."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import platform
import random
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gnn_distill.cli.report import main
from gnn_distill.errors import InputError
from gnn_distill.report.sweep.figures import scores
from gnn_distill.report.sweep.frame import frame, winner
from gnn_distill.report.sweep.labels import differing, flatten, labels
from gnn_distill.report.sweep.page import write_sweep_report
from gnn_distill.report.sweep.tables import Table, tables
from gnn_distill.runs.sweep import load_job, read_sweep

CLASSES = {"spring": "Spring", "charge": "Coulomb", "r1": "InverseDistance"}
HOSTILE = "<script>alert(1)</script>"


def make(
    folder: Path,
    name: str,
    law: str = "spring",
    variant: str = "bottleneck",
    seed: int = 0,
    loss: float = 0.2,
    robust: float = 0.99,
    validation: float | None = None,
    prune: tuple[str, float] | None = None,
    marks: tuple[str | None, ...] = ("", ""),
    **profile: Any,
) -> Path:
    """A complete run with the numbers that tables read; `marks` None: a component that was not recovered."""
    path = folder / name
    path.mkdir(parents=True)
    config: dict[str, Any] = {
        "dataset": {"n": 4, "dim": 2, "law": {"_target_": f"gnn_distill.physics.laws.{CLASSES[law]}"}},
        "variant": variant,
        "profile": {"name": "quick", **profile},
        "split": "trajectories",
        "seed": seed,
        "threads": seed + 1,
    }
    if prune:
        schedule = {"_target_": f"gnn_distill.train.prune.{prune[0]}", "_partial_": True}
        config["callbacks"] = {"prune": {"schedule": schedule, "end": prune[1], "seed": seed}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    pair = {"robust": [robust, robust], "ols": [robust / 2, robust / 2]}
    best = {"gauge": "force", "robust_mean": robust, "ols_mean": robust / 2}
    analysis = {
        "split": "trajectories",
        "test": {"mae": loss / 8, "mae_per_graph": loss},
        "r2": {"force": pair, "pullback": pair},
        "best": best,
        "std": [1.0, 0.5, 1e-5],
        "validation": {"best": {"robust_mean": validation}},
    }
    verdicts = [{"recovered": m is not None, "marks": m} for m in marks]
    equations = {"target": "pullback", "components": [{"verdict": v} for v in verdicts], "also": {}}
    equations["also"] = {"components_raw": {"components": [{"verdict": {"recovered": False}}] * 2}}
    law_json = {"test": {"mae": loss / 100}, "network": {"mae": loss / 8}}
    stages = {"train": {"seconds": 10.0 + seed, "complete": True}}
    status = {"state": "complete", "stages": stages, "versions": {"torch": "2.13.0"}, "commit": "0123abcd"}
    for file, content in (
        ("analysis", analysis), ("equations", equations), ("law", law_json), ("status", status)
    ):  # fmt: skip
        (path / f"{file}.json").write_text(json.dumps(content))
    (path / "metrics.csv").write_text(
        "epoch,step,active_dims,val_mae_per_graph\n0,10,100,1.5\n1,20,50,1.1\n2,30,2,1.0\n"
    )
    return path


def plan(folder: Path, *jobs: str) -> None:
    (folder / "sweep.json").write_text(json.dumps({"jobs": jobs}))


def table(folder: Path, name: str, *more: Path) -> Table:
    sweeps = [read_sweep(f) for f in (folder, *more)]
    return next(t for t in tables(frame(sweeps), [s.name for s in sweeps]) if t.name == name)


def cell(t: Table, row: str, column: str, sweep: int = 0):
    return t.cells.loc[(row, column, sweep)]


def test_seeds_are_averaged_and_published_values_stand_beside(tmp_path: Path):
    for seed, loss in enumerate((0.1, 0.2, 0.3)):
        make(tmp_path, f"seed={seed}", seed=seed, loss=loss)
    t = table(tmp_path, "table2")
    found = cell(t, "spring", "bottleneck")
    assert found["values"] == "0.1 0.2 0.3" and found.seeds == 3
    assert found.text == "0.2 ± 0.1"
    assert found.published == 0.16 and found.beside == "0.16"
    assert t.rows == ["spring"] and t.columns == ["bottleneck"]
    assert "in 0 of 1 cells" in t.note


def test_what_is_missing_or_failed_can_be_seen(tmp_path: Path):
    make(tmp_path, "a", law="spring", variant="bottleneck")
    make(tmp_path, "b", law="charge", variant="kl")
    failed = make(tmp_path, "c", law="charge", variant="bottleneck")
    (failed / "analysis.json").unlink()
    (failed / "status.json").write_text(json.dumps({"state": "failed", "error": "ValueError: no\nmore"}))
    plan(tmp_path, "a", "b", "c", "never-begun")
    t = table(tmp_path, "table3")
    assert set(t.rows) == {"charge", "r1", "r2", "spring"}
    assert t.columns == ["standard", "bottleneck", "l1", "kl", "pruning"]
    states = {(r, c): cell(t, r, c).state for r in t.rows for c in t.columns}
    assert states.pop(("charge", "bottleneck")) == "failed"
    assert [k for k, v in states.items() if v == "done"] == [("charge", "kl"), ("spring", "bottleneck")]
    assert [j.state for j in read_sweep(tmp_path).jobs] == ["complete", "complete", "failed", "waiting"]
    write_sweep_report([read_sweep(tmp_path)], tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    assert page.count("ValueError: no more") == 1 and len(re.findall("<li>", page)) == 1


def test_other_settings_are_other_rows(tmp_path: Path):
    make(tmp_path, "a", basis="raw", width=64)
    make(tmp_path, "b", basis="delta", width=128)
    make(tmp_path, "c", basis="delta", width=128, seed=1)
    t = table(tmp_path, "table2")
    assert t.rows == ["spring, basis=raw", "spring, basis=delta"]
    assert list(t.cells["seeds"]) == [1, 2]
    assert list(t.cells["published"]) == [0.16, 0.16]


def test_one_setting_changed_at_a_time_is_named_by_the_change(tmp_path: Path):
    changes = [{}, {"basis": "raw"}, {"node": "mlp"}, {"optimiser": "adam", "learning_rate": 0.1}]
    for law in ("spring", "charge"):
        for k, change in enumerate(changes):
            usual = {"basis": "polar", "node": "power", "optimiser": "muon", "learning_rate": 0.2}
            make(tmp_path, f"{law}-{k}", law=law, **usual | change)
    t = table(tmp_path, "table2")
    rows = [f"{law}{more}" for law in ("charge", "spring") for more in ("", *CHANGES)]
    assert sorted(t.rows) == sorted(rows) and t.rows[0] == "charge" and t.rows[4] == "spring"
    figure = scores(frame([read_sweep(tmp_path)]))
    assert figure is not None and [axes.get_title() for axes in figure.axes] == ["charge", "spring"]
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["bottleneck", "basis=raw", "node=mlp", "optimiser=adam"]


def named(*changes: dict[str, Any], base: dict[str, Any], variant: str = "l1") -> list[str]:
    configs = [{"variant": variant, **base, **change} for change in changes]
    return [label for label, _ in labels(configs, [variant] * len(configs))]


def test_what_changes_a_result_names_a_row_and_what_does_not_names_none():
    prune = {"target_dims": 2, "schedule": {"_target_": "x.cosine", "rate": 3.0}, "end": 0.65}
    base = {"schedule": prune, "callbacks": {"prune": prune}, "dataset": {"law": {"rest_length": 1.0}}}
    auto = prune | {"target_dims": "auto"}
    steep = prune | {"schedule": {"_target_": "x.cosine", "rate": 6.0}}
    changes = [{"schedule": p, "callbacks": {"prune": p}} for p in (auto, steep)]
    changes.append({"dataset": {"law": {"rest_length": 2.0}}})
    assert named({}, *changes, base=base) == ["", "target_dims=auto", "rate=6.0", "rest_length=2.0"]
    place = {"trainer": {"accelerator": "gpu", "devices": 2}, "checkpoint_steps": 500, "seed": 1}
    assert named({}, place, base={"trainer": {"accelerator": "cpu", "devices": 1}}) == ["", ""]


def test_parameters_of_one_schedule_are_not_asked_of_another():
    schedules = [
        {"_target_": "p.cosine"},
        {"_target_": "p.exponential", "rate": 3.0},
        {"_target_": "p.linear"},
    ]
    prunes = [{"schedule": s, "end": 0.65} for s in schedules]
    made = named(*({"callbacks": {"prune": p}} for p in prunes), base={})
    assert made == ["pruning=cosine", "pruning=exp", "pruning=linear"]


def test_settings_of_one_name_are_told_apart():
    base = {"profile": {"warmup": 0.05}, "regulariser": {"warmup": 0.5}}
    changes = [{}, {"profile": {"warmup": 0.1}}, {"regulariser": {"warmup": 0.1}}]
    assert named(*changes, base=base) == ["", "profile.warmup=0.1", "regulariser.warmup=0.1"]


def test_usual_is_what_a_variant_usually_has():
    weights = {"kl": 1.0, "l1": 0.01}
    runs = [(law, v, {"weight": w}) for law in ("charge", "spring") for v, w in weights.items()]
    runs += [("charge", v, {"weight": 0.1}) for v in weights]
    configs = [{"variant": v, "dataset": {"stride": law}, "regulariser": r} for law, v, r in runs]
    made = labels(configs, [(law, v) for law, v, _ in runs])
    assert [label for label, _ in made] == [""] * 4 + ["weight=0.1"] * 2


def test_different_settings_of_a_group_never_share_a_label():
    rng = random.Random(0)
    for _ in range(200):
        runs = rng.randint(2, 8)
        configs = [
            {
                "variant": "l1",
                "a": {"x": rng.randint(0, 2), "y": rng.choice("pq")},
                "b": {"x": rng.randint(0, 1)},
            }
            for _ in range(runs)
        ]
        made = [label for label, _ in labels(configs, [0] * runs)]
        pairs = itertools.combinations(range(runs), 2)
        assert all((made[i] == made[j]) is (configs[i] == configs[j]) for i, j in pairs), (configs, made)


CHANGES = (", basis=raw", ", node=mlp", ", optimiser=adam")


@pytest.mark.parametrize(
    ("name", "key", "ours", "good"),
    [
        ("table3", "robust", 0.99996, True),  # published: 1.0000
        ("table3", "robust", 0.99994, False),
        ("original", "robust", 0.9996, True),  # published: 1.000
        ("table2", "loss", 0.164, False),  # published: 0.16
        ("table2", "loss", 0.16, True),
    ],
)
def test_r2_is_compared_with_as_many_decimals_as_were_published(tmp_path: Path, name, key, ours, good):
    make(tmp_path, "a", **{key: ours})
    assert cell(table(tmp_path, name), "spring", "bottleneck").good == good
    write_sweep_report([read_sweep(tmp_path)], tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    section = page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
    assert ('class="key"' in section) is good  # bold


def grid(folder: Path) -> None:
    scores = {("linear", 0.65): 0.98, ("cosine", 0.65): 0.995, ("exponential", 0.75): 0.999}
    for k, (prune, score) in enumerate(scores.items()):
        for seed in (0, 1):
            make(
                folder, f"{k}-{seed}", "charge", "pruning", seed, prune=prune,
                robust=1 - score / 2, validation=score + 0.0001 * seed,
            )  # fmt: skip


def test_pruning_grid_is_won_on_validation_graphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    grid(tmp_path)
    best = winner(frame([read_sweep(tmp_path)]))
    assert best is not None and best.overrides == "schedule=exp schedule.end=0.75"
    assert best.validation == pytest.approx(0.99905)
    main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[-1].endswith(best.overrides)
    t = table(tmp_path, "table1")
    assert t.rows == ["linear", "exp", "cosine"] and t.columns == ["0.65", "0.75", "0.85"]
    assert cell(t, "cosine", "0.65").published == 0.9977
    assert cell(t, "linear", "0.85").state == "missing"
    assert "Best: linear, 0.65" in t.note  # by the test graphs of this table


def test_recovered_components_are_marked_and_counted(tmp_path: Path):
    make(tmp_path, "a", law="charge", variant="l1", marks=("‡", None))
    make(tmp_path, "b", law="charge", variant="l1", seed=1)
    t = table(tmp_path, "table5_pullback")
    assert cell(t, "charge", "l1").marks == "✓‡ ✗ | ✓ ✓"
    assert cell(t, "charge", "l1").published == "✓§* ✗"
    assert "3 of 4 components recovered" in t.note
    assert "0 of 4 components" in table(tmp_path, "table5_components_raw").note
    make(tmp_path, "c", law="charge", variant="kl_tuned")
    note = table(tmp_path, "table5_pullback").note
    assert "3 of 4 components recovered; published: 26 of 40. Beside them: 2 of 2." in note


def test_two_sweeps_are_compared_cell_by_cell(tmp_path: Path):
    make(tmp_path / "one", "a", loss=0.3)
    make(tmp_path / "two", "a", loss=0.1)
    t = table(tmp_path / "one", "table2", tmp_path / "two")
    assert [cell(t, "spring", "bottleneck", k)["mean"] for k in (0, 1)] == [0.3, 0.1]
    assert "0 of 1 cells (one)" in t.note and "1 of 1 cells (two)" in t.note
    assert "A: 0.3<br>B: 0.1 (0.16)" in t.markdown(["A", "B"])


def test_csv_has_every_number_and_latex_is_safe(tmp_path: Path):
    make(tmp_path, "a", law="charge", variant="pruning", prune=("cosine", 0.65))
    rows = list(csv.DictReader(io.StringIO(table(tmp_path, "table2").csv(["x"]))))
    assert [r["mean"] for r in rows] == ["0.2"] and rows[0]["published"] == "20.35"
    text = table(tmp_path, "table5_pullback").latex()
    assert r"\checkmark{} \checkmark{} (\checkmark{}\ddag{}*" in text
    one = pd.DataFrame({"text": ["1"], "beside": [None]}, pd.MultiIndex.from_tuples([("x_1", "c#", 0)]))
    odd = Table("t", "50 % & a_b", "", one.rename_axis(["row", "column", "sweep"])).latex()
    assert r"50 \% \& a\_b" in odd and r"x\_1" in odd and r"c\#" in odd


def test_page_is_self_contained_and_hostile_text_is_shown(tmp_path: Path):
    folder = tmp_path / "sweep"
    make(folder, "a", variant="standard")
    make(folder, "b", variant="l1", law="spring", name_of=HOSTILE)
    write_sweep_report([read_sweep(folder)], tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("<script") == 1
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith(("data:", "#", "../")), address
    assert "http" not in re.sub(r'data:[^"]*', "", page)
    assert {p.stem for p in (tmp_path / "out/figures").iterdir()} == {"scores", "sparsity", "losses"}
    again = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    write_sweep_report([read_sweep(folder)], tmp_path / "out")
    assert {p: p.read_bytes() for p in again} == again


def test_half_written_runs_are_no_obstacle(tmp_path: Path):
    make(tmp_path, "good")
    broken = make(tmp_path, "broken", seed=1)
    (broken / "analysis.json").write_text("{")
    no_config = make(tmp_path, "no-config", seed=2)
    (no_config / "config.yaml").unlink()
    write_sweep_report([read_sweep(tmp_path)], tmp_path / "report")
    assert cell(table(tmp_path, "table2"), "spring", "bottleneck").seeds == 1
    page = (tmp_path / "report/index.html").read_text()
    assert sorted(re.findall(r"<li>([\w-]+):", page)) == ["broken", "no-config"]


def test_status_says_what_runs_and_what_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = make(tmp_path, "job")

    running = {"state": "running", "stage": "train", "host": platform.node(), "stages": {}}
    (path / "status.json").write_text(json.dumps(running | {"pid": os.getpid()}))
    main([str(tmp_path), "--status"])
    assert "running" in (out := capsys.readouterr().out) and "train, epoch 3" in out
    (path / "status.json").write_text(json.dumps(running | {"pid": 2**22 + 1}))
    assert load_job(path, "job").state == "killed"
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "nowhere")])
    assert stop.value.code == 2 and "gnn-distill -m" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(InputError):
        read_sweep(tmp_path / "nowhere")


def test_archive_gives_the_same_tables_and_keeps_the_machine_to_itself(tmp_path: Path):
    sweep = tmp_path / "sweep"
    for variant, loss in (("l1", 0.2), ("kl", 0.3)):
        path = make(sweep, f"variant={variant}", variant=variant, loss=loss)
        settings = yaml.safe_load((path / "config.yaml").read_text()) | {"cache": "/home/someone/cache"}
        (path / "config.yaml").write_text(yaml.safe_dump(settings))
        (path / "messages.npz").write_bytes(b"large")
    main([str(sweep), "--archive", str(tmp_path / "kept")])
    kept = tmp_path / "kept/sweep"
    before, after = (read_sweep(folder) for folder in (sweep, kept))
    made = [tables(frame([sweep]), ["x"]) for sweep in (before, after)]
    assert made[0] and [*map(repr, made[0])] == [*map(repr, made[1])]
    assert all(b.cells.equals(a.cells) for b, a in zip(*made, strict=True))
    assert [job.state for job in after.jobs] == ["complete", "complete"]
    files = [path for path in kept.rglob("*") if path.is_file()]
    assert not [path for path in files if path.name == "messages.npz"]
    assert not [path for path in files if "someone" in path.read_text()]


def test_differing_settings_are_named_once():
    configs = [{"a": {"x": 1}, "profile": {"x": 1}, "b": 5}, {"a": {"x": 2}, "profile": {"x": 2}, "b": 5}]
    assert differing([flatten(c) for c in configs]) == ["profile.x"]
    assert flatten({"a": {}, "b": [1, 2]}) == {"a": {}, "b": [1, 2]}


def test_a_mean_needs_no_spread(tmp_path: Path):
    make(tmp_path, "a", robust=0.5)
    found = cell(table(tmp_path, "table3"), "spring", "bottleneck")
    assert math.isnan(found["sd"]) and found.text == "0.5000"
