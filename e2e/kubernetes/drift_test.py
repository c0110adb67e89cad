"""What somebody changes behind the operator's back is put right at once: objects in Kubernetes, and Kafka's own state."""

import json
import time

import pytest

from e2e.lib.process import wait_until

BOUND = 15  # about one second on an idle machine; the time is printed


def spec_of(found):
    """What we declare about an object; the rest belongs to others."""
    return {key: found[key] for key in ("spec", "data", "rules", "type") if key in found}


def children(scene):
    kinds = ("serviceaccounts", "services", "networkpolicies", "poddisruptionbudgets", "configmaps", "secrets", "statefulsets")
    return [(kind, item["metadata"]["name"]) for kind in kinds for item in scene.kubernetes.get(kind, namespace=scene.namespace)["items"]
            if any(o["kind"] in ("Cluster", "User") for o in item["metadata"].get("ownerReferences", []))]


def without_assigned(kind, spec):
    """Without what the API server draws anew for each Service."""
    spec = json.loads(json.dumps(spec))
    if kind == "services":
        for field in ("clusterIP", "clusterIPs"):
            spec["spec"].pop(field, None)
    return spec


def test_every_deleted_child_comes_back_as_it_was(scene, took):
    names = children(scene)
    assert len(names) >= 12, names
    slowest = (0, "")
    client = scene.client("writer")
    for kind, name in names:
        before = scene.kubernetes.get(kind, name, scene.namespace)
        began = time.monotonic()
        scene.kubernetes.kubectl("delete", kind, name, "-n", scene.namespace, "--cascade=orphan", "--wait=false")

        def returned():
            now = scene.kubernetes.get(kind, name, scene.namespace)
            return now if now and now["metadata"]["uid"] != before["metadata"]["uid"] else None
        after = wait_until(returned, BOUND, f"{kind} {name} is there again", every=0.05)
        slowest = max(slowest, (time.monotonic() - began, f"{kind} {name}"))
        assert without_assigned(kind, spec_of(after)) == without_assigned(kind, spec_of(before)), f"{kind} {name}"
    took(f"slowest return of {len(names)} deleted children ({slowest[1]})", slowest[0])
    scene.wait_available()
    assert scene.client("writer") == client
    assert not scene.why_not("writer", "orders")


@pytest.mark.parametrize(("kind", "name", "patch"), [
    ("service", "e2e-bootstrap", {"spec": {"selector": {"app.kubernetes.io/name": "something-else"}}}),
    ("service", "e2e-brokers", {"spec": {"publishNotReadyAddresses": False}}),
    ("configmap", "e2e-main", {"data": {"server.properties": "process.roles=none\n"}}),
    ("secret", "e2e-main-certs", {"data": {"0.pem": "bm90aGluZw=="}}),
    ("secret", "writer", {"data": {"username": "bm90aGluZw=="}}),
    ("statefulset", "e2e-main", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}),
    ("poddisruptionbudget", "e2e-brokers", {"spec": {"maxUnavailable": 0}}),
    ("networkpolicy", "e2e-brokers", {"spec": {"ingress": []}}),
    ("serviceaccount", "e2e-broker", {"automountServiceAccountToken": True}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_an_edited_child_is_set_right(scene, took, kind, name, patch):
    pod = scene.broker_pod()["metadata"]["uid"]

    def declared():
        found = scene.kubernetes.get(kind, name, scene.namespace)
        return spec_of(found), found.get("automountServiceAccountToken")
    before = declared()
    began = time.monotonic()
    out = scene.kubernetes.kubectl("patch", kind, name, "-n", scene.namespace, "--type=merge", "-p", json.dumps(patch))
    assert "no change" not in out
    wait_until(lambda: declared() == before, BOUND, f"{kind} {name} as declared", every=0.05)
    took(f"edited {kind} {name} set right", time.monotonic() - began)
    assert scene.broker_pod()["metadata"]["uid"] == pod  # nobody was restarted for it


def repair_seconds(scene, drift, repair):
    """From the latest record that says `drift(type, data)` to the first after it that says `repair(type, data)`."""
    records = scene.metadata_records()
    latest = max(i for i, (_, kind, data) in enumerate(records) if drift(kind, data))
    repaired = next(at for at, kind, data in records[latest:] if repair(kind, data))
    return (repaired - records[latest][0]) / 1000


def configs(scene, topic):
    out = scene.as_operator("kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", topic).out
    return {line.split("=", 1)[0].strip(): line.split("=", 1)[1].split(" ", 1)[0] for line in out.splitlines() if "=" in line and "sensitive=" in line}


@pytest.fixture(scope="module")
def topic(scene):
    scene.apply("Topic", "orders-drift", partitions=2, replicationFactor=1, config={"retention.ms": 3600000}, onDelete="Delete")
    yield "orders-drift"
    scene.delete("Topic", "orders-drift")


def test_a_config_altered_with_kafka_configs_is_set_back(scene, topic, took):
    scene.as_operator("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config",
                      "retention.ms=1000,segment.bytes=2000000")
    wait_until(lambda: configs(scene, topic).get("retention.ms") == "3600000", BOUND, "retention.ms as declared", every=0.05)
    seconds = repair_seconds(scene, lambda kind, data: kind == "CONFIG_RECORD" and data["name"] == "retention.ms" and data["value"] == "1000",
                             lambda kind, data: kind == "CONFIG_RECORD" and data["name"] == "retention.ms" and data["value"] == "3600000")
    took("kafka-configs until set back, by the metadata log", seconds)
    assert seconds < BOUND
    assert configs(scene, topic)["segment.bytes"] == "2000000"  # a key that nobody declared stays with whoever set it
    assert scene.condition("Topic", topic)[0] == "True"


def test_a_rule_removed_with_kafka_acls_comes_back(scene, took):
    config = scene.client("writer")
    assert not scene.why_not("writer", "orders", config)
    scene.as_operator("kafka-acls", "--remove", "--force", "--allow-principal", "User:writer", "--operation", "All", "--topic", "orders",
                      "--resource-pattern-type", "prefixed")
    wait_until(lambda: not scene.why_not("writer", "orders", config), BOUND, "writer may write again", every=0.05)
    seconds = repair_seconds(scene, lambda kind, _: kind == "REMOVE_ACCESS_CONTROL_ENTRY_RECORD",
                             lambda kind, data: kind == "ACCESS_CONTROL_ENTRY_RECORD" and data["principal"] == "User:writer")
    took("kafka-acls --remove until the rule is back, by the metadata log", seconds)
    assert seconds < BOUND
    assert any("adding 1 rule" in e for e in scene.events("ACL", "writer"))


def test_a_password_changed_with_kafka_configs_is_set_back(scene, took):
    config = scene.client("writer")
    scene.as_operator("kafka-configs", "--alter", "--entity-type", "users", "--entity-name", "writer", "--add-config",
                      "SCRAM-SHA-512=[iterations=4096,password=somebody-elses]")
    wait_until(lambda: not scene.why_not("writer", "orders", config), BOUND, "the password of the Secret works", every=0.05)
    credentials = [at for at, kind, data in scene.metadata_records() if kind == "USER_SCRAM_CREDENTIAL_RECORD" and data["name"] == "writer"]
    took("SCRAM credential altered until set back, by the metadata log", (credentials[-1] - credentials[-2]) / 1000)
    assert len(credentials) >= 3 and credentials[-1] - credentials[-2] < BOUND * 1000


def test_partitions_added_outside_are_reported_as_they_cannot_shrink(scene, took):
    scene.apply("Topic", "orders-grown", partitions=1, replicationFactor=1, onDelete="Delete")
    began = time.monotonic()
    scene.as_operator("kafka-topics", "--alter", "--topic", "orders-grown", "--partitions", "3")
    message = scene.wait_reason("Topic", "orders-grown", "PartitionsCannotShrink")
    took("kafka-topics --alter with its JVM until the status says so", time.monotonic() - began)
    assert "spec.partitions" in message and "3" in message
    scene.delete("Topic", "orders-grown")


def test_a_topic_deleted_outside_is_reported_and_made_again_only_on_request(scene, took):
    scene.apply("Topic", "orders-lost", partitions=1, replicationFactor=1, onDelete="Delete")
    first = scene.get("Topic", "orders-lost")["status"]["topicId"]
    scene.as_operator("kafka-topics", "--delete", "--topic", "orders-lost")
    began = time.monotonic()
    scene.wait_reason("Topic", "orders-lost", "DeletedOutside")
    took("kafka-topics --delete until the status says so", time.monotonic() - began)
    began = time.monotonic()
    scene.kubernetes.kubectl("patch", "topic.millrace.io/orders-lost", "-n", scene.namespace, "--type=merge", "-p",
                             '{"spec": {"onMissing": "Recreate"}}')
    scene.wait_reason("Topic", "orders-lost", "Ready")
    took("onMissing: Recreate until Ready", time.monotonic() - began)
    second = scene.get("Topic", "orders-lost")["status"]["topicId"]
    assert second != first
    scene.as_operator("kafka-topics", "--delete", "--topic", "orders-lost")

    def recreated():
        status = scene.get("Topic", "orders-lost")["status"]
        return status["topicId"] != second and scene.condition("Topic", "orders-lost")[1] == "Ready"
    wait_until(recreated, BOUND, "the topic is made again", every=0.1)
    scene.delete("Topic", "orders-lost")
