"""Which equations become the law, and what its constants are refitted on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.assemble import FEWEST_GRAPHS, VALIDATION_GRAPHS, assembled, refit_graphs
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.constants import FIT_NODES
from gnn_distill.physics.variables import Columns

NAMES = ("r", "m1")
JOINT = [parse(text, NAMES) for text in ("3.0/m1", "2.0/(m1*r)", "-2.0*(r - 1.0)/m1", "-2.0*(r - 1.1)**2/m1")]


def found(picks: list[int], parents: tuple, recovered: tuple[bool, ...] | None, choice: int = 1):
    front = SimpleNamespace(equations=[SimpleNamespace(expression=f) for f in JOINT], choice=choice)
    verdicts = None if recovered is None else tuple(SimpleNamespace(recovered=r) for r in recovered)
    joint = SimpleNamespace(front=front, parents=parents)
    problem = SimpleNamespace(target="pullback")
    return SimpleNamespace(joint=joint, picks=picks, verdicts=verdicts, problem=problem)


PARENTS = ((None, 0, 1), (None, 1, 2))

RECORDING = SimpleNamespace(edges=SimpleNamespace(columns=Columns(2)))


@pytest.mark.parametrize(
    ("picks", "recovered", "index"),
    [
        ([2, 2], (False, True), 2),  # the second component is the law, the first is not
        ([2, 2], (True, False), 1),
        ([1, 1], (False, False), 0),  # none is: the first equation picked
        ([2, 2], None, 1),
        ([0, 2], None, 2),  # a trivial equation, which the joint front has not
        ([0, 2], (True, False), 2),
        ([0, 0], (False, False), 3),  # nothing but trivial ones: the front's own choice
    ],
)
def test_the_law_is_that_of_a_recovered_component(picks, recovered, index):
    law = assembled(None, RECORDING, found(picks, PARENTS, recovered, choice=3))
    assert law == Law.along(JOINT[index], 2)


def test_a_given_equation_is_the_law_whatever_is_thought_of_it():
    given = GivenEngine("-2*(r - 1)/m1")
    assert assembled(given, RECORDING, found([2, 2], PARENTS, (True, True))) == Law.along(JOINT[-1], 2)


def test_equations_of_single_components_are_taken_as_picked():
    fronts = [SimpleNamespace(equations=[SimpleNamespace(expression=f) for f in JOINT[k:]]) for k in (0, 1)]
    problem = SimpleNamespace(target="pullback")
    each = SimpleNamespace(joint=None, picks=[1, 2], verdicts=None, problem=problem, fronts=fronts)
    assert assembled(None, None, each) == Law((JOINT[1], JOINT[3]))


def test_few_graphs_of_many_particles_are_refitted_on():
    assert refit_graphs(4) == VALIDATION_GRAPHS == 2000
    assert refit_graphs(100) * 100 == FIT_NODES
    assert refit_graphs(3) == 2000 and refit_graphs(7) * 7 >= FIT_NODES > (refit_graphs(7) - 1) * 7
    assert refit_graphs(100_000) == FEWEST_GRAPHS
