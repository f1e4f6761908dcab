"""Engines of symbolic regression; an engine of the user's own starts from these names."""

from gnn_distill.distil.engines.engine import Engine, check_problem
from gnn_distill.distil.expressions.front import Front

__all__ = ["Engine", "Front", "check_problem"]
