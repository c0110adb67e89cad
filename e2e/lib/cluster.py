"""Clusters of several processes, Millrace, Apache Kafka or both together, each node on a host of its own (network.py)."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from e2e.lib import jars
from e2e.lib.admin import TOPIC_ALREADY_EXISTS, Admin, Refused
from e2e.lib.broker import PROGRAM
from e2e.lib.kafka import kafka_tool, properties_text, random_cluster_id
from e2e.lib.process import Process, wait_until

CLIENT_PORT, INTERNAL_PORT, CONTROLLER_PORT, HTTP_PORT = 9092, 9091, 9090, 9404
MILLRACE, KAFKA = "millrace", "kafka"
NAMES = {MILLRACE: "Millrace", KAFKA: "Apache Kafka 4.3.1"}
# The features of new clusters that both implement; others are coordinators' (share groups, streams groups …).
COMMON_FEATURES = {"share.version": 0, "streams.version": 0, "group.version": 0}

PROPERTIES = {
    "inter.broker.listener.name": "INTERNAL",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "offsets.topic.num.partitions": 3,
    "group.initial.rebalance.delay.ms": 0,
}
# What Millrace has no key for, as it has not got the function.
KAFKA_PROPERTIES = {
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "transaction.state.log.num.partitions": 3,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
    "share.coordinator.state.topic.num.partitions": 3,
}


class Node:
    """One process. The same object can be killed and started again on its data; `environment` is for its next start."""

    def __init__(self, cluster, number, kind, roles="broker,controller"):
        self.cluster, self.number, self.kind, self.roles = cluster, number, kind, roles
        self.host = cluster.network.hosts[f"n{number}"]
        self.folder = cluster.folder / f"node{number}"
        self.data = self.folder / "data"
        self.config = self.folder / "server.properties"
        self.environment = {}
        self.process = None
        self.frozen = False

    @property
    def address(self):
        return f"{self.host.address}:{CLIENT_PORT}"

    def properties(self):
        broker, controller = "broker" in self.roles, "controller" in self.roles
        ports = {**({"PLAINTEXT": CLIENT_PORT, "INTERNAL": INTERNAL_PORT} if broker else {}),
                 **({"CONTROLLER": CONTROLLER_PORT} if controller else {})}
        advertised = {n: p for n, p in ports.items() if n != "CONTROLLER"} or ports
        listeners, advertised = (",".join(f"{n}://{self.host.address}:{p}" for n, p in x.items()) for x in (ports, advertised))
        return {"process.roles": self.roles, "node.id": self.number, "listeners": listeners, "advertised.listeners": advertised,
                "log.dirs": self.data, **PROPERTIES, **self.cluster.quorum_properties(),
                **(KAFKA_PROPERTIES if self.kind == KAFKA else {}), **self.cluster.properties.get(self.kind, {}),
                **self.cluster.properties.get(self.number, {})}

    def become(self, kind):
        """The next start runs the other system on the same data and address."""
        self.kind = kind
        self.config.write_text(properties_text(self.properties()))

    def prepare(self, template=None):
        """Writes the configuration and formats the storage. `template`: a formatted Apache node to copy from, as a JVM is slow."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(properties_text(self.properties()))
        if (self.data / "meta.properties").exists():
            return
        if self.kind == MILLRACE:
            subprocess.run([PROGRAM, "format", self.config, "--cluster-id", self.cluster.cluster_id], check=True, capture_output=True,
                           timeout=20)
        elif template is not None:
            self.data.mkdir(exist_ok=True)  # it may be the root of a small disk
            shutil.copytree(template.data, self.data, dirs_exist_ok=True)
            meta = (self.data / "meta.properties").read_text()
            meta = re.sub(r"(?m)^node\.id=.*$", f"node.id={self.number}", meta)
            (self.data / "meta.properties").write_text(re.sub(r"(?m)^directory\.id=.*$", f"directory.id={random_cluster_id()}", meta))
        else:
            features = [w for k, v in self.cluster.features.items() for w in ("--feature", f"{k}={v}")]
            kafka_tool("kafka-storage", "format", "--cluster-id", self.cluster.cluster_id, "--config", self.config, *features)

    def cpu_seconds(self):
        return self.process.cpu_seconds()

    def rss_bytes(self):
        return self.process.rss_bytes()

    def launch(self):
        """Only executes it: `wait_ready` waits."""
        if self.kind == MILLRACE:
            argv = [PROGRAM, "run", self.config, "--http", f"{self.host.address}:{HTTP_PORT}"]
        else:
            argv = jars.java("kafka.Kafka", self.config, heap=self.cluster.heap, options=["-Dmillrace.log.level=INFO"])
            if self.cluster.jvm:
                argv = ["java", *self.cluster.jvm, *argv[argv.index(f"-Dlog4j2.configurationFile={jars.LOGGING}"):]]
        env = dict(os.environ, LOG_DIR=str(self.folder), **self.environment)
        self.process = Process([*self.host.prefix, *argv], log=self.folder / "server.log", env=env)
        self.frozen = False
        return self

    def wait_ready(self, seconds=90.0):
        self.process.wait_line("serving clients" if self.kind == MILLRACE else "Kafka Server started", seconds)
        return self

    def start(self):
        return self.launch().wait_ready()

    @property
    def alive(self):
        return self.process is not None and self.process.returncode is None

    def kill(self):
        self.process.kill()

    def stop(self, seconds=60.0):
        return self.process.stop(seconds)

    def freeze(self):
        self.process.signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        self.process.signal(signal.SIGCONT)
        self.frozen = False

    def admin(self, port=CLIENT_PORT, seconds=5.0):
        return Admin(self.host.address, port, self.cluster.client_host.namespace, seconds)

    def log_text(self):
        return (self.folder / "server.log").read_text(errors="replace")


class Cluster:
    """`kinds`: node number -> MILLRACE or KAFKA, or (kind, roles). Hosts n1 … n<hosts> and one for clients belong to it.

    Quorum: static voters (`controller.quorum.voters`), as Strimzi's clusters have, which all of `kinds` with the controller role
    are part of from the start. Use as a context manager; start() formats and starts all. `jvm` replaces the frugal options of tests."""

    def __init__(self, folder, kinds, network, properties=None, features=None, heap="256m", jvm=()):
        self.folder, self.network = Path(folder), network
        self.properties = properties or {}  # kind or node number -> more properties
        self.features = features or {}
        self.heap, self.jvm = heap, list(jvm)
        self.cluster_id = random_cluster_id()
        self.client_host = network.hosts["clients"]
        self.nodes = {}
        for number, kind in kinds.items():
            self.nodes[number] = Node(self, number, *((kind,) if isinstance(kind, str) else kind))
        self.voters = [n for n in self.nodes.values() if "controller" in n.roles]

    def quorum_properties(self):
        return {"controller.quorum.voters": ",".join(f"{n.number}@{n.host.address}:{CONTROLLER_PORT}" for n in self.voters)}

    @property
    def bootstrap(self):
        return ",".join(n.address for n in self.nodes.values() if "broker" in n.roles)

    def prepare(self):
        template = None
        for node in self.nodes.values():
            node.prepare(template)
            if node.kind == KAFKA:
                template = node
        return self

    def start(self, numbers=None):
        """Formats all nodes, starts all or those with `numbers`, and waits until they know each other."""
        self.prepare()
        chosen = [n for n in self.nodes.values() if numbers is None or n.number in numbers]
        for node in chosen:
            node.launch()
        for node in chosen:
            node.wait_ready()
        self.wait_brokers({n.number for n in chosen if "broker" in n.roles})
        return self

    def wait_brokers(self, numbers, seconds=60):
        """The metadata of a node that is asked names these brokers, and the quorum has a leader."""
        wait_until(lambda: self.quorum_leader() is not None and set(self.metadata()[0]) == set(numbers), seconds,
                   f"brokers {sorted(numbers)} in the metadata", 0.1)

    def ask(self, question, nodes=None):
        """The first answer that a running node gives to `question(admin)`; None if none does."""
        for node in nodes or random.sample(list(self.nodes.values()), len(self.nodes)):
            if not node.alive or node.frozen:
                continue
            try:
                with node.admin(CLIENT_PORT if "broker" in node.roles else CONTROLLER_PORT, 3.0) as admin:
                    return question(admin)
            except (OSError, Refused):
                continue
        return None

    def metadata(self, topic=None):
        return self.ask(lambda admin: admin.metadata(topic)) or ({}, {})

    def quorum_leader(self):
        """The node that leads the metadata quorum, as a majority would say it; None while there is none."""
        answer = self.ask(lambda admin: admin.quorum())
        return self.nodes.get(answer[0]) if answer else None

    def create_topic(self, name, partitions, replication_factor=3, configs=None, seconds=30):
        deadline, asked = time.monotonic() + seconds, False
        while True:
            try:
                node = next(n for n in self.nodes.values() if n.alive and "broker" in n.roles)
                with node.admin(seconds=20.0) as admin:
                    admin.create_topic(name, partitions, replication_factor, configs)
                break
            except (OSError, Refused) as error:
                if asked and getattr(error, "code", 0) == TOPIC_ALREADY_EXISTS:
                    break
                if time.monotonic() > deadline:
                    raise
                asked = asked or isinstance(error, OSError)
                time.sleep(0.2)
        self.wait_whole(name)

    def partitions(self, topic):
        return self.metadata(topic)[1].get(topic, {})

    def is_whole(self, topic):
        """Every partition has a leader, and all its replicas are in sync."""
        found = self.partitions(topic)
        return bool(found) and all(p.leader >= 0 and set(p.isr) == set(p.replicas) for p in found.values())

    def wait_whole(self, topic, seconds=90):
        try:
            wait_until(lambda: self.is_whole(topic), seconds, f"all replicas of {topic} in sync", 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.partitions(topic)}") from None

    def delete_topic(self, name):
        self.ask(lambda admin: admin.delete_topic(name))

    def close(self):
        for node in self.nodes.values():
            if node.process:
                node.process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
