"""Transactions: a Java application tells the same of both brokers; kills, timeouts, tools, librdkafka, three brokers."""

import difflib
import re
import subprocess
import threading

import pytest

from e2e.conformance.support import java
from e2e.conformance.three_brokers_test import Cluster
from e2e.lib.broker import DevBroker
from e2e.lib.kcat import consume, kcat, produce, settings
from e2e.lib.process import wait_until

COMMITTED = {"isolation.level": "read_committed"}
IMPATIENT = ["--override", "transaction.abort.timed.out.transaction.cleanup.interval.ms=200"]


@pytest.fixture(scope="module")
def broker(millrace_broker_program, tmp_path_factory):
    with DevBroker(tmp_path_factory.mktemp("broker"), IMPATIENT) as running:
        yield running


def test_an_application_sees_the_transactions_that_it_sees_of_apache_kafka(apache_kafka, our_broker):
    oracle = java.run("Transactions", "same", apache_kafka.bootstrap).out.splitlines()
    ours = java.run("Transactions", "same", our_broker.bootstrap).out.splitlines()
    assert len(oracle) > 40
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)


def test_a_silent_transaction_is_aborted_and_its_producer_fenced(broker):
    told = java.run("Transactions", "timeout", broker.bootstrap).out.splitlines()
    assert "what it held back: [behind it]" in told
    assert any(re.match(r"the silent producer commits: (ProducerFenced|InvalidProducerEpoch|InvalidTxnState)Exception", line) for line in told), told


def copying(bootstrap, count):
    """The running program that moves `count` records from `in` to `out`; its lines grow in `told`."""
    process = subprocess.Popen(java.command("Transactions", "copy", bootstrap, "in", "out", str(count)), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.told = []
    process.reader = threading.Thread(target=lambda: process.told.extend(iter(process.stdout.readline, "")), daemon=True)
    process.reader.start()
    return process


def copied(process):
    return max((int(line.split()[1]) for line in list(process.told) if line.startswith("copied: ")), default=0)


def check_copied(process, bootstrap, records):
    try:
        assert process.wait(120) == 0, process.stderr.read()[-3000:]
    finally:
        process.kill()
    assert sorted(consume(bootstrap, "out", COMMITTED)) == sorted(records)


def test_records_are_copied_exactly_once_over_kills(millrace_broker_program, tmp_path):
    records = [f"record {n}".encode() for n in range(1500)]
    with DevBroker(tmp_path) as broker:
        produce(broker.bootstrap, "in", records)
        # Small pieces, so that there are many transactions for the kills to fall into.
        process = copying(broker.bootstrap, len(records))
        for _ in range(3):
            before = copied(process)
            wait_until(lambda: copied(process) > before or process.poll() is not None, 60, "progress")
            broker.kill()
            broker.start()
        check_copied(process, broker.bootstrap, records)


def test_records_are_copied_exactly_once_while_leaders_move(millrace_broker_program, tmp_path):
    records = [f"record {n}".encode() for n in range(1500)]
    with Cluster(tmp_path, dynamic=True) as cluster:
        produce(cluster.bootstrap, "in", records)
        process = copying(cluster.bootstrap, len(records))
        for broker in cluster.brokers[:2]:
            before = copied(process)
            wait_until(lambda: copied(process) > before or process.poll() is not None, 60, "progress")
            broker.kill()
            broker.start(30)
        check_copied(process, cluster.bootstrap, records)


def test_kafka_transactions_and_dump_log_read_what_is_there(broker, tools):
    def ask(*arguments):
        outcome = tools.run("kafka-transactions", "--bootstrap-server", broker.bootstrap, *arguments)
        assert outcome.code == 0, outcome
        return outcome.out
    produce(broker.bootstrap, "tooled", [b"first"])
    java.run("Transactions", "hang", broker.bootstrap, "hanging", "tooled")
    assert re.search(r"hanging\s+\d+\s+\d+\s+Ongoing", ask("list"))
    assert "hanging" in ask("list", "--transactional-id-pattern", "hang.*")
    assert "hanging" not in ask("list", "--transactional-id-pattern", "hang")
    described = ask("describe", "--transactional-id", "hanging")
    assert "Ongoing" in described and "tooled-0" in described
    producers = ask("describe-producers", "--topic", "tooled", "--partition", "0")
    assert re.search(r"\d+\s+\d+\s+-?\d+\s+0\s+\d+\s+1\s*$", producers.strip().splitlines()[-1]), producers
    assert ask("find-hanging", "--broker-id", str(broker.ready["nodeId"]), "--max-transaction-timeout", "0") is not None
    assert consume(broker.bootstrap, "tooled", COMMITTED) == [b"first"]
    ask("abort", "--topic", "tooled", "--partition", "0", "--start-offset", "1")
    produce(broker.bootstrap, "tooled", [b"last"])
    assert consume(broker.bootstrap, "tooled", COMMITTED) == [b"first", b"last"]
    files = ",".join(str(f) for f in sorted(broker.data.glob("__transaction_state-*/*.log")))
    dumped = tools.run("kafka-dump-log", "--files", files, "--transaction-log-decoder").out
    assert '"transactionalId":"hanging"' in dumped and '"transactionStatus":1' in dumped
    index = ",".join(str(f) for f in sorted(broker.data.glob("tooled-0/*.txnindex")))
    assert "firstOffset: 1" in tools.run("kafka-dump-log", "--files", index).out


def test_librdkafka_commits_what_it_produces(broker):
    once = settings({"transactional.id": "kcat"})
    kcat("-b", broker.bootstrap, "-P", "-t", "of-kcat", *once, stdin="a\nb\n")
    kcat("-b", broker.bootstrap, "-P", "-t", "of-kcat", *once, stdin="c\n")
    assert consume(broker.bootstrap, "of-kcat", COMMITTED) == [b"a", b"b", b"c"]
