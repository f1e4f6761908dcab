"""Units of the numbers of a law."""

from __future__ import annotations

from typing import Any

import pytest

from gnn_distill.report.dimensions import written
from gnn_distill.report.headline import headline

UNITS = {"length": "µm", "time": "s", "mass": "pg", "charge": "e"}


def shown(law: dict[str, Any], units: dict[str, str] = UNITS) -> dict[str, str]:
    content = {"acceleration": ["0", "0"], "functions": {}, "one_body": [], "units": units, **law}
    return {c.value: c.unit for c in headline(content).constants}


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ({"functions": {"u": "10.8*exp(-0.99*d)"}, "order": 1}, {"10.80": "µm/s", "0.9900": "1/µm"}),
        ({"functions": {"u": "-39.48*m2/d**2"}}, {"39.48": "µm³/(s² pg)"}),
        ({"functions": {"u": "1.5*q1*q2*(0.625/d + 1/d**2)*exp(-0.625*d)/m1"}},
         {"1.500": "µm³ pg/(s² e²)", "0.6250": "1/µm"}),
        ({"functions": {"u": "-2.0*(d - 1.25)/m1"}}, {"2.000": "pg/s²", "1.250": "µm"}),
        ({"functions": {"u": "7.5*Max(0, 1.25 - d)**1.5"}},
         {"7.500": "1/(µm⁰·⁵ s²)", "1.250": "µm", "1.500": ""}),
        ({"functions": {"w": "-0.5/(d**2 + 1.75)**0.8"}, "order": 1},
         {"0.5000": "µm¹·⁶", "1.750": "µm²", "0.8000": ""}),
        ({"functions": {"u": "3.0*(1.5 + 0.25*d)"}}, {"3.000": "µm/s²", "1.500": "", "0.2500": "1/µm"}),
        ({"functions": {"u": "1.5/d", "t": "0.75*uw"}}, {"1.500": "µm²/s²", "0.7500": "1/s"}),
        ({"one_body": [
            "-9.81 - 0.3*vx - 0.2*vx*sqrt(vx**2 + vy**2)", "-0.3*vy - 0.2*vy*sqrt(vx**2 + vy**2)"]},
         {"9.810": "µm/s²", "0.3000": "1/s", "0.2000": "1/µm"}),
        ({"one_body": ["1.5*q1*vy/m1 - 40.0*Max(0, x - 8.25)", "-1.5*q1*vx/m1"]},
         {"1.500": "pg/(s e)", "40.00": "1/s²", "8.250": "µm"}),
        ({"functions": {"u": "2.5*size1*exp(-0.5*d)"}}, {"2.500": "", "0.5000": "1/µm"}),
        ({"functions": {"u": "1.5*s2/d**2"}}, {"1.500": ""}),
    ],
)  # fmt: skip
def test_numbers_have_the_units_that_their_terms_ask_for(law: dict[str, Any], expected: dict[str, str]):
    assert shown(law) == expected


def test_no_unit_without_words_for_it():
    law = {"functions": {"u": "-39.48*m2/d**2"}, "one_body": ["-0.3*vx", "-0.3*vy"]}
    assert shown(law, {}) == {"39.48": "", "0.3000": ""}
    assert shown(law, {"time": "d"}) == {"39.48": "", "0.3000": "1/d"}


def test_a_number_that_stands_for_two_things_has_no_unit():
    assert shown({"functions": {"u": "-2.5*(d - 2.5)"}}) == {"2.500": ""}


def test_walls_say_where_they_begin_and_how_stiff_they_are():
    law = {"one_body": ["-40.0*Max(0, x - 8.25) + 30.0*Max(0, -x - 1.5) - 2.5*x", "0"]}
    content = {"acceleration": ["0", "0"], "functions": {}, "units": UNITS, **law}
    rows = {(c.place, c.value, c.unit) for c in headline(content).constants}
    assert rows == {
        ("wall at high x: begins at", "8.250", "µm"),
        ("wall at high x: stiffness", "40.00", "1/s²"),
        ("wall at low x: begins at", "−1.500", "µm"),
        ("wall at low x: stiffness", "30.00", "1/s²"),
        ("term along x", "2.500", "1/s²"),
    }


def test_decay_lengths_are_in_units_of_length():
    content = {"acceleration": ["0", "0"], "functions": {"u": "3.0*exp(-2.0*d)"}, "units": UNITS}
    places = [c.place for c in headline(content).constants]
    assert places == ["term along Δ", "term along Δ: decay length 0.5000 µm"]


@pytest.mark.parametrize(
    ("powers", "text"),
    [
        ((0.0, 0.0, 0.0, 0.0), ""),
        ((0.0, -1.0, 0.0, 0.0), "1/s"),
        ((-1.0, -2.0, 1.0, 0.0), "pg/(µm s²)"),
    ],
)
def test_powers_of_units_are_written_as_people_write_them(powers: tuple[float, ...], text: str):
    assert written(powers, UNITS) == text
