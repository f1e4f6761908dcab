"""`python -m gnn_distill` is `gnn-distill`."""

from gnn_distill.cli import main

main()
