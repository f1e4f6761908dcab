"""The pair laws of textbooks: f(r) along Δ/d, positive where it repels."""

from __future__ import annotations

from typing import NamedTuple

AMPLITUDES = ("A", "B", "C")
"""Enter linearly, any sign."""
LENGTHS = {"L": "λ", "s": "σ", "R": "r₀"}
"""Positive; searched for around the median distance."""
EXPONENTS = {"n": (-1.0, 1.5, 3.0, 6.0, 12.0), "k": (1.0, 3.0, 6.0)}
"""With their first guesses."""
_NEAR = "(R - Max(0, R - r))"  # the smaller one of r and R: constant beyond R


class Form(NamedTuple):
    """A known pair law.

    Attributes:
        name: what it is called.
        formula: f(r) in the letters above, positive where it repels.
        source: where it is at home.
        potential: of which f is the slope, where that is the shorter word, in letters of any meaning.
        central: what it is called along Δ/d, where its name is that of a function of velocities.
    """

    name: str
    formula: str
    source: str = "yours"
    potential: str = ""
    central: str = ""


KNOWN = (
    Form("constant", "A", "strings; alignment with all within a radius"),
    Form("spring without rest length", "A*r", "Hooke"),
    Form("inverse distance", "A/r", "line charges, vortices"),
    Form("inverse square", "A/r**2", "Newton, Coulomb"),
    Form("dipoles", "A/r**4", "aligned dipoles, side by side"),
    Form("van der Waals", "A/r**7", "London 1930"),
    Form("power law", "A/r**n", "inverse powers, soft spheres"),
    Form("inverse square with background", "A/r**2 + B*r", "one-component plasma"),
    Form("spring", "A*(r - R)", "Hooke"),
    Form("logarithm", "A*log(r/R)", "cell and animal aggregation"),
    Form("Plummer", "A*r/(r**2 + s**2)**1.5", "Plummer 1911", "A/(r**2 + s)**0.5"),
    Form("softened power law", "A*r/(r**2 + s**2)**n", "softened gravity"),
    Form(
        "Cucker-Smale",
        "A/(r**2 + s**2)**n",
        "flocking, Cucker and Smale 2007",
        central="rounded-off power law",
    ),
    Form("exponential", "A*exp(-r/L)", "social force, Helbing and Molnar 1995"),
    Form("r times exponential", "A*r*exp(-r/L)", "swarms"),
    Form("Gaussian", "A*exp(-r**2/(2*s**2))", "smooth repulsion"),
    Form(
        "force of a Gaussian potential",
        "A*r*exp(-r**2/(2*s**2))",
        "Stillinger 1976, polymer coils",
        "A*exp(-r**2/s)",
    ),
    Form(
        "screened Coulomb (Yukawa)",
        "A*exp(-r/L)*(1/r**2 + 1/(L*r))",
        "Debye and Hückel 1923",
        "A*exp(-r/L)/r",
    ),
    Form("exponential over r", "A*exp(-r/L)/r", "the Yukawa potential's shape"),
    Form("screened inverse square", "A*exp(-r/L)/r**2", "dusty plasmas"),
    Form("Morse", "A*(exp(-2*(r - R)/L) - exp(-(r - R)/L))", "Morse 1929"),
    Form("two exponentials", "A*exp(-r/L) + B*exp(-r/s)", "D'Orsogna et al. 2006"),
    Form("Lennard-Jones", "A*(2*(s/r)**12 - (s/r)**6)/r", "Jones 1924", "A*(s/r**12 - 1/r**6)"),
    Form("Mie", "A*((R/r)**n - (R/r)**k)*R/r", "Mie 1903; no force at R"),
    Form("Buckingham", "A*exp(-r/L) + B/r**7", "Buckingham 1938"),
    Form("logistic", "A/(1 + exp((r - R)/L))", "smooth step"),
    Form("linear contact (soft sphere)", "A*Max(0, R - r)", "Cundall and Strack 1979"),
    Form("Hertz contact", "A*Max(0, R - r)**1.5", "Hertz 1882"),
    Form("WCA", f"A*(2*(R/{_NEAR})**12 - 2*(R/{_NEAR})**6)/{_NEAR}", "Weeks, Chandler and Andersen 1971"),
    Form("depletion", f"A*(1 - ({_NEAR}/R)**2)", "Asakura and Oosawa 1954"),
)
CENTRAL = {form.name: form.central for form in KNOWN if form.central}
