"""Tables of LAMMPS and calculators of ASE have the forces of the law, and energies that fit them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.central import NoPotentialError, central, particles_of
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import export
from gnn_distill.physics.variables import Columns

LENNARD_JONES = "24*(2/d**13 - 1/d**7)"
RANGE = [0.9, 2.2]
ONE = {"particles": {"particle1": {"m": 1.0}}, "distances": RANGE, "softening": 0.0}
EDGE = 6.0


def law_of(radial: str, one_body: tuple[str, ...] = ()) -> Law:
    found = Law.along(parse(radial), 3, 0.0)
    return Law(found.components, tuple(map(parse, one_body)), found.radial)


def written(folder: Path, law: Law, **content: Any) -> Path:
    export(law, law.to_dict() | ONE | content, folder)
    return folder


def sections(path: Path) -> dict[str, Array]:
    """Keyword and rows [N, 4] of each section, read as LAMMPS reads them."""
    lines = [line.split("#")[0].split() for line in path.read_text(encoding="ascii").splitlines()]
    starts = [k for k, words in enumerate(lines) if words[:1] == ["N"]]
    found = {}
    for k in starts:
        (keyword,), count, blank = lines[k - 1], int(lines[k][1]), lines[k + 1]
        rows = np.array(lines[k + 2 : k + 2 + count], dtype=float)
        low, high = map(float, lines[k][3:])
        assert lines[k][2] == "R" and blank == [] and rows[:, 0].tolist() == [*range(1, count + 1)]
        assert rows[:, 1] == pytest.approx(np.linspace(low, high, count), rel=1e-9)
        found[keyword] = rows
    return found


def calculator(folder: Path) -> ModuleType:
    pytest.importorskip("ase")
    return loaded(folder / "law_ase.py")


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def atoms_of(symbols: str, calc: Any, seed: int = 0, cell: Any = EDGE, pbc: bool = True) -> Any:
    """Atoms near the sites of a lattice."""
    ase = pytest.importorskip("ase")
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[: len(ase.Atoms(symbols))] * 2.0
    atoms = ase.Atoms(
        symbols, positions=places / 1.5 + 0.05 * rng.normal(size=places.shape), cell=[cell] * 3, pbc=pbc
    )
    atoms.set_masses(np.ones(len(atoms)))
    atoms.calc = calc
    return atoms


def slopes(atoms: Any, step: float = 1e-5) -> Array:
    """Forces by differences of the energy."""
    x = atoms.positions.copy()
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            atoms.positions = x
            atoms.positions[place] += sign * step
            ends.append(atoms.get_potential_energy())
        found[place] = (ends[1] - ends[0]) / (2 * step)
    atoms.positions = x
    return found


def test_the_table_of_lennard_jones_has_its_potential_and_its_force(tmp_path: Path):
    written(tmp_path, law_of(LENNARD_JONES), radius=2.2, box=[4.4] * 3)
    _, r, energy, force = sections(tmp_path / "law.table")["particle1_particle1"].T
    assert (r[0], r[-1], len(r)) == (0.45, 2.2, 2000)
    assert energy == pytest.approx(4 * (r**-12 - r**-6), rel=1e-9, abs=1e-9)
    assert force == pytest.approx(24 * (2 * r**-13 - r**-7), rel=1e-9, abs=1e-9)
    text = (tmp_path / "law.table").read_text()
    assert "# pair_coeff 1 1 law.table particle1_particle1 2.2" in text
    assert "energy is zero at infinity" in text and "forces are accelerations" in text
    assert "law.table" in (tmp_path / "README.txt").read_text()


def test_a_potential_without_a_closed_form_is_integrated(tmp_path: Path):
    law = law_of("tanh(d)/(1 + d**3) - 0.3*exp(-d**2)")
    assert central(law, law.to_dict() | ONE).potentials["particle1", "particle1"] is None
    written(tmp_path, law)
    _, r, energy, force = sections(tmp_path / "law.table")["particle1_particle1"].T
    assert energy[-1] == 0 and "energy is zero at r = 2.2" in (tmp_path / "law.table").read_text()
    assert -np.gradient(energy, r)[1:-1] == pytest.approx(force[1:-1], rel=1e-5)
    atoms = atoms_of("Ar4", calculator(tmp_path).LawCalculator(), pbc=False)
    assert atoms.get_forces() == pytest.approx(slopes(atoms), abs=1e-8)
    pair = atoms_of("Ar2", calculator(tmp_path).LawCalculator(), pbc=False)
    at = [np.interp(d, r, energy) for d in (1.1, 1.7)]
    for d, expected in zip((1.1, 1.7), at, strict=True):
        pair.positions = [[0, 0, 0], [0, 0, d]]
        assert pair.get_potential_energy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cell", [EDGE, 4.5])
def test_forces_of_ase_are_slopes_of_the_energy_and_those_of_numpy(tmp_path: Path, cell: float):
    written(tmp_path, law_of(LENNARD_JONES), box=[cell] * 3)
    atoms = atoms_of("Ar18", calculator(tmp_path).LawCalculator(cutoff=2.2), cell=cell)
    assert np.abs(atoms.get_forces()).max() > 1.0
    assert atoms.get_forces() == pytest.approx(slopes(atoms), abs=1e-5)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())
    delta = atoms.get_all_distances(mic=True)
    i, j = np.nonzero((delta < 2.2) & (delta > 0))
    numpy = loaded(tmp_path / "law_numpy.py").acceleration(atoms.positions, edges=(i, j))
    assert atoms.get_forces() == pytest.approx(numpy, abs=1e-9)


def test_a_run_of_ase_keeps_its_energy(tmp_path: Path):
    pytest.importorskip("ase")
    from ase.md.verlet import VelocityVerlet

    written(tmp_path, law_of(LENNARD_JONES), radius=2.2, box=[EDGE] * 3)
    atoms = atoms_of("Ar8", calculator(tmp_path).LawCalculator())
    velocities = 0.7 * np.random.default_rng(1).normal(size=(8, 3))
    atoms.set_velocities(velocities - velocities.mean(0))
    start, before = atoms.get_total_energy(), atoms.positions.copy()
    VelocityVerlet(atoms, timestep=0.001).run(1000)
    assert np.abs(atoms.positions - before).max() > 0.3
    assert atoms.get_total_energy() == pytest.approx(start, abs=2e-3)


def test_units_of_the_law_become_those_of_ase(tmp_path: Path):
    written(tmp_path, law_of(LENNARD_JONES))
    make = calculator(tmp_path).LawCalculator
    reduced, argon = (atoms_of("Ar4", calc, pbc=False) for calc in (make(), make(length=3.4, energy=0.0104)))
    argon.positions *= 3.4
    assert argon.get_potential_energy() == pytest.approx(0.0104 * reduced.get_potential_energy())
    assert argon.get_forces() == pytest.approx(0.0104 / 3.4 * reduced.get_forces())


SALT = {
    "particles": {
        "Na": {"m": 23.0, "kind_Na": 1.0, "kind_Cl": 0.0},
        "Cl": {"m": 35.0, "kind_Na": 0.0, "kind_Cl": 1.0},
    },
    "further": ["kind_Na", "kind_Cl"],
    "kinds": {"Na": "kind_Na", "Cl": "kind_Cl"},
    "units": {"length": "Å", "time": "ps", "mass": "u"},
}
SAME = "(kind_Na1*kind_Na2 + kind_Cl1*kind_Cl2)"
OTHER = "(kind_Na1*kind_Cl2 + kind_Cl1*kind_Na2)"


def test_pairs_of_kinds_have_sections_of_their_own_with_forces_of_their_masses(tmp_path: Path):
    law = law_of(f"({SAME}*5.0*d**(-2) - {OTHER}*7.0*exp(-d))/m1")
    written(tmp_path, law, **SALT)
    found = sections(tmp_path / "law.table")
    assert [*found] == ["Na_Na", "Na_Cl", "Cl_Cl"]
    _, r, energy, force = found["Na_Na"].T
    assert force == pytest.approx(5.0 / r**2) and energy == pytest.approx(5.0 / r)
    assert found["Cl_Cl"] == pytest.approx(found["Na_Na"])
    assert found["Na_Cl"][:, 2] == pytest.approx(-7.0 * np.exp(-r))
    text = (tmp_path / "law.table").read_text()
    assert "Distances are in A, energies in u A^2/ps^2, forces in u A/ps^2; forces are mass x acc" in text
    assert "# 2 is Cl: m = 35" in text and "pair_coeff 1 2 law.table Na_Cl 2.2" in text
    make = calculator(tmp_path).LawCalculator
    salt, argon = atoms_of("Na2Cl2", make(), pbc=False), atoms_of("Ar4", make(), pbc=False)
    assert salt.get_forces() == pytest.approx(slopes(salt), abs=1e-7)
    accelerations = loaded(tmp_path / "law_numpy.py").acceleration(
        salt.positions, m=[23.0, 23.0, 35.0, 35.0], kinds=["Na", "Na", "Cl", "Cl"]
    )
    assert salt.get_forces() == pytest.approx(np.array([[23.0], [23.0], [35.0], [35.0]]) * accelerations)
    with pytest.raises(ValueError, match="give kinds: for each of 4 atoms one of Na, Cl"):
        argon.get_forces()


def test_action_and_reaction_that_differ_by_little_are_averaged_and_by_much_are_refused(tmp_path: Path):
    for strength, told in ((7.04, "differ by up to 0.57 %"), (9.0, None)):
        one, two = "kind_Na1*kind_Cl2", "kind_Cl1*kind_Na2"
        written(tmp_path, law_of(f"({one}*7.0 + {two}*{strength})*exp(-d)/m1"), **SALT)
        assert (tmp_path / "law.table").exists() == (tmp_path / "law_ase.py").exists() == (told is not None)
        if told is None:
            assert "differ by 22 %, against Newton's third law" in (tmp_path / "README.txt").read_text()
        else:
            assert told in (tmp_path / "law.table").read_text()
            force = sections(tmp_path / "law.table")["Na_Cl"]
            assert force[:, 3] == pytest.approx(7.02 * np.exp(-force[:, 1]))


def test_what_acts_on_one_particle_is_said_to_be_left_out(tmp_path: Path):
    written(tmp_path, law_of(LENNARD_JONES, ("-0.4*vx", "0", "-1.0")))
    for name in ("law.table", "law_ase.py"):
        text = " ".join((tmp_path / name).read_text().split())
        assert "Left out is what acts on one particle by itself, the accelerations (-0.4*vx, 0, -1.0)" in text


def test_kinds_that_nobody_labelled_are_kinds_like_others(tmp_path: Path):
    hidden = {"kinds": {"A": "kind_A", "B": "kind_B"}, "hidden_kinds": ["kind_A", "kind_B"]}
    law = law_of("kind_A1*kind_A2*d + 2.0*(kind_A1*kind_B2 + kind_B1*kind_A2)*d + 3.0*kind_B1*kind_B2*d")
    written(tmp_path, law, **hidden)
    found = sections(tmp_path / "law.table")
    assert {name: rows[-1, 3] / 2.2 for name, rows in found.items()} == pytest.approx(
        {"A_A": 1.0, "A_B": 2.0, "B_B": 3.0}
    )


@pytest.mark.parametrize(
    ("law", "content", "reason"),
    [
        (Law.along(parse("exp(-w)/d"), 2), {}, "depend on velocities"),
        (Law(tuple(map(parse, ("-wx/d", "-wy/d")))), {}, "depend on velocities"),
        (Law(tuple(map(parse, ("dx/d", "2.0*dy/d")))), {}, "not along the line between"),
        (Law(tuple(map(parse, ("-dy/d", "dx/d")))), {}, "not along the line between"),
        (Law(tuple(map(parse, ("dx/d", "dy/d"))), order=1), {}, "gives velocities"),
        (Law(tuple(map(parse, ("0", "0")))), {}, "no forces between particles"),
        (Law.along(parse("s1*s2/d"), 2), {}, "strengths of their own"),
        (Law.along(parse("k12/d"), 2), {}, "pairs have numbers of their own"),
        (Law.along(parse("1/d"), 2), {"edges": []}, "pairs have numbers of their own"),
        (Law.along(parse("1/d"), 2), {"particles": {}}, "more than 6 kinds"),
        (Law.along(parse("1/d"), 2), {"distances": []}, "at known distances"),
        (Law.along(parse("log(1 - d)"), 2), {}, "not finite at the largest distance"),
    ],
)
def test_no_table_where_there_is_no_potential(tmp_path: Path, law: Law, content: dict[str, Any], reason: str):
    whole = law.to_dict() | ONE | content
    with pytest.raises(NoPotentialError, match=reason):
        central(law, whole)
    if reason != "pairs have numbers of their own":
        export(law, whole | {"particles": {}, "hidden": {}}, tmp_path)
        assert not (tmp_path / "law.table").exists() and not (tmp_path / "law_ase.py").exists()
        assert "No law.table for LAMMPS and no law_ase.py" in (tmp_path / "README.txt").read_text()


def test_a_table_begins_where_the_force_is_finite(tmp_path: Path):
    written(tmp_path, law_of("log(d - 0.6)"))
    rows = sections(tmp_path / "law.table")["particle1_particle1"]
    assert 0.6 < rows[0, 1] < 0.61 and np.isfinite(rows).all()


def test_kinds_of_particles_are_those_that_the_law_tells_apart():
    columns = Columns(2, ("kind_A", "kind_B", "size"), softening=0.0)
    features = np.zeros((3, 4, columns.count), dtype=np.float32)
    features[..., columns.mass] = [1.0, 2.0, 2.0, 1.0]
    features[..., columns.charge] = [1.0, -1.0, 1.0, 1.0]
    features[..., columns.rest] = [[1, 0, 0.1], [0, 1, 0.2], [0, 1, 0.3], [1, 0, 0.4]]
    of, kinds = (features, columns), {"A": "kind_A", "B": "kind_B"}
    assert particles_of(law_of("1/(m1*d)"), *of) == {"particle1": {"m": 1.0}, "particle2": {"m": 2.0}}
    found = particles_of(law_of("q1*q2/d"), *of, kinds)
    assert [*found] == ["A", "B1", "B2"] and [row["q"] for row in found.values()] == [1.0, -1.0, 1.0]
    assert found["A"] == {"m": 1.0, "q": 1.0, "kind_A": 1.0, "kind_B": 0.0}
    assert len(particles_of(law_of("size1*size2/d"), *of)) == 4
    features[..., columns.charge] = np.arange(12).reshape(3, 4)
    assert particles_of(law_of("q1*q2/d"), *of) == {}


def test_words_of_the_user_stay_words(tmp_path: Path):
    evil = {"length": 'um"""\nraise SystemExit(1)\n"""', "time": "s\n1 2 3\\"}
    written(tmp_path, law_of("1/d"), units=evil)
    assert [*sections(tmp_path / "law.table")] == ["particle1_particle1"]
    assert calculator(tmp_path).CUTOFF is None
