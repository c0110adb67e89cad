"""Nodes come and go without Kubernetes: 3 → 5 → 3 with records flowing, what does not fit, an edit in the middle."""

import shutil
import threading

import pytest

from e2e.lib.process import free_ports, wait_until
from e2e.standalone.replicated_test import SECONDS, TOPIC, cluster, make, numbered

CLUSTER, WIDE = "10-cluster.yaml", "25-wide.yaml"
PARTITIONS = 6


def of(port, replicas, **more):
    return cluster(port, [{"name": "main", "replicas": replicas}], rebalance={"onScale": "Auto"}, **more)


@pytest.fixture(scope="module")
def nodes(programs):
    port = free_ports(1)[0]
    found = make(programs, of(port, 3))
    found.port = port
    with found:
        for name in (CLUSTER, "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
            found.wait_ready(name, SECONDS)
        yield found
    shutil.rmtree(found.folder)


class Writing:
    """Records one by one while something happens; all of them are there afterwards."""

    def __init__(self, nodes, name):
        self.nodes, self.name = nodes, name
        self.done, self.records = threading.Event(), []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.done.is_set():
            record = f"{self.name} {len(self.records)}".encode()
            self.nodes.produce(TOPIC, [record])
            self.records.append(record)
            self.done.wait(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive() and self.records


def scale_status(nodes):
    return nodes.status(CLUSTER).get("scale")


def wait_scaled(nodes, count):
    """Everybody is there, everything moved, and the status says that nothing goes on."""
    def scaled():
        status = nodes.status(CLUSTER)
        return status.get("brokers") == count and "scale" not in status and nodes.ready(CLUSTER)[0] == "True"
    wait_until(scaled, SECONDS * 2, f"{count} brokers and nothing to do: {nodes.ready(CLUSTER)} {scale_status(nodes)}")
    nodes.wait_whole()


def voters(nodes):
    return {c["nodeId"] for c in nodes.status(CLUSTER)["initialControllers"]}


def test_two_more_nodes_get_their_share(nodes):
    records = numbered("before", 1000)
    nodes.produce(TOPIC, records)
    with Writing(nodes, "growing") as writing:
        nodes.apply(CLUSTER, of(nodes.port, 5))
        wait_until(lambda: scale_status(nodes), SECONDS, "a scaling in status")
        wait_scaled(nodes, 5)
    held = {i: len(list((nodes.data / "volumes" / f"kafka_orders-main-{i}" / "data-0" / f"kafka-log{i}").glob(f"{TOPIC}-[0-9]*")))
            for i in range(5)}
    assert sum(held.values()) >= PARTITIONS * 3 and all(held.values()), held
    assert voters(nodes) == {0, 1, 2, 3, 4}
    nodes.kept = records + writing.records
    assert sorted(nodes.consume(TOPIC)) == sorted(nodes.kept)


def test_what_does_not_fit_stays_where_it_is(nodes):
    nodes.apply(WIDE, {"apiVersion": "millrace.io/v1beta1", "kind": "Topic", "metadata": {"name": "wide", "namespace": "kafka"},
                       "spec": {"clusterRef": {"name": "orders"}, "partitions": 1, "replicationFactor": 5, "onDelete": "Delete"}})
    nodes.wait_ready(WIDE, SECONDS)
    nodes.apply(CLUSTER, of(nodes.port, 3))
    assert "topic wide has 5 replicas, and 3 brokers would be left" in nodes.wait_reason(CLUSTER, "ReplicasDoNotFit", SECONDS)
    assert len(nodes.running()) == 5 and voters(nodes) == {0, 1, 2, 3, 4}
    nodes.apply(CLUSTER, of(nodes.port, 5))
    wait_scaled(nodes, 5)
    nodes.remove(WIDE)


def test_two_nodes_leave_and_take_nothing_with_them(nodes):
    pids = {pod: pid for pod, pid in nodes.pids().items() if int(pod[-1]) < 3}
    with Writing(nodes, "shrinking") as writing:
        nodes.apply(CLUSTER, of(nodes.port, 3))
        wait_scaled(nodes, 3)
    assert nodes.running() == {"orders-main-0", "orders-main-1", "orders-main-2"}
    assert {pod: pid for pod, pid in nodes.pids().items() if pod in pids} == pids, "nobody who stayed was restarted"
    assert voters(nodes) == {0, 1, 2}
    nodes.kept += writing.records
    assert sorted(nodes.consume(TOPIC)) == sorted(nodes.kept)
