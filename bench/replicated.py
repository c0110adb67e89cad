"""Three brokers of each system on this machine: replication factor 3, acks=all, 12 partitions. The systems take turns."""

import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from bench import brokers, probe
from bench.subjects import KAFKA_JVM, Kafka, Millrace
from e2e.faults import history
from e2e.faults.clients import NATIVE, Client
from e2e.lib.cluster import CLIENT_PORT, KAFKA, MILLRACE, Cluster
from e2e.lib.network import Loopback
from e2e.lib.process import wait_until

KINDS = {Millrace.name: MILLRACE, Kafka.name: KAFKA}
PARTITIONS = brokers.PARTITIONS
SMALL, RATE = 100, 1000  # bytes of a record and records per second where latency is measured


class Trio:
    """A cluster of three with the face that the measurements of one broker expect."""

    def __init__(self, name, cluster):
        self.name, self.cluster = name, cluster
        self.bootstrap = cluster.bootstrap

    def cpu_seconds(self):
        return sum(node.cpu_seconds() for node in self.cluster.nodes.values())

    def rss_bytes(self):
        """Of the largest."""
        return max(node.rss_bytes() for node in self.cluster.nodes.values())


@contextmanager
def trio(name):
    folder = Path(brokers.folder())
    try:
        with Loopback(["n1", "n2", "n3", "clients"]) as network, \
                Cluster(folder, dict.fromkeys((1, 2, 3), KINDS[name]), network, jvm=KAFKA_JVM) as cluster:
            cluster.prepare()
            yield Trio(name, cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first_record(cluster, topic, seconds):
    """The moment when one record in a topic that it creates is acknowledged by all; tries again every 5 ms."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            for node in cluster.nodes.values():
                with node.admin(seconds=5.0) as admin:
                    partition = admin.metadata(topic, create=True)[1].get(topic, {}).get(0)
                leader = cluster.nodes.get(partition.leader) if partition else None
                if leader and _produced(leader, topic):
                    return time.monotonic()
        except OSError:
            pass
        time.sleep(0.005)
    raise TimeoutError(f"no record acknowledged within {seconds} s")


def _produced(leader, topic):
    connection = probe.Connection(f"{leader.host.address}:{CLIENT_PORT}")
    try:
        return connection.produce(topic) == 0
    finally:
        connection.close()


def start(samples, rounds, say):
    """From exec of three brokers to the first record that all of them have."""
    for turn in range(rounds):
        for name in KINDS:
            with trio(name) as subject:
                started = time.monotonic()
                for node in subject.cluster.nodes.values():
                    node.launch()
                took = _first_record(subject.cluster, "first", 120) - started
                samples.add(name, "replicated_first_record_s", took)
            say(f"start {turn + 1}/{rounds}: {name} {took:.2f} s")


@contextmanager
def both():
    with trio(Millrace.name) as ours, trio(Kafka.name) as theirs:
        for subject in (ours, theirs):
            subject.cluster.start()
        yield ours, theirs


def throughput(samples, subjects, rounds, warm_up, records, say):
    """Java producers, 1 KB records; a topic per round, deleted after it. The warm-up lets the JVMs compile; it is not counted."""
    for turn in range(rounds + 1):
        for subject in subjects:
            topic = f"round-{turn}"
            subject.cluster.create_topic(topic, PARTITIONS, 3, {"min.insync.replicas": 2})
            speed, cpu = brokers.produce(subject, topic, records if turn else warm_up, seconds=300)
            subject.cluster.wait_whole(topic)
            subject.cluster.delete_topic(topic)
            if turn:
                samples.add(subject.name, "replicated_mb_s", speed)
                samples.add(subject.name, "replicated_cpu_s_per_gb", cpu)
            say(f"{f'produce {turn}/{rounds}' if turn else 'warmed up'}: {subject.name} {speed:.0f} MB/s, {cpu:.2f} CPU-s/GB")
    for subject in subjects:
        samples.add(subject.name, "replicated_loaded_rss_mib", subject.rss_bytes() / 2**20)


@contextmanager
def _steady(subject, folder, topic):
    """A native producer at a steady rate without lingering, running and warm."""
    client = Client(subject.cluster, folder, NATIVE, "produce", f"steady-{topic}", topic, PARTITIONS, RATE, SMALL)
    try:
        client.wait_for("A", 2 * RATE, 60)
        yield client
        client.end()
        client.wait(60)
    finally:
        client.kill()


def _latencies(producer, begin):
    return sorted((producer.acks[seq][0] - sent) / 1e6 for seq, (sent, _) in producer.sends.items() if sent >= begin and seq in producer.acks)


def latency(samples, subjects, rounds, seconds, say):
    for subject in subjects:
        subject.cluster.create_topic("latency", PARTITIONS, 3, {"min.insync.replicas": 2})
    for turn in range(1, rounds + 1):
        for subject in subjects:
            with _steady(subject, subject.cluster.folder, "latency") as client:
                begin = time.monotonic_ns()
                time.sleep(seconds)
            times = _latencies(client.read(), begin)
            p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
            samples.add(subject.name, "replicated_p50_ms", p50)
            samples.add(subject.name, "replicated_p99_ms", p99)
            say(f"latency {turn}/{rounds}: {subject.name} p50 {p50:.2f} ms, p99 {p99:.2f} ms, {len(times)} records")


def kill(samples, subjects, rounds, say):
    """kill -9 of a broker that leads partitions and not the quorum: the longest time without an acknowledgement in a partition."""
    for turn in range(1, rounds + 1):
        for subject in subjects:
            cluster = subject.cluster
            quorum = wait_until(cluster.quorum_leader, 30, "a quorum leader", 0.1)
            leaders = {p.leader for p in cluster.partitions("latency").values()}
            victim = next(n for n in cluster.nodes.values() if n is not quorum and n.number in leaders)
            with _steady(subject, cluster.folder, "latency") as client:
                begin = time.monotonic_ns()
                victim.kill()
                time.sleep(1)
                _wait_for_all(client, begin)
                end = time.monotonic_ns()
            gap = history.longest_gap(history.History([client.read()]).acks(), begin, end)
            samples.add(subject.name, "replicated_kill_gap_s", gap)
            victim.start()
            cluster.wait_whole("latency")
            cluster.ask(lambda admin: admin.elect_preferred("latency", range(PARTITIONS)))
            say(f"kill -9 {turn}/{rounds}: {subject.name} {gap:.2f} s")


def _wait_for_all(client, begin):
    """Each partition had an acknowledgement for a record that was sent a second after the kill."""
    def done():
        producer = client.read()
        return len({p for seq, (_, p, _) in producer.acks.items() if producer.sends[seq][0] > begin + 10**9}) == PARTITIONS
    wait_until(done, 90, "acknowledgements in all partitions", 0.2)


def many_partitions(samples, count, seconds, say):
    """A cluster of ours with many partitions of factor 3: idle, memory, and how long a restarted broker takes to every ISR."""
    with trio(Millrace.name) as subject:
        cluster = subject.cluster
        cluster.start()
        begin = time.monotonic()
        cluster.create_topic("many", count, 3, {"min.insync.replicas": 2}, seconds=120)
        say(f"{count} partitions in sync after {time.monotonic() - begin:.1f} s")
        time.sleep(5)
        cpu = subject.cpu_seconds()
        time.sleep(seconds)
        samples.add(subject.name, "many_idle_cpu_percent", (subject.cpu_seconds() - cpu) / seconds * 100)
        samples.add(subject.name, "many_rss_mib", subject.rss_bytes() / 2**20)
        node = cluster.nodes[3]
        node.stop()
        begin = time.monotonic()
        node.launch()
        wait_until(lambda: cluster.is_whole("many"), 120, "the restarted broker in every ISR", 0.1)
        samples.add(subject.name, "many_restart_s", time.monotonic() - begin)
        say(f"restarted: {time.monotonic() - begin:.1f} s to the last ISR")


def measure(samples, settings, parts, say):
    if "start" in parts:
        start(samples, settings["starts"], say)
    if "many" in parts:
        many_partitions(samples, settings["many"], settings["idle_seconds"], say)
    if set(parts) & {"idle", "throughput", "latency", "kill"}:
        with both() as subjects:
            if "idle" in parts:
                time.sleep(5)
                brokers.idle_windows(samples, subjects, settings["idle_rounds"], settings["idle_seconds"], say, "replicated_")
            if "throughput" in parts:
                throughput(samples, subjects, settings["rounds"], settings["warm_up"], settings["records"], say)
            if set(parts) & {"latency", "kill"}:
                latency(samples, subjects, settings["rounds"], settings["latency_seconds"], say)
            if "kill" in parts:
                kill(samples, subjects, settings["kills"], say)
