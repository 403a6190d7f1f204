import re
import subprocess

from benchmarks.__main__ import commit, machine


def test_tables_name_the_commit(monkeypatch):
    named = r"; (commit [0-9a-f]{7,}(-dirty)?|unknown commit)\.$"
    assert re.search(named, machine())

    def no_git(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert commit() == "unknown commit"
