import re
import subprocess

from benchmarks.__main__ import NOTES, commit, machine


def test_tables_name_the_commit(monkeypatch):
    if (NOTES.parent / ".git").exists():
        assert re.search(r"; commit [0-9a-f]{7,}(-dirty)?\.$", machine())

    def no_git(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert commit() == "unknown commit"
