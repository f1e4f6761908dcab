"""Published numbers against the protocol, and equations as text and images."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gnn_distill.physics.laws import Superposition
from gnn_distill.report import published
from gnn_distill.report.equations import acceleration_image, as_latex
from gnn_distill.report.text import r2_text, readable, with_signs


@pytest.mark.parametrize(
    ("table", "law", "variant", "value"),
    [
        (published.TEST_LOSS, "charge", "kl", 39.80),
        (published.TEST_LOSS, "spring", "bottleneck", 0.16),
        (published.ROBUST_R2, "r1", "l1", 0.8441),
        (published.ROBUST_R2, "charge", "pruning", 0.9977),
        (published.OLS_R2, "r2", "l1", 0.0115),
        (published.OLS_R2, "spring", "kl", 0.6487),
        (published.P20_R2, "charge", "bottleneck", 0.947),
    ],
)
def test_cells(table: dict[str, published.Row], law: str, variant: str, value: float) -> None:
    assert published.cell(table, law, variant, 4, 2) == value


def test_no_cell_where_nothing_was_published() -> None:
    assert published.cell(published.TEST_LOSS, "spring", "pruning", 8, 2) is None
    assert published.cell(published.TEST_LOSS, "spring", "pruning", 4, 3) is None
    assert published.cell(published.TEST_LOSS, "damped", "pruning", 4, 2) is None
    assert published.cell(published.TEST_LOSS, "spring", "mine", 4, 2) is None
    assert published.cell(published.P20_R2, "spring", "pruning", 4, 2) is None
    assert published.cell(published.TEST_LOSS, None, "pruning", 4, 2) is None


def test_recovered_components_add_up_to_the_published_26_of_40() -> None:
    marks = {
        v: [m for law in published.RECOVERED.values() for m in law[v] if m.startswith("✓")]
        for v in published.VARIANTS
    }
    counts = {v: len(found) for v, found in marks.items()}
    assert counts == {"standard": 4, "bottleneck": 8, "l1": 5, "kl": 1, "pruning": 8}
    assert published.RECOVERED["charge"]["l1"] == ("✓§*", "✗")


def test_pruning_grid_has_its_best_where_published() -> None:
    cells = {(s, end): r2 for s, row in published.PRUNING_GRID.items() for end, r2 in row.items()}
    assert max(cells, key=lambda key: cells[key]) == ("cosine", 0.65)
    assert len(cells) == 9 and np.isclose(cells["linear", 0.85], 0.4707)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-1.99824*dx/r**2", "−1.998 Δx/r²"),
        ("2.000234567*dy*(r - 1.0)/m1", "2.000 Δy (r − 1.0)/m₁"),
        ("q1*q2*dx/(m1*r**3) + 1e-05", "q₁ q₂ Δx/(m₁ r³) + 1e-05"),
        ("r**(-1.5)", "r^(−1.5)"),
        ("m1**0.98*dz", "m₁^0.98 Δz"),
        ("2089.1234*dy*m2", "2089 Δy m₂"),
        ("0.000012345678*r**12", "1.235e-05 r^12"),
    ],
)
def test_readable(text: str, shown: str) -> None:
    assert readable(text) == shown


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("dx*m2/(-0.815471838417616*r - 0.299974806347024)", r"0.8155 \, r + 0.3000"),
        ("5822.992903259781*dx/(r - 0.01)", r"\dfrac{5823 \, \Delta x}{r - 0.01}"),
        ("0.000012345678*dx", r"1.235 \cdot 10^{-5} \, \Delta x"),
    ],
)
def test_set_equations_have_the_digits_of_the_text(expression: str, shown: str) -> None:
    assert shown in as_latex(expression) and acceleration_image("x", expression, None) is not None


def test_sentences_keep_their_numbers() -> None:
    assert with_signs("R² = 0.999998 with r0 = 1") == "R² = 0.999998 with r₀ = 1"
    told = with_signs(Superposition(mass_coupling=0.5).described)
    assert told == "(q₁ q₂ − k m₁ m₂) / r² with k = 0.5"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.99994, "0.9999"), (0.999998, "0.999998"), (1.0, "1.0000"), (-0.5, "−0.5000"), (None, "–")],
)
def test_an_r2_below_one_never_looks_perfect(value: float | None, shown: str) -> None:
    assert r2_text(value) == shown


@pytest.mark.parametrize(
    "text", ["-1.998*dx + 2.001*dx/r", "exp(-r)*q1*q2", "sqrt(Abs(dx))*log(r)", "-2*m2*dx/r**3"]
)
def test_equations_are_set_as_svg(text: str) -> None:
    address = acceleration_image("x", text, None)
    assert address is not None
    head, data = address.split(",")
    assert head == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(data) and b"<script" not in base64.b64decode(data)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "__import__('os')", "dx +", "foo*dx", ""])
def test_what_is_no_equation_is_not_set(text: str) -> None:
    assert acceleration_image("x", text, None) is None
