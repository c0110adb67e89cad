"""ACL decisions: 18,000 random questions answered by Apache's StandardAuthorizer (java/Decisions.java) and by our authorizer."""

import os
import random
import re
import subprocess

from e2e.conformance.support import java
from tools.lib import paths

PROGRAM = paths.BUILD / "broker" / "security" / "broker_security_test"


def test_our_decisions_are_those_of_kafkas_authorizer(tmp_path):
    seed = int(os.environ.get("DECISIONS_SEED", random.randrange(1 << 31)))
    table = tmp_path / "decisions.tsv"
    table.write_text(java.run("Decisions", seed, 300, 60).out)
    result = subprocess.run([PROGRAM, "--gtest_filter=DecisionTable.*"], env=os.environ | {"MILLRACE_DECISION_TABLE": str(table)},
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"replay with DECISIONS_SEED={seed}\n{result.stdout[-6000:]}{result.stderr}"
    assert re.search(r"decided 18000, different 0", result.stdout), result.stdout
