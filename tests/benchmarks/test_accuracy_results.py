import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.accuracy import __main__ as command
from benchmarks.accuracy.catalogue import CATALOGUE
from benchmarks.accuracy.experiments import Experiment
from benchmarks.accuracy.intervals import mean_of, paired_difference
from benchmarks.accuracy.results import Results
from benchmarks.accuracy.table import TABLES, render

NUMBERS = {"accuracy": 0.5, "cpu_seconds": 12.0}


def test_interval_is_that_of_the_t_test():
    values = [0.71, 0.68, 0.75, 0.70]
    mean = mean_of(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.value - mean.radius == pytest.approx(interval.low)
    assert mean.value + mean.radius == pytest.approx(interval.high)
    assert mean.excludes_zero


def test_differences_are_paired_by_seed():
    values, reference = {0: 0.7, 1: 0.8, 3: 0.1}, {0: 0.6, 1: 0.5, 2: 0.9}
    difference = paired_difference(values, reference)
    interval = stats.ttest_rel([0.7, 0.8], [0.6, 0.5]).confidence_interval(0.95)
    assert difference.value == pytest.approx(0.2)
    assert difference.radius == pytest.approx(interval.high - 0.2)
    assert not difference.excludes_zero
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_one_seed_has_no_interval():
    mean = mean_of([0.5])
    assert mean.text(100) == "50.0 (one seed)"
    assert not mean.excludes_zero


def test_every_experiment_has_a_name_a_table_and_a_configuration_of_its_own():
    assert {experiment.group for experiment in CATALOGUE.values()} == set(TABLES)
    keys = [experiment.key for experiment in CATALOGUE.values()]
    assert len(set(keys)) == len(keys)


def test_only_what_decides_the_numbers_enters_the_key():
    experiment = Experiment(name="a", group="b", title="c")
    assert replace(experiment, name="d", group="e", title="f").key == experiment.key
    assert replace(experiment, epochs=13).key != experiment.key
    assert replace(experiment, losses={"frame_view": "raw"}).key != experiment.key


def test_finished_runs_are_read_back(tmp_path):
    path, experiment = tmp_path / "results.csv", CATALOGUE["solved"]
    results = Results(path)
    results.add(experiment, 0, NUMBERS)
    results.add(experiment, 2, {**NUMBERS, "accuracy": 0.625})
    for one in (results, Results(path)):
        assert one.of(experiment, "accuracy") == {0: 0.5, 2: 0.625}
        assert one.has(experiment, 2)
        assert not one.has(experiment, 1)
        assert not one.has(CATALOGUE["backbone"], 0)
        assert not one.has(replace(experiment, epochs=99), 0)


class CountingTrainer:
    """Stands in for the training; notes what it was asked for."""

    runs: list[tuple[str, int]] = []

    def __init__(self, experiment):
        self.name = experiment.name

    def run(self, seed):
        self.runs.append((self.name, seed))
        return NUMBERS


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.setattr(CountingTrainer, "runs", [])
    monkeypatch.setattr(command, "_trainer", lambda _, e: CountingTrainer(e))
    return CountingTrainer


def test_run_computes_what_is_missing_once(tmp_path, trainer):
    arguments = ["--results", str(tmp_path / "results.csv"), "run", "solved", "taught"]
    assert command.main([*arguments, "--seeds", "0"]) == 0
    assert command.main([*arguments, "--seeds", "0", "1"]) == 0
    expected = [("solved", 0), ("taught", 0), ("solved", 1), ("taught", 1)]
    assert trainer.runs == expected


def test_run_starts_nothing_after_its_time(tmp_path, trainer):
    path = str(tmp_path / "results.csv")
    assert command.main(["--results", path, "run", "--minutes", "-1"]) == 0
    assert trainer.runs == []


def test_unknown_experiment(tmp_path, trainer, capsys):
    path = str(tmp_path / "results.csv")
    assert command.main(["--results", path, "run", "dark-matter"]) == 2
    assert "No experiment is called 'dark-matter'" in capsys.readouterr().err


def test_table_shows_means_and_paired_differences(tmp_path):
    results = Results(tmp_path / "results.csv")
    for seed, (backbone, solved) in enumerate([(0.5, 0.7), (0.6, 0.8), (0.55, 0.75)]):
        for name, accuracy in (("backbone", backbone), ("solved", solved)):
            numbers = {**NUMBERS, "accuracy": accuracy}
            results.add(CATALOGUE[name], seed, numbers)
    text = render(results)
    rows = {line.split(" | ")[0]: line for line in text.splitlines()}
    solved = rows["| DynamoNet, solved filters"]
    assert "| 3 | 75.0 ± 12.4 | +20.0 ± 0.0 |" in solved
    assert "| 3 | 55.0 ± 12.4 | - |" in rows["| backbone alone"]
    # Neither experiments nor columns nor tables without a result.
    assert "taught" not in text
    assert "unseen" not in text
    assert "Few labels" not in text


def test_check_tells_which_numbers_a_second_run_misses(tmp_path, capsys):
    first, second = (Results(tmp_path / name) for name in ("first.csv", "second.csv"))
    for seed, accuracy in enumerate((0.5, 0.6, 0.55)):  # 0.55 ± 0.124
        first.add(CATALOGUE["backbone"], seed, {**NUMBERS, "accuracy": accuracy})
        first.add(CATALOGUE["solved"], seed, {**NUMBERS, "accuracy": accuracy + 0.2})
    # On its seed: the same number, one within the interval, one outside.
    second.add(CATALOGUE["backbone"], 1, {"accuracy": 0.6, "cpu_seconds": 99.0})
    arguments = ["--results", str(first.path), "check", str(second.path)]
    assert command.main(arguments) == 0
    assert "1 numbers of 1 experiments: 1 the same" in capsys.readouterr().out
    second.add(CATALOGUE["solved"], 0, {"accuracy": 0.8})
    assert command.main(arguments) == 0
    assert "1 the same, 1 within" in capsys.readouterr().out
    second.add(CATALOGUE["solved"], 1, {"accuracy": 1.0})
    assert command.main(arguments) == 1
    told = capsys.readouterr().out
    assert (
        "solved, accuracy: 0.7500 ± 0.1242, the second run differs by +0.1500" in told
    )
    assert "1 outside" in told


def test_check_needs_a_second_run_with_a_number_in_common(tmp_path, capsys):
    first = str(tmp_path / "first.csv")
    Results(tmp_path / "first.csv").add(CATALOGUE["solved"], 0, NUMBERS)
    missing = tmp_path / "nothing.csv"
    assert command.main(["--results", first, "check", str(missing)]) == 2
    assert f"{missing}: no such results file" in capsys.readouterr().err
    Results(missing).add(CATALOGUE["backbone"], 0, NUMBERS)
    assert command.main(["--results", first, "check", str(missing)]) == 1
    assert "0 numbers" in capsys.readouterr().out


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "benchmarks.accuracy.intervals")
    with pytest.raises(SystemExit, match="Intervals need scipy: pip install scipy"):
        importlib.import_module("benchmarks.accuracy.intervals")
