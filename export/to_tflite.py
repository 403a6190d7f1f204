"""Exports TFLite files of a trained network: `dynamonet export --format tflite`.

    python export/to_tflite.py runs/first
    python export/to_tflite.py --help
"""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program with the arguments of the process, or those given."""
    given = sys.argv[1:] if argv is None else argv
    return dynamonet(["export", "--format", "tflite", *given])


if __name__ == "__main__":
    sys.exit(main())
