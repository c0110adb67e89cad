"""A cluster of three under load: a complete roll and a scale-out and back, and clients of two libraries that see nothing of it."""

import time
from types import SimpleNamespace

import pytest

from e2e.faults import history
from e2e.faults.clients import JAVA, NATIVE, Client
from e2e.kubernetes.conftest import cluster_document
from e2e.kubernetes.replicated_test import Three
from e2e.kubernetes.scene import SECONDS
from e2e.lib.process import wait_until

NAMESPACE = "millrace-day-two"
BOOTSTRAP_PORT, BROKER_PORT = 31300, 31301
TOPIC, PARTITIONS, RATE = "orders", 6, 250  # per library


@pytest.fixture(scope="module")
def busy(millrace, tmp_path_factory):
    millrace.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")  # of a run that was cut off
    with millrace.namespace(NAMESPACE, wait=False):
        scene = Three(millrace, NAMESPACE, "busy", tmp_path_factory.mktemp("busy"))
        document = cluster_document(NAMESPACE, scene.cluster, rebalance={"onScale": "Auto"})
        document["spec"]["pools"][0] |= {"replicas": 3, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
        for listener in document["spec"]["listeners"]:
            if "expose" in listener:
                listener["expose"] |= {"bootstrapPort": BOOTSTRAP_PORT, "brokerBasePort": BROKER_PORT}
        millrace.apply(document)
        millrace.wait(f"cluster.millrace.io/{scene.cluster}", namespace=NAMESPACE, seconds=SECONDS)
        scene.apply("User", "writer", authentication={"type": "ScramSha512"})
        scene.apply("Topic", TOPIC, partitions=PARTITIONS, replicationFactor=3)
        scene.apply("ACL", "writer", userRef={"name": "writer"}, rules=[
            {"resource": {"type": "Topic", "name": TOPIC, "pattern": "Literal"}, "operations": ["All"]},
            {"resource": {"type": "Group", "name": "*", "pattern": "Literal"}, "operations": ["All"]},
            {"resource": {"type": "Cluster"}, "operations": ["IdempotentWrite"]}])
        yield scene


class Load:
    """An idempotent producer and a group per library, from outside the cluster; what they wrote down is judged at the end."""

    def __init__(self, scene, name):
        native = scene.client("writer")
        java = dict(line.split("=", 1) for line in
                    scene.java_client_file("writer", f"{name}.properties").read_text().splitlines() if "=" in line)
        where = SimpleNamespace(bootstrap=native.pop("bootstrap.servers"), client_host=SimpleNamespace(prefix=()))
        java.pop("bootstrap.servers")
        settings = {NATIVE: native, JAVA: java}
        self.producers = [Client(where, scene.folder, library, "produce", f"{name}-{library}-producer", TOPIC, PARTITIONS, RATE, 200,
                                 config=settings[library]) for library in settings]
        self.consumers = [Client(where, scene.folder, library, "consume", f"{name}-{library}-consumer", TOPIC, PARTITIONS,
                                 group=f"{name}-{library}", config=settings[library]) for library in settings]

    def __enter__(self):
        for client in self.producers:
            client.wait_for("A", 300, 60)
        for client in self.consumers:
            client.wait_for("C", 2, 60)
        self.began = time.monotonic_ns()
        return self

    def __exit__(self, kind, *_):
        self.ended = time.monotonic_ns()
        for client in self.producers:
            client.end()
        for client in self.producers:
            client.wait(60)
        self.written = [c.read() for c in self.producers]
        wanted = {(p, o) for producer in self.written for _, p, o in producer.acks.values()}
        if kind is None:
            for client in self.consumers:
                wait_until(lambda client=client: wanted <= {(p, o) for _, k, p, o, _ in client.read().events if k == "R"}, 60,
                           f"everything acknowledged read by {client.name}", 0.5)
        for client in self.consumers:
            client.end()
            client.wait(30)
        self.read = [c.read() for c in self.consumers]

    def gaps(self):
        """The longest time without an acknowledgement of the worst partition, per library, in ms."""
        out = {}
        for producer in self.written:
            acks = sorted((t, p) for t, p, _ in producer.acks.values())
            out[producer.name] = round(history.longest_gap(acks, self.began, self.ended) * 1000)
        return out

    def errors(self):
        return [(c.name, e) for c in (*self.written, *self.read)
                for e in (*getattr(c, "failures", {}).values(), *getattr(c, "given_up", []), *([c.fatal] if c.fatal else []))]


def uids(scene):
    return {name: p["metadata"]["uid"] for name, p in scene.pods().items()}


def test_a_roll_that_clients_do_not_notice(busy, took):
    old = uids(busy)
    seen = set()
    with Load(busy, "roll") as load:
        began = time.monotonic()
        busy.kubernetes.kubectl("annotate", f"cluster.millrace.io/{busy.cluster}", "-n", NAMESPACE, "--overwrite",
                                f"millrace.io/restart={time.time_ns()}")

        def rolled():
            seen.add(busy.status().get("activity", ""))
            now = uids(busy)
            return len(now) == 3 and all(now[name] != uid for name, uid in old.items()) and "roll" not in busy.status()

        wait_until(rolled, 120, "three other pods", every=0.2)
        busy.wait_whole()
        seconds = time.monotonic() - began
        time.sleep(1)  # what comes after the last leadership has moved
    took("a roll of three brokers under load", seconds)
    for name, gap in load.gaps().items():
        took(f"longest gap of {name}", gap / 1000)
    assert load.errors() == []
    assert {"Rolling 1/3", "Rolling 2/3"} & seen
    assert max(load.gaps().values()) <= 1500 and seconds <= 120  # 100 and 25 on a quiet machine


def test_two_brokers_come_and_go_and_clients_do_not_notice(busy, took):
    def scaled(count):
        status = busy.status()
        return status["brokers"] == status["readyBrokers"] == count and "scale" not in status and len(busy.pods()) == count

    def scale(count):
        began = time.monotonic()
        busy.kubernetes.kubectl("patch", f"cluster.millrace.io/{busy.cluster}", "-n", NAMESPACE, "--type=json", "-p",
                                f'[{{"op": "replace", "path": "/spec/pools/0/replicas", "value": {count}}}]')
        wait_until(lambda: scaled(count), 180, f"{count} brokers and nothing to move", every=0.2)
        busy.wait_whole(90)
        return time.monotonic() - began

    with Load(busy, "scale") as load:
        took("from three brokers to five, with their share", scale(5))
        assert len(busy.status()["initialControllers"]) == 5
        took("from five brokers to three", scale(3))
        time.sleep(1)
    for name, gap in load.gaps().items():
        took(f"longest gap of {name}", gap / 1000)
    assert load.errors() == []
    assert len(busy.status()["initialControllers"]) == 3
    assert max(load.gaps().values()) <= 1500
