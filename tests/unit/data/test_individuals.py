"""Labels of particles: who is the same individual, and when the data are asked what each brings."""

import numpy as np
import pandas as pd
import pytest

from gnn_distill.data.own import OwnData
from gnn_distill.errors import InputError


def table(path, labels, runs=3, frames=90, **columns):
    """Runs of particles that each go around a place of their own; labels by run."""
    rows = [
        {"run": run, "t": 0.1 * k, "particle": name, "x": i + np.cos(0.1 * k + i), "y": run + np.sin(0.1 * k)}
        | {key: values[run][i] for key, values in columns.items()}
        for run in range(runs)
        for k in range(frames)
        for i, name in enumerate(labels[run])
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def numbers(data):
    """Of the individuals, by run."""
    return data.features[:: data.frames, :, data.columns.individual].astype(int).tolist()


def test_a_label_is_the_same_individual_in_all_runs_or_within_one(tmp_path):
    labels = [["venus", "mars"], ["mars", "earth"], ["earth", "venus"]]
    path = table(tmp_path / "t.csv", labels)
    data = OwnData(str(path), hidden=1).load()
    assert data.columns.identity and data.columns.count == data.features.shape[2] == 7
    named = [{data.individuals[k] for k in run} for run in numbers(data)]
    assert named == [set(run) for run in labels] and data.hidden == 1 and not data.optional
    assert (
        data.anonymous().features == data.features[..., :6]
    ).all() and not data.anonymous().columns.identity
    apart = OwnData(str(path), hidden=1, identity="run").load()
    assert len(apart.individuals) == 6 and "mars of run 1" in apart.individuals
    assert apart.blocks == 6  # each individual is in several of them
    assert not OwnData(str(path), hidden=0).load().individuals


def test_by_themselves_data_are_asked_where_nothing_tells_particles_apart(tmp_path):
    same, labels = [[2.0, 2.0]] * 3, [["a", "b"]] * 3
    for name, frames, columns, asked in (
        ("plain", 90, {}, True),
        ("equal", 90, {"mass": same}, True),
        ("masses", 90, {"mass": [[1.0, 2.0]] * 3}, False),
        ("sizes", 90, {"size": [[1.0, 2.0]] * 3}, False),
        ("few", 30, {}, False),
    ):
        path = table(tmp_path / f"{name}.csv", labels, frames=frames, **columns)
        data = OwnData(str(path), features=["size"] if "size" in columns else None).load()
        assert bool(data.individuals) is asked, name
        assert data.hidden == (2 if asked else 0)
        assert any("dataset.hidden=1 asks" in note for note in data.notes) is (name == "few")


def test_individuals_of_one_run_each_are_not_asked_for(tmp_path):
    labels = [["a", "b"], ["c", "d"], ["e", "f"]]
    path = table(tmp_path / "t.csv", labels, frames=150)
    assert not OwnData(str(path)).load().individuals
    assert len(OwnData(str(path), identity="run").load().individuals) == 6  # then blocks of time are split
    gaps = pd.read_csv(path)
    gaps[gaps.index % 41 != 5].to_csv(tmp_path / "gaps.csv", index=False)
    assert not OwnData(str(tmp_path / "gaps.csv")).load().individuals
    again = table(tmp_path / "again.csv", [["a", "b"], ["a", "b"], ["e", "a"]], frames=250)
    assert OwnData(str(again)).load().individuals


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"hidden": 3}, "dataset.hidden"),
        ({"identity": "track"}, "dataset.identity"),
        ({"known": {"a": {"weight": 1.0}}}, "dataset.known"),
        ({"known": {"c": {"mass": 1.0}}}, "dataset.known"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, settings, key):
    path = table(tmp_path / "t.csv", [["a", "b"]] * 3)
    with pytest.raises(InputError) as refused:
        OwnData(str(path), **settings).load()
    assert refused.value.key == key
