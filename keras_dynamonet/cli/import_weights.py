"""`dynamonet import-weights`: PyTorch weights to Keras, and back."""

import argparse
import contextlib
from pathlib import Path

from keras_dynamonet.cli.argument_types import at_least, local_path
from keras_dynamonet.cli.output import load_tensorflow, print_json, say
from keras_dynamonet.errors import UsageError, UserError
from keras_dynamonet.files import atomic_path

DESCRIPTION = """\
Turns a published PyTorch checkpoint (3D-ResNets, torchvision) into a .keras model that
computes the same numbers from raw uint8 clips. Needs no PyTorch and runs no code of the
file. Given a .keras model, writes its weights as a PyTorch state_dict instead.
"""
EXAMPLES = """\
examples:
  dynamonet import-weights resnext-101-kinetics.pth --out resnext101.keras
  dynamonet import-weights resnext-101-kinetics.pth --out start.keras --dynamonet
  dynamonet train videos --init start.keras
  dynamonet import-weights resnext101.keras --out resnext101.safetensors
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "import-weights",
        help="turn a PyTorch checkpoint into a .keras model, or back",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a .pth or .safetensors file; or a .keras model, to export",
    )
    parser.add_argument(
        "--out",
        type=local_path,
        required=True,
        metavar="FILE",
        help=".keras, or .safetensors to export",
    )
    parser.add_argument(
        "--arch",
        metavar="NAME",
        help="architecture, a name of `dynamonet summary --zoo` (default: recognised)",
    )
    parser.add_argument(
        "--frames", type=at_least(1), metavar="T", help="frames of a clip (default: 16)"
    )
    parser.add_argument(
        "--size",
        type=at_least(1),
        metavar="PX",
        help="side of the frames (default: 112)",
    )
    parser.add_argument(
        "--pixels",
        choices=("auto", "minus-mean", "kinetics", "torchvision"),
        default="auto",
        help="how the network wants its pixels (default: auto, from the file)",
    )
    parser.add_argument(
        "--class-names",
        metavar="FILE",
        help="a text file with the name of each class, one a line",
    )
    parser.add_argument(
        "--replace-head",
        type=at_least(1),
        metavar="N",
        help="a fresh classifier for N classes instead of the stored one",
    )
    parser.add_argument(
        "--dynamonet",
        action="store_true",
        help="write a DynamoNet around the network, with the same logits at first",
    )
    parser.add_argument(
        "--report",
        type=local_path,
        metavar="FILE",
        help="also write what became of each tensor (JSON)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a summary as JSON on stdout"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Imports, or exports where the file is a .keras model."""
    importing = Path(args.checkpoint).suffix != ".keras"
    wanted = ".keras" if importing else ".safetensors"
    if Path(args.out).suffix != wanted:
        raise UsageError(f"`--out {args.out}`: give a name that ends in {wanted}.")
    class_names = args.class_names and _read_names(args.class_names)
    load_tensorflow(verbose=getattr(args, "verbose", False))
    document = _import(args, class_names) if importing else _export(args)
    if args.json:
        print_json(document)
    return 0


def _import(args, class_names):
    from keras_dynamonet.models.complexity import layer_costs
    from keras_dynamonet.models.dynamonet import DynamoNet
    from keras_dynamonet.weights import import_checkpoint
    from keras_dynamonet.weights.keras_file import save_keras_file

    imported = import_checkpoint(
        args.checkpoint,
        arch=args.arch,
        num_frames=args.frames,
        size=args.size,
        pixels=args.pixels,
        class_names=class_names,
        replace_head=args.replace_head,
    )
    model, counts = imported.model, imported.report.counts()
    say("Tensors: " + ", ".join(f"{n} {status}" for status, n in counts.items()) + ".")
    if args.dynamonet:
        with _one_line(args.checkpoint):
            model = DynamoNet.from_backbone(model)
    costs = layer_costs(model)
    save_keras_file(model, args.out)
    if args.report:
        _write_json(args.report, imported.report.to_dict())
    say(f"Wrote {args.out}.")
    return {
        "model": args.out,
        "architecture": imported.architecture.description,
        "pixels": imported.pixels,
        "remarks": list(imported.remarks),
        "tensors": counts,
        "num_classes": model.num_classes,
        "num_frames": model.num_frames,
        "frame_size": list(model.frame_size),
        "parameters": sum(cost.parameters for cost in costs),
        "macs": sum(cost.macs for cost in costs),
    }


def _export(args):
    from keras_dynamonet.models.loading import load_model
    from keras_dynamonet.weights import export_state_dict

    names = export_state_dict(load_model(args.checkpoint, compile=False), args.out)
    say(f"Wrote {len(names)} tensors to {args.out}.")
    return {"state_dict": args.out, "tensors": names}


def _read_names(path):
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text in UTF-8"
        raise UserError(f"{path}: cannot be read as class names: {reason}.") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names or len(set(names)) != len(names):
        raise UserError(f"{path}: must hold one name a line, each only once.")
    return names


def _write_json(path, document):
    import json

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n")


@contextlib.contextmanager
def _one_line(path):
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: no DynamoNet can be built on it: {error}") from error
