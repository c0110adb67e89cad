"""The recording clients of two independent libraries, and the programs of this folder: compiled once per machine."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from e2e.faults import history
from e2e.lib import jars
from e2e.lib.process import die_with_parent, wait_until
from tools.lib import paths

SOURCES = Path(__file__).resolve().parent / "clients"
JAVA, NATIVE = "java", "librdkafka"
LIBRARIES = (JAVA, NATIVE)

# Clients that look again soon, so that the gaps are the cluster's and not a back-off's; the same for both systems.
PRODUCER = {
    JAVA: {"acks": "all", "enable.idempotence": "true", "delivery.timeout.ms": 90000, "request.timeout.ms": 5000, "linger.ms": 0,
           "retry.backoff.ms": 20, "retry.backoff.max.ms": 100, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
           "max.block.ms": 90000, "metadata.max.age.ms": 5000, "socket.connection.setup.timeout.ms": 1000},
    NATIVE: {"acks": "all", "enable.idempotence": "true", "message.timeout.ms": 90000, "request.timeout.ms": 5000,
             "socket.timeout.ms": 5000, "queue.buffering.max.ms": 0, "retry.backoff.ms": 20, "reconnect.backoff.ms": 20,
             "reconnect.backoff.max.ms": 100, "topic.metadata.refresh.fast.interval.ms": 50, "topic.metadata.refresh.interval.ms": 5000,
             "topic.metadata.refresh.sparse": "false", "socket.connection.setup.timeout.ms": 1000, "socket.nagle.disable": "true",
             "message.send.max.retries": 2147483647,
             # Debian's 2.0.2 loses count of its own sequence numbers after some failed requests, with Apache Kafka too (mended in
             # 2.3.0: its pull request 4438); less often so. workload.cc then begins a new session.
             "max.in.flight": 1},
}
CONSUMER = {
    JAVA: {"auto.offset.reset": "earliest", "enable.auto.commit": "false", "session.timeout.ms": 10000, "heartbeat.interval.ms": 1000,
           "default.api.timeout.ms": 60000, "request.timeout.ms": 5000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
           "retry.backoff.ms": 20, "metadata.max.age.ms": 5000},
    NATIVE: {"auto.offset.reset": "earliest", "enable.auto.commit": "false", "enable.auto.offset.store": "false",
             "session.timeout.ms": 10000, "heartbeat.interval.ms": 1000, "socket.timeout.ms": 5000, "reconnect.backoff.ms": 20,
             "reconnect.backoff.max.ms": 100, "topic.metadata.refresh.interval.ms": 5000, "fetch.wait.max.ms": 100},
}


def _compiled(name, argv, suffix=""):
    """The path of what `argv` + [target] makes of clients/<name>, in the cache."""
    source = SOURCES / name
    key = hashlib.sha256(source.read_bytes() + jars.folder().name.encode() + " ".join(map(str, argv)).encode()).hexdigest()[:16]
    target = paths.cache_dir() / "classes" / f"{source.stem}-{key}{suffix}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent)) / "made"
        if argv[0] == "javac":
            scratch.mkdir()
        result = subprocess.run([*map(str, argv), str(scratch), str(source), *(["-lrdkafka", "-pthread", "-ldl"] if argv[0] != "javac" else [])],
                                capture_output=True, text=True, timeout=180)
        if result.returncode != 0:
            raise AssertionError(f"{source}:\n{result.stdout}{result.stderr}")
        try:
            os.replace(scratch, target)
        except OSError:  # another run was faster
            pass
        shutil.rmtree(scratch.parent, ignore_errors=True)
    return target


def java_classes():
    return _compiled("Workload.java", ["javac", "-nowarn", "-proc:none", "-cp", f"{jars.ensure()}/*", "-d"])


def native_program():
    return _compiled("workload.cc", ["g++", "-O1", "-std=c++20", "-o"])


def failing_io():
    """The library that makes a broker's disk fail; clients/failing_io.c says how."""
    return _compiled("failing_io.c", ["gcc", "-O1", "-shared", "-fPIC", "-o"], ".so")


def false_clock():
    """The library of a broker whose clock is wrong; clients/false_clock.c says how."""
    return _compiled("false_clock.c", ["gcc", "-O1", "-shared", "-fPIC", "-o"], ".so")


class Client:
    """A producer or a group member as a process of its own on the clients' host; it writes `<name>.history` into `folder`."""

    def __init__(self, cluster, folder, library, mode, name, topic, partitions, rate=0, size=0, group="", config=None, bootstrap=None):
        self.mode, self.name, self.group = mode, name, group
        self.path, self.log = Path(folder) / f"{name}.history", Path(folder) / f"{name}.log"
        self.path.unlink(missing_ok=True)  # of an earlier client of the same name
        settings = {"bootstrap.servers": bootstrap or cluster.bootstrap, "client.id": name,
                    **(PRODUCER if mode == "produce" else CONSUMER)[library], **(config or {})}
        words = [mode, name, topic, partitions, rate, size, group, self.path, *(f"{k}={v}" for k, v in settings.items())]
        if library == JAVA:
            argv = jars.java("Workload", *words, heap="128m", options=["-Dmillrace.log.level=WARN"])
            argv[argv.index("-cp") + 1] += f":{java_classes()}"
        else:
            argv = [native_program(), *words]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(a) for a in (*cluster.client_host.prefix, *argv)], stdin=subprocess.PIPE, stdout=log,
                                            stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def count(self, kind):
        """How many events of a kind are on disk so far."""
        try:
            return sum(line.startswith(kind.encode() + b"\t") for line in self.path.read_bytes().splitlines())
        except FileNotFoundError:
            return 0

    def wait_for(self, kind, count, seconds):
        wait_until(lambda: self.count(kind) >= count or self.process.poll() is not None, seconds, f"{count} × {kind} of {self.name}", 0.1)
        assert self.count(kind) >= count, f"{self.name} ended: {self.log.read_text()[-2000:]}"

    def end(self):
        """Tells it to end in order; `wait` waits."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def wait(self, seconds):
        """Whether it ended by itself in time; it is killed otherwise."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def read(self):
        if not self.path.exists():
            return history.Producer(self.name, fatal="did not start") if self.mode == "produce" else history.Consumer(self.name, self.group, fatal="did not start")
        return history.read_producer(self.name, self.path) if self.mode == "produce" else history.read_consumer(self.name, self.group, self.path)


class Clients:
    """A producer and a group of one member per library, on one topic."""

    def __init__(self, cluster, folder, topic, partitions, rate=250, size=200, libraries=LIBRARIES, config=None):
        self.producers = [Client(cluster, folder, lib, "produce", f"{lib}-producer", topic, partitions, rate, size, config=config)
                          for lib in libraries]
        self.consumers = [Client(cluster, folder, lib, "consume", f"{lib}-consumer", topic, partitions, group=f"{lib}-group")
                          for lib in libraries]

    def wait_flowing(self, seconds=60):
        for client in self.producers:
            client.wait_for("A", 300, seconds)
        for client in self.consumers:
            client.wait_for("C", 2, seconds)

    def end(self, seconds=120):
        """Ends the producers, lets the groups read to the end, and returns the history."""
        for client in self.producers:
            client.end()
        for client in self.producers:
            client.wait(seconds)
        producers = [c.read() for c in self.producers]
        wanted = {(p, o) for producer in producers for _, p, o in producer.acks.values() if o >= 0}
        for client in self.consumers:
            try:
                wait_until(lambda client=client: not wanted - _read_by(client), 30, "all read", 0.5)
            except AssertionError:
                pass  # the checker says what was not
        for client in self.consumers:
            client.end()
        for client in self.consumers:
            client.wait(30)
        return history.History(producers, [c.read() for c in self.consumers])

    def kill(self):
        for client in (*self.producers, *self.consumers):
            client.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def _read_by(client):
    return {(p, o) for _, kind, p, o, _ in client.read().events if kind == "R"}
