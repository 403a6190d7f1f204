"""One network in every form that the benchmarks run, in a folder.

    python -m benchmarks.artefacts FOLDER --preset resnext101-16f [--size 112]

Files: `config.json`, `classifier.keras`, `weights.safetensors` (for PyTorch), `model/`
(SavedModel), `model.onnx`, `model.tflite`, `model.int8.tflite`, `torch.onnx` (written
by PyTorch), and `dynamonet/`, `dynamonet_all/`: the SavedModel of a whole DynamoNet
around the same backbone with its logits alone, and with every output.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CLASSES = 400
# Forward passes in training mode that fill the statistics of fresh networks.
SETTLING_STEPS = 20
FORMS = ("saved_model", "onnx", "tflite", "int8", "torch_onnx", "dynamonet")


def prepare(
    folder: Path,
    preset: str,
    *,
    size: int | None = None,
    forms: Sequence[str] = FORMS,
    reuse: bool = False,
) -> Path:
    """Writes the artefacts in a process of its own, unless they may be used again.

    Returns:
        The folder of this network below `folder`.
    """
    folder = folder / (preset if size is None else f"{preset}-{size}")
    done = folder / "done.json"
    if reuse and done.exists() and set(forms) <= set(json.loads(done.read_text())):
        return folder
    command = [sys.executable, "-m", "benchmarks.artefacts", str(folder)]
    command += ["--preset", preset, "--forms", *forms]
    command += ["--size", str(size)] if size else []
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    return folder


def noise_clips(batch: int, shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Clips of noise, uint8 `(batch, T, height, width, 3)`."""
    return np.random.default_rng(seed).integers(0, 256, (batch, *shape), "uint8")


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the artefacts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", default="resnext101-16f")
    parser.add_argument("--size", type=int, help="pixels (default: the preset's)")
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=FORMS)
    arguments = parser.parse_args(argv)
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    classifier, clips = _settled_network(arguments.preset, arguments.size)
    (folder / "config.json").write_text(json.dumps(_describe(classifier)))
    classifier.save(folder / "classifier.keras")
    _write_weights(classifier, folder)
    write = {
        "saved_model": _write_saved_model,
        "onnx": _write_onnx,
        "tflite": _write_tflite,
        "int8": _write_int8,
        "torch_onnx": _write_torch_onnx,
        "dynamonet": _write_dynamonet,
    }
    for form in arguments.forms:
        write[form](classifier, clips, folder)
    (folder / "done.json").write_text(json.dumps(list(arguments.forms)))
    return 0


def _settled_network(preset, size):
    """A classifier with fresh weights whose normalisation has seen clips.

    Its blocks are quiet: in a network that multiplies noise two steps of training would
    tell nothing but the order of sums.
    """
    import keras

    from benchmarks.fresh_networks import quieten_blocks
    from keras_dynamonet.models.presets import preset_config
    from keras_dynamonet.models.resnext3d import ResNeXt3D

    keras.utils.set_random_seed(0)
    config = preset_config(preset)
    if size is not None:
        config = {**config, "size": size}
    classifier = ResNeXt3D(**config, num_classes=CLASSES)
    quieten_blocks(classifier)
    shape = (classifier.num_frames, *classifier.frame_size, 3)
    clips = noise_clips(16, shape)
    for step in range(SETTLING_STEPS):
        first = 2 * step % 16
        classifier(clips[first : first + 2], training=True)
    return classifier, clips


def _describe(classifier):
    """All arguments of the network and of its stem, readable without Keras."""
    from keras_dynamonet.models.resnext3d import STEMS

    config = {**classifier.get_config(), "dtype": "float32"}
    return {**config, "stem": STEMS[config["stem"]]._asdict()}


def _write_weights(classifier, folder):
    from keras_dynamonet.weights import export_state_dict

    path = folder / "weights.safetensors"
    export_state_dict(classifier, path, naming="3d-resnets")


def _backbone_alone(classifier):
    """A DynamoNet that computes nothing but the logits of its backbone.

    The exporters take a DynamoNet; this one makes them export the plain classifier.
    """
    from keras_dynamonet.models.dynamonet import DynamoNet

    class Classifier(DynamoNet):
        def call(self, inputs, training=None):
            feature = self.backbone(inputs, training=training)["feature"]
            kernel = self.action.kernel[: feature.shape[-1]]
            return {"logits": feature @ kernel + self.action.bias}

    return Classifier.from_backbone(classifier)


def _source(model, clips):
    from keras_dynamonet.exporters.calibration import share_out
    from keras_dynamonet.exporters.source import ExportSource

    return ExportSource(model, share_out(clips, 8), ("logits",))


def _write_saved_model(classifier, clips, folder):
    # All that can be asked of a network that has no other outputs.
    signatures = ("serving_default", "serve_float")
    _save(_backbone_alone(classifier), ("logits",), folder / "model", signatures)


def _write_dynamonet(classifier, clips, folder):
    from keras_dynamonet.exporters.signature import OUTPUTS
    from keras_dynamonet.models.dynamonet import DynamoNet

    model = DynamoNet.from_backbone(classifier)
    _save(model, ("logits",), folder / "dynamonet")
    _save(model, OUTPUTS, folder / "dynamonet_all")


def _save(model, outputs, path, signatures=None):
    """The graph that `dynamonet export` writes; by default with every signature."""
    from keras_dynamonet.exporters.folding import fold
    from keras_dynamonet.exporters.saved_model import FOLDED
    from keras_dynamonet.exporters.saved_model_graph import write_saved_model
    from keras_dynamonet.exporters.signature import OUTPUTS, make_inference_function
    from keras_dynamonet.files import atomic_path

    computed = OUTPUTS if signatures is None else outputs
    network = make_inference_function(fold(model, **FOLDED), computed, dtype="float32")
    with atomic_path(path) as temporary:
        write_saved_model(temporary, network, outputs, signatures)


def _write_onnx(classifier, clips, folder):
    from keras_dynamonet.exporters.onnx import convert

    model = convert(_source(_backbone_alone(classifier), clips))
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def _write_tflite(classifier, clips, folder):
    from keras_dynamonet.exporters.tflite import convert

    content = convert(_source(_backbone_alone(classifier), clips))
    (folder / "model.tflite").write_bytes(content)


def _write_int8(classifier, clips, folder):
    from keras_dynamonet.exporters.tflite import convert

    source = _source(_backbone_alone(classifier), clips)
    content = convert(source, precision="int8")
    (folder / "model.int8.tflite").write_bytes(content)


def _write_torch_onnx(classifier, clips, folder):
    import torch

    from benchmarks.torch_network import load_network

    network = load_network(str(folder)).eval()
    torch.onnx.export(
        network,
        (torch.from_numpy(clips[:2]),),
        str(folder / "torch.onnx"),
        input_names=["clip"],
        output_names=["logits"],
        dynamic_axes={"clip": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    sys.exit(main())
