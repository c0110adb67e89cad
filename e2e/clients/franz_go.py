"""franz-go's own tests (package kgo) against a broker, and which of them pass against Apache Kafka.

`python -m e2e.clients.franz_go` runs them against Apache Kafka and writes down what passed: franz-go/expected.txt.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from e2e.clients import install
from e2e.clients.brokers import USERS, Secured

EXPECTED = install.FRANZ_GO / "expected.txt"
RECORDS, RECORDS_FULL = 2000, 50000
# Tests of the package that use a broker. Those of share groups are not among them: we do not serve these.
TESTS = ("Test848RegexBrokerResolves", "TestAddRemovePartitions", "TestClient_Produce", "TestClient_ProduceLargeMessages",
         "TestConsumeMaxDecompressBatchBytes", "TestConsumeRegex", "TestConsumeTopicRetrieval",
         "TestConsumeTopicRetrieval_Many", "TestDirectPartitionPurge", "TestGroupETL", "TestGroupSimple",
         "TestHookPollStart", "TestIssue1034", "TestIssue325", "TestIssue337", "TestIssue434", "TestIssue523",
         "TestIssue648", "TestIssue769", "TestIssue810", "TestIssue831", "TestIssue865",
         "TestIssueFetchLargerThanBrokerMaxReadBytes", "TestIssueProduceSyncManualPartitionNegativeDoesNotPanic",
         "TestPauseIssue489", "TestPauseIssueOct2023", "TestPing", "TestPooling", "TestSCRAMAuth",
         "TestSCRAMAuthBadCredentials", "TestTxnEtl", "TestUnknownGroupOffsetFetchPinned")


def run(secured, records, seconds):
    """Results by test, sub-tests too: {"TestGroupETL/range/848": "PASS"}; and the output."""
    env = dict(os.environ, KGO_SEEDS=secured.plain, KGO_TEST_RF="1", KGO_TEST_RECORDS=str(records), KGO_LOG_LEVEL="none",
               KGO_TEST_SCRAM=f"admin:{USERS['admin']}:512", KGO_TEST_SCRAM_SEEDS=secured.login)
    argv = [install.franz_go(), "-test.v", "-test.run", f"^({'|'.join(TESTS)})$", "-test.parallel", "16",
            "-test.timeout", f"{seconds}s"]
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=env)
    try:
        text = process.communicate(timeout=seconds + 10)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)  # Go then prints where each goroutine is
        text = process.communicate()[0]
    results = {name: result for result, name in re.findall(r"^ *--- (PASS|FAIL|SKIP): (\S+) \(", text, re.M)}
    return results, text


def expected():
    return EXPECTED.read_text().split()


def main():
    with tempfile.TemporaryDirectory() as folder:
        oracle = Secured(Path(folder), "kafka").start(install.python(), install.HERE / "python" / "add_users.py")
        try:
            results, text = run(oracle, RECORDS, 300)
        finally:
            oracle.stop()
    if bad := sorted(name for name, result in results.items() if result == "FAIL"):
        print(text[-4000:], f"failed against Apache Kafka: {bad}", sep="\n")
        sys.exit(1)
    EXPECTED.write_text("".join(f"{name}\n" for name in sorted(results) if results[name] == "PASS"))
    print(f"{EXPECTED}: {len(expected())} tests")


if __name__ == "__main__":
    main()
