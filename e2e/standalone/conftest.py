"""One operator without Kubernetes and without root: its own copy of the quickstart, data and programs in a world-readable folder."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from e2e.lib.broker import PROGRAM as BROKER
from e2e.standalone.standalone import ORDINARY_USER, Standalone
from tools.lib import paths


OPERATOR = Path(os.environ.get("MILLRACE_OPERATOR", paths.BUILD / "bin" / "millrace-operator"))


@pytest.fixture(scope="module")
def programs():
    """The two programs where anybody may run them: a clone may lie in a folder that only root can read."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-programs-"))
    folder.chmod(0o755)
    for program in (BROKER, OPERATOR):
        shutil.copy(program, folder / program.name)
        (folder / program.name).chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def standalone(programs):
    folder = Path(tempfile.mkdtemp(prefix="millrace-standalone-"))
    shutil.copytree(paths.ROOT / "examples" / "quickstart", folder / "resources", ignore=shutil.ignore_patterns("*.status"))
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, *ORDINARY_USER)
    with Standalone(programs, folder) as running:
        yield running
    shutil.rmtree(folder)
