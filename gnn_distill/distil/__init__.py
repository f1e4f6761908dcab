"""From recorded messages to equations, verdicts and one law.

`targets`: what symbolic regression sees; `solve`: equations and verdicts for any points; `search`: for those
of a run; `law`: one closed form;
`rollouts`: it and the network, let run.
"""

from gnn_distill.distil.law import distilled_law
from gnn_distill.distil.rollouts import roll_out
from gnn_distill.distil.search import equations, search
from gnn_distill.distil.solve import Found
from gnn_distill.distil.targets import TARGETS, wanted

__all__ = ["TARGETS", "Found", "distilled_law", "equations", "roll_out", "search", "wanted"]
