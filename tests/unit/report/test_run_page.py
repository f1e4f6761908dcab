"""The report on synthetic run directories: complete, half-done, unknown law, hostile text."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from gnn_distill.analyse.gauge import fit_gauge
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.summary import summarise
from gnn_distill.distil.verdict.judge import STILL
from gnn_distill.errors import InputError
from gnn_distill.physics import laws
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.report import write_report
from gnn_distill.report.equations import in_distance
from gnn_distill.report.figures.all import draw
from gnn_distill.report.figures.curves import training
from gnn_distill.report.figures.radial import distilled_profile, separable, true_profile, unit, unit_profile
from gnn_distill.report.figures.scatter import best_gauge
from gnn_distill.report.run.page import render
from gnn_distill.report.run.story import outcome, published
from gnn_distill.report.run.terminal import show
from gnn_distill.runs.load import read_run

FIGURES = {
    "law", "pullback", "field", "residual", "messages", "importance", "relative_error", "training",
}  # fmt: skip
LAWS = {
    "Spring": ("-1.99824*{d} + 2.0007*{d}/r", "m1"),
    "InverseDistance": ("-0.99876543*m2*{d}/r**2", ""),
    "Coulomb": ("0.99876543*q1*q2*{d}/(m1*r**3)", ""),
}
HOSTILE = "<script>alert(1)</script>"


def make_run(
    path: Path, law: str | None = "Spring", dim: int = 2, recovered: tuple[bool, ...] = (True, True)
) -> Path:
    """A run directory of 4 particles whose network knows the law up to 2 % noise and a gauge m1^-1."""
    path.mkdir(parents=True)
    arrays = _arrays(law, dim)
    np.savez(path / "messages.npz", **arrays)
    _write(path, "analysis", _analysis(arrays, dim))
    expression = LAWS[law or "Spring"][0]
    _write(path, "equations", _equations(expression, dim, recovered if law else None))
    acceleration = [f"({expression.format(d=d)})" for d in ("dx", "dy", "dz")[:dim]]
    accuracy = {"test": {"mae": 0.0123}, "network": {"mae": 0.0531}, "r2_truth": None}
    _write(path, "law", {"acceleration": acceleration, "constants": [[1.99824]] * dim, **accuracy})
    _write(path, "status", _status())
    dataset: dict[str, Any] = {"_target_": "own.Data", "n": 4, "dim": dim, "simulations": 1500, "frames": 100}
    if law:
        dataset["law"] = {"_target_": f"gnn_distill.physics.laws.{law}"}
    config = {
        "dataset": dataset,
        "variant": "pruning",
        "profile": {"name": "quick"},
        "split": "trajectories",
        "seed": 0,
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    rows = ["epoch,train_mae_per_graph,val_mae_per_graph,active_dims"]
    rows += [f"{k},{5 / (k + 1)},{6 / (k + 1)},{max(dim, 10 - 2 * k)}" for k in range(8)]
    (path / "metrics.csv").write_text("\n".join(rows) + "\n")
    return path


def _arrays(law: str | None, dim: int, graphs: int = 60, n: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, mass = rng.normal(size=(graphs, n, dim)), np.exp(rng.normal(size=(graphs, n)))
    charge = np.sign(rng.normal(size=(graphs, n)))
    i, j = np.array([(a, b) for a in range(n) for b in range(n) if a != b]).T
    delta = (x[:, i] - x[:, j]).reshape(-1, dim)
    m1, m2, q1, q2 = (v[:, k].reshape(-1) for v in (mass, charge) for k in (i, j))
    force = getattr(laws, law or "Spring")().pair_force(delta, m1, m2, q1, q2)
    pulled = force / m1[:, None] * (1 + 0.02 * rng.normal(size=force.shape))
    messages = np.zeros((len(delta), 10), dtype=np.float32)
    messages[:, 3 : 3 + dim] = pulled
    mask = np.zeros(10, dtype=bool)
    mask[3 : 3 + dim] = True
    selected = pulled - pulled.mean(0)
    arrays = {
        "delta": delta, "r": np.linalg.norm(delta, axis=1) + 0.01, "m1": m1, "m2": m2, "q1": q1, "q2": q2,
        "receiver": (np.arange(graphs)[:, None] * n + i).reshape(-1), "messages": messages, "mask": mask,
        "selected": selected / selected.std(0), "pullback": pulled, "components": np.arange(3, 3 + dim),
        "importance": messages.std(0), "std": messages.std(0),
    }  # fmt: skip
    around = np.random.default_rng(1).normal(size=(40, dim))
    arrays |= {f"field_{name}": np.float64(0.9) for name in ("m1", "m2", "q1", "q2")}
    arrays |= {"field_delta": around, "field_pullback": -around, "field_messages": around[:, ::-1]}
    return arrays | ({"force": force} if law else {})


def _analysis(arrays: dict[str, Any], dim: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "split": "trajectories",
        "test": {"mae": 0.0531, "mae_per_graph": 0.4248, "graphs": 60},
        "components": arrays["components"].tolist(),
        "importance": {"kind": "std", "values": arrays["importance"].tolist()},
        "active_dims": dim,
        "r2": {},
        "gauge": None,
        "best": None,
        "relative_error": {},
    }
    if "force" not in arrays:
        return result
    scores = {"force": 0.8412, "acceleration": 0.9987, "gauge": 0.9991, "pullback": 0.9998}
    result["r2"] = {
        k: {"robust": [v] * dim, "ols": [v - 0.3] * (dim - 1) + [None]} for k, v in scores.items()
    }
    each = [[v - 0.001, v + 0.0005] for v in scores.values()]
    result["r2_interval"] = {
        k: {"robust": [limits] * dim, "robust_mean": limits} for k, limits in zip(scores, each, strict=True)
    }
    result["bootstrap"] = {"level": 0.95, "draws": 400, "trajectories": 225}
    row = {"robust": [0.9961] * dim, "ols": [0.9] * dim}
    result["subspace"] = {"edges": 720, "force": row, "acceleration": {**row, "robust": [0.99] * dim}}
    result["effective_dimension"] = {"participation_ratio": 2.34, "components_99": 3}
    result["importance"]["reason"] = "2 of 2 unpruned dimensions, ranked by standard deviation over all edges"
    result["network_gauge"] = {
        "p": 0.9714, "p_interval": [0.96, 0.98], "message_slope": 0.01, "offset_std": [0.02] * dim,
        "scale": {"m1": 0.61, "v1": 0.004}, "offset": {"m1": 0.001, "v1": 0.002},
    }  # fmt: skip
    turn = {"angle": 31.4, "reflection": True} if dim == 2 else {"angle": None, "reflection": None}
    result["mixing"] = {"gauge": "gauge", "matrix": np.eye(dim).tolist(), "condition": 1.25, **turn}
    result["gauge"] = {"p": 0.98, "centred": False, "p_interval": [0.97, 0.99], "offset_std": [0.03] * dim}
    result["best"] = {"gauge": "gauge", "robust_mean": 0.9991, "ols_mean": 0.6991}
    decade = {"low": 0.1, "high": 1.0, "median": 0.0234, "edges": 400}
    result["relative_error"] = {
        "pullback": [decade, {**decade, "low": 1.0, "high": 10.0, "edges": 7}],
        "median": 0.021,
    }
    return result


def _equations(expression: str, dim: int, recovered: tuple[bool, ...] | None) -> dict[str, Any]:
    components = []
    for k, d in enumerate(("dx", "dy", "dz")[:dim]):
        front = [
            {"complexity": 1, "loss": 1.5, "score": 0.0, "expression": "-0.11234567"},
            {"complexity": 9, "loss": 0.051, "score": 0.42, "expression": expression.format(d=d)},
        ]
        verdict = None
        if recovered is not None:
            reason = "equal to the law; R² = 0.999998" if recovered[k] else "it contains nothing of the law"
            found = 1 if recovered[k] else None
            verdict = {"recovered": recovered[k], "equation": found, "marks": "", "reason": reason}
        components.append({"dim": d, "front": front, "score_pick": 1, "choice": 1, "verdict": verdict})
    return {"engine": "operon", "target": "pullback", "components": components}


def _status() -> dict[str, Any]:
    stages = {"train": {"seconds": 118.5, "complete": True}, "report": {"seconds": 0.0, "complete": False}}
    return {
        "state": "running", "stage": "report", "error": None, "stages": stages, "peak_rss_mib": 735.25,
        "seed": 0, "versions": {"torch": "2.13.0"}, "commit": "0123abcd",
    }  # fmt: skip


def _write(path: Path, name: str, content: Any) -> None:
    (path / f"{name}.json").write_text(json.dumps(content))


def report(path: Path) -> tuple[str, str]:
    """Write the report; returns the page and what the terminal shows."""
    console = Console(width=100, record=True, file=io.StringIO())
    write_report(path, console)
    return (path / "report.html").read_text(encoding="utf-8"), console.export_text()


def words(path: Path) -> tuple[str, str]:
    """The page and the terminal's text without drawing figures."""
    console = Console(width=100, record=True, file=io.StringIO())
    run = read_run(path)
    show(run, console)
    return render(run, {}), console.export_text()


def figures(path: Path) -> set[str]:
    return {p.stem for p in (path / "figures").glob("*.png")}


class Text(HTMLParser):
    """Visible text, in all and of each class; and every address a browser would load or follow."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.inside: list[tuple[str, list[list[str]]]] = []
        self.parts: dict[str, list[list[str]]] = {}
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            v or "" for k, v in attrs if k in ("src", "href", "srcset", "action", "data", "style")
        ]
        if tag in ("br", "img", "meta", "link"):
            return
        opened: list[list[str]] = [[] for _ in ((dict(attrs).get("class") or "") + f" {tag}").split()]
        for name, part in zip(((dict(attrs).get("class") or "") + f" {tag}").split(), opened, strict=True):
            self.parts.setdefault(name, []).append(part)
        self.inside.append((tag, opened))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        for _, opened in self.inside:
            for part in opened:
                part.append(data)

    def of(self, name: str) -> list[str]:
        """The text of each element of a class, or of a tag."""
        return [" ".join("".join(part).split()) for part in self.parts.get(name, [])]


@pytest.fixture
def spring(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_a_complete_run_gets_every_figure_as_a_light_png(spring: Path) -> None:
    report(spring)
    assert figures(spring) == FIGURES
    for path in (spring / "figures").iterdir():
        data = path.read_bytes()
        width, height = (int.from_bytes(data[k : k + 4], "big") for k in (16, 20))
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert 600 < width < 1800 and 300 < height < 900
        assert 5_000 < len(data) < 150_000


def test_page_tells_the_numbers_of_the_run(spring: Path) -> None:
    page = Text(words(spring)[0])
    for expected in (
        "0.0531", "0.4248", "1,500", "0.8412", "0.9998", "0.98", "0.23", "0.9523", "0.6845", "0.0123",
        "0.999998", "735.2", "0123abcd", "118", "−1.998 Δx + 2.001 Δx/r", "0.0234",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert page.of("good") and not page.of("note")


def test_page_needs_nothing_from_outside(spring: Path) -> None:
    page = report(spring)[0]
    parsed = Text(page)
    images = [a for a in parsed.addresses if a.startswith("data:image/")]
    assert len(images) == len(FIGURES) + 2
    within = [a for a in parsed.addresses if a.startswith("#")]
    assert [a for a in parsed.addresses if a not in within] == images
    assert within and all(f'id="{a[1:]}"' in page for a in within)  # words that the page explains
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert not re.search(r"https?://|@import|url\(", page)
    assert report(spring)[0] == page  # regenerating changes nothing


def reasons(path: Path) -> list[str]:
    """Sentences that keep a reader from misreading R², on page and terminal alike."""
    page, terminal = words(path)
    told = Text(page).of("why")
    assert all("".join(sentence.split()) in "".join(terminal.split()) for sentence in told)
    return told


def test_force_gap_is_explained_by_the_fitted_gauge(spring: Path) -> None:
    (told,) = reasons(spring)
    assert all(number in told for number in ("m₁^(−p)", "0.98", "F/m₁", "0.9991", "0.84"))


def change(path: Path, name: str, **values: Any) -> None:
    content = json.loads((path / f"{name}.json").read_text())
    _write(path, name, content | values)


def test_no_gauge_sentence_where_force_already_fits(spring: Path) -> None:
    scores = json.loads((spring / "analysis.json").read_text())["r2"]
    scores["force"]["robust"] = [0.9985, 0.9985]
    change(spring, "analysis", r2=scores)
    assert reasons(spring) == []


def test_poor_messages_are_not_excused(spring: Path) -> None:
    excuse = reasons(spring)[0]
    change(spring, "analysis", best={"gauge": "gauge", "robust_mean": 0.91, "ols_mean": 0.6991})
    gauge, pulled = reasons(spring)  # the pull-back is told, since it does explain the gap
    assert "0.84" in gauge and "0.91" in gauge and gauge.partition(".")[2] != excuse.partition(".")[2]
    assert "0.91" in pulled and "0.9998" in pulled


@pytest.mark.parametrize(
    ("recovered", "level"),
    [((True, True), "good"), ((True, False), "partial"), ((False, True), "partial"), ((False, False), "bad")],
)
def test_recovery_is_claimed_only_where_the_verdict_says_so(
    tmp_path: Path, recovered: tuple[bool, ...], level: str
) -> None:
    path = make_run(tmp_path / "run", recovered=recovered)
    page, terminal = Text(words(path)[0]), " ".join(words(path)[1].split())
    found = outcome(read_run(path))
    assert found.level == level and [name for name in LEVELS if page.of(name)] == [level]
    (banner,) = page.of("banner")
    for line in (found.headline, *found.details):
        assert line in banner and line in terminal
    verdicts = [entry["verdict"]["reason"] for entry in json.loads(read(path, "equations"))["components"]]
    assert [line.split(" – ")[1] for line in found.details] == verdicts
    assert len(page.of("hit")) == sum(recovered)


LEVELS = ("good", "partial", "bad", "open")


def read(path: Path, name: str) -> str:
    return (path / f"{name}.json").read_text()


def test_an_axis_along_which_nothing_moves_is_not_counted(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", dim=3, recovered=(True, True, False))
    assert outcome(read_run(path)).level == "partial"
    equations = json.loads(read(path, "equations"))
    equations["components"][2]["verdict"]["reason"] = STILL
    _write(path, "equations", equations)
    found = outcome(read_run(path))
    assert found.level == "good" and len(found.details) == 3 and found.details[2].endswith(STILL)


def test_terminal_page_fits_one_screen(spring: Path) -> None:
    terminal = words(spring)[1]
    assert len(terminal.splitlines()) <= 40
    for expected in (
        "0.9991",
        "0.0531",
        "a_x = Σ_j [ (−1.998 Δx + 2.001 Δx/r) ]",
        outcome(read_run(spring)).headline,
        "report.html",
    ):
        assert expected in terminal


@pytest.mark.parametrize("law", ["InverseDistance", "Coulomb"])
def test_other_laws_collapse_on_one_curve(tmp_path: Path, law: str) -> None:
    path = make_run(tmp_path / "run", law)
    run, known = read_run(path), getattr(laws, law)()
    arrays = run.messages()
    share = separable(true_profile(known), arrays)
    assert share is not None
    size = (arrays["force"] * arrays["delta"]).sum(1) / np.linalg.norm(arrays["delta"], axis=1)
    np.testing.assert_allclose(size / share, true_profile(known)(arrays["r"], unit(arrays)), rtol=1e-9)
    r = np.array([0.5, 1.0, 3.0])
    radial = unit_profile(run, r, arrays)
    assert radial is not None
    exact = true_profile(known)(r, unit(arrays))
    np.testing.assert_allclose(radial, exact * (r - 0.01) / r * 0.99876543, rtol=1e-6)


def test_a_law_that_is_no_product_is_shown_by_medians(spring: Path) -> None:
    class Mixed(laws.Spring):
        @staticmethod
        def magnitude(r, m1, m2, q1, q2, params):  # type: ignore[no-untyped-def]
            return q1 * q2 / r**2 - m1 * m2 / r

    assert separable(true_profile(Mixed()), read_run(spring).messages()) is None


def test_three_dimensions(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", "InverseDistance", dim=3, recovered=(True, True, True))
    assert set(draw(read_run(path), path / "figures")) == FIGURES
    assert Text(words(path)[0]).of("good") and len(outcome(read_run(path)).details) == 3
    assert set(published(read_run(path)).values()) == {None}  # of two dimensions only


def test_unknown_law(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", law=None)
    config = yaml.safe_load((path / "config.yaml").read_text())
    del config["dataset"]["simulations"]  # tracks of the user's own
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    page, terminal = report(path)
    text = Text(page)
    assert figures(path) == {"law", "field", "importance", "training"}
    found = outcome(read_run(path))
    assert found.level == "open" and text.of("open") and found.headline in " ".join(terminal.split())
    assert not text.of("hit") and set(published(read_run(path)).values()) == {None}
    assert "0.4248" in text.text and "Simulated" not in text.of("dt")


@dataclass(frozen=True)
class Yukawa(ForceLaw):
    """A law that reports cannot import."""

    strength: float = 1.0
    title = "the Yukawa force"
    formula = "-k m1 m2 exp(-r) / r"
    potential = magnitude = staticmethod(lambda r, m1, m2, q1, q2, params: 0.0 * r)


def test_a_law_of_the_users_own_is_named_from_the_data(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["dataset"] = {"law": {"_target_": "their.Yukawa", "k": 2.0}, "simulations": 60, "frames": 9}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    x = np.random.default_rng(0).normal(size=(18, 5, 8)).astype(np.float32)
    few = ParticleData(x, x[..., :3], 9)
    _write(path, "data", summarise(few, Yukawa(2.0)))
    page, terminal = words(path)
    told = next(text for text in Text(page).of("dd") if "−k m₁ m₂ exp(−r) / r" in text)
    assert re.findall(r"\d+", told.partition("exp(−r) / r")[2]) == ["2", "5", "3", "60", "9"]
    assert "The Yukawa force" in told and "The Yukawa force" in terminal


@pytest.mark.parametrize(
    ("absent", "stages", "left"),
    [
        (["equations.json", "law.json"], "[distil,report]", FIGURES),
        (
            ["equations.json", "law.json", "analysis.json", "messages.npz"],
            "[analyse,distil,report]",
            {"training"},
        ),
        (
            ["equations.json", "law.json", "analysis.json", "messages.npz", "metrics.csv"],
            "[train,analyse,distil,report]",
            set(),
        ),
    ],
)
def test_missing_stages_are_named_and_old_figures_go(
    spring: Path, absent: list[str], stages: str, left: set[str]
) -> None:
    (spring / "figures").mkdir()
    for name in FIGURES:  # of an earlier report
        (spring / f"figures/{name}.png").touch()
    for name in absent:
        (spring / name).unlink()
    page, terminal = report(spring)
    assert figures(spring) == left
    assert outcome(read_run(spring)).level == "open" and Text(page).of("open")
    for text in (*Text(page).of("note"), " ".join(terminal.split())):
        assert f"stages={stages}" in text


def test_hostile_text_is_shown_not_run(spring: Path) -> None:
    config = yaml.safe_load((spring / "config.yaml").read_text())
    config |= {"variant": HOSTILE, "more": {HOSTILE: HOSTILE}}
    (spring / "config.yaml").write_text(yaml.safe_dump(config))
    equations = json.loads((spring / "equations.json").read_text())
    equations["engine"] = HOSTILE
    for entry in equations["components"]:
        entry["front"][1]["expression"] = HOSTILE
        entry["verdict"]["reason"] = entry["verdict"]["marks"] = HOSTILE + "[bold]"
    _write(spring, "equations", equations)
    law = json.loads((spring / "law.json").read_text())
    _write(spring, "law", law | {"acceleration": [HOSTILE, "__import__('os')"]})
    page, terminal = words(spring)
    assert "<script" not in page
    assert Text(page).text.count(HOSTILE) >= 8
    assert HOSTILE in terminal and "[bold]" in terminal


def test_undefined_scores_are_a_dash(spring: Path) -> None:
    analysis = json.loads((spring / "analysis.json").read_text())
    for kinds in analysis["r2"].values():
        kinds["robust"] = [None, None]
    _write(spring, "analysis", analysis)
    page, _ = report(spring)
    assert figures(spring) == FIGURES
    assert Text(page).of("key").count("–") == 2 * 4  # the robust mean of each row, on top and in the table


def test_a_network_that_diverged_still_gets_a_page(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", law=None)
    arrays = read_run(path).messages()
    np.savez(path / "messages.npz", **{**arrays, "pullback": np.full_like(arrays["pullback"], np.nan)})
    analysis = json.loads((path / "analysis.json").read_text())
    _write(path, "analysis", analysis | {"test": {"mae": None, "mae_per_graph": None, "graphs": 60}})
    (path / "metrics.csv").write_text("epoch,train_mae_per_graph,val_mae_per_graph\n0,nan,nan\n1,nan,nan\n")
    page, _ = report(path)
    assert figures(path) == {"importance", "training"}
    assert [key.split()[1] for key in Text(page).of("key")[:2]] == ["–", "–"]  # mae, mae_per_graph


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run directory"):
        write_report(tmp_path, Console(quiet=True))


def test_scatter_shows_the_best_gauge(spring: Path) -> None:
    run = read_run(spring)
    assert run.analysis is not None
    assert best_gauge(run.analysis) == (0.98, False)
    arrays = run.messages()
    named = {**run.analysis, "best": {"gauge": "acceleration"}}
    p, centred = best_gauge(named)
    keys = ("selected", "force", "m1", "receiver")
    assert fit_gauge(*(arrays[k] for k in keys), p=p, centred=centred).robust_mean > 0.99


def test_how_force_becomes_message_is_told(spring: Path) -> None:
    text = Text(rendered(spring))
    assert {"0.98 [0.97, 0.99]", "0.9714 [0.96, 0.98]", "2.34"} <= set(text.of("n"))
    assert any("0.61" in cell for cell in text.of("n"))
    assert not [cell for cell in text.of("n") if "0.004" in cell]  # what does not enter is not named
    assert "31.4°" in text.text and "0.9981 – 0.9996" in text.text and "225" in text.text


def rendered(path: Path) -> str:
    return render(read_run(path), {})


def test_runs_of_before_the_gauge_was_told_still_get_a_page(spring: Path) -> None:
    """Run directories that hold only the keys of the contract."""
    analysis = json.loads((spring / "analysis.json").read_text())
    for key in ("r2_interval", "bootstrap", "subspace", "effective_dimension", "network_gauge", "mixing"):
        del analysis[key]
    analysis["gauge"] = {"p": 0.98, "centred": False}
    del analysis["importance"]["reason"]
    _write(spring, "analysis", analysis)
    assert "31.4°" not in rendered(spring)
    arrays = {k: v for k, v in read_run(spring).messages().items() if not k.startswith("field_")}
    np.savez(spring / "messages.npz", **arrays)
    assert set(draw(read_run(spring), spring / "figures")) == FIGURES - {"field"}


def test_pruning_steps_are_marked_in_the_loss_curve(spring: Path) -> None:
    run = read_run(spring)
    figure = training(run, {})
    assert figure is not None
    top = figure.axes[0]
    marks = [
        line.get_xdata()[0] for line in top.lines if line.get_linestyle() == ":" and len(line.get_xdata())
    ]
    before = [row["active_dims"] for row in run.metrics]
    assert marks == [k + 0.5 for k in range(1, len(before)) if before[k] < before[k - 1]]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("dx*q1*q2/(m1*(r - 0.010003)**2*(r - 0.01))", "dx*q1*q2/(d**3*m1)"),
        ("-2.0*dx*(r - 1.0)/(m1*(r - 0.01))", None),
        ("dx*q1*q2/(m1*r**2*(r - 0.01))", None),
        ("dx*m2", None),
        ("dx*(-0.1597*r - 0.05426)/(r - 0.01)", None),
        ("dx*exp(-1.002*r)", "0.9900300329505017*dx*exp(-1.002*d)"),
    ],
)
def test_a_law_is_told_in_the_plain_distance_where_it_has_no_other(written: str, plain: str | None):
    assert in_distance(written) == plain


def test_page_and_terminal_tell_a_law_in_the_plain_distance(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", law=None)
    law = json.loads((path / "law.json").read_text())
    law["acceleration"] = [f"-2.02*{d}*m2*exp(-1.0*r)/(r - 0.01)" for d in ("dx", "dy")]
    _write(path, "law", law)
    page, terminal = words(path)
    for text in (Text(page).text, " ".join(terminal.split())):
        assert "d = |Δ|" in text and "a_y = Σ_j [ −2.000 Δy m₂ exp(−1.0 d)/d ]" in text


@pytest.mark.parametrize(
    ("inside", "beyond", "holds"),
    [(0.1, 0.2, True), (0.1, 0.8, False), (0.1, None, False), (0.6, 0.4, False)],
)
def test_equations_that_do_not_hold_on_unseen_edges_are_no_law(
    tmp_path: Path, inside: float, beyond: float | None, holds: bool
):
    path = make_run(tmp_path / "run", law=None)
    equations = json.loads((path / "equations.json").read_text())
    for entry in equations["components"]:
        count = len(entry["front"])
        tried = {"inside": [inside] * count, "beyond": [beyond] * count}
        entry["extrapolation"] = {"equation": 0, **tried, "reason": "told"}
    _write(path, "equations", equations)
    result = outcome(read_run(path))
    assert ("no law" not in result.headline) is holds
    assert result.level == "open" and len(result.details) == 2


def test_edges_of_an_unknown_law_are_divided_by_the_features_of_the_equation(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", law=None))
    arrays = run.messages()
    q1, q2, m1 = (arrays[name] for name in ("q1", "q2", "m1"))
    for radial, share in (("2.5*q1*q2/(m1*r**2)", q1 * q2 / m1), ("q1/r + m2", None), ("nonsense(", None)):
        told = replace(run, law=(run.law or {}) | {"radial": radial})
        profile = distilled_profile(told)
        found = None if profile is None else separable(profile, arrays)
        assert (found is None) is (share is None)
        if share is not None:
            np.testing.assert_allclose(found, share)


def test_a_law_of_the_plain_distance_is_drawn_as_that_of_the_softened_one(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", law=None))
    arrays, r = run.messages(), np.linspace(0.5, 2.0, 5)
    drawn = []
    for distance in ("r", "(d + 0.01)"):
        told = (run.law or {}) | {"radial": f"m2/{distance}**2", "softening": 0.01}
        told["acceleration"] = [f"m2*{axis}/(r - 0.01)/{distance}**2" for axis in ("dx", "dy")]
        some = replace(run, law=told)
        drawn.append(unit_profile(some, r, arrays))
        assert distilled_profile(some)(r, unit(arrays)) == pytest.approx(r**-2.0)
    np.testing.assert_allclose(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn[1], r**-2.0)
