"""The `millrace` command against brokers: what it shows is what Kafka's own tools show."""

import re

import pytest

from e2e.lib import kcat
from e2e.lib.broker import DevBroker
from e2e.lib.kafka import kafka_tool
from e2e.lib.millrace import millrace, millrace_json

TOPIC, GROUP = "orders", "billing"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with DevBroker(tmp_path_factory.mktemp("command")) as running:
        kafka_tool("kafka-topics", "--bootstrap-server", running.bootstrap, "--create", "--topic", TOPIC, "--partitions", 3)
        yield running


@pytest.fixture
def run(broker):
    """run("topics", …) against the broker."""
    return lambda *arguments, **options: millrace(*arguments, "--bootstrap", broker.bootstrap, **options)


@pytest.fixture
def ask(broker):
    """The same, as decoded JSON."""
    return lambda *arguments, **options: millrace_json(*arguments, "--bootstrap", broker.bootstrap, **options)


def groups_of_kafka(broker, group):
    """{partition: (committed, end, lag)} by kafka-consumer-groups."""
    out = kafka_tool("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, "--describe", "--group", group).out
    rows = re.findall(rf"^{group}\s+(\S+)\s+(\d+)\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)", out, re.M)
    return {(topic, int(n)): tuple(None if v == "-" else int(v) for v in values) for topic, n, *values in rows}


def groups_of_ours(ask, group):
    [found] = ask("lag", group)["groups"]
    return {(p["topic"], p["partition"]): (p["committed"], p["endOffset"], p["lag"]) for p in found["partitions"]}


def test_status_names_the_cluster_and_its_nodes(broker, run, ask):
    status = ask("status")
    assert status["clusterId"] == broker.ready["clusterId"]
    assert [(b["id"], b["address"], b["fenced"]) for b in status["brokers"]] == [(1, broker.bootstrap, False)]
    assert status["quorum"]["leader"] == 1 and status["underReplicated"] == []
    assert re.search(r"^Brokers +1 up$", run("status").out, re.M)


def test_topics_agree_with_kafka_topics(broker, run, ask):
    kcat.produce(broker.bootstrap, TOPIC, [b"%d" % i for i in range(30)])
    described = kafka_tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--describe", "--topic", TOPIC).out
    [topic] = ask("topics", TOPIC)["topics"]
    assert topic["id"] == re.search(r"TopicId: (\S+)", described)[1]
    theirs = {int(n): int(leader) for n, leader in re.findall(r"Partition: (\d+)\s+Leader: (\d+)", described)}
    assert {p["partition"]: p["leader"] for p in topic["partitions"]} == theirs
    offsets = kafka_tool("kafka-get-offsets", "--bootstrap-server", broker.bootstrap, "--topic", TOPIC).out
    assert [f"{TOPIC}:{p['partition']}:{p['endOffset']}" for p in topic["partitions"]] == offsets.split()
    assert re.search(rf"^{TOPIC} +3 +1 ", run("topics").out, re.M)


def test_lag_agrees_with_kafka_consumer_groups(broker, run, ask):
    kafka_tool("kafka-console-consumer", "--bootstrap-server", broker.bootstrap, "--topic", TOPIC, "--group", GROUP, "--from-beginning",
               "--max-messages", 20, "--timeout-ms", 20000)
    kcat.produce(broker.bootstrap, TOPIC, [b"more"] * 5)
    theirs = groups_of_kafka(broker, GROUP)
    assert groups_of_ours(ask, GROUP) == theirs
    lag = sum(lag for _, _, lag in theirs.values() if lag is not None)
    assert re.search(rf"^{GROUP} +Empty +\w+ +0 +{lag} +{TOPIC}$", run("lag").out, re.M)


def test_what_is_not_there_is_said_with_an_exit_code(run, ask):
    missing = run("topics", "nothing", check=False)
    assert (missing.code, missing.out) == (4, "") and "topic nothing does not exist" in missing.err
    away = millrace("status", "--bootstrap", "127.0.0.1:1", check=False)
    assert away.code == 3 and "127.0.0.1:1: Connection refused" in away.err
    assert millrace("topics", "--no-such-option", check=False).code == 2
    assert ask("lag", "nobody")["groups"][0]["state"] == "Dead"
