"""Three brokers in three zones: together within seconds, together again when all pods go at once, and whole again when a volume is
lost for good."""

import time

import pytest

from e2e.kubernetes.conftest import cluster_document
from e2e.kubernetes.scene import SECONDS, Scene
from e2e.lib.process import wait_until

NAMESPACE = "millrace-replicated"
BOOTSTRAP_PORT, BROKER_PORT = 31200, 31201
TOPIC = "orders"
ZONE = "topology.kubernetes.io/zone"
NODES = 3


class Three(Scene):
    def pods(self):
        """name -> pod, of those that are not going away."""
        found = self.kubernetes.kubectl("get", "pods", "-n", self.namespace, "-o", "name", "-l", f"millrace.io/cluster={self.cluster}")
        pods = (self.kubernetes.get("pod", name.split("/")[1], self.namespace) for name in found.split())
        return {p["metadata"]["name"]: p for p in pods if p and "deletionTimestamp" not in p["metadata"]}

    def status(self):
        return self.get("Cluster", self.cluster)["status"]

    def wait_whole(self, seconds=SECONDS):
        """Ready, and nothing is missing any more."""
        wait_until(lambda: self.condition("Cluster", self.cluster)[0] == "True" and
                   self.condition("Cluster", self.cluster, "Degraded")[0] == "False", seconds, "the Cluster whole", every=0.2)


@pytest.fixture(scope="module")
def three(millrace, tmp_path_factory):
    millrace.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")  # of a run that was cut off
    with millrace.namespace(NAMESPACE, wait=False):
        scene = Three(millrace, NAMESPACE, "three", tmp_path_factory.mktemp("three"))
        document = cluster_document(NAMESPACE, scene.cluster, rack={"topologyKey": ZONE})
        document["spec"]["pools"][0] |= {"replicas": NODES, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
        for listener in document["spec"]["listeners"]:
            if "expose" in listener:
                listener["expose"] |= {"bootstrapPort": BOOTSTRAP_PORT, "brokerBasePort": BROKER_PORT}
        scene.began = time.monotonic()
        millrace.apply(document)
        yield scene


@pytest.fixture(scope="module")
def writer(three):
    three.apply("User", "writer", authentication={"type": "ScramSha512"})
    three.apply("Topic", TOPIC, partitions=6, replicationFactor=NODES)
    three.apply("ACL", "writer", userRef={"name": "writer"}, rules=[
        {"resource": {"type": "Topic", "name": TOPIC, "pattern": "Literal"}, "operations": ["All"]},
        {"resource": {"type": "Cluster"}, "operations": ["IdempotentWrite"]}])
    return "writer"


def test_three_brokers_are_available_within_seconds(three, took):
    three.kubernetes.wait(f"cluster.millrace.io/{three.cluster}", namespace=NAMESPACE, seconds=SECONDS)
    seconds = time.monotonic() - three.began
    took("apply of three brokers until Ready", seconds)
    status = three.status()
    assert status["readyBrokers"] == NODES and status["quorumLeader"] in range(NODES)
    nodes = {p["spec"]["nodeName"] for p in three.pods().values()}
    assert len(nodes) == NODES, "one broker per zone"
    racks = {p["nodeId"]: p["rack"] for p in status["placements"]}
    zones = {n["metadata"]["name"]: n["metadata"]["labels"][ZONE] for n in three.kubernetes.get("nodes")["items"]}
    for pod in three.pods().values():
        assert racks[int(pod["metadata"]["name"].rsplit("-", 1)[1])] == zones[pod["spec"]["nodeName"]]
    assert seconds <= 45  # 15 on a quiet machine


@pytest.mark.full
def test_both_cas_are_replaced_without_a_restart(three, writer, took):
    """Secrets reach the pods when the kubelet looks next: whatever it holds at the moment, nobody is refused."""
    three.kubernetes.wait(f"user.millrace.io/{writer}", namespace=NAMESPACE, seconds=SECONDS)
    pods = {name: (p["metadata"]["uid"], [c["restartCount"] for c in p["status"]["containerStatuses"]]) for name, p in three.pods().items()}
    first = three.client(writer)
    kept = three.folder / "first-ca.crt"
    kept.write_bytes(three.secret(writer)["ca.crt"])
    first["ssl.ca.location"] = kept

    def phases():
        return {three.status()["certificates"][ca]["phase"] for ca in ("clusterCa", "usersCa")}

    def nobody_is_refused():
        for config in (first, three.client(writer)):
            assert three.why_not(writer, TOPIC, config) == ""

    began = time.monotonic()
    three.kubernetes.kubectl("annotate", "cluster.millrace.io", three.cluster, "-n", NAMESPACE, "millrace.io/renew-cluster-ca=1",
                             "millrace.io/renew-users-ca=1")
    wait_until(lambda: three.secret(writer)["ca.crt"].count(b"BEGIN") == 2, 30, "both CAs in the user's Secret", every=0.2)
    while phases() != {"Overlap"}:
        nobody_is_refused()
        assert time.monotonic() - began < 240, three.status()["certificates"]
        time.sleep(1)
    took("every broker with certificates of the next CA", time.monotonic() - began)
    nobody_is_refused()
    three.kubernetes.kubectl("annotate", "cluster.millrace.io", three.cluster, "-n", NAMESPACE, "millrace.io/end-ca-overlap=true")
    wait_until(lambda: phases() == {"Stable"}, 30, "the CAs before are dropped", every=0.2)
    assert three.secret(writer)["ca.crt"].count(b"BEGIN") == 1
    assert three.why_not(writer, TOPIC) == ""
    wait_until(lambda: "verify failed" in three.why_not(writer, TOPIC, first), 120, "the CA before is not vouched for any more", every=2)
    assert pods == {name: (p["metadata"]["uid"], [c["restartCount"] for c in p["status"]["containerStatuses"]])
                    for name, p in three.pods().items()}
    assert any("which signs now" in e for e in three.events("Cluster", three.cluster))


def test_all_pods_deleted_at_once_lose_nothing(three, writer, took):
    records = [f"before {i}".encode() for i in range(3000)]
    three.produce(writer, TOPIC, records, seconds=60)
    before = three.status()
    old = {name: p["metadata"]["uid"] for name, p in three.pods().items()}
    three.kubernetes.kubectl("delete", "pods", "-n", NAMESPACE, "-l", f"millrace.io/cluster={three.cluster}", "--wait=false")
    began = time.monotonic()

    def replaced():
        now = {name: p["metadata"]["uid"] for name, p in three.pods().items()}
        return len(now) == NODES and all(now[name] != uid for name, uid in old.items())

    wait_until(replaced, SECONDS, "three other pods", every=0.2)
    three.wait_whole()
    seconds = time.monotonic() - began
    took("all pods deleted until Ready", seconds)
    assert three.status()["clusterId"] == before["clusterId"]
    assert sorted(three.consume(writer, TOPIC, seconds=60)[1].splitlines()) == sorted(records)
    assert seconds <= 45  # 10 on a quiet machine


def test_a_volume_lost_for_good_is_filled_again(three, writer, took):
    before = sorted(three.consume(writer, TOPIC, seconds=60)[1].splitlines())
    pod = f"{three.cluster}-main-2"
    claim = three.kubernetes.get("pvc", f"data-0-{pod}", NAMESPACE)["metadata"]["uid"]
    three.kubernetes.kubectl("delete", "pvc", f"data-0-{pod}", "-n", NAMESPACE, "--wait=false")
    three.kubernetes.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--wait=false")
    began = time.monotonic()

    def another_volume():
        found = three.kubernetes.get("pvc", f"data-0-{pod}", NAMESPACE)
        return found and found["metadata"]["uid"] != claim

    wait_until(another_volume, SECONDS, "another volume", every=0.2)
    wait_until(lambda: three.condition("Cluster", three.cluster, "Degraded")[0] == "True", SECONDS, "the loss is seen", every=0.1)
    three.wait_whole(120)
    took("a volume lost until the Cluster is whole", time.monotonic() - began)
    # Whole means that it may stand in for another: the first broker goes, and everything is still there.
    three.kubernetes.kubectl("delete", "pod", f"{three.cluster}-main-0", "-n", NAMESPACE, "--wait=false")
    assert sorted(three.consume(writer, TOPIC, seconds=60)[1].splitlines()) == before
    three.wait_whole()


def test_a_change_restarts_one_pod_after_the_other(three, writer, took):
    old = {name: p["metadata"]["uid"] for name, p in three.pods().items()}
    began = time.monotonic()
    three.kubernetes.kubectl("patch", f"cluster.millrace.io/{three.cluster}", "-n", NAMESPACE, "--type=merge", "-p",
                             '{"spec": {"config": {"auto.create.topics.enable": true}}}')
    fewest = NODES

    def rolled():
        nonlocal fewest
        pods = three.pods()
        ready = [p for p in pods.values() if any(c["type"] == "Ready" and c["status"] == "True"
                                                 for c in p["status"].get("conditions", []))]
        fewest = min(fewest, len(ready))
        return len(pods) == NODES and all(p["metadata"]["uid"] != old[name] for name, p in pods.items())

    wait_until(rolled, 180, "three other pods", every=0.1)
    three.wait_whole(120)
    took("restart of three brokers, one by one", time.monotonic() - began)
    assert fewest >= NODES - 1
    assert "roll" not in three.status()
