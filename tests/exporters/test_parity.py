import json
from dataclasses import replace

import numpy as np
import pytest

from keras_dynamonet.cli.parity_table import print_parity
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.parity import (
    ParityError,
    Tolerance,
    compare,
    refuse_constants,
    run_in_batches,
)
from keras_dynamonet.exporters.parity_report import (
    COLUMNS,
    table_rows,
    to_markdown,
    write_parity,
)
from keras_dynamonet.exporters.tensorrt_engine import Machine

RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(4), size=40)
FRAMES = RNG.uniform(size=(40, 6, 6, 3))


def entry(report, output):
    return next(e for e in report.entries if e.output == output)


def test_measures_are_those_of_their_names():
    expected = {"logits": np.array([[3.0, -4.0], [0.0, 2.0]])}
    received = {"logits": np.array([[3.0, -4.5], [0.1, 0.05]])}
    found = entry(compare("a", expected, received), "logits")
    assert found.clips == 2
    assert found.max_absolute == pytest.approx(1.95)
    assert found.max_relative == pytest.approx(1.95 / 4)
    first = (9 + 18) / (5 * np.hypot(3, 4.5))
    second = 0.1 / (2 * np.hypot(0.1, 0.05))
    assert found.cosine == pytest.approx((first + second) / 2)
    assert found.least_cosine == pytest.approx(second)
    off = 0.5, np.hypot(0.1, 1.95)
    assert found.distance == pytest.approx(np.hypot(*off) / np.hypot(5, 2))
    # Of an output that is smaller than most, over the mean norm.
    assert found.largest_distance == pytest.approx(off[1] / ((5 + 2) / 2))
    assert found.top1_agreement == 0.5
    assert not found.passed


def test_equal_outputs_pass():
    outputs = {"probabilities": PROBABILITIES, "next_frame": FRAMES}
    report = compare("a.onnx", outputs, outputs, runtime="r 1")
    assert report
    assert entry(report, "next_frame").top1_agreement is None
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p + 2e-4, "absolute difference 0.0002, allowed 0.0001"),
        (lambda p: p[:, ::-1], "the first class agrees on"),
        (
            lambda p: np.where(p == p.max(), np.nan, p),
            "the artefact gives values that are",
        ),
        (lambda p: np.where(p == p.max(), np.inf, p), "not finite"),
        (lambda p: np.repeat(p[:1], 40, axis=0), "the artefact gives a constant"),
        (lambda p: p[:, :3], r"has shape \(40, 3\) instead of \(40, 4\)"),
    ],
)
def test_wrong_outputs_fail(change, reason):
    expected = {"probabilities": PROBABILITIES}
    report = compare("a.onnx", expected, {"probabilities": change(PROBABILITIES)})
    assert not report
    with pytest.raises(ParityError, match=reason):
        report.raise_if_failed()


def quantised(values, seed=1):
    """As far off as INT8 outputs of trained networks are, on average over clips."""
    rng = np.random.default_rng(seed)
    rms = np.sqrt(np.mean(values**2))
    return values + 0.05 * rms * rng.normal(size=values.shape)


def one_bad_clip(values):
    values = values.copy()
    values[70] *= -1000
    return values


@pytest.mark.parametrize("precision", ["int8", "dynamic_range"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: 0.01 * values, "distance 0.99, allowed"),
        (lambda values: 0.7 * values, "distance 0.3, allowed"),
        (lambda values: 1.4 * values, "distance 0.4, allowed"),
        (one_bad_clip, "cosine of one clip -.*, at least 0.*distance of one clip"),
        (lambda values: np.roll(values, 1, axis=0), "cosine of one clip"),
    ],
)
def test_rounding_excuses_neither_a_wrong_scale_nor_a_bad_clip(
    precision, change, reason
):
    embedding = np.random.default_rng(0).normal(1.0, 0.5, size=(128, 40))
    expected = {"embedding": embedding}
    assert compare("a", expected, {"embedding": quantised(embedding)}, precision="int8")
    report = compare(
        "a", expected, {"embedding": change(embedding)}, precision=precision
    )
    with pytest.raises(ParityError, match=reason):
        report.raise_if_failed()


def test_rounding_moves_no_probability_from_one_class_to_another():
    sure = np.full((128, 4), 0.04)
    sure[np.arange(128), np.arange(128) % 4] = 0.88
    off = sure.copy()
    off[5] = (0.3, 0.3, 0.2, 0.2)
    report = compare(
        "a", {"probabilities": sure}, {"probabilities": off}, precision="int8"
    )
    with pytest.raises(ParityError, match="absolute difference 0.58, allowed 0.5"):
        report.raise_if_failed()


def test_a_black_clip_has_no_direction():
    frames = FRAMES.copy()
    frames[3] = 0
    near = frames + 1e-9 * np.random.default_rng(2).normal(size=frames.shape)
    found = entry(
        compare("a", {"next_frame": frames}, {"next_frame": near}), "next_frame"
    )
    assert found.passed
    assert found.least_cosine == pytest.approx(1)


def test_unlisted_output_fails():
    logits = {"logits": PROBABILITIES}
    report = compare("a", logits, {**logits, "extra": np.ones((40, 2))})
    assert entry(report, "logits").passed
    with pytest.raises(
        ParityError, match=r"\(extra: the artefact gives it, but it is not"
    ):
        report.raise_if_failed()


def test_missing_output_fails():
    report = compare("a", {"logits": PROBABILITIES}, {})
    with pytest.raises(ParityError, match="logits: missing from the artefact"):
        report.raise_if_failed()


def test_constant_reference_proves_nothing():
    still = {"motion_filters": np.ones((40, 3))}
    report = compare("a", still, still)
    with pytest.raises(ParityError, match="Keras gives a constant, which proves nothi"):
        report.raise_if_failed()


@pytest.mark.parametrize("noise", [0, 1e-7, 1e-6])
def test_rounding_does_not_make_a_constant_vary(noise):
    rng = np.random.default_rng(0)
    still = np.repeat(PROBABILITIES[:1], 40, axis=0)
    still, again = (still + noise * rng.uniform(size=(40, 4)) for _ in range(2))
    report = compare("a", {"probabilities": still}, {"probabilities": again})
    with pytest.raises(ParityError) as caught:
        report.raise_if_failed()
    assert str(caught.value) == (
        "a: cannot be compared on clips that are so much alike and was not kept "
        "(probabilities: Keras gives a constant, which proves nothing)."
    )
    report = compare("a", {"logits": PROBABILITIES}, {"logits": again})
    with pytest.raises(ParityError, match="a: differs .*the artefact gives a constant"):
        report.raise_if_failed()


def test_clips_that_keras_does_not_tell_apart_are_refused():
    still = np.ones((40, 3)) + 1e-7 * RNG.uniform(size=(40, 3))
    refuse_constants({"logits": PROBABILITIES, "next_frame": FRAMES[:1]}, "videos")
    message = "videos: proves nothing: Keras itself gives the same embedding for all"
    with pytest.raises(UserError, match=message):
        refuse_constants({"logits": PROBABILITIES, "embedding": still}, "videos")


def test_no_clips_prove_nothing():
    empty = {"logits": np.ones((0, 4))}
    with pytest.raises(ParityError, match="no clips were compared"):
        compare("a", empty, empty).raise_if_failed()


def test_no_outputs_are_an_error():
    with pytest.raises(ValueError, match="at least one output to compare"):
        compare("a", {}, {})


def test_tolerance_follows_the_precision():
    near = {"probabilities": PROBABILITIES + 5e-3}
    expected = {"probabilities": PROBABILITIES}
    assert not compare("a", expected, near, precision="float32")
    assert compare("a", expected, near, precision="float16")
    strict = Tolerance(cosine=1.1)
    report = compare("a", expected, near, tolerance=strict)
    with pytest.raises(ParityError, match="cosine 0.99.*, at least 1.1 needed"):
        report.raise_if_failed()


def close_calls():
    """Logits that differ little, but in the first class of four clips."""
    expected = np.random.default_rng(1).dirichlet(np.ones(4), size=40)
    second, first = np.argsort(expected[:4], axis=1)[:, -2:].T
    rows = np.arange(4)
    expected[rows, second] = expected[rows, first] - 1e-4
    received = expected.copy()
    received[rows, second] += 2e-4
    return expected, received


MORE_VIDEOS = (
    "ompare on more videos (--data, --clips; among few, one close call decides)"
)


@pytest.mark.parametrize(
    ("precision", "remedy"),
    [
        (
            "int8",
            f" C{MORE_VIDEOS}, calibrate with other or more clips (--data, "
            "--calibration-clips), or take --precision float16.",
        ),
        ("dynamic_range", f" C{MORE_VIDEOS}, or take --precision float16."),
        ("bfloat16", f" C{MORE_VIDEOS}, or take --precision float16."),
        ("float16", f" C{MORE_VIDEOS}, or take --precision float32."),
        ("float32", "36 of 40 clips, 100% needed)."),
    ],
)
def test_close_calls_come_with_a_remedy(precision, remedy):
    expected, received = close_calls()
    logits = {"logits": expected}, {"logits": received}
    with pytest.raises(ParityError) as caught:
        compare("a", *logits, precision=precision).raise_if_failed()
    assert str(caught.value).endswith(remedy)


@pytest.mark.parametrize(
    ("precision", "received", "remedy"),
    [
        ("float16", 2 * PROBABILITIES, ", allowed 0.05). Take --precision float32."),
        ("float16", np.full((40, 4), np.inf), ". Take --precision float32."),
        ("int8", -PROBABILITIES, "clips), or take --precision float16."),
        ("float16", np.ones((40, 4)), "gives a constant, which proves nothing)."),
        ("int8", None, "missing from the artefact)."),
    ],
)
def test_more_videos_do_not_help_what_is_wrong(precision, received, remedy):
    outputs = {} if received is None else {"logits": received}
    report = compare("a", {"logits": PROBABILITIES}, outputs, precision=precision)
    with pytest.raises(ParityError) as caught:
        report.raise_if_failed()
    assert str(caught.value).endswith(remedy)


def test_filters_have_a_tolerance_of_their_own():
    near = FRAMES * (1 + 5e-3)
    for name, passes in (("motion_filters", True), ("next_frame", False)):
        assert bool(compare("a", {name: FRAMES}, {name: near})) == passes


def test_batches_change_size_and_cover_every_clip():
    sizes = []

    def run(clips):
        sizes.append(len(clips))
        return {"sum": clips.sum(axis=1)}

    clips = np.arange(40).reshape(20, 2)
    outputs = run_in_batches(run, clips, (1, 3, 8))
    assert sizes == [1, 3, 8, 1, 3, 4]
    np.testing.assert_array_equal(outputs["sum"], clips.sum(axis=1))


def test_fixed_batch_is_filled_up():
    sizes = []

    def run(clips):
        sizes.append(len(clips))
        return {"sum": clips.sum(axis=1)}

    clips = np.arange(10).reshape(5, 2)
    outputs = run_in_batches(run, clips, (4,))
    assert sizes == [4, 4]
    np.testing.assert_array_equal(outputs["sum"], clips.sum(axis=1))


def test_reports_are_kept_beside_each_other(tmp_path):
    good = {"probabilities": PROBABILITIES}
    bad = {"probabilities": PROBABILITIES[:, ::-1]}
    write_parity(tmp_path, [compare("a.onnx", good, bad)])
    write_parity(tmp_path, [compare("b.onnx", good, good)], source="videos")
    path = write_parity(tmp_path, [compare("a.onnx", good, good)], source="videos")
    entries = json.loads(path.read_text())["entries"]
    assert [e["artefact"] for e in entries] == ["b.onnx", "a.onnx"]
    assert all(e["passed"] and e["clips_from"] == "videos" for e in entries)
    assert entries[0]["tolerance"]["absolute"] == 1e-4
    assert (
        "| b.onnx | probabilities |  | 40 | 0.0e+00 |"
        in (tmp_path / "parity.md").read_text()
    )


def test_reports_tell_an_engine_from_its_onnx_model(tmp_path, monkeypatch, capsys):
    tensorrt = pytest.importorskip("keras_dynamonet.exporters.tensorrt")
    loaded = (None, "onnxruntime 1.23.2")
    monkeypatch.setattr(tensorrt.onnx_exporter, "load_runner", lambda path: loaded)
    _, stand_in = tensorrt._onnx_runner(b"", Machine({}, None, "no driver"))
    _, other = tensorrt._onnx_runner(b"", Machine({}, "8.9"))
    assert stand_in.endswith("has not run: no GPU)")
    assert other.endswith("has not run: this GPU has 8.9)")
    outputs = {"motion_filters": PROBABILITIES}
    few = [b"same"] * 40
    reports = [
        compare("unrun.engine", outputs, outputs, runtime=stand_in),
        compare("weak.engine", outputs, outputs, runtime=stand_in, clip_hashes=few),
        compare("bad.engine", outputs, {}, runtime=stand_in),
        compare("run.engine", outputs, outputs, runtime="tensorrt_rtx 1.7"),
    ]
    path = write_parity(tmp_path, reports)
    verdicts = {}
    for line in path.with_suffix(".md").read_text().splitlines()[6:]:
        artefact, _, runtime, *_, verdict = line.strip("| ").split(" | ")
        verdicts[artefact, runtime] = verdict
    assert verdicts == {
        ("unrun.engine", stand_in): "ok, of its ONNX model",
        ("weak.engine", stand_in): "ok, of its ONNX model, a weak proof",
        ("bad.engine", stand_in): "FAILED, of its ONNX model: missing from the "
        "artefact",
        ("run.engine", "tensorrt_rtx 1.7"): "ok",
    }
    print_parity(reports)
    told = capsys.readouterr().out.splitlines()
    assert f"unrun.engine: float32 in {stand_in}, 40 clips" in told
    rows = [line.rstrip() for line in told if line.startswith("motion_filters")]
    assert [row.endswith("of its ONNX model") for row in rows] == [True] * 3 + [False]
    assert rows[3].endswith(" ok")
    assert max(map(len, rows)) <= 80


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_parity_json_is_json(number, tmp_path):
    outputs = {"logits": PROBABILITIES}
    report = compare("a", outputs, outputs)
    worse = replace(report.entries[0], max_absolute=float(number))
    write_parity(tmp_path, [replace(report, entries=(worse,))])
    # Once more, as an entry of an earlier export.
    path = write_parity(tmp_path, [compare("b", outputs, outputs)])
    entries = json.loads(path.read_text(), parse_constant=lambda name: 1 / 0)["entries"]
    assert [entry["max_absolute"] for entry in entries] == [None, 0.0]
    assert "| a | logits |  | 40 |  | " in path.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    "old",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"entries": 1, "accuracy": {"artefact": "a"}}',
        b'{"entries": ["a", 1, null, [], {}], "accuracy": [{}]}',
        b'{"entries": [{"artefact": "a", "passed": true}]}',
        b'{"entries": [{"artefact": ["a"]}], "accuracy": [{"artefact": "a"}]}',
    ],
)
def test_whatever_lies_in_the_place_of_the_report_is_replaced(old, tmp_path):
    outputs = {"logits": PROBABILITIES}
    (tmp_path / "parity.json").write_bytes(old)
    document = json.loads(
        write_parity(tmp_path, [compare("b", outputs, outputs)]).read_text()
    )
    assert [entry["artefact"] for entry in document["entries"]] == ["b"]
    assert document["accuracy"] == []


def test_entries_of_other_kinds_do_not_cost_the_good_ones(tmp_path):
    outputs = {"logits": PROBABILITIES}
    path = write_parity(tmp_path, [compare("a", outputs, outputs)])
    document = json.loads(path.read_text())
    (good,) = document["entries"]
    for change in ({"artefact": 1}, {"clips": None, "cosine": "x"}, {"runtime": 1}):
        document["entries"].append({**good, **change})
    document["entries"].append({**good, "max_absolute": 10**400})
    document["entries"].append({k: v for k, v in good.items() if k != "artefact"})
    path.write_text(json.dumps(document))
    write_parity(tmp_path, [compare("b", outputs, outputs)])
    entries = json.loads(path.read_text())["entries"]
    assert entries[0] == good
    assert [entry["artefact"] for entry in entries] == ["a", "b"]


def test_the_same_clip_again_proves_nothing_more(tmp_path):
    outputs = {"logits": PROBABILITIES}
    few = [bytes([index % 4]) for index in range(40)]
    pairs = {"embed/embedding": (PROBABILITIES[:3], PROBABILITIES[:3])}
    report = compare("a", outputs, outputs, pairs=pairs, clip_hashes=few)
    assert report and report.weak
    assert [(e.clips, e.distinct_clips) for e in report.entries] == [(40, 4), (3, 3)]
    path = write_parity(tmp_path, [report, compare("b", outputs, outputs)])
    entries = json.loads(path.read_text())["entries"]
    assert [e["weak"] for e in entries] == [True, True, False]
    assert [e["distinct_clips"] for e in entries] == [4, 3, 40]
    rows = (tmp_path / "parity.md").read_text().splitlines()
    assert "| a | logits |  | 40 (4 distinct) | " in rows[6]
    assert rows[6].endswith("| ok, a weak proof |")
    assert rows[8].endswith("| ok |")


@pytest.mark.parametrize(("distinct", "weak"), [(31, True), (32, False)])
def test_few_distinct_clips_are_a_weak_proof(distinct, weak, capsys):
    outputs = {"logits": PROBABILITIES}
    hashes = [bytes([index % distinct]) for index in range(40)]
    report = compare("a", outputs, outputs, clip_hashes=hashes)
    assert report.weak == weak
    print_parity([report])
    told = capsys.readouterr().out.splitlines()[0]
    words = ", a weak proof (fewer than 32)" if weak else ""
    assert told == f"a: float32 in , 40 clips, {distinct} distinct{words}"


def test_entries_of_earlier_exports_are_shown():
    outputs = {"logits": PROBABILITIES}
    (old,) = compare("a", outputs, outputs).to_json()
    later = ("distinct_clips", "least_cosine", "largest_distance", "weak", "runtime")
    for name in later:
        del old[name]
    row = "| a | logits |  | 40 | 0.0e+00 | 0.0e+00 | 1.000000 |  |  |"
    assert row in to_markdown([old])


def test_table_shows_failures():
    good = {"probabilities": PROBABILITIES}
    report = compare("a", good, {"probabilities": PROBABILITIES * np.nan})
    (row,) = table_rows(report)
    assert len(row) == len(COLUMNS)
    assert row[-1] == "FAILED"
    assert "FAILED: the artefact gives values" in to_markdown(report.to_json())
