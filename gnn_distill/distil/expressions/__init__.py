"""Expressions: parsed, evaluated, refined, ranked on a front."""
