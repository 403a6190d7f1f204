"""Compares exported artefacts with Keras once more: `dynamonet compare`.

python export/compare.py runs/first runs/first/export/model.onnx
python export/compare.py --help
"""

import sys
from collections.abc import Sequence

from keras_dynamonet.cli.main import main as dynamonet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program with the arguments of the process, or those given."""
    return dynamonet(["compare", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
