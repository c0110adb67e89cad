"""librdkafka's own tests (Debian's source package), a process each, against three brokers, and which pass against Apache Kafka.

`python -m e2e.clients.librdkafka oracle [NUMBER]…` runs them, or only these, three times against Apache Kafka and writes down those
that passed every time: librdkafka/expected.tsv. `… ours [NUMBER]…` runs them against our brokers and prints what came of each.
A busy machine fails tests that have short limits of their own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from e2e.clients import install
from e2e.clients.brokers import three_brokers
from e2e.lib import jars
from e2e.lib.cluster import KAFKA, MILLRACE
from e2e.lib.kafka import TOOLS
from e2e.lib.process import die_with_parent

EXPECTED = install.LIBRDKAFKA / "expected.tsv"
ROUNDS = 3
AT_ONCE = 8  # they wait most of the time
SECONDS = 200  # for one test: the runner has limits of its own, this is for one that hangs
HOPELESS = 120  # what takes so long to fail does not fail by chance
WORK_SECONDS = 0.002  # a test that ends sooner has done nothing
SCENARIOS = {"default": "true", "noautocreate": "false"}  # -> auto.create.topics.enable; librdkafka/tests/scenarios
# These look at what all clients of the cluster have done, or take the processor for themselves.
ALONE = {"0019", "0038", "0055"}


@dataclass(frozen=True)
class Outcome:
    state: str  # PASSED, FAILED, SKIPPED
    seconds: float
    output: str = ""

    @property
    def passed(self):
        return self.state == "PASSED" and self.seconds >= WORK_SECONDS


def cluster_of(folder, kind, scenario):
    """What librdkafka's scenarios ask for: four partitions, a rack each, ACLs that forbid nothing yet."""
    return three_brokers(folder, kind, {
        "auto.create.topics.enable": SCENARIOS[scenario], "num.partitions": 4, "min.insync.replicas": 1,
        "group.initial.rebalance.delay.ms": 500,  # 0102 wants that members who come together are in one generation
        "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
    }, authorizer=True)


class Runner:
    """Runs tests against one cluster; every test has a folder, with its output, below `folder`."""

    def __init__(self, folder, bootstrap, scenario, prefix):
        self.folder, self.scenario = Path(folder), scenario
        self.built = install.librdkafka()
        self.folder.mkdir(parents=True)
        (self.folder / "test.conf").write_text(
            f"metadata.broker.list={bootstrap}\nbroker.address.family=v4\napi.version.fallback.ms=0\n"
            f"test.topic.prefix={prefix}\ntest.timeout.multiplier=3\n")
        (self.folder / "src").mkdir()
        (self.folder / "src" / "statistics_schema.json").symlink_to(self.built / "statistics_schema.json")  # 0053 looks for it there
        self.environment = dict(
            os.environ, RDKAFKA_TEST_CONF=str(self.folder / "test.conf"), TEST_SCENARIO=scenario, TEST_KAFKA_VERSION="4.3.1",
            KAFKA_PATH=str(self._kafka_path()), BROKERS=bootstrap, LD_LIBRARY_PATH=str(self.built / "lib"))

    def _kafka_path(self):
        """A folder like Apache's release, with the scripts that the tests call."""
        scripts = self.folder / "kafka" / "bin"
        scripts.mkdir(parents=True)
        for name, main_class in [*TOOLS.items(), ("kafka-run-class", "")]:
            java = " ".join(jars.java(main_class, heap="96m")).replace("-cp ", "-cp \"$CLASSPATH\":")
            (scripts / f"{name}.sh").write_text(f'#!/bin/sh\nexec {java} "$@"\n')
            (scripts / f"{name}.sh").chmod(0o755)
        return scripts.parent

    def numbers(self):
        """Of all tests but manual ones; those that do not belong to the scenario or use no broker are skipped."""
        return sorted({name[:4] for name in self._run("none", self.folder / "none") if name < "8"})

    def run(self, number, suffix=""):
        """The outcomes of the tests with this number (there may be several) that belong to the scenario, by name."""
        folder = self.folder / f"{number}{suffix}"
        return {name: outcome for name, outcome in self._run(number, folder).items() if name.startswith(number)}

    def _run(self, number, folder):
        folder.mkdir()
        (folder / "java").symlink_to(self.built / "java")
        (folder / "Makefile").write_text("java:\n\t@true\n.PHONY: java\n")  # compiled already; the tests make it before use
        report, output = folder / "report.json", folder / "output"
        start = time.monotonic()
        with open(output, "w") as file:
            process = subprocess.Popen([self.built / "test-runner", "-p1", "-L"], cwd=folder, stdin=subprocess.DEVNULL, stdout=file,
                                       stderr=subprocess.STDOUT, env=self.environment | {"TESTS": number, "TEST_REPORT": str(report)},
                                       preexec_fn=die_with_parent)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        try:
            tests = json.loads(report.read_text(errors="replace"), strict=False)["tests"]
        except (OSError, ValueError):  # it crashed or hung
            return {number: Outcome("FAILED", time.monotonic() - start, tail(output))}
        del tests["<MAIN>"]
        return {name: Outcome(test["state"], test["duration"], "" if test["state"] == "PASSED" else tail(output))
                for name, test in tests.items()}

    def run_all(self, numbers, done=lambda name, outcome: None):
        """What failed is run once more, alone: many tests have limits of a second or two, which a busy machine exceeds."""
        outcomes = {}

        def one(number, suffix=""):
            found = self.run(number, suffix)
            outcomes.update(found)
            for name, outcome in found.items():
                done(name, outcome)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, [n for n in numbers if n not in ALONE]))
        for number in numbers:
            if number in ALONE:
                one(number)
        for number in sorted({name[:4] for name, outcome in outcomes.items() if outcome.state == "FAILED" and outcome.seconds < HOPELESS}):
            one(number, "-again")
        return outcomes


def tail(file, lines=40):
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


def expected(scenario):
    """{name: seconds that it took against Apache Kafka}"""
    rows = [line.split("\t") for line in EXPECTED.read_text().splitlines()]
    return {name: float(seconds) for name, of, seconds in rows if of == scenario}


def show(name, outcome):
    state = "NO WORK" if outcome.state == "PASSED" and not outcome.passed else outcome.state
    text = f"==== {name}\n{outcome.output}\n" if state == "FAILED" else ""
    sys.stdout.write(f"{text}{state:8} {outcome.seconds:8.3f} s  {name}\n")  # several threads: a line in one piece
    sys.stdout.flush()


def run_rounds(kind, rounds, chosen):
    """{(scenario, name): [Outcome of each round]}; what did not pass is not run again."""
    results = {}
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="millrace-librdkafka-", ignore_cleanup_errors=True) as folder, \
                cluster_of(Path(folder) / "cluster", kind, scenario) as cluster:
            cluster.start()
            numbers = list(chosen) or None
            for number in range(rounds):
                runner = Runner(Path(folder) / f"round{number}", cluster.bootstrap, scenario, f"round{number}")
                print(f"-- {kind}, {scenario}, round {number + 1}", flush=True)
                outcomes = runner.run_all(runner.numbers() if numbers is None else numbers, done=show)
                for name, outcome in outcomes.items():
                    results.setdefault((scenario, name), []).append(outcome)
                numbers = sorted({name[:4] for name, outcome in outcomes.items() if outcome.passed})
    return results


def write_expected(results):
    """What was run is written anew, the rest stays."""
    rows = {tuple(line.split("\t")[:2]): line for line in EXPECTED.read_text().splitlines()} if EXPECTED.exists() else {}
    for (scenario, name), outcomes in results.items():
        rows.pop((name, scenario), None)
        if len(outcomes) == ROUNDS and all(outcome.passed for outcome in outcomes):
            rows[(name, scenario)] = f"{name}\t{scenario}\t{statistics.median(outcome.seconds for outcome in outcomes):.1f}"
    EXPECTED.write_text("".join(f"{rows[key]}\n" for key in sorted(rows)))
    print(f"{EXPECTED}: {len(rows)} tests")


def main(side, *chosen):
    results = run_rounds(KAFKA if side == "oracle" else MILLRACE, ROUNDS if side == "oracle" else 1, chosen)
    if side == "oracle":
        write_expected(results)
    states = [outcome.state for outcomes in results.values() for outcome in outcomes if outcome.state != "SKIPPED"]
    print({state: states.count(state) for state in set(states)})


if __name__ == "__main__":
    main(*sys.argv[1:])
