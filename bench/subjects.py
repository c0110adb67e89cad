"""The two brokers under test, with one face: start, bootstrap address, processor time, memory, stop."""

import os
import shutil
import time
from pathlib import Path

from e2e.lib import jars
from e2e.lib.kafka import ApacheKafka, kafka_tool
from e2e.lib.process import Process, free_ports
from tools.lib import paths

BROKER = Path(os.environ.get("MILLRACE_BROKER", paths.BUILD / "bin" / "millrace-broker"))

# What Apache's kafka-server-start.sh and kafka-run-class.sh give the JVM.
KAFKA_JVM = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
             "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]


class Subject:
    """A broker in a folder of its own. `launch` only executes it; nothing waits until it is ready."""

    name = ""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bootstrap = ""
        self.process = None

    def cpu_seconds(self):
        return self.process.cpu_seconds()

    def rss_bytes(self):
        return self.process.rss_bytes()

    def stop(self, seconds=30.0):
        """SIGTERM to the end of the process, in seconds."""
        started = time.monotonic()
        self.process.stop(seconds)
        return time.monotonic() - started

    def close(self):
        if self.process:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Millrace(Subject):
    name = "Millrace"

    def __init__(self, folder):
        super().__init__(folder)
        self.bootstrap = f"127.0.0.1:{free_ports(1)[0]}"

    def launch(self):
        self.process = Process([BROKER, "dev", "--listen", self.bootstrap, "--data", self.folder / "data", "--json"],
                               log=self.folder / "broker.log")
        return self

    def wait_ready(self, seconds=30.0):
        self.process.wait_line(r'^\{"bootstrapServers"', seconds)
        return self


class Kafka(Subject):
    name = "Apache Kafka 4.3.1"

    def __init__(self, folder):
        super().__init__(folder)
        self._kafka = ApacheKafka(self.folder / "kafka")
        self.bootstrap = self._kafka.bootstrap
        # Formatting is a program of its own and not part of the start.
        kafka_tool("kafka-storage", "format", "--cluster-id", self._kafka.cluster_id, "--config", self._kafka.config, "--standalone")

    def launch(self):
        self.process = Process(
            ["java", *KAFKA_JVM, f"-Dlog4j2.configurationFile={jars.LOGGING}", "-Dmillrace.log.level=INFO",
             "-cp", f"{jars.ensure()}/*", "kafka.Kafka", self._kafka.config],
            log=self.folder / "server.log", env=dict(os.environ, LOG_DIR=str(self.folder)))
        return self

    def wait_ready(self, seconds=60.0):
        self.process.wait_line("Kafka Server started", seconds)
        return self
