"""A law with a line for each group of pairs: on the page, in the terminal, in the figure."""

import numpy as np

from gnn_distill.report.figures.functions import functions
from gnn_distill.report.groups import in_words, members
from gnn_distill.report.headline import headline
from tests.unit.report.test_motion_page import LAW


def one(text: str) -> dict:
    return {
        "functions": {"u": text},
        "acceleration": [f"({text})*dx/d", f"({text})*dy/d"],
        "constants": [],
        "intervals": [],
    }


FAR = one("2.0*exp(-1.25*d)")
LAWS = {"A-A": FAR, "A-B": one("-1.5*d"), "B-A": one("-1.5*d"), "B-B": FAR}
OF_KINDS = LAW | {
    "functions": {"u": "kind_A1*kind_A2*2.0*exp(-1.25*d)"},
    "names": {"u:A-A,B-B": "exponential", "u:A-B,B-A": "spring"},
    "one_body": ["-0.6*x", "-0.6*y"],
    "laws": LAWS,
    "kinds": {"A": "kind_A", "B": "kind_B"},
}  # fmt: skip


def test_groups_that_share_a_law_are_named_together():
    found = headline(OF_KINDS)
    assert found.text == "a₁ = Σ₂ c₁₂ − 0.6000 x₁"
    lines = [f"{case.name}: {case.text}" for case in found.cases]
    assert lines == ["A on A, B on B: c₁₂ = 2.000 e^(−1.250 d) Δ/d", "A and B on each other: c₁₂ = −1.500 Δ"]
    assert "c₁₂: what particle 2 does to particle 1" in found.meanings
    assert [c.place for c in found.constants][:2] == [
        "A on A, B on B: exponential",
        "A on A, B on B: exponential: decay length 0.8000",
    ]
    assert in_words(["A-B"]) == "B on A" and in_words(["0.5"]) == "k₁₂ = 0.5"
    assert in_words(["A-B 1", "B-A 1"]) == "A and B on each other, k₁₂ = 1"
    assert headline(LAW).cases == ()


def test_a_group_in_which_nothing_acts_is_told():
    nothing = OF_KINDS | {"laws": LAWS | {"B-B": {"functions": {}, "acceleration": ["0", "0"]}}}
    assert headline(nothing).cases[-1].text == "c₁₂ = 0"


def test_the_pairs_of_a_group_are_found_in_a_recording():
    first, second = members(OF_KINDS)
    arrays = {"r": np.ones(3), "kind_A1": np.array([1, 1, 0]), "kind_A2": np.array([1, 0, 0])}
    arrays |= {"kind_B1": 1 - arrays["kind_A1"], "kind_B2": 1 - arrays["kind_A2"]}
    assert first.among(arrays, OF_KINDS["kinds"]).tolist() == [True, False, True]
    assert second.among(arrays, OF_KINDS["kinds"]).tolist() == [False, True, False]


def test_the_figure_has_a_panel_for_each_group():
    rng = np.random.default_rng(0)
    d, a1, a2 = rng.uniform(0.5, 2, 2000), *rng.integers(0, 2, (2, 2000))
    arrays = {
        "delta": np.stack([d, 0 * d], 1),
        "d": d,
        "r": d,
        "function_u": np.where(a1 == a2, 2 * np.exp(-1.25 * d), -1.5 * d),
    }
    arrays |= {"kind_A1": a1, "kind_A2": a2, "kind_B1": 1 - a1, "kind_B2": 1 - a2}
    arrays |= {"variables": np.array(["r", "kind_A1", "kind_A2", "kind_B1", "kind_B2"])}

    class Run:
        law = OF_KINDS
        data: dict = {}

    figure = functions(Run(), arrays)  # type: ignore[arg-type]
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].endswith("acceleration, A on A, B on B") and titles[1].endswith("A and B on each other")
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].get_lines()}
    assert np.min(lines["the law"]) < -2 and np.max(lines["network: median"]) < 0


def test_a_law_with_a_factor_of_each_pair_shows_it():
    law = {"acceleration": ["-0.1*dx", "-0.1*dy"], "functions": {"u": "-0.1*d"}, "order": 2, "edges": {}}
    assert "k₁₂" not in headline(law).text
    shown = headline(law | {"edges": {"file": "law/edges.csv"}})
    assert "k₁₂" in shown.text and any("factor of the pair" in line for line in shown.meanings)
