"""A force law from a file of the user's, without touching the package: what docs/custom_law.md shows."""

from __future__ import annotations

import numpy as np

from tests.docs_pages import ROOT, commands, files, load

PAGE = ROOT / "docs/custom_law.md"


def test_commands_of_the_page_are_accepted(command_line, tmp_path):
    (tmp_path / "my_module.py").write_text(files(PAGE)["my_module.py"])
    expected = ("dynamics: first_order", "strength: 2.0")
    for words, line in zip(commands(PAGE, "gnn-distill"), expected, strict=True):
        assert command_line(*words, "stages=[]", "hydra.run.dir=run")[0] == 0
        assert line in (tmp_path / "run/config.yaml").read_text()


def test_force_of_the_page_is_minus_the_slope_of_its_potential(tmp_path):
    (tmp_path / "my_module.py").write_text(files(PAGE)["my_module.py"])
    law = load(tmp_path / "my_module.py").Yukawa(2.0)
    r, h = np.linspace(0.3, 4, 30), 1e-5
    rest = (1.5, 0.7, 0.0, 0.0, law.params)
    slope = (law.potential(r + h, *rest) - law.potential(r - h, *rest)) / (2 * h)
    np.testing.assert_allclose(law.magnitude(r, *rest), -slope, rtol=1e-6)


def test_law_that_is_no_law_is_refused(command_line, tmp_path):
    (tmp_path / "my_module.py").write_text("class Yukawa: pass\n")
    code, told = command_line("dataset=custom", "dataset.law._target_=my_module.Yukawa")
    assert code == 2 and "dataset.law" in told and "ForceLaw" in told
