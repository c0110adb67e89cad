"""Flink's Kafka connector (flink/FlinkCopy.java): a job with an exactly-once sink that fails in its middle."""

import re
import subprocess

import pytest

from e2e.clients import install
from e2e.conftest import FULL
from e2e.lib import jars

SOURCE = install.HERE / "flink" / "FlinkCopy.java"
OPENED = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.util", "java.lang", "java.time")]  # Flink asks for it


def copy(cluster, prefix, guarantee, naming, folder):
    argv = jars.java("FlinkCopy", cluster.bootstrap, prefix, guarantee, naming, heap="384m", source=SOURCE,
                     poms=(install.FLINK_POM,), options=[*OPENED, f"-Djava.io.tmpdir={folder}"])
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("naming", ["INCREMENTING", *(["POOLING"] if FULL else [])])
def test_a_job_that_fails_twice_copies_everything_once(replicated, tmp_path, naming):
    code, text = copy(replicated, f"flink-{naming.lower()}", "EXACTLY_ONCE", naming, tmp_path)
    assert code == 0 and re.search(r"^PASS \d+$", text, re.M), text[-4000:]


@pytest.mark.full
def test_the_judge_sees_what_at_least_once_doubles(replicated, tmp_path):
    code, text = copy(replicated, "flink-at-least", "AT_LEAST_ONCE", "INCREMENTING", tmp_path)
    found = re.search(r"^FAIL lost 0, doubled (\d+), failures 2$", text, re.M)
    assert code == 1 and found and int(found[1]) > 0, text[-4000:]
