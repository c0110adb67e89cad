"""Apache Kafka: its command line tools, and a real single-node server as the oracle beside our broker."""

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from e2e.lib import jars
from e2e.lib.process import Process, free_ports

TOOLS = {  # the name of Apache's script -> its main class
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-streams-application-reset": "org.apache.kafka.tools.StreamsResetter",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    def __str__(self):
        return f"exit code {self.code}\nstdout:\n{self.out}\nstderr:\n{self.err}"


def kafka_tool(name, *arguments, stdin="", seconds=60, check=True, options=()):
    """Runs one of Apache's tools by its script's name ("kafka-topics") or main class; `options` are for the JVM."""
    argv = jars.java(TOOLS.get(name, name), *arguments, options=options)
    result = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=seconds)
    outcome = Outcome(result.returncode, result.stdout, result.stderr)
    if check and outcome.code != 0:
        raise AssertionError(f"{name} {' '.join(map(str, arguments))}\n{outcome}")
    return outcome


def random_cluster_id():
    """Like Kafka's own: none begins with a dash, which tools would take for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def properties_text(properties):
    return "".join(f"{key}={value}\n" for key, value in properties.items())


class ApacheKafka:
    """A real single-node KRaft Apache Kafka on free loopback ports. `properties` are added to its server.properties."""

    def __init__(self, folder, properties=None, format_arguments=(), heap="512m", options=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.cluster_id = random_cluster_id()
        self.data = self.folder / "data"
        self.config = self.folder / "server.properties"
        self.heap = heap
        self._options = list(options)  # of the JVM
        self._format_arguments = format_arguments
        self.config.write_text(properties_text({
            "process.roles": "broker,controller",
            "node.id": 0,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,"
                                              "SASL_PLAINTEXT:SASL_PLAINTEXT",
            "log.dirs": self.data,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            **(properties or {}),
        }))
        self.process = None

    def start(self, seconds=60.0):
        if not (self.data / "meta.properties").exists():
            kafka_tool("kafka-storage", "format", "--cluster-id", self.cluster_id, "--config", self.config, "--standalone",
                       *self._format_arguments)
        self.process = Process(
            jars.java("kafka.Kafka", self.config, heap=self.heap, options=["-Dmillrace.log.level=INFO", *self._options]),
            log=self.folder / "server.log", env=dict(os.environ, LOG_DIR=str(self.folder)))
        self.process.wait_line(r"Kafka Server started", seconds)
        return self

    def stop(self):
        if self.process:
            self.process.stop(30)

    def kill(self):
        if self.process:
            self.process.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
