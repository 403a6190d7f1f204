"""Installs `keras_dynamonet` and the command `dynamonet`.

Every dependency has a lower and an upper bound. `make test-lowest` runs the tests with
all lower bounds, `make test` with the newest versions; BUILD_NOTES.md says what passed.
"""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent

RUNTIME = [
    "av>=18.1,<20",
    "jinja2>=3.1.2,<4",
    "keras>=3.12,<3.16",
    "markupsafe>=2.1.1,<4",
    "matplotlib>=3.9,<4",
    "numpy>=2.0,<3",
    "opencv-python-headless>=4.11.0.86,<6",
    "pillow>=10.3,<14",
    "rich>=14.3,<16",
    "tensorflow>=2.20,<2.22",
]

ONNX = ["onnx>=1.19,<1.24", "onnxruntime>=1.22,<1.33", "tf2onnx>=1.17,<1.18"]
TFLITE = ["ai-edge-litert>=2.1,<2.4"]
# The messages of TensorFlow Serving: for warm-up requests and for its clients.
SERVING = ["grpcio>=1.70,<2", "tensorflow-serving-api>=2.19,<2.22"]
TENSORBOARD = ["tensorboard>=2.20,<2.22"]
JAX = ["jax>=0.10.2,<0.11"]
# Builds engines for RTX GPUs on any machine; there are wheels for x86-64 alone.
TENSORRT_RTX = [
    "tensorrt-rtx-cu13-bindings>=1.7.1.116,<1.8",
    "tensorrt-rtx-cu13-libs>=1.7.1.116,<1.8",
]
ON_X86_64 = [f'{name}; platform_machine == "x86_64"' for name in TENSORRT_RTX]
# Runs engines.
CUDA = ["cuda-bindings>=12.8,<14"]
# Files elsewhere: HTTP and S3. Google Cloud Storage has a package of its own.
REMOTE = ["aiohttp>=3.10,<4", "fsspec>=2025.2,<2027", "s3fs>=2025.2,<2027"]
PARQUET = ["pyarrow>=21,<27"]

EXTRAS = {
    "onnx": ONNX,
    "tflite": TFLITE,
    "serving": SERVING,
    # The runtime of data-centre GPUs and Jetson; building engines with it also needs
    # the GPU and the vendor's own package index.
    "tensorrt": ["tensorrt>=10.12,<12", *CUDA],
    "tensorrt-rtx": [*TENSORRT_RTX, *CUDA],
    # Its compiled parts, the file systems among them, load on TensorFlow 2.16 only.
    "io": ['tensorflow-io>=0.37,<0.38; python_version < "3.13"'],
    "remote": [*REMOTE, "gcsfs>=2025.2,<2027"],
    "tensorboard": TENSORBOARD,
    "jax": JAX,
    "parquet": PARQUET,
    # Bulk inference on several processes or machines.
    "ray": ["ray[data]>=2.58,<2.61", *PARQUET],
    # PyTorch as the Keras backend and for importing published checkpoints.
    "torch": ["torch>=2.13,<2.14"],
    "test": [
        *ON_X86_64,
        *JAX,
        *ONNX,
        *REMOTE,
        *PARQUET,
        *SERVING,
        *TENSORBOARD,
        *TFLITE,
        # boto3 in the release that s3fs shares: left to itself, pip tries dozens.
        "aiobotocore[boto3]>=2.19,<4",
        "build>=1.2.1,<2",
        "flask>=3.0,<4",
        "flask-cors>=5.0,<7",
        "moto[s3]>=5.1,<6",
        "openvino>=2025.0,<2027",
        "pytest>=8.3,<10",
        "pytest-xdist>=3.8,<4",
        "ruff>=0.17,<0.18",
        "safetensors>=0.5,<0.9",
        "scipy>=1.14,<2",
        "setuptools>=77.0.3",
    ],
}


def read_version() -> str:
    text = (ROOT / "keras_dynamonet" / "version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE).group(1)


setup(
    name="keras-dynamonet",
    version=read_version(),
    description=(
        "DynamoNet for Keras 3: action recognition in video with dynamic motion filters"
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the keras-dynamonet authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_namespace_packages(include=["keras_dynamonet", "keras_dynamonet.*"]),
    package_data={
        "": ["py.typed", "*.css", "*.html", "*.j2", "*.js", "*.json", "*.keras", "*.md"]
    },
    python_requires=">=3.11",
    install_requires=RUNTIME,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["dynamonet = keras_dynamonet.cli.main:command"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
