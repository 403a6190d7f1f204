"""Exports ONNX files of a trained network: `dynamonet export --format onnx`.

    python export/to_onnx.py runs/first
    python export/to_onnx.py --help
"""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program with the arguments of the process, or those given."""
    given = sys.argv[1:] if argv is None else argv
    return dynamonet(["export", "--format", "onnx", *given])


if __name__ == "__main__":
    sys.exit(main())
