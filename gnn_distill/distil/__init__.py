"""From recorded messages to equations, verdicts and one law."""
