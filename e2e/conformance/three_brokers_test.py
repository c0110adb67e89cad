"""Three processes form one cluster; one of them dies and nothing is lost. The large campaign is e2e/faults."""

import subprocess

import pytest

from e2e.lib.broker import PROGRAM, Broker
from e2e.lib.kafka import random_cluster_id
from e2e.lib.kcat import consume, produce
from e2e.lib.process import free_ports, wait_until


class Cluster:
    """Combined nodes on the loopback address. `dynamic`: the voters are in the metadata log (KIP-853). `named`: brokers are told names
    of each other that no name server knows."""

    def __init__(self, folder, dynamic, count=3, named=False):
        ports = iter(free_ports(3 * count))
        numbers = range(1, count + 1)
        client, internal, controller = ({n: next(ports) for n in numbers} for _ in range(3))
        addresses = {n: f"127.0.0.1:{controller[n]}" for n in numbers}
        quorum = ({"controller.quorum.bootstrap.servers": ",".join(addresses.values())} if dynamic else
                  {"controller.quorum.voters": ",".join(f"{n}@{a}" for n, a in addresses.items())})
        self.brokers = [Broker(folder / str(n), {
            "process.roles": "broker,controller", "node.id": n, "log.dirs": folder / str(n) / "data",
            "listeners": f"PLAINTEXT://127.0.0.1:{client[n]},INTERNAL://127.0.0.1:{internal[n]},CONTROLLER://{addresses[n]}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL", "controller.listener.names": "CONTROLLER", **quorum,
            "default.replication.factor": 3, "min.insync.replicas": 2, "offsets.topic.num.partitions": 3,
            **({"advertised.listeners": f"PLAINTEXT://127.0.0.1:{client[n]},INTERNAL://node-{n}.invalid:{internal[n]}"} if named else {}),
            "group.initial.rebalance.delay.ms": 0}) for n in numbers]
        self.bootstrap = ",".join(f"127.0.0.1:{p}" for p in client.values())
        cluster_id = random_cluster_id()
        voters = ",".join(f"{n}@{a}:{random_cluster_id()}" for n, a in addresses.items())
        for broker in self.brokers:
            flags = ["--initial-controllers", voters] if dynamic else []
            subprocess.run([PROGRAM, "format", broker.config, "--cluster-id", cluster_id, *flags], check=True, capture_output=True,
                           timeout=20)

    def __enter__(self):
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_ready(30)
        return self

    def __exit__(self, *_):
        for broker in self.brokers:
            broker.kill()

    def controllers(self):
        return [b for b in self.brokers if "\nkafka_controller_kafkacontroller_activecontrollercount 1\n" in b.metrics()]


def under_replicated(broker):
    return "\nkafka_server_replicamanager_underreplicatedpartitions 0\n" not in broker.metrics()


@pytest.mark.parametrize("quorum", ["voters in the log", "voters in the configuration"])
def test_a_killed_controller_loses_nothing_that_was_acknowledged(millrace_broker_program, tmp_path, quorum):
    with Cluster(tmp_path, dynamic=quorum == "voters in the log") as cluster:
        first, second = ([f"{half} {n}".encode() for n in range(500)] for half in ("first", "second"))
        assert produce(cluster.bootstrap, "orders", first, {"acks": "all"})[0] == 0
        active, = wait_until(cluster.controllers, what="an active controller")
        active.kill()
        assert produce(cluster.bootstrap, "orders", second, {"acks": "all"})[0] == 0
        assert sorted(consume(cluster.bootstrap, "orders")) == sorted(first + second)
        active.start(30)
        wait_until(lambda: not any(under_replicated(b) for b in cluster.brokers), 30, "every replica in its ISR")
        assert next(b for b in cluster.brokers if b is not active).stop() == 0
        assert sorted(consume(cluster.bootstrap, "orders")) == sorted(first + second)


def test_brokers_reach_each_other_by_the_addresses_that_they_register(millrace_broker_program, tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_ADDRESS", "127.0.0.1")  # as the operator's pods have it
    records = [f"{n}".encode() for n in range(100)]
    with Cluster(tmp_path, dynamic=True, named=True) as cluster:
        assert produce(cluster.bootstrap, "orders", records, {"acks": "all"})[0] == 0
        assert sorted(consume(cluster.bootstrap, "orders")) == sorted(records)
        wait_until(lambda: not any(under_replicated(b) for b in cluster.brokers), 30, "every replica in its ISR")
