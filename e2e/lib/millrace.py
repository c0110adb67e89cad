"""The `millrace` command as a person runs it, and as a script does."""

import json
import os
import subprocess
from pathlib import Path

from e2e.lib.kafka import Outcome
from tools.lib import paths

PROGRAM = Path(os.environ.get("MILLRACE_COMMAND", paths.BUILD / "bin" / "millrace"))


def millrace(*arguments, stdin="", check=True, seconds=60, env=None):
    """Runs it without a terminal. `check`: the exit code is 0."""
    result = subprocess.run([str(PROGRAM), *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=seconds,
                            env={**os.environ, **(env or {})})
    outcome = Outcome(result.returncode, result.stdout, result.stderr)
    if check and outcome.code != 0:
        raise AssertionError(f"millrace {' '.join(map(str, arguments))}\n{outcome}")
    return outcome


def millrace_json(*arguments, **options):
    return json.loads(millrace(*arguments, "-o", "json", **options).out)
