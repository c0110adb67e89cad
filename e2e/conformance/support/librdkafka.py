"""Logins by librdkafka as PyPI's confluent-kafka brings it: newer than kcat's, with OAuth callbacks and KIP-368."""

import json
import subprocess
from pathlib import Path

from e2e.clients import install

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "librdkafka_login.py"


def log_in(bootstrap, settings, seconds=0.0):
    """The program's outcome: (exit code, answers, what it wrote to stderr)."""
    config = {"bootstrap.servers": bootstrap, "security.protocol": "sasl_plaintext", **settings}
    done = subprocess.run([install.python(), "-B", PROGRAM, json.dumps(config), str(seconds)], capture_output=True, text=True, timeout=60)
    return done.returncode, int(done.stdout or 0), done.stderr
