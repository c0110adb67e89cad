"""A node of one system joins a running cluster of the other: it registers, replicates, leads, serves, and survives a crash."""

import pytest

from e2e.faults import checker
from e2e.faults.clients import Clients
from e2e.faults.scene import PARTITIONS as LOAD_PARTITIONS
from e2e.faults.scene import TOPIC as LOAD
from e2e.faults.scene import replicas_of
from e2e.interop import mixed as lib
from e2e.lib.cluster import KAFKA, MILLRACE
from e2e.lib.process import wait_until

SIDES = pytest.mark.parametrize("hosts, guest", [(KAFKA, MILLRACE), (MILLRACE, KAFKA)], ids=["millrace-joins-apache", "apache-joins-millrace"])


def cluster_of(mixed, hosts, guest):
    """Two nodes that are the quorum, running with data; a third that has not started yet."""
    cluster = mixed({1: hosts, 2: hosts, 3: (guest, "broker")})
    cluster.start({1, 2})
    cluster.create_topic(lib.TOPIC, lib.PARTITIONS, 2, {"min.insync.replicas": 1})
    expected = lib.fill(cluster, lib.TOPIC, cluster.nodes[1].address)
    guest = cluster.nodes[3]
    guest.start()
    cluster.wait_brokers({1, 2, 3})
    return cluster, guest, expected


@SIDES
def test_it_registers_and_knows_the_cluster(mixed, hosts, guest):
    cluster, guest, _ = cluster_of(mixed, hosts, guest)
    wait_until(lambda: 3 in cluster.ask(lambda admin: admin.quorum(), [cluster.nodes[1]])[3], 20, "an observer in the quorum's answer")
    lib.same_metadata(cluster)
    assert lib.described(cluster, guest) == lib.described(cluster, cluster.nodes[1])


@SIDES
def test_it_replicates_leads_and_serves(mixed, hosts, guest):
    cluster, guest, expected = cluster_of(mixed, hosts, guest)
    lib.move(cluster, lib.TOPIC, [1, 2, 3])
    lib.same_batches(cluster, lib.TOPIC)
    lib.move(cluster, lib.TOPIC, [3, 1, 2])
    assert lib.read(cluster, lib.TOPIC, guest.address) == expected
    expected += lib.fill(cluster, lib.TOPIC, guest.address)
    lib.same_batches(cluster, lib.TOPIC)
    lib.move(cluster, lib.TOPIC, [1, 2, 3])
    assert lib.read(cluster, lib.TOPIC, cluster.nodes[1].address) == expected


@SIDES
def test_nothing_is_lost_when_it_or_its_neighbour_crashes_under_load(mixed, hosts, guest):
    cluster, guest, _ = cluster_of(mixed, hosts, guest)
    cluster.create_topic(LOAD, LOAD_PARTITIONS, 3, {"min.insync.replicas": 2})
    with Clients(cluster, cluster.folder, LOAD, LOAD_PARTITIONS) as clients:
        clients.wait_flowing()
        neighbour = next(n for n in (cluster.nodes[1], cluster.nodes[2]) if n is cluster.quorum_leader())
        for node in (guest, neighbour if hosts == KAFKA else guest):
            node.kill()
            node.start()
            cluster.wait_whole(LOAD)
        history = clients.end()
    violations = checker.check(history, replicas_of(cluster))
    assert not violations, "\n".join(map(str, violations))
