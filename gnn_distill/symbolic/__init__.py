"""Symbolic distillation: from a sample of messages to equations, and from equations to a verdict.

`engine`: what an engine takes and gives; `operon` (default) and `pysr`: the engines;
`points` and `refine`: trimming, refitting, deleting; `front`: equations, complexity, the Pareto front;
`parse`: text to sympy by whitelist; `numeric`: sympy to NumPy; `family` and `verdict`: is it the law?
"""

from gnn_distill.symbolic.engine import VARIABLES, Engine, check_problem
from gnn_distill.symbolic.front import Equation, Front, complexity
from gnn_distill.symbolic.operon import OperonEngine
from gnn_distill.symbolic.parse import parse, write
from gnn_distill.symbolic.pysr import PySREngine
from gnn_distill.symbolic.verdict import Verdict, data_ranges, judge

__all__ = [
    "VARIABLES",
    "Engine",
    "Equation",
    "Front",
    "OperonEngine",
    "PySREngine",
    "Verdict",
    "check_problem",
    "complexity",
    "data_ranges",
    "judge",
    "parse",
    "write",
]
