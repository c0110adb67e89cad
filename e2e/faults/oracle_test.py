"""The checker against real losses: Apache Kafka where acknowledgements promise less, and its own tool beside our reader of logs."""

import re
import time
from pathlib import Path

import pytest

from e2e.faults import checker, log_reader
from e2e.faults.clients import Clients
from e2e.faults.scene import PARTITIONS, TOPIC, Scene, replicas_of
from e2e.lib.cluster import KAFKA, Cluster
from e2e.lib.kafka import kafka_tool
from e2e.lib.network import Network



@pytest.mark.full
def test_apache_kafka_is_caught_losing_what_it_acknowledged_alone(hosts, tmp_path):
    """acks=1: the leader acknowledges while its followers stand still, and dies before they have the records."""
    with Network(["n1", "n2", "n3", "clients"]) as network, Cluster(tmp_path, dict.fromkeys((1, 2, 3), KAFKA), network) as cluster:
        cluster.start()
        cluster.create_topic(TOPIC, PARTITIONS, 3)
        with Clients(cluster, tmp_path, TOPIC, PARTITIONS, config={"acks": "1", "enable.idempotence": "false"}) as clients:
            clients.wait_flowing()
            scene = Scene(cluster, clients, tmp_path, network)
            leader = scene.partition_leader()
            for node in scene.others(leader):
                node.freeze()
            time.sleep(1.5)
            leader.kill()
            for node in scene.others(leader):
                node.thaw()
            scene.wait_acknowledged()
            leader.start()
            scene.wait_whole()
            history = clients.end()
        replicas = replicas_of(cluster)
        kinds = {v.kind for v in checker.check(history, replicas)}
        assert "lost" in kinds, kinds
        same_as_apaches_tool(cluster, replicas)


def same_as_apaches_tool(cluster, replicas):
    node = next(iter(cluster.nodes.values()))
    for partition, log in replicas[node.number].items():
        files = ",".join(str(f) for f in sorted(Path(node.data / f"{TOPIC}-{partition}").glob("*.log")))
        out = kafka_tool("kafka-dump-log", "--files", files).out
        theirs = [tuple(map(int, m)) for m in re.findall(
            r"baseOffset: (\d+) lastOffset: (\d+) .*?partitionLeaderEpoch: (\d+) .*? crc: (\d+)", out)]
        assert [(b.base_offset, b.last_offset, b.leader_epoch, b.checksum) for b in log.batches] == theirs


def test_the_reader_knows_a_record_that_follows_another(tmp_path):
    """Two records in one batch, as a producer with linger makes them."""
    def record(delta, value):
        body = bytes([0, 0, delta << 1, 1, len(value) << 1]) + value + b"\0"
        return bytes([len(body) << 1]) + body

    header = log_reader._HEADER.pack(3, 0, 7, 2, 99, 0, 1, 0, 0, -1, -1, -1, 2)
    data = header + record(0, b"a:1:xx") + record(1, b"a:2:xx")
    data = data[:8] + (len(data) - 12).to_bytes(4, "big") + data[12:]
    (tmp_path / f"{3:020}.log").write_bytes(data)
    log = log_reader.read(tmp_path)
    assert log.values == {3: "a:1", 4: "a:2"} and log.end == 5
