"""`python -m gnn_distill` is `gnn-distill`."""

from gnn_distill.cli.main import main

main()
