"""The examples for SLURM and Kubernetes are valid, and their commands are ours."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from keras_dynamonet.cli.main import make_parser

FOLDER = Path(__file__).parents[1] / "docs" / "clusters"


def commands(script):
    """Arguments of every call of `dynamonet` in a shell script."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.lstrip().startswith("#") and "dynamonet train" in line:
            text = line[line.index("dynamonet train") :]
            yield shlex.split(re.sub(r"\$machines", "", text))[1:]


def check_script(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    found = list(commands(script))
    assert len(found) == 2
    for argv in found:
        make_parser(argv).parse_args(argv)


def test_slurm():
    script = (FOLDER / "slurm.sbatch").read_text()
    check_script(script)
    assert script.count("--coordinator auto") == 3


def test_kubernetes():
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    [container] = spec["template"]["spec"]["containers"]
    [script] = container["args"]
    check_script(script)
    assert f"--processes {spec['parallelism']}" in script
