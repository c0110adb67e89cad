"""What a user does with a Cluster, each as a beginning, an act, and when it is over."""

import dataclasses

from e2e.control_plane.world import SECONDS, Late
from e2e.lib.process import wait_until

REF = {"clusterRef": {"name": "small"}}


def pool(name, roles, replicas, **more):
    return {"name": name, "roles": roles, "replicas": replicas, "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}, **more}


def spread(world, brokers):
    """A controller and some brokers."""
    world.apply_cluster(pools=[pool("ctl", ["Controller"], 1), pool("brk", ["Broker"], brokers, firstNodeId=100)], rebalance={"onScale": "Auto"})


def create(world):
    world.apply_cluster()
    world.apply_rest()
    world.wait_ready(*world.ALL)


def change(world):
    """Something of everything that belongs to a Cluster: made, changed, deleted."""
    world.apply("Topic", "shop", {**REF, "partitions": 5, "replicationFactor": 1, "config": {"retention.ms": 7200000}, "onDelete": "Delete"})
    world.apply("Topic", "second", {**REF, "partitions": 2, "replicationFactor": 1, "onDelete": "Delete"})
    world.apply("User", "other", {**REF, "authentication": {"type": "ScramSha512"}})
    world.apply("ACL", "other", {**REF, "userRef": {"name": "other"}, "roles": [{"type": "Producer", "topics": [{"name": "second"}]}]})
    world.delete("ACL", "service")
    world.delete("User", "service")
    world.wait_ready(("Topic", "shop"), ("Topic", "second"), ("User", "other"), ("ACL", "other"))
    world.wait_gone(("ACL", "service"), ("User", "service"))


def wait_brokers(world, count):
    def scaled():
        status = world.get("Cluster", "small")["status"]
        return status.get("brokers") == count and "scale" not in status and world.condition("Cluster", "small")[0] == "True"
    wait_until(scaled, SECONDS * 2, Late(lambda: f"{count} brokers: {world.get('Cluster', 'small')['status']}"), every=0.1)


def scale_out(world):
    spread(world, 2)
    wait_brokers(world, 2)


def scale_in(world):
    spread(world, 1)
    wait_brokers(world, 1)


def begin_roll(world):
    world.make(replicas=3)


def roll(world):
    """A restart of every pod, asked for by a new annotation of the pods."""
    before = {name: pod["metadata"]["uid"] for name, pod in world.pods().items()}
    world.apply_cluster(pools=[pool("main", ["Controller", "Broker"], 3, template={"annotations": {"example.com/turn": "2"}})])

    def rolled():
        pods, status = world.pods(), world.get("Cluster", "small")["status"]
        return pods.keys() == before.keys() and all(pods[n]["metadata"]["uid"] != before[n] for n in before) and (
            "roll" not in status and world.condition("Cluster", "small")[0] == "True")
    wait_until(rolled, SECONDS * 2, Late(lambda: f"a roll: {world.get('Cluster', 'small')['status']}"), every=0.1)


def delete(world):
    for kind, name in reversed(world.ALL):
        world.delete(kind, name)
    world.wait_gone(*world.ALL)
    wait_until(lambda: not world.pods(), SECONDS, "the end of the pods", every=0.1)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    begin: object
    act: object


def begin_spread(brokers):
    def begin(world):
        spread(world, brokers)
        world.apply_rest()
        world.wait_ready(*world.ALL)
        wait_brokers(world, brokers)
    return begin


SCENARIOS = {s.name: s for s in (
    Scenario("create", lambda world: None, create),
    Scenario("change", create, change),
    Scenario("scale out", begin_spread(1), scale_out),
    Scenario("scale in", begin_spread(2), scale_in),
    Scenario("roll", begin_roll, roll),
    Scenario("delete", create, delete))}
