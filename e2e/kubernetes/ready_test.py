"""`kubectl wait --for=condition=Ready` returns when it is so, and not before: what was declared then works at the first try."""

import json

import pytest

from e2e.lib import kcat

ROUNDS = 5


def partitions(scene, topic):
    out = kcat.kcat("-L", "-J", "-t", topic, "-m", "20", *kcat.settings(scene.client("writer")), seconds=40)[1]
    return len(json.loads(out)["topics"][0]["partitions"])


def test_a_topic_that_is_ready_has_its_partitions_and_takes_records(scene):
    config = scene.client("writer")
    for i in range(ROUNDS):
        scene.apply("Topic", f"orders-ready-{i}", partitions=2, replicationFactor=1, onDelete="Delete")
        assert partitions(scene, f"orders-ready-{i}") == 2
        assert scene.why_not("writer", f"orders-ready-{i}", config) == ""
        scene.delete("Topic", f"orders-ready-{i}")


def test_a_user_and_an_acl_that_are_ready_work_at_the_first_try(scene):
    for i in range(ROUNDS):
        user = f"punctual-{i}"
        scene.apply("User", user, authentication={"type": "ScramSha512"})
        scene.apply("ACL", user, userRef={"name": user}, roles=[{"type": "Producer", "topics": [{"name": "orders"}]}])
        assert scene.why_not(user, "orders") == ""
        scene.delete("ACL", user)
        scene.delete("User", user)


def test_ready_of_the_old_spec_is_not_ready_of_the_new_one(scene):
    """The second apply is waited for although the condition was True all along: its generation counts."""
    scene.apply("Topic", "orders-growing", partitions=1, replicationFactor=1, onDelete="Delete")
    for count in range(2, 2 + ROUNDS):
        scene.apply("Topic", "orders-growing", partitions=count, replicationFactor=1, onDelete="Delete")
        assert partitions(scene, "orders-growing") == count
    scene.delete("Topic", "orders-growing")


@pytest.mark.parametrize("spec", [{"replicationFactor": 3}, {"config": {"retention.sm": "1"}}], ids=["replicas", "config"])
def test_what_is_not_so_is_not_ready(scene, spec):
    scene.apply("Topic", "orders-never", ready=False, **{"partitions": 1, "replicationFactor": 1, "onDelete": "Delete", **spec})
    try:
        scene.wait_reason("Topic", "orders-never", "Invalid", 30)
        done = scene.kubernetes.kubectl("wait", "--for=condition=Ready", "topic.millrace.io/orders-never", "-n", scene.namespace,
                                        "--timeout=2s", check=False)
        assert done.returncode != 0 and "timed out" in done.stderr
    finally:
        scene.delete("Topic", "orders-never")
