"""Two new brokers get nothing until a Rebalance is approved: proposal, approval, records flowing, the end."""

import json
import shutil

import pytest

from e2e.lib.millrace import millrace
from e2e.lib.process import free_ports, wait_until
from e2e.standalone.replicated_test import SECONDS, TOPIC, cluster, make, numbered
from e2e.standalone.scale_test import Writing
from e2e.standalone.standalone import resource

CLUSTER, EVEN = "10-cluster.yaml", "50-rebalance.yaml"
PARTITIONS = 6


def of(port, replicas, **more):
    return cluster(port, [{"name": "main", "replicas": replicas}], rebalance={"onScale": "Manual", "throttle": "10Mi"}, **more)


def rebalance(annotations=None, **more):
    document = resource("Rebalance", "even", clusterRef={"name": "orders"}, **more)
    document["metadata"]["annotations"] = annotations or {}
    return document


@pytest.fixture(scope="module")
def nodes(programs):
    port = free_ports(1)[0]
    found = make(programs, of(port, 1))
    found.port = port
    found.apply("20-topic.yaml", resource("Topic", "shop-orders", clusterRef={"name": "orders"}, name=TOPIC, partitions=PARTITIONS,
                                          replicationFactor=1))
    with found:
        for name in (CLUSTER, "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
            found.wait_ready(name, SECONDS)
        found.kept = numbered("before", 1000)
        found.produce(TOPIC, found.kept)
        found.apply(CLUSTER, of(port, 3))
        wait_until(lambda: found.status(CLUSTER).get("brokers") == 3 and "scale" not in found.status(CLUSTER) and
                   found.ready(CLUSTER)[0] == "True", SECONDS * 2, f"three brokers: {found.ready(CLUSTER)}")
        yield found
    shutil.rmtree(found.folder)


def held(nodes):
    """Partitions of the topic on the disk of each broker."""
    volumes = nodes.data / "volumes"
    return [len([p for p in (volumes / f"kafka_orders-main-{i}" / "data-0" / f"kafka-log{i}").glob(f"{TOPIC}-[0-9]*")
                 if not p.name.endswith("-delete")]) for i in range(3)]


def test_a_proposal_is_shown_and_nothing_moves(nodes):
    assert held(nodes) == [PARTITIONS, 0, 0]
    nodes.apply(EVEN, rebalance(movesAtOnce=2))
    message = nodes.wait_reason(EVEN, "AwaitingApproval", SECONDS)
    status = nodes.status(EVEN)
    proposal = status["proposal"]
    assert f"millrace.io/approve={proposal['id']}" in message
    # Of partitions that are as good as another the smallest go: perhaps some that hold nothing yet.
    assert status["state"] == "Proposed" and proposal["bytes"] >= 0 and proposal["replicas"] >= 4, proposal
    assert proposal["brokers"][0].split() == ["broker", "replicas", "leaders", "disk"] and len(proposal["brokers"]) == 4
    assert held(nodes) == [PARTITIONS, 0, 0]
    where = ("--data", nodes.data, "-n", "kafka")
    shown = millrace("rebalance", "even", *where).out
    assert all(line in shown for line in proposal["brokers"]) and f"Proposal    {proposal['id']}" in shown, shown
    refused = millrace("rebalance", "--approve", *where, check=False)
    assert refused.code == 1 and f"{EVEN}:" in refused.err and f"millrace.io/approve: \"{proposal['id']}\"" in refused.err, refused.err


def test_what_is_approved_is_done_whoever_does_it(nodes):
    with Writing(nodes, "moving") as writing:
        proposal = nodes.status(EVEN)["proposal"]
        nodes.apply(EVEN, rebalance({"millrace.io/approve": proposal["id"]}, movesAtOnce=2))
        wait_until(lambda: nodes.status(EVEN)["state"] != "Proposed", SECONDS, "the approval to be seen")
        nodes.wait_ready(EVEN, SECONDS * 2)
    status = nodes.status(EVEN)
    progress = status["progress"]
    assert status["proposal"]["id"] == proposal["id"] and status["state"] == "Done"
    assert progress["movedPartitions"] == progress["totalPartitions"] == proposal["partitions"], progress
    wait_until(lambda: sum(held(nodes)) == PARTITIONS, SECONDS, f"copies left behind: {held(nodes)}")
    assert held(nodes) == [2, 2, 2]
    # The limits were set before, and are gone: what is left to say so is the log of the one who did it.
    assert nodes.status(CLUSTER)["throttleBytesPerSecond"] == 10 << 20
    wait_until(lambda: any("limits of replication changed" in line for line in list(nodes.process.lines)), SECONDS, "limits removed")
    nodes.kept += writing.records
    assert sorted(nodes.consume(TOPIC)) == sorted(nodes.kept)


def test_a_second_look_finds_nothing_to_do(nodes):
    nodes.apply(EVEN, rebalance({"millrace.io/refresh": "again"}, mode="Auto", movesAtOnce=2))
    wait_until(lambda: nodes.status(EVEN).get("summary") == "nothing to move", SECONDS, f"{nodes.ready(EVEN)}")
    assert nodes.ready(EVEN)[:2] == ("True", "Balanced"), json.dumps(nodes.status(EVEN))
