"""Controllers of both systems in one quorum: each follows the other, each leads it, and the log is the same everywhere."""

from e2e.interop import mixed as lib
from e2e.lib.cluster import KAFKA, MILLRACE
from e2e.lib.process import wait_until


def follows(cluster, numbers):
    """The leader says that these voters have all of the log."""
    def caught_up():
        answer = cluster.ask(lambda admin: admin.quorum())
        return answer and all(answer[2].get(n) == answer[2].get(answer[0]) for n in numbers)
    wait_until(caught_up, 30, f"voters {numbers} have the whole log", 0.1)


def make_leader(cluster, node, seconds=120):
    """Stops and starts whoever else leads the quorum, until `node` does."""
    def leads():
        leader = cluster.quorum_leader()
        if leader in (None, node):
            return leader is node
        leader.stop()
        leader.start()
        follows(cluster, list(cluster.nodes))
        return cluster.quorum_leader() is node
    wait_until(leads, seconds, f"node {node.number} leads the quorum", 0.3)


def test_a_millrace_controller_votes_beside_apache_voters_and_leads_them(mixed):
    cluster = mixed({1: KAFKA, 2: KAFKA, 3: MILLRACE})
    cluster.start()
    ours = cluster.nodes[3]
    follows(cluster, [1, 2, 3])
    cluster.create_topic("first", 3, 3)
    make_leader(cluster, ours)
    cluster.create_topic("led-by-millrace", 3, 3, {"retention.ms": 1000000})
    expected = lib.fill(cluster, "led-by-millrace", cluster.nodes[1].address)
    assert lib.read(cluster, "led-by-millrace", ours.address) == expected
    lib.same_metadata(cluster)
    ours.kill()
    wait_until(lambda: cluster.quorum_leader() in (cluster.nodes[1], cluster.nodes[2]), 30, "an Apache leader", 0.2)
    cluster.create_topic("after", 3, 2)
    ours.start()
    follows(cluster, [1, 2, 3])
    cluster.wait_whole("led-by-millrace")
    lib.same_metadata(cluster)
    assert lib.described(cluster, ours) == lib.described(cluster, cluster.nodes[1])
