"""Exports TensorRT engines of a trained network: `dynamonet export --format tensorrt`.

    python export/to_tensorrt.py runs/first
    python export/to_tensorrt.py --help
"""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program with the arguments of the process, or those given."""
    given = sys.argv[1:] if argv is None else argv
    return dynamonet(["export", "--format", "tensorrt", *given])


if __name__ == "__main__":
    sys.exit(main())
