"""Wrong values: what the schema can judge is refused at once, the rest shows in status with the field's name. What runs, runs on."""

import json
import sys

import pytest

from e2e.lib.process import wait_until
from e2e.localkube import gobuild, layout
from tools.lib import paths

sys.path.insert(0, str(paths.ROOT / "crds"))
import check  # noqa: E402


def test_every_file_of_rejected_is_refused_with_its_message(millrace):
    assert check.check_all(check.Kubectl(gobuild.bin_dir() / "kubectl", layout.kubeconfig())) == []


@pytest.mark.parametrize(("spec", "words"), [
    ({"partitions": 1, "config": {"retention.sm": 1000}}, ["retention.sm"]),
    ({"partitions": 1, "config": {"cleanup.policy": "sometimes"}}, ["cleanup.policy", "sometimes"]),
    ({"partitions": 1_000_000}, ["partitions"]),
    ({"partitions": 1, "replicationFactor": 3}, ["spec.replicationFactor", "3"]),
], ids=["unknown key", "unknown value", "too many partitions", "more replicas than brokers"])
def test_a_topic_that_the_brokers_refuse_says_so_and_recovers_when_corrected(scene, spec, words):
    scene.apply("Topic", "orders-wrong", ready=False, onDelete="Delete", **{"replicationFactor": 1, **spec})

    def told():
        status, _, message = scene.condition("Topic", "orders-wrong")
        return message if status == "False" and all(w in message for w in words) else None
    try:
        print("\n   ", wait_until(told, 30, f"a message with {words}, not {scene.condition('Topic', 'orders-wrong')}", every=0.2))
        assert scene.condition("Topic", "orders")[0] == "True"
        assert not scene.why_not("writer", "orders")
    finally:
        scene.delete("Topic", "orders-wrong")


def test_a_wrong_topic_is_made_as_soon_as_it_is_corrected(scene, took):
    scene.apply("Topic", "orders-corrected", ready=False, partitions=1, replicationFactor=1, config={"retention.sm": 1000}, onDelete="Delete")
    scene.wait_reason("Topic", "orders-corrected", "Invalid")
    took("a corrected Topic until Ready", scene.apply("Topic", "orders-corrected", partitions=1, replicationFactor=1,
                                                      config={"retention.ms": 1000}, onDelete="Delete"))
    scene.delete("Topic", "orders-corrected")


@pytest.mark.parametrize(("patch", "word"), [
    ('{"spec": {"config": {"no.such.key": "1"}}}', "no.such.key"),
    ('{"spec": {"config": {"num.partitions": "many"}}}', "num.partitions"),
    ('{"spec": {"hibernate": true}}', "spec.hibernate"),
], ids=["unknown key", "bad value", "not supported yet"])
def test_a_cluster_that_cannot_be_so_says_so_and_the_running_one_is_untouched(scene, patch, word):
    name = (f"cluster.millrace.io/{scene.cluster}", "-n", scene.namespace)
    before, pod = scene.get("Cluster", scene.cluster)["spec"], scene.broker_pod()["metadata"]
    restarts = scene.broker_pod()["status"]["containerStatuses"][0]["restartCount"]
    scene.kubernetes.kubectl("patch", *name, "--type=merge", "-p", patch)
    try:
        def told():
            conditions = scene.get("Cluster", scene.cluster)["status"]["conditions"]
            return next((c for c in conditions if word in c["message"] and c["type"] in ("Stalled", "Ready")), None)
        condition = wait_until(told, 30, f"a condition that names {word}", every=0.2)
        print("\n   ", condition["type"], condition["status"], condition["reason"], condition["message"])
        assert not scene.why_not("writer", "orders")
        after = scene.broker_pod()
        assert (after["metadata"]["uid"], after["status"]["containerStatuses"][0]["restartCount"]) == (pod["uid"], restarts)
    finally:
        undo = json.dumps([{"op": "replace", "path": "/spec", "value": before}])
        scene.kubernetes.kubectl("patch", *name, "--type=json", "-p", undo)
    scene.wait_available()
    assert scene.broker_pod()["metadata"]["uid"] == pod["uid"]
