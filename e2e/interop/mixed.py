"""What the tests ask of a cluster of both systems."""

import subprocess

from e2e.faults import log_reader
from e2e.lib import jars
from e2e.lib.kafka import TOOLS
from e2e.lib.kcat import kcat, settings
from e2e.lib.process import wait_until

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
TOPIC, PARTITIONS = "shared", 3


def fill(cluster, topic, bootstrap, records=200, partition=0):
    """`records` per codec into one partition, with keys; returns what a reader must find."""
    expected = []
    for codec in CODECS:
        lines = [f"{codec}-{i}:{codec} {i} {'x' * 100}" for i in range(records)]
        kcat("-b", bootstrap, "-P", "-t", topic, "-p", partition, "-K", ":", *settings({"compression.codec": codec, "enable.idempotence": "true"}),
             stdin="".join(line + "\n" for line in lines), prefix=cluster.client_host.prefix)
        expected += lines
    return expected


def read(cluster, topic, bootstrap, partition=0):
    out = kcat("-b", bootstrap, "-C", "-t", topic, "-p", partition, "-o", "beginning", "-e", "-q", "-K", ":", prefix=cluster.client_host.prefix)[1]
    return out.decode().splitlines()


def move(cluster, topic, replicas, partitions=range(PARTITIONS), seconds=60):
    """All partitions of a topic to `replicas`, the first of which then leads them; waits until all are in sync."""
    partitions = list(partitions)
    cluster.ask(lambda admin: admin.reassign(topic, {p: replicas for p in partitions}))

    def moved():
        found = cluster.partitions(topic)
        return found and all(p.replicas == replicas and set(p.isr) == set(replicas) for p in found.values())
    try:
        wait_until(moved, seconds, f"replicas {replicas} of {topic} in sync", 0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}: {cluster.partitions(topic)}") from None
    lead(cluster, topic, partitions, replicas[0], seconds)


def lead(cluster, topic, partitions, number, seconds=30):
    def leads():
        cluster.ask(lambda admin: admin.elect_preferred(topic, partitions))
        return all(p.leader == number for p in cluster.partitions(topic).values())
    wait_until(leads, seconds, f"node {number} leads {topic}", 0.3)


def batches(node, topic, partition=0):
    """The batches on a node's disk: offsets, epoch and checksum of each."""
    return log_reader.read(node.data / f"{topic}-{partition}", with_values=False).batches


def same_batches(cluster, topic, partition=0, seconds=20):
    """All replicas have the same batches, byte for byte (by checksum)."""
    nodes = [cluster.nodes[n] for n in cluster.partitions(topic)[partition].replicas]
    wait_until(lambda: len({tuple(batches(n, topic, partition)) for n in nodes}) == 1, seconds, f"equal logs of {topic}-{partition}", 0.3)
    assert batches(nodes[0], topic, partition)


def same_metadata(cluster, seconds=20):
    """The metadata log of every node is the same as far as both have it, without a hole, and they answer questions alike."""
    logs = {n.number: {b.base_offset: b for b in batches(n, "__cluster_metadata")} for n in cluster.nodes.values()}
    for number, log in logs.items():
        for other in logs.values():
            common = log.keys() & other.keys()
            assert common and all(log[o] == other[o] for o in common), f"node {number} has another metadata log"

    def answers():
        running = [n for n in cluster.nodes.values() if n.alive and "broker" in n.roles]
        return len({str(sorted(cluster.ask(lambda admin: admin.metadata(None), [n])[0].items())) for n in running}) == 1
    wait_until(answers, seconds, "the same brokers in all answers", 0.3)


def described(cluster, node):
    """What Apache's own tools print when this node is asked."""
    out = []
    with_tool = (("kafka-topics", "--describe"), ("kafka-configs", "--describe", "--entity-type", "topics"),
                 ("kafka-configs", "--describe", "--entity-type", "brokers", "--entity-default"))
    for name, *words in with_tool:
        prefixed = _tool(cluster, name, "--bootstrap-server", node.address, *words)
        out.append("\n".join(sorted(prefixed.splitlines())))
    return out


def _tool(cluster, name, *words):
    argv = [*cluster.client_host.prefix, *jars.java(TOOLS[name], *words)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, f"{name} {' '.join(map(str, words))}\n{result.stdout}{result.stderr}"
    return result.stdout

