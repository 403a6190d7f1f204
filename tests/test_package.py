"""What `import keras_dynamonet` does and does not do."""

import platform

import pytest

import keras_dynamonet
from tests.fresh_process import run_python

HEAVY = ("tensorflow", "keras", "jax", "torch")


def test_the_bare_package_is_light():
    script = (
        "import sys, keras_dynamonet, keras_dynamonet.errors\n"
        "assert 'DynamoNet' in dir(keras_dynamonet)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run_python("-c", script).strip() == "[]"


def test_imported_after_keras_the_classes_are_registered():
    script = (
        "import keras, keras_dynamonet\n"
        "get = keras.saving.get_registered_object\n"
        "assert get('keras_dynamonet>DynamoNet') is keras_dynamonet.DynamoNet\n"
        "assert get('keras_dynamonet>FilterSolver')\n"
        "assert get('keras_dynamonet>HuberFrameLoss')\n"
        "assert get('keras_dynamonet>PSNR')"
    )
    run_python("-c", script)


@pytest.mark.parametrize("name", keras_dynamonet.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keras_dynamonet, name) is not None
    assert name in dir(keras_dynamonet)


def test_modules_are_modules():
    assert keras_dynamonet.layers.GroupedConv3D
    assert keras_dynamonet.losses.get_frame_loss
    assert keras_dynamonet.metrics.psnr
    assert keras_dynamonet.models.DynamoNet is keras_dynamonet.DynamoNet


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="has no attribute 'StaticNet'"):
        keras_dynamonet.StaticNet  # noqa: B018


KERNELS = (
    "import os{unset}; import keras_dynamonet;"
    "from keras_dynamonet.layers.backend_ops import cpu_kernels; print(cpu_kernels())"
)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="chosen on x86 alone"
)
def test_tensorflow_takes_its_fast_kernels_unless_told_otherwise():
    unset = "; os.environ.pop('TF_ENABLE_ONEDNN_OPTS')"
    assert run_python("-c", KERNELS.format(unset=unset)).strip() == "tensorflow"
    told = run_python("-c", KERNELS.format(unset=""), onednn=False)
    assert told.strip() == "tensorflow_eigen"
