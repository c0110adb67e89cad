"""The `millrace` command against brokers: what it shows is what Kafka's own tools show."""

import json
import re
import shutil
import signal
import subprocess

import pytest

from e2e.lib import kcat
from e2e.lib.broker import DevBroker
from e2e.lib.kafka import kafka_tool
from e2e.lib.millrace import PROGRAM, millrace, millrace_json
from e2e.lib.process import free_ports, wait_until
from e2e.standalone.replicated_test import SECONDS, cluster, make

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


def values(ask_output):
    return [json.loads(line) for line in ask_output.splitlines()]


def test_what_is_produced_is_consumed_with_its_key_in_its_partition(broker, run):
    topic = "keyed"
    kafka_tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", topic, "--partitions", 4)
    lines = [f"key {n % 50}:value {n}" for n in range(5000)]
    said = run("produce", topic, "--key-separator", ":", stdin="\n".join(lines) + "\n").err
    assert said == "5000 records written to keyed, 4 partitions.\n"
    read = values(run("consume", topic, "--from-beginning", "--until-end", "-o", "json").out)
    assert sorted(f"{r['key']}:{r['value']}" for r in read) == sorted(lines)
    by_key = {}
    for r in read:
        by_key.setdefault(r["key"], []).append(r)
    assert all(len({r["partition"] for r in records}) == 1 for records in by_key.values())
    for key, records in by_key.items():  # and in its order
        assert [f"{key}:{r['value']}" for r in records] == [line for line in lines if line.startswith(f"{key}:")]
    # Java's producer sends a key to the same place.
    kafka_tool("kafka-console-producer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--reader-property", "parse.key=true",
               "--reader-property", "key.separator=:", stdin="".join(f"key {n}:java\n" for n in range(50)))
    java = [r for r in values(run("consume", topic, "--from-beginning", "-e", "-o", "json").out) if r["value"] == "java"]
    assert {r["key"]: r["partition"] for r in java} == {key: records[0]["partition"] for key, records in by_key.items()}
    assert run("consume", topic, "--from-beginning", "-c", 3, "--partition", 2, "--key-separator", "|").out.count("|") == 3


def test_a_wrong_line_is_named_and_the_ones_before_are_written(run, ask):
    before = ask("topics", TOPIC)["topics"][0]["partitions"]
    refused = run("produce", TOPIC, "--key-separator", "=", stdin="a=1\nnothing\n", check=False)
    assert refused.code == 2 and "line 2 has no key" in refused.err
    after = ask("topics", TOPIC)["topics"][0]["partitions"]
    assert sum(p["endOffset"] for p in after) - sum(p["endOffset"] for p in before) == 1


def test_a_group_goes_on_where_it_stopped_and_kafka_sees_the_same(broker, run, ask):
    topic, group = "paid", "accounting"
    kafka_tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", topic, "--partitions", 2)
    run("produce", topic, stdin="".join(f"{n}\n" for n in range(100)))
    first = run("consume", topic, "--group", group, "--from-beginning", "-c", 40).out.split()
    assert groups_of_ours(ask, group) == groups_of_kafka(broker, group)
    assert sum(lag for _, _, lag in groups_of_ours(ask, group).values()) == 60
    rest = run("consume", topic, "--group", group, "--from-beginning", "--until-end").out.split()
    assert sorted(map(int, first + rest)) == list(range(100))
    assert ask("lag", group)["groups"][0]["lag"] == 0


def test_offsets_are_reset_as_kafka_would(broker, run, ask):
    topic, group = "paid", "accounting"
    before = groups_of_kafka(broker, group)
    for options, theirs in ((["--to-earliest"], ["--to-earliest"]), (["--shift-by", "-7"], ["--shift-by", "-7"]),
                            (["--to-offset", "1000"], ["--to-offset", "1000"]),
                            (["--to-datetime", "2020-01-01T00:00:00.000"], ["--to-datetime", "2020-01-01T00:00:00.000"])):
        plan = json.loads(run("offsets", "reset", group, "--topic", topic, "--dry-run", *options, "-o", "json").out)
        out = kafka_tool("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, "--reset-offsets", "--dry-run", "--group", group,
                         "--topic", topic, *theirs).out
        kafkas = {int(n): int(offset) for n, offset in re.findall(rf"{topic}\s+(\d+)\s+(\d+)", out)}
        assert {p["partition"]: p["newOffset"] for p in plan["partitions"]} == kafkas and kafkas, options
    assert groups_of_kafka(broker, group) == before, "a dry run writes nothing"
    said = run("offsets", "reset", group, "--topic", f"{topic}:0", "--to-earliest").out
    assert "Written for group accounting." in said
    committed = {n: values[0] for (_, n), values in groups_of_kafka(broker, group).items()}
    assert committed == {0: 0, 1: before[(topic, 1)][0]}
    again = run("consume", topic, "--group", group, "--until-end").out.split()
    assert len(again) == before[(topic, 0)][1]


def test_a_group_with_members_keeps_its_offsets(broker, run, ask):
    group = "lively"
    member = subprocess.Popen([str(PROGRAM), "consume", TOPIC, "--group", group, "--bootstrap", broker.bootstrap],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        def described():
            [found] = ask("lag", group)["groups"]
            return found if found.get("state") == "Stable" and found["members"] and found["members"][0]["partitions"] else None
        found = wait_until(described, 30, "a member with partitions", every=0.2)
        assert found["protocol"] == "Consumer" and len(found["members"][0]["partitions"]) == 3
        refused = run("offsets", "reset", group, "--topic", TOPIC, "--to-earliest", check=False)
        assert refused.code == 1 and "group lively is active (Stable, 1 member): stop its members first" in refused.err
        member.send_signal(signal.SIGINT)
        assert member.wait(15) == 0, "Ctrl-C leaves the group and ends"
        assert ask("lag", group)["groups"][0]["state"] == "Empty"
    finally:
        member.kill()
        member.communicate()


@pytest.fixture(scope="module")
def secured(programs):
    port = free_ports(1)[0]
    with make(programs, cluster(port, [{"name": "main", "replicas": 3}])) as nodes:
        for name in ("10-cluster.yaml", "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
            nodes.wait_ready(name, SECONDS)
        nodes.port = port
        yield nodes
    shutil.rmtree(nodes.folder)


def test_a_standalone_cluster_is_asked_by_its_data_directory(secured):
    where = ["--data", secured.data]
    [found] = millrace_json("status", *where)["clusters"]
    assert (found["namespace"], found["name"], found["ready"], found["warnings"]) == ("kafka", "orders", True, [])
    assert found["status"]["readyBrokers"] == 3 and found["topics"] == found["users"] == found["acls"] == 1
    text = millrace("status", *where).out
    assert re.search(r"^State +Ready: 3 of 3 brokers ready$", text, re.M) and f"127.0.0.1:{secured.port}" in text
    # Everything else as the only User, by what its Secret says.
    assert millrace("produce", "shop.orders", *where, stdin="one\ntwo\n").err == "2 records written to shop.orders, 1 partition.\n"
    assert sorted(millrace("consume", "shop.orders", "--from-beginning", "-e", *where).out.split()) == ["one", "two"]
    [topic] = millrace_json("topics", "shop.orders", *where)["topics"]
    assert topic["replicationFactor"] == 3 and all(len(p["inSync"]) == 3 for p in topic["partitions"])
    denied = millrace("produce", "other", *where, stdin="x", check=False)
    assert denied.code in (4, 5) and "topic other" in denied.err
    assert "there is no User ghost" in millrace("topics", "--user", "ghost", *where, check=False).err
    refused = millrace("roll", *where, check=False)
    assert refused.code == 1 and "10-cluster.yaml:  metadata: {annotations: {millrace.io/restart:" in refused.err


def test_client_properties_of_java_and_librdkafka_open_the_same_cluster(secured):
    folder = secured.data / "secrets" / "kafka" / "order-service"
    java = folder / "client.properties"
    kcat_file = secured.folder / "kcat.conf"
    kcat_file.write_text("".join(f"{key}={value}\n" for key, value in secured.client().items()))
    for arguments in (["--client-config", java], ["--client-config", kcat_file, "--bootstrap", secured.bootstrap()]):
        assert [t["name"] for t in millrace_json("topics", *arguments)["topics"]] == ["shop.orders"]
    wrong = secured.folder / "wrong.properties"
    wrong.write_text(java.read_text().replace("password=\\\"", "password=\\\"x").replace('password="', 'password="x'))
    refused = millrace("topics", "--client-config", wrong, check=False)
    assert refused.code == 5 and "the user 'order-service' was not let in" in refused.err
