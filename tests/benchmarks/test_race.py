import numpy as np
import pytest

from benchmarks import inference
from benchmarks.contestant import Contestant
from benchmarks.memory import exponent
from benchmarks.race import Result, compare_outputs, race
from benchmarks.tables import Table, versus, write_section

WORK = "tests.benchmarks.works"


def sleeper(name, seconds, value, **environment):
    settings = {"seconds": seconds, "value": value}
    return Contestant(name, f"{WORK}:sleep", settings, environment=environment)


def test_contestants_are_timed_in_turn():
    contestants = [
        sleeper("slow", 0.02, 1.0),
        sleeper("fast", 0.001, 1.0001, RUNTIME="one that is fast"),
    ]
    results = race(contestants, rounds=3, seconds=0.0)
    assert list(results) == ["slow", "fast"]
    slow, fast = results.values()
    assert slow.runtime == "1 threads"
    assert fast.runtime == "one that is fast"
    assert len(slow.rounds) == 3 and min(slow.rounds) >= 0.02
    assert fast.units_per_second == 2 / fast.seconds
    assert slow.peak_memory_mib > 5


def test_other_results_and_failures_stop_the_race():
    contestants = [sleeper("one", 0.0, 1.0), sleeper("other", 0.0, 1.5)]
    with pytest.raises(RuntimeError, match="other: value differs from that of one by"):
        race(contestants, rounds=1, seconds=0.0)
    with pytest.raises(RuntimeError, match="(?s)none: ended.*no such network"):
        race([Contestant("none", f"{WORK}:broken")], rounds=1)


@pytest.mark.parametrize("bad", ["zeros", "ones", "noise", "not finite"])
def test_coarse_outputs_must_point_where_the_others_do(bad):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 400))
    noise = rng.normal(size=logits.shape)
    received = {
        "zeros": np.zeros_like(logits),
        "ones": np.ones_like(logits),
        "noise": noise,
        "not finite": logits * np.nan,
    }[bad]
    limits = inference.TOLERANCES, inference.LEAST_COSINES

    def check(values):
        outputs = {"PyTorch": {"logits": logits}, "TFLite INT8": {"logits": values}}
        compare_outputs(outputs, "PyTorch", *limits)

    check(logits + 0.1 * noise)
    with pytest.raises(RuntimeError, match="TFLite INT8: logits has a cosine of"):
        check(received)


def test_ratios_are_taken_within_rounds():
    ours = Result("ours", "", 4, (2.0, 4.0, 6.0), 0.0)
    peer = Result("peer", "", 2, (1.0, 1.0, 3.0), 0.0)
    assert ours.ratios(peer) == [1.0, 2.0, 1.0]
    assert versus(ours, peer, 1.1) == "1.00 (1.00 to 2.00), target 1.1: reached"
    assert versus(peer, ours, 0.9).endswith("target 0.9: missed")


def test_exponents_are_slopes_of_logarithms():
    assert exponent([16, 32, 64], [3.0, 6.0, 12.0]) == pytest.approx(1.0)
    assert exponent([112, 224], [1.0, 4.0]) == pytest.approx(2.0)


def test_tables_go_between_their_markers(tmp_path):
    table = Table("Speed", ("what", "ms"))
    table.add("a", "1")
    with pytest.raises(ValueError, match="needs 2 cells. Received: 1"):
        table.add("b")
    notes = tmp_path / "notes.md"
    notes.write_text(
        "before\n<!-- benchmark:x -->\nold\n<!-- /benchmark:x -->\nafter\n"
    )
    write_section(notes, "x", table.to_markdown())
    assert notes.read_text() == (
        "before\n<!-- benchmark:x -->\nSpeed:\n\n| what | ms |\n| --- | --- |\n"
        "| a | 1 |\n<!-- /benchmark:x -->\nafter\n"
    )
    with pytest.raises(ValueError, match="has no markers <!-- benchmark:y -->"):
        write_section(notes, "y", "")
