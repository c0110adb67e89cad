"""Three Apache nodes become Millrace nodes one by one, on their own data, and Apache nodes again, under acks=all load."""

from e2e.faults import checker, history
from e2e.faults.clients import Clients
from e2e.faults.scene import PARTITIONS, TOPIC, replicas_of
from e2e.lib.cluster import KAFKA, MILLRACE


def test_three_nodes_are_replaced_and_replaced_back_without_a_lost_record(mixed):
    cluster = mixed(dict.fromkeys((1, 2, 3), KAFKA))
    cluster.start()
    cluster.create_topic(TOPIC, PARTITIONS, 3, {"min.insync.replicas": 2})
    with Clients(cluster, cluster.folder, TOPIC, PARTITIONS) as clients:
        clients.wait_flowing()
        for kind in (MILLRACE, KAFKA):
            for node in cluster.nodes.values():
                node.stop()
                node.become(kind)
                node.start()
                cluster.wait_whole(TOPIC)
                cluster.wait_whole("__consumer_offsets")
        seen: history.History = clients.end()
    violations = checker.check(seen, replicas_of(cluster))
    assert not violations, "\n".join(map(str, violations))
    assert not any(p.failures for p in seen.producers)
