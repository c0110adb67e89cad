"""The broker goes away under load: killed, its pod deleted, its node drained. Nothing that was acknowledged is lost or doubled."""

import collections
import json
import os
import signal
import time

import pytest

from e2e.lib import jars, kcat
from e2e.lib.kafka import TOOLS
from e2e.lib.process import Process, wait_until

MESSAGES, PER_SECOND = 24_000, 1500
KEEPS_TRYING = {"acks": "all", "enable.idempotence": "true", "retries": 2147483647, "delivery.timeout.ms": 120000,
                "request.timeout.ms": 5000, "retry.backoff.ms": 50, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500,
                "linger.ms": 2}


class Load:
    """Apache's verifiable producer: one line of JSON for each record that was acknowledged."""

    def __init__(self, scene, topic, log):
        config = scene.java_client_file("writer", f"{topic}.properties", **KEEPS_TRYING)
        bootstrap = scene.client("writer")["bootstrap.servers"]
        self.process = Process(jars.java(
            TOOLS["kafka-verifiable-producer"], "--bootstrap-server", bootstrap, "--topic", topic, "--acks", "-1",
            "--max-messages", MESSAGES, "--throughput", PER_SECOND, "--command-config", config), log=log)

    def events(self, name):
        found = []
        for line in list(self.process.lines):
            if line.startswith("{") and f'"{name}"' in line:
                found.append(json.loads(line))
        return found

    def acknowledged(self):
        return sum('"producer_send_success"' in line for line in list(self.process.lines))

    def wait_acknowledged(self, count, seconds=90):
        wait_until(lambda: self.acknowledged() >= count, seconds, f"{count} acknowledged records", every=0.1)

    def wait_end(self, seconds=180):
        self.process.wait_line('"tool_data"', seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


def broker_identity(scene):
    """The volume, the node id and the topics: what a broker must come back with."""
    claim = scene.kubernetes.get("pvc", f"data-0-{scene.pod}", scene.namespace)
    listing = json.loads(kcat.kcat("-L", "-J", "-m", "20", *kcat.settings(scene.client("writer")), seconds=40)[1])
    return {"claim": claim["metadata"]["uid"], "volume": claim["spec"]["volumeName"], "ids": [b["id"] for b in listing["brokers"]],
            "topics": {t["topic"]: len(t["partitions"]) for t in listing["topics"]}}


def assert_all_there_once(scene, topic, load):
    """Every acknowledged record stands where its acknowledgement said, and no record stands there twice."""
    acknowledged = {int(e["value"]): (e["partition"], e["offset"]) for e in load.events("producer_send_success")}
    assert len(acknowledged) == MESSAGES and not load.events("producer_send_error")
    out = scene.consume("writer", topic, "-f", "%p %o %s\n", seconds=60)[1].decode()
    found = collections.defaultdict(list)
    for line in out.splitlines():
        partition, offset, value = line.split()
        found[int(value)].append((int(partition), int(offset)))
    assert {v: p for v, p in found.items() if len(p) != 1} == {}, "records that are there twice"
    assert {v: p[0] for v, p in found.items()} == acknowledged


@pytest.fixture
def topic(scene, request):
    name = f"orders-{request.node.name.replace('_', '-')[:40]}"
    scene.apply("Topic", name, partitions=2, replicationFactor=1, onDelete="Delete")
    yield name
    scene.delete("Topic", name)


def test_kill_9_and_pod_deletion_lose_and_double_nothing(scene, topic, tmp_path, took):
    before = broker_identity(scene)
    with Load(scene, topic, tmp_path / "producer.log") as load:
        load.wait_acknowledged(MESSAGES // 8)
        first_process = scene.broker_process()
        os.kill(first_process, signal.SIGKILL)
        began, count = time.monotonic(), load.acknowledged()
        load.wait_acknowledged(max(count + 1000, MESSAGES // 3))
        took("kill -9 until a thousand more are acknowledged", time.monotonic() - began)
        assert scene.broker_process() != first_process

        uid = scene.broker_pod()["metadata"]["uid"]
        scene.kubernetes.kubectl("delete", "pod", scene.pod, "-n", scene.namespace, "--wait=false")
        began, count = time.monotonic(), load.acknowledged()
        wait_until(lambda: (scene.broker_pod() or {}).get("metadata", {}).get("uid", uid) != uid, 60, "another pod", every=0.2)
        load.wait_acknowledged(max(count + 1000, MESSAGES * 2 // 3))
        took("deletion of the pod until a thousand more are acknowledged", time.monotonic() - began)
        load.wait_end()
    scene.wait_available()
    assert_all_there_once(scene, topic, load)
    assert broker_identity(scene) == before


def test_a_drained_node_gives_the_broker_back_when_it_returns(scene, topic, tmp_path, took):
    node = scene.broker_pod()["spec"]["nodeName"]
    before = broker_identity(scene)
    records = [f"before the drain {i}".encode() for i in range(1000)]
    scene.produce("writer", topic, records, seconds=30)
    kubectl = scene.kubernetes.kubectl
    try:
        kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s",
                f"--pod-selector=millrace.io/cluster={scene.cluster}", seconds=70)
        # Its volume is on that node: it waits, and the Cluster says so.
        wait_until(lambda: scene.condition("Cluster", scene.cluster)[0] == "False", 60, "the Cluster not Ready", every=0.2)
        scene.wait_reason("Cluster", scene.cluster, "PodUnschedulable")
    finally:
        kubectl("uncordon", node)
    began = time.monotonic()
    scene.wait_available(120)
    took("uncordon until the Cluster is Ready", time.monotonic() - began)
    assert sorted(scene.consume("writer", topic)[1].splitlines()) == sorted(records)
    assert broker_identity(scene) == before
