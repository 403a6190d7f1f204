import pytest

from keras_dynamonet.exporters.latency import EngineReport, LatencyReport, Timing


def test_times_of_the_host_have_one_row():
    report = LatencyReport((10.0, 20.0, 30.0, 40.0), 2, 0.1)
    lines = report.to_text().splitlines()
    assert lines[1:] == [
        "Throughput: 40 qps",
        "Latency: min = 10 ms, max = 40 ms, mean = 25 ms, median = 25 ms, "
        "percentile(90%) = 37 ms, percentile(95%) = 38.5 ms, percentile(99%) = 39.7 ms",
        "Total Host Walltime: 0.1 s",
    ]
    document = report.to_json()
    assert document["clips_per_second"] == 80.0
    assert document["latency"]["median"] == 25.0
    assert document["total_host_walltime_seconds"] == 0.1


def test_the_report_speaks_as_trtexec_does():
    timings = tuple(Timing(0.5, float(n), 0.5, 0.1) for n in range(1, 101))
    report = EngineReport(timings, 4, 10.0)
    assert report.throughput_qps == 10.0
    assert report.clips_per_second == 40.0
    lines = report.to_text().splitlines()
    assert lines[1] == "Throughput: 10 qps"
    assert lines[2].startswith(
        "Latency: min = 2 ms, max = 101 ms, mean = 51.5 ms, median = 51.5 ms, "
        "percentile(90%) = 91.1 ms"
    )
    names = [line.split(":")[0] for line in lines[3:6]]
    assert names == ["Enqueue Time", "H2D Latency", "GPU Compute Time"]
    assert "Total GPU Compute Time: 5.05 s" in lines
    assert "coefficient of variance" in lines[-1]
    assert report.to_json()["gpu_compute"]["median"] == 50.5
    assert report.to_json()["runs"] == 100


def test_doubtful_figures_are_named():
    report = EngineReport((Timing(3.0, 1.0, 4.0, 2.0),) * 3, 1, 1.0)
    text = " ".join(report.warnings())
    assert "bound by Enqueue Time" in text
    assert "host-to-device" in text and "device-to-host" in text
    assert EngineReport((Timing(0.1, 1.0, 0.1, 0.1),) * 3, 1, 1.0).warnings() == []


def test_a_report_needs_runs():
    with pytest.raises(ValueError, match="at least one run"):
        EngineReport((), 1, 1.0)
    with pytest.raises(ValueError, match="at least one run"):
        LatencyReport((), 1, 1.0)
