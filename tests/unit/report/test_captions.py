"""Captions say what holds for the run at hand."""

from types import SimpleNamespace

import pytest

from gnn_distill.report.figures.functions import caption


@pytest.mark.parametrize(
    ("law", "said", "unsaid"),
    [
        (None, "Dots are medians", "leave the law"),
        ({"trust": {"level": "exact"}}, "leave the law", "free curve"),
        ({"trust": {"level": "systematic"}}, "Dots are medians", "leave the law"),
        ({"trust": {"level": "exact"}, "curves": {"u": {}}}, "free curve", "medians"),
    ],
)
def test_dots_are_what_the_caption_says(law, said: str, unsaid: str):
    told = caption(SimpleNamespace(law=law))
    assert said in told and unsaid not in told
