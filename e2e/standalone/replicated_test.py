"""Three nodes as child processes: one quorum, nothing lost when all of them die, a lost disk filled again, restarts one by one."""

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from e2e.lib.process import free_ports, wait_until
from e2e.standalone.standalone import ORDINARY_USER, Standalone, resource

TOPIC = "shop.orders"
SECONDS = 60  # for what takes a few, on a busy machine


def cluster(port, pools, **more):
    return resource("Cluster", "orders", pools=[{"storage": {"volumes": [{"name": "data", "size": "1Gi"}]}, **p} for p in pools],
                    listeners=[{"name": "tls", "port": port, "tls": {}, "authentication": [{"type": "ScramSha512"}]}],
                    authorization={"type": "Simple"}, **more)


class Nodes(Standalone):
    """A standalone operator, and the processes and disks of its nodes."""

    def pids(self):
        """pod -> pid of its latest process."""
        found = {}
        for line in list(self.process.lines):
            if '"broker started"' in line:
                found[re.search(r'"pod":"([^"]+)"', line)[1]] = int(re.search(r'"pid":(\d+)', line)[1])
        return found

    def restarts(self, since):
        """("restarted" or "started", pod) in their order, from a line of the operator's log on."""
        found = (re.search(r'"broker (restarted|started)","pod":"([^"]+)"', line) for line in list(self.process.lines)[since:])
        return [(m[1], m[2]) for m in found if m]

    def running(self):
        return {pod for pod, pid in self.pids().items() if Path(f"/proc/{pid}/exe").exists()}

    def kill(self, *pods):
        """Returns when other processes have taken their places."""
        before = self.pids()
        for pod in pods:
            os.kill(before[pod], signal.SIGKILL)
        wait_until(lambda: all(self.pids()[pod] != before[pod] for pod in pods), SECONDS, "other processes")

    def condition(self, name):
        return next((c for c in self.status("10-cluster.yaml").get("conditions", []) if c["type"] == name), {})

    def wait_whole(self, seconds=SECONDS):
        def whole():
            return self.condition("Ready").get("status") == "True" and self.condition("Degraded").get("status") == "False"
        began = time.monotonic()
        wait_until(whole, seconds, f"Ready and not Degraded: {self.condition('Ready')} {self.condition('Degraded')}")
        return time.monotonic() - began


def make(programs, document, with_topic=True):
    folder = Path(tempfile.mkdtemp(prefix="millrace-replicated-"))
    nodes = Nodes(programs, folder)
    nodes.resources.mkdir()
    for path in (folder, nodes.resources):
        shutil.chown(path, *ORDINARY_USER)
    nodes.apply("00-namespace.yaml", resource("Namespace", "kafka"))
    nodes.apply("10-cluster.yaml", document)
    if with_topic:
        nodes.apply("20-topic.yaml", resource("Topic", "shop-orders", clusterRef={"name": "orders"}, name=TOPIC, partitions=6,
                                              replicationFactor=3))
        nodes.apply("30-user.yaml", resource("User", "order-service", clusterRef={"name": "orders"},
                                             authentication={"type": "ScramSha512"}))
        nodes.apply("40-acl.yaml", resource(
            "ACL", "order-service", clusterRef={"name": "orders"}, userRef={"name": "order-service"},
            roles=[{"type": "Producer", "topics": [{"name": TOPIC}]},
                   {"type": "Consumer", "topics": [{"name": TOPIC}], "group": {"name": "order-service"}}]))
    return nodes


@pytest.fixture(scope="module")
def three(programs):
    port = free_ports(1)[0]
    nodes = make(programs, cluster(port, [{"name": "main", "replicas": 3}]))
    nodes.port = port
    with nodes:
        yield nodes
    shutil.rmtree(nodes.folder)


def numbered(name, count):
    return [f"{name} {i}".encode() for i in range(count)]


def test_three_nodes_form_one_quorum(three, record_property):
    for name in ("10-cluster.yaml", "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
        three.wait_ready(name, SECONDS)
    seconds = time.monotonic() - three.process.started
    record_property("seconds_to_ready", round(seconds, 2))
    status = three.status("10-cluster.yaml")
    assert status["readyBrokers"] == 3 and status["quorumLeader"] in (0, 1, 2)
    assert len(status["initialControllers"]) == 3 and all(c["formatted"] for c in status["initialControllers"])
    assert len(three.secret("kafka", "order-service")["bootstrap.servers"].split(b",")) == 3
    records = numbered("first", 3000)
    three.produce(TOPIC, records)
    assert sorted(three.consume(TOPIC)) == sorted(records)


def test_another_cluster_runs_beside_it(three, programs):
    document = cluster(free_ports(1)[0], [{"name": "main", "replicas": 1}])
    with make(programs, document, with_topic=False) as other:
        other.wait_ready("10-cluster.yaml", SECONDS)
        assert three.ready("10-cluster.yaml")[0] == "True"
    shutil.rmtree(other.folder)


def wait_until_read(nodes, records):
    """Leaders that have just started know the high watermark of their last checkpoint, until the others have fetched."""
    wait_until(lambda: sorted(nodes.consume(TOPIC)) == records, SECONDS, f"{len(records)} records read again")


def test_all_nodes_die_at_once_and_nothing_is_lost(three, record_property):
    before = sorted(three.consume(TOPIC))
    cluster_id = three.status("10-cluster.yaml")["clusterId"]
    three.kill("orders-main-0", "orders-main-1", "orders-main-2")
    record_property("seconds_until_ready_again", round(three.wait_whole(), 2))
    assert three.status("10-cluster.yaml")["clusterId"] == cluster_id
    wait_until_read(three, before)


def test_a_lost_disk_is_filled_again_and_its_vote_replaced(three, record_property):
    before = sorted(three.consume(TOPIC))
    pod = "orders-main-2"
    volume = three.data / "volumes" / f"kafka_{pod}" / "data-0"
    old = (volume / "kafka-log2" / "meta.properties").read_text()
    os.kill(three.pids()[pod], signal.SIGKILL)
    shutil.rmtree(volume / "kafka-log2")
    began = time.monotonic()
    three.process.wait_line('"adding a voter"', SECONDS)
    three.wait_whole()
    record_property("seconds_until_whole", round(time.monotonic() - began, 2))
    new = (volume / "kafka-log2" / "meta.properties").read_text()
    directory = r"directory\.id=(\S+)"
    assert re.search(directory, new)[1] != re.search(directory, old)[1]
    # What only the others had is there: they may go now.
    three.kill("orders-main-0")
    three.wait_whole()
    wait_until_read(three, before)


def test_a_change_restarts_one_node_after_the_other(three, record_property):
    before = three.pids()
    lines = len(three.process.lines)
    most_away = 0
    done = threading.Event()

    def watch():
        nonlocal most_away
        while not done.is_set():
            most_away = max(most_away, 3 - len(three.running()))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.monotonic()
    records = numbered("during the roll", 200)
    three.apply("10-cluster.yaml", cluster(three.port, [{"name": "main", "replicas": 3}],
                                           config={"auto.create.topics.enable": True}))
    wait_until(lambda: "roll" in three.status("10-cluster.yaml"), SECONDS, "a roll in status")
    for record in records[::20]:
        three.produce(TOPIC, [record])
    wait_until(lambda: all(three.pids()[pod] != pid for pod, pid in before.items()), SECONDS * 2, "three new processes")
    three.wait_whole()
    record_property("seconds_to_restart_three", round(time.monotonic() - began, 2))
    done.set()
    watcher.join()
    assert most_away <= 1  # nobody may have looked in the few milliseconds that each is away
    order = three.restarts(lines)
    assert order == [event for _, pod in order[::2] for event in (("restarted", pod), ("started", pod))]
    assert {pod for _, pod in order} == set(before) and len(order) == 2 * len(before)
    assert "roll" not in three.status("10-cluster.yaml")
    assert set(records[::20]) <= set(three.consume(TOPIC))


def test_controllers_of_their_own(programs, record_property):
    document = cluster(free_ports(1)[0], [{"name": "ctl", "roles": ["Controller"], "replicas": 3},
                                          {"name": "brk", "roles": ["Broker"], "replicas": 3, "firstNodeId": 100}])
    with make(programs, document) as nodes:
        for name in ("10-cluster.yaml", "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
            nodes.wait_ready(name, SECONDS)
        record_property("seconds_to_ready", round(time.monotonic() - nodes.process.started, 2))
        assert nodes.status("10-cluster.yaml")["readyBrokers"] == 3
        assert nodes.status("10-cluster.yaml")["quorumLeader"] in (0, 1, 2)
        records = numbered("first", 500)
        nodes.produce(TOPIC, records)
        assert sorted(nodes.consume(TOPIC)) == sorted(records)
    shutil.rmtree(nodes.folder)
