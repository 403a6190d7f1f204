import numpy as np
import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.tensorrt_engine import EngineRecord
from keras_dynamonet.exporters.tensorrt_runner import TensorRTRunner
from tests.exporters.fake_cuda import FakeCuda, fake_tensorrt

RECORD = EngineRecord("tensorrt", "11.0", ("8.9",), (1, 2, 4), "0" * 64, "float32")
SHAPES = {
    "clip": ((-1, 2, 4, 4, 3), "uint8"),
    "logits": ((-1, 3), "float32"),
    "next_frame": ((-1, 4, 4, 3), "float32"),
}


def compute(clips):
    return {
        "logits": clips.reshape(len(clips), -1)[:, :3] * 0.5,
        "next_frame": clips[:, -1] / 255.0,
    }


def make_runner(cuda, engine=b"engine", compute=compute):
    tensorrt = fake_tensorrt(cuda, compute, SHAPES)
    return TensorRTRunner(engine, RECORD, tensorrt, cuda=cuda)


def make_clips(count):
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 2, 4, 4, 3), "uint8")


def test_outputs_come_back_by_name_for_every_batch():
    cuda = FakeCuda()
    with make_runner(cuda) as run:
        for count in (1, 4, 2):
            clips = make_clips(count)
            outputs = run(clips)
            assert set(outputs) == {"logits", "next_frame"}
            for name, value in compute(clips).items():
                np.testing.assert_allclose(outputs[name], value, rtol=1e-6)


def test_outputs_do_not_change_with_the_next_run():
    with make_runner(FakeCuda()) as run:
        clips = make_clips(2)
        first = run(clips)
        run(255 - clips)
        np.testing.assert_allclose(first["logits"], compute(clips)["logits"])


def test_everything_is_given_back():
    cuda = FakeCuda()
    run = make_runner(cuda)
    assert cuda.memory and cuda.handles
    run.close()
    run.close()
    assert not cuda.memory and not cuda.handles
    with pytest.raises(UserError, match="The engine is closed"):
        run(make_clips(2))


def test_engines_for_any_shape_wait_for_the_kernels_of_theirs():
    """TensorRT-RTX compiles them in the background unless told otherwise."""
    tensorrt = fake_tensorrt(cuda := FakeCuda(), compute, SHAPES)
    tensorrt.flavour = "tensorrt_rtx"
    with TensorRTRunner(b"engine", RECORD, tensorrt, cuda=cuda) as run:
        config = run._context.config
        assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
        assert run(make_clips(2))["logits"].shape == (2, 3)


def test_clips_that_do_not_fit_are_refused():
    with make_runner(FakeCuda()) as run:
        with pytest.raises(UserError, match="takes 1 to 4 clips. Received: 5"):
            run(make_clips(5))
        with pytest.raises(UserError, match="takes uint8 clips.*Received: float32"):
            run(make_clips(2).astype("float32"))
        with pytest.raises(UserError, match=r"Received: uint8 \(1, 4, 4, 3\)"):
            run(make_clips(2)[:, :1])


def test_a_full_gpu_and_a_damaged_engine_are_reported():
    with pytest.raises(UserError, match="cudaMalloc failed with cudaErrorMemory"):
        make_runner(FakeCuda(bytes_free=100))
    with pytest.raises(
        UserError, match="cannot load the engine: magic number is wrong"
    ):
        make_runner(FakeCuda(), engine=b"damaged")


@pytest.mark.parametrize("bytes_free", [100, 400, 450])
def test_what_was_taken_before_a_failure_is_given_back(bytes_free):
    # The clips of the largest batch take 384 bytes, the logits 48.
    cuda = FakeCuda(bytes_free)
    with pytest.raises(UserError, match="cudaMalloc failed with cudaErrorMemory"):
        make_runner(cuda)
    assert not cuda.memory and not cuda.handles


def test_times_are_taken_between_the_events():
    seen = []

    def counted(clips):
        seen.append(clips)
        return compute(clips)

    with make_runner(FakeCuda(), compute=counted) as run:
        report = run.measure(
            make_clips(2), duration_seconds=0.0, warm_up_seconds=0.0, iterations=5
        )
        assert run.clip_shape == (None, 2, 4, 4, 3)
        assert run.name == "tensorrt 11.0"
    assert len(report.timings) == 5
    assert len(seen) == 7  # two of them to warm up
    timing = report.timings[0]
    # One copy in, two copies out, 0.25 ms each.
    assert (timing.h2d_ms, timing.compute_ms, timing.d2h_ms) == (0.25, 2.0, 0.5)
    assert timing.latency_ms == 2.75
