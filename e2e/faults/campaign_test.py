"""Three Millrace brokers under every fault: nothing acknowledged is lost, doubled or reordered, no replica differs, no group goes back."""

import os

import pytest

from e2e.conftest import FULL
from e2e.faults import report
from e2e.faults.profiles import PROFILES
from e2e.faults.scene import run
from e2e.lib.cluster import KAFKA, MILLRACE

# MILLRACE_FAULTS_SUBJECT=kafka runs the campaign against Apache Kafka.
SUBJECT = os.environ.get("MILLRACE_FAULTS_SUBJECT", MILLRACE)
LONG_SECONDS = 120


@pytest.mark.parametrize("name", [n for n, p in PROFILES.items() if FULL or not p.long])
def test_acknowledged_records_survive(name, hosts, outcomes, keep):
    if SUBJECT == MILLRACE:
        from e2e.lib.broker import PROGRAM
        assert PROGRAM.exists(), f"{PROGRAM} is not built: ./dev build millrace-broker"
    assert SUBJECT in (MILLRACE, KAFKA)
    outcome = run(PROFILES[name], SUBJECT, seconds=LONG_SECONDS if FULL else 0, keep=keep)
    print(report.one(outcome))
    outcomes.append(outcome)
    assert not outcome.violations, "\n".join(outcome.violations) + f"\nlogs and histories: {keep}"
    assert all(outcome.proofs) and outcome.proofs
