"""Programs that Apache's own system tests run beside a cluster (kafka-tools): compatibility, verifiable clients, the copier."""

import json
from collections import Counter, defaultdict

import pytest

from e2e.conftest import FULL
from e2e.lib import jars
from e2e.lib.kafka import TOOLS, kafka_tool
from e2e.lib.kcat import kcat
from e2e.lib.process import Process, wait_until

RECORDS = 20_000 if FULL else 6_000
PARTITIONS = 2


@pytest.fixture
def start(replicated, tmp_path):
    """Starts one of Apache's programs, which ends with the test: start("kafka-verifiable-producer", *arguments)."""
    started = []

    def start(name, *arguments):
        log = tmp_path / f"{len(started)}-{name.rsplit('.')[-1]}.log"
        started.append(Process(jars.java(TOOLS.get(name, name), *arguments, heap="128m"), log))
        return started[-1]
    yield start
    for process in started:
        process.kill()


def events(process, name):
    """What the program told, a line of JSON each."""
    lines = [json.loads(line) for line in list(process.lines) if line.startswith("{")]
    return [event for event in lines if event.get("name", event.get("stage")) == name]


def fill(cluster, start, topic):
    cluster.create_topic(topic, PARTITIONS)
    producer = start("kafka-verifiable-producer", "--bootstrap-server", cluster.bootstrap, "--topic", topic, "--max-messages",
                     RECORDS, "--throughput", -1)
    producer.wait_line('"name":"tool_data"', 60)
    assert len(events(producer, "producer_send_success")) == RECORDS, producer.tail()


def by_partition(cluster, topic):
    """What a read_committed reader finds, in its order: {partition: [value, …]}."""
    found = defaultdict(list)
    out = kcat("-b", cluster.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %s\\n")[1]
    for line in out.decode().splitlines():
        partition, value = line.split()
        found[int(partition)].append(value)
    return dict(found)


def test_client_compatibility(replicated):
    replicated.create_topic("compatibility", 1)
    features = ("offsets-for-times-supported", "cluster-id-supported", "create-topics-supported", "describe-acls-supported",
                "describe-configs-supported", "idempotent-producer-supported")
    outcome = kafka_tool("org.apache.kafka.tools.ClientCompatibilityTest", "--topic", "compatibility", "--bootstrap-server",
                         replicated.bootstrap, "--num-cluster-nodes", 3, "--expect-record-too-large-exception", "false",
                         *(word for feature in features for word in (f"--{feature}", "true")), seconds=120)
    assert "SUCCESS." in outcome.out, str(outcome)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_verifiable_consumers_read_what_the_verifiable_producer_wrote(replicated, start, protocol):
    topic = f"verifiable-{protocol}"
    fill(replicated, start, topic)
    words = ["--bootstrap-server", replicated.bootstrap, "--topic", topic, "--group-id", topic, "--group-protocol", protocol,
             "--reset-policy", "earliest"]
    words += ["--session-timeout", 6000] if protocol == "classic" else []
    consumers = [start("kafka-verifiable-consumer", *words) for _ in range(2)]
    first = wait_until(lambda: next((c for c in consumers if events(c, "records_consumed")), None), 60, "a consumer that reads")
    first.signal(15)  # the other one must have the rest

    def consumed():
        counts = Counter()
        for consumer in consumers:
            for event in events(consumer, "records_consumed"):
                for part in event["partitions"]:
                    counts.update((part["partition"], o) for o in range(part["minOffset"], part["maxOffset"] + 1))
        return counts
    wait_until(lambda: len(consumed()) == RECORDS, 90, f"all {RECORDS} consumed", 0.3)
    committed = [event for consumer in consumers for event in events(consumer, "offsets_committed")]
    assert committed and all(event["success"] for event in committed)


# The copier with a group of its own for each partition, or with members of one group.
@pytest.mark.parametrize("mode", ["assigned", *(["group"] if FULL else [])])
def test_the_copier_copies_everything_once_though_it_is_killed(replicated, start, mode):
    source, target = f"copier-{mode}", f"copied-{mode}"
    fill(replicated, start, source)
    replicated.create_topic(target, PARTITIONS)

    def copier(number):
        words = ["--broker-list", replicated.bootstrap, "--input-topic", source, "--output-topic", target,
                 "--input-partition", number, "--transaction-size", 25, "--transaction-timeout", 5000, "--enable-random-aborts",
                 "--transactional-id", f"{source}-{number}", "--use-group-metadata", "--consumer-group"]
        words += [source, "--group-mode"] if mode == "group" else [f"{source}-{number}"]
        return start("org.apache.kafka.tools.TransactionalMessageCopier", *words)

    def is_under_way(process):
        told = events(process, "ProcessLoop")
        return told and told[-1]["consumed"] > 0

    copiers = [copier(0), copier(1)]
    for victim in (0, 1, 0):
        wait_until(lambda: is_under_way(copiers[victim]) or copiers[victim].returncode is not None, 90, "a copier that copies")
        copiers[victim].kill()
        copiers[victim] = copier(victim)

    def is_done():
        assert not any(c.returncode for c in copiers), "\n".join(c.tail() for c in copiers)
        return all(c.returncode == 0 for c in copiers)
    wait_until(is_done, 150, "both copiers at the end", 0.2)
    assert by_partition(replicated, target) == by_partition(replicated, source)
