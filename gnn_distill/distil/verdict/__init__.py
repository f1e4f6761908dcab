"""Whether an equation is the law, and whether it holds beyond its points."""
