"""Page, terminal and notebook of a run whose law consists of functions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from gnn_distill import load_run
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Coulomb
from gnn_distill.report.figures.all import FIGURES, attempt, draw, recorded
from gnn_distill.report.figures.functions import functions, own
from gnn_distill.report.formula import digits
from gnn_distill.report.headline import headline, images
from gnn_distill.report.run.motion import individuals, title, units
from gnn_distill.report.style import in_units, look
from gnn_distill.runs.load import read_run
from tests.unit.report.test_run_page import Text, make_run, report, words

U = "1.50012*(0.6252/d + d**(-2))*exp(-0.6252*d)"
A, L, DRAG, TRAP = [1.49999, 1.50027], [0.62501, 0.62542], [-0.30013, -0.30001], [-0.70004, -0.69993]
LAW: dict[str, Any] = {
    "acceleration": [f"({U})*{axis}/d" for axis in ("dx", "dy")],
    "radial": U,
    "constants": [[1.50012, 0.6252, -0.6252]] * 2,
    "intervals": [[A, L, [-L[1], -L[0]]]] * 2,
    "one_body": ["-0.300078*vx - 0.699982*x", "-0.300078*vy - 0.699982*y"],
    "one_body_intervals": [[DRAG, TRAP]] * 2,
    "order": 2,
    "functions": {"u": U},
    "names": {"u": "screened Coulomb (Yukawa)"},
    "own": ["trap", "drag"],
    "level": {
        "u": [
            {
                "name": "exponential over r",
                "expression": "2.1*exp(-0.4*d)/d",
                "apart": {"d": 0.4, "law": 9.1, "other": 4.47},
            }
        ]
    },
    "noise": 0.01,
    "estimates": {"diffusion": [0.01, 0.0098, 0.0102]},
    "potential": {"expression": "1.50012*exp(-0.6252*d)/d", "reference": "zero at infinity"},
    "doubts": ["The doubt of the law.", "A doubt that is told twice."],
    "trust": {"level": "exact", "sentence": "As exact as the data."},
    "r2_truth": None,
    "test": {"mae": 0.0095, "share": 0.009},
    "network": {"mae": 0.02, "share": 0.019},
}
FORMULA = "a₁ = Σ₂ 1.500 (0.6252/d + 1/d²) e^(−0.6252 d) Δ/d − 0.3001 v₁ − 0.7000 x₁"


def make_motion(path: Path, **changes: Any) -> Path:
    """A run whose network knows a screened force in a trap with drag up to noise."""
    make_run(path, law=None)
    arrays = read_run(path).messages()
    rng, d = np.random.default_rng(2), np.linalg.norm(arrays["delta"], axis=1)
    u = 1.50012 * (0.6252 / d + d**-2.0) * np.exp(-0.6252 * d) * (1 + 0.03 * rng.normal(size=len(d)))
    x, v = rng.normal(size=(2, 80, 2))
    more = {"d": d, "function_u": u, "own_x": x, "own_v": v, "own_h": -0.3 * v - 0.7 * x}
    np.savez(path / "messages.npz", **arrays, **more)
    _write(path, "law", None if changes.get("law", LAW) is None else LAW | changes)
    front = [{"complexity": 7, "loss": 0.01, "score": 0.9, "expression": "1.4*exp(-0.6*r)/r"}]
    compared = [{"name": "screened Coulomb (Yukawa)", "constants": 2, "loss": 0.0099}]
    compared += [{"name": "two exponentials", "constants": 4, "loss": 0.0111}]
    entry = {"dim": "u", "front": front, "score_pick": 0, "choice": 0, "verdict": None, "extrapolation": None}
    trust = {"level": "none", "sentence": "No law yet, for want of data."}
    content = {"engine": "operon", "target": "functions", "variables": ["r"], "also": {}, "trust": trust}
    _write(path, "equations", content | {"components": [entry | {"compared": compared}]})
    return path


def _write(path: Path, name: str, content: Any) -> None:
    (path / f"{name}.json").write_text(json.dumps(content))


def test_the_law_comes_first_and_once(tmp_path: Path) -> None:
    path = make_motion(tmp_path / "run")
    page, terminal = report(path)
    text = Text(page)
    (banner,) = text.of("banner")
    assert text.of("banner") == text.of("good") and "As exact as the data." in banner
    assert "creened Coulomb (Yukawa)" in banner and "trap, drag" in banner
    assert page.count(f'aria-label="{FORMULA}"') == 1
    assert text.of("formula") == [""] and "a_x" not in text.text and "r = " not in text.text
    for told in ("As exact as the data.", *LAW["doubts"]):
        assert text.text.count(told) == 1 and " ".join(terminal.split()).count(told) == 1
    note = text.of("note")[0]
    assert (
        "exponential over r (f_u = 2.100 e^(−0.4000 d)/d); pairs at d = 0.4 would tell, 9.1 or 4.47" in note
    )
    assert "1.50012" in text.text
    assert "<td>drag</td>" in page and "<td>trap</td>" in page
    assert len(text.of("details")) == 2 and "1.4 exp(−0.6 r)/r" in text.of("details")[0]
    lines = [line for line in terminal.splitlines() if line.strip()]
    assert len(lines) <= 15 and lines[1] == FORMULA and "0.9 %" in terminal and "1.9 %" in terminal
    drawn = {p.stem for p in (path / "figures").iterdir()}
    assert drawn == {"functions", "own", "field", "importance", "training"}


def test_what_is_no_law_is_not_shown_as_one(tmp_path: Path) -> None:
    trust = {"level": "none", "sentence": "No law yet: 44 % of the accelerations stay unexplained."}
    page, terminal = report(make_motion(tmp_path / "run", trust=trust))
    assert "No law, the best of the forms that were tried:" in page
    assert f"no law, the best of the forms that were tried: {FORMULA}"[:70] in terminal
    good, told = report(make_motion(tmp_path / "good"))
    assert "best of the forms" not in good + told


@pytest.mark.parametrize(("order", "letter", "other"), [(1, "v", "a"), (2, "a", "v")])
def test_the_data_are_told_as_what_they_are(tmp_path: Path, order: int, letter: str, other: str) -> None:
    path = make_motion(tmp_path / "run", order=order)
    counts = dict.fromkeys(("graphs", "trajectories", "frames", "particles", "dim", "blocks", "replaced"), 2)
    sizes = {"mean_abs_acceleration_per_graph": 3.0, "abs_acceleration": {"p50": 1, "p99.9": 2, "max": 3}}
    _write(path, "data", counts | sizes | {"closest_approach": None, "energy_drift": None})
    page, _ = report(path)
    assert f"Σ|{letter}| per graph" in page and f"largest |{letter}|" in page and f"Σ|{other}|" not in page


def test_files_and_their_units_are_told() -> None:
    run: Any = SimpleNamespace(config={"dataset": {"path": ["runs/a.csv", "runs/b.csv"]}}, data={})
    assert (
        title(run) == "a.csv and 1 more"
        and units(run) == "Units are those of the data."
        and not in_units(run)
    )
    run.config["dataset"]["path"], run.data = "runs/a.csv", {"units": {"length": "µm", "time": "s"}}
    assert title(run) == "a.csv" and units(run) == "Lengths in µm, times in s." and in_units(run) == " [µm]"


def test_a_law_without_functions_is_told_as_before(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    before, law = words(path), read_run(path).law or {}
    _write(path, "law", law | {"functions": {}, "softening": 0.01})
    assert words(path) == before and "a_x = " in str(load_run(path).law)
    assert "law" in draw(read_run(path), tmp_path / "figures")


def test_functions_are_not_judged_against_a_law_of_components(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model=additive"):
        load_run(make_motion(tmp_path / "run")).judge(Coulomb())


def test_a_run_without_a_law_says_so(tmp_path: Path) -> None:
    page, terminal = words(make_motion(tmp_path / "run", law=None))
    (banner,) = Text(page).of("bad")
    for shown in (banner, terminal):
        assert "No law yet, for want of data." in shown
    assert "pullback" not in page and not Text(page).of("formula")


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ({"functions": {"u": "-39.478*m2/d**2"}}, "a₁ = −Σ₂ 39.48 m₂ Δ/d³"),
        ({"functions": {"w": "-0.51234/(d**2 + 1.25)"}, "order": 1}, "v₁ = −Σ₂ 0.5123 w/(d² + 1.250)"),
        ({"functions": {"u": "1.5*d*exp(-2.5*d)", "t": "0.125*w"}},
         "a₁ = Σ₂ 1.500 e^(−2.500 d) Δ + Σ₂ 0.1250 |w| Δ⊥/d"),
        ({"one_body": ["0.5*vy - 0.2*vx*sqrt(vx**2 + vy**2)", "-0.5*vx - 0.2*vy*sqrt(vx**2 + vy**2) - 9.81"]},
         "a₁ = −0.2000 |v₁| v₁ + 0.5000 (v_y, −v_x) + (0, −9.810)"),
        ({"one_body": ["1.6*vx - 0.5*vx*(vx**2 + vy**2)", "1.6*vy - 0.5*vy*(vx**2 + vy**2)"]},
         "a₁ = 1.600 v₁ − 0.5000 |v₁|² v₁"),
        ({"one_body": ["-4.0*x*exp((-x**2 - y**2)/1.6)", "-4.0*y*exp((-x**2 - y**2)/1.6)"]},
         "a₁ = −4.000 e^(−0.6250 |x₁|²) x₁"),
        ({"one_body": ["-0.5*x", "-0.25*y"]}, "a₁ = (−0.5000 x, −0.2500 y)"),
        ({"one_body": ["-0.3*q1*vx/m1", "-0.3*q1*vy/m1"]}, "a₁ = −0.3000 q₁ v₁/m₁"),
        ({"functions": {"u": "7.5*Max(0, 1.25 - d)**1.5"}, "one_body": ["-7.5*Max(0, x - 8.25)", "0"]},
         "a₁ = Σ₂ 7.500 max(0, 1.250 − d)^1.5 Δ/d + (−7.500 max(0, x − 8.250), 0)"),
        ({"functions": {"u": "<b>"}}, "<b>"),
    ],
)  # fmt: skip
def test_laws_are_vectors_where_they_can_be(law: dict[str, Any], expected: str) -> None:
    found = headline({"acceleration": ["0", "0"], "functions": {}, "one_body": [], **law})
    assert found.text == expected
    assert len(images(found.tex)) == len(found.tex)


def test_numbers_have_the_digits_that_intervals_allow(tmp_path: Path) -> None:
    assert [digits(0.3, around) for around in (None, [0.28, 0.32], [0.2999, 0.3001])] == [4, 2, 4]
    wide = {"intervals": [[[1.2, 1.8], L, [-L[1], -L[0]]]] * 2}
    assert headline(LAW | wide).text == FORMULA.replace("1.500", "1.5")


def test_figures_show_network_and_law(tmp_path: Path) -> None:
    path = make_motion(tmp_path / "run")
    run = read_run(path)
    arrays = {key: value for key, value in (recorded(run) or {}).items() if key != "d"}
    with look():
        drawn, alone = functions(run, arrays), own(run, arrays)
    assert drawn is not None and alone is not None
    (axes,) = drawn.axes
    law = next(line for line in axes.lines if line.get_label() == "the law")
    d = np.asarray(law.get_xdata(), dtype=float)
    np.testing.assert_allclose(law.get_ydata(), 1.50012 * (0.6252 / d + d**-2) * np.exp(-0.6252 * d))
    assert axes.get_yscale() == "log" and len(alone.axes) == 2
    for name in ("function_u", "own_h"):
        less = {key: value for key, value in arrays.items() if key != name}
        assert (functions if name == "function_u" else own)(run, less) is None


def test_a_free_curve_stands_in_the_networks_place_where_the_law_is_from_one(tmp_path: Path) -> None:
    run = read_run(make_motion(tmp_path / "run"))
    arrays = {key: value for key, value in (recorded(run) or {}).items() if key != "d"}
    curve = {"d": [0.5, 1.0, 2.0], "f": [4.0, 1.5, 0.3], "error": [0.2, 0.1, 0.05]}
    found = replace(run, law={**(run.law or {}), "curves": {"u": curve}})
    drawn = functions(found, arrays)
    assert drawn is not None
    lines = {str(line.get_label()): line for line in drawn.axes[0].lines}
    assert "network: median" not in lines
    assert list(lines["free curve of the labels"].get_ydata()) == curve["f"]


def test_the_law_is_drawn_as_far_as_pairs_act(tmp_path: Path) -> None:
    run = read_run(make_motion(tmp_path / "run"))
    arrays = {key: value for key, value in (recorded(run) or {}).items() if key != "d"}
    drawn = functions(replace(run, law={**(run.law or {}), "radius": 1.0}), arrays)
    assert drawn is not None
    law = next(line for line in drawn.axes[0].lines if line.get_label() == "the law")
    assert 0.9 < np.max(np.asarray(law.get_xdata(), dtype=float)) < 1.0


def test_a_law_that_reads_motion_is_drawn_for_pairs_at_rest(tmp_path: Path) -> None:
    run = read_run(make_motion(tmp_path / "run"))
    arrays = {key: value for key, value in (recorded(run) or {}).items() if key != "d"}
    texts = {"u": "1.5*exp(-0.5*d) - 0.7*uw/d"}
    drawn = functions(replace(run, law={**(run.law or {}), "functions": texts}), arrays)
    assert drawn is not None
    law = next(line for line in drawn.axes[0].lines if line.get_label() == "the law at w = 0")
    x, y = (np.asarray(side, dtype=float) for side in law.get_data())
    assert y == pytest.approx(1.5 * np.exp(-0.5 * x))


def test_a_notebook_shows_the_same(tmp_path: Path) -> None:
    run = load_run(make_motion(tmp_path / "run"))
    assert str(run.law).splitlines()[0] == FORMULA
    assert r"\mathbf{a}_1 =" in run.law._repr_latex_()
    assert FORMULA in (run._repr_html_() or "") and run.plot("own").axes[0].get_xlabel()
    assert load_run(make_run(tmp_path / "old"))._repr_html_() is None


@pytest.mark.parametrize(
    ("right", "level", "said"),
    [
        ((True, True), "good", "This is Hooke's law: recovered."),
        ((True, False), "partial", "Only partly recovered: Hooke's law was found in 1 of 2 parts."),
        ((False, False), "bad", "Not recovered: what was found is not Hooke's law."),
    ],
)
def test_a_known_law_has_a_verdict(tmp_path: Path, right: tuple[bool, bool], level: str, said: str) -> None:
    path = make_motion(tmp_path / "run")
    parts = {k: {"recovered": r, "reason": f"why {k}"} for k, r in zip(("u", "one_body"), right, strict=True)}
    content = json.loads((path / "equations.json").read_text())
    _write(path, "equations", content | {"verdict": {"recovered": all(right), "parts": parts}})
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["dataset"]["law"] = {"_target_": "gnn_distill.physics.laws.Spring"}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    page, terminal = words(path)
    (banner,) = Text(page).of(level)
    assert said in banner and "As exact as the data." in banner and "on each particle" in banner
    assert f"{'' if right[1] else 'not '}recovered – why one_body" in banner
    assert said in " ".join(terminal.split()) and "As exact as the data." in terminal


def test_individuals_stand_on_the_page_with_strengths_intervals_and_sightings(tmp_path):
    table = {
        name: {"source": [s, *sorted((0.99 * s, 1.01 * s))], "response": [t, 0.9 * t, 1.1 * t]}
        | {"kind": "A" if s > 0 else "B", "sure": 0.9999, "sightings": 1200}
        for name, s, t in (("sun", 1.0, 1.0), ("earth & moon", -0.0031, 0.52), ("mars", 0.0004, 0.13))
    }
    law = {"functions": {"u": f"({U})*s2*t1"}, "hidden": table, "hidden_mode": "both"}
    run = make_motion(tmp_path / "run", **law, hidden_told=["A factor is free"])
    page, terminal = words(run)
    text = page
    assert "s₂ t₁" in terminal
    assert "e^(−0.6252 d) s₂ t₁ Δ/d" in text and "s: strength of an individual as a source" in text
    assert "A factor is free." in text and "earth &amp; moon" in page
    assert "−0.00310 [−0.00313 to −0.00307]" in text and "0.520 [0.468 to 0.572]" in text
    assert "B (100 %)" in text and "1,200" in text
    arrays = recorded(read_run(run))
    with look():
        drawn = draw(read_run(run), tmp_path)
    assert "individuals" in drawn and arrays is not None
    for mode, used in (("source", ["s"]), ("response", ["t"])):
        told = individuals(law | {"hidden_mode": mode})
        assert told["used"][0] == used[0] and "told" in told
    assert individuals({}) is None


def test_kinds_that_nobody_labelled_stand_on_the_page_with_their_curves(tmp_path):
    one = [1.0, 1.0, 1.0]
    table = {
        f"p{k}": {"source": one, "response": one, "kind": "AB"[k % 2], "sure": 0.9876, "sightings": 300}
        for k in range(6)
    }
    d = np.linspace(0.5, 3.0, 20)
    curves = {"d": d.tolist()} | {f"u {i}-{j}": np.exp(-d).tolist() for i in "AB" for j in "AB"}
    law = {"functions": {"u": f"kind_A1*({U})"}, "hidden": table, "hidden_mode": "kinds"}
    law |= {"hidden_kinds": ["kind_A", "kind_B"], "hidden_curves": curves}
    law |= {"kinds": {"A": "kind_A", "B": "kind_B"}, "hidden_told": ["They are of 2 kinds"]}
    run = make_motion(tmp_path / "run", **law)
    page, _ = words(run)
    assert "They are of 2 kinds." in page and page.count("B (99 %)") == 3 and "s, as a source" not in page
    with look():
        drawn = attempt(read_run(run), FIGURES["individuals"], recorded(read_run(run)))
    assert [axes.get_title() for axes in drawn.axes][1] == "f_u, A receives from B"
    labels = [line.get_label() for line in drawn.axes[0].lines]
    assert "free curve" in labels and "the law" in labels
    alike = individuals({"hidden_told": ["All seem alike"]})
    assert alike["told"] == ["All seem alike."] and not alike["rows"]


def test_a_law_within_a_radius_says_so():
    assert headline(LAW).meanings[0] == "Σ₂: sum over all other particles 2"
    assert headline(LAW | {"radius": 2.5}).meanings[0].endswith("particles 2 that are closer than 2.5")
