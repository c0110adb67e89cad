"""Kafka Connect, two workers in distributed mode: lines of a file through a topic to a file, while connectors and workers restart."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest

from e2e.clients import install
from e2e.lib import jars
from e2e.lib.kafka import properties_text
from e2e.lib.kcat import consume
from e2e.lib.process import Process, free_ports, wait_until


class Worker:
    def __init__(self, folder, number, name, settings):
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.folder, self.number = folder, number
        self.config = folder / f"worker-{number}.properties"
        self.config.write_text(properties_text({
            "group.id": name, "listeners": f"http://{self.address}", "plugin.discovery": "service_load",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            **{f"{kind}.storage.topic": f"{name}-{kind}s" for kind in ("config", "offset", "status")},
            **{f"{kind}.storage.replication.factor": 3 for kind in ("config", "offset", "status")},
            "offset.storage.partitions": 3, "status.storage.partitions": 3, "scheduled.rebalance.max.delay.ms": 1000,
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, **settings}))

    def start(self):
        argv = jars.java("org.apache.kafka.connect.cli.ConnectDistributed", self.config, heap="192m", poms=(install.CONNECT_POM,))
        self.process = Process(argv, self.folder / f"worker-{self.number}.log")
        return self

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.address}{path}", json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


class Lines(threading.Thread):
    """Writes numbers into a file, a line each, until `finish`."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.count, self._end = file, 0, threading.Event()

    def run(self):
        with open(self.file, "w") as file:
            while not self._end.wait(0.02):
                file.writelines(f"{self.count + i}\n" for i in range(5))
                file.flush()
                self.count += 5

    def finish(self):
        self._end.set()
        self.join()
        return [str(i) for i in range(self.count)]


class Connect:
    def __init__(self, cluster, folder, name, **settings):
        self.cluster, self.name = cluster, name
        self.topic, self.target = f"{name}-lines", folder / "out"
        self.target.touch()
        self.source_lines = Lines(folder / "in")
        settings = {"bootstrap.servers": cluster.bootstrap, **{key.replace("_", "."): value for key, value in settings.items()}}
        self.workers = [Worker(folder, number, name, settings) for number in range(2)]
        cluster.create_topic(self.topic, 1)

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        for worker in self.workers:
            worker.process.kill()

    def ask(self, method, path, body=None, seconds=90):
        """Asks any worker, and again while they rebalance."""
        deadline = time.monotonic() + seconds
        while True:
            for worker in self.workers:
                try:
                    return worker.ask(method, path, body)
                except urllib.error.HTTPError as error:
                    if error.code not in (404, 409, 500, 503):
                        raise
                    text = error.read().decode()
                except OSError as error:
                    text = str(error)
            assert time.monotonic() < deadline, f"{method} {path}: {text}\n" + "\n".join(w.process.tail(8) for w in self.workers)
            time.sleep(0.1)

    def begin(self, **settings):
        self.source_lines.start()
        self.ask("PUT", "/connectors/source/config", {
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
            "file": str(self.source_lines.file), "topic": self.topic, **settings})
        self.ask("PUT", "/connectors/sink/config", {
            "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1",
            "file": str(self.target), "topics": self.topic, "consumer.override.isolation.level": "read_committed"})
        self.wait_progress()

    def arrived(self):
        return self.target.read_text().splitlines()

    def wait_progress(self):
        """What is written now arrives."""
        wanted = self.source_lines.count + 50
        wait_until(lambda: len(set(self.arrived())) >= wanted, 90, f"{wanted} lines in {self.target}", 0.1)

    def worker_of(self, connector):
        """That runs its task, once both tasks run, on a worker each."""
        def place():
            found = {}
            for name in ("source", "sink"):
                tasks = self.ask("GET", f"/connectors/{name}/status")["tasks"]
                found[name] = tasks[0]["worker_id"] if tasks and tasks[0]["state"] == "RUNNING" else None
            return found if None not in found.values() and found["source"] != found["sink"] else None
        address = wait_until(place, 90, "a task on each worker", 0.2)[connector]
        return next(worker for worker in self.workers if worker.address == address)

    def finish(self):
        """(the lines written, those in the topic, those in the file of the sink)"""
        written = self.source_lines.finish()
        wait_until(lambda: len(set(self.arrived())) >= len(written), 90, f"{len(written)} lines in {self.target}", 0.1)
        return written, [line.decode() for line in consume(self.cluster.bootstrap, self.topic)], self.arrived()


def test_every_line_arrives_once_though_connectors_restart_and_a_worker_is_killed(replicated, tmp_path):
    with Connect(replicated, tmp_path, "connect", exactly_once_source_support="enabled", offset_flush_interval_ms=500) as connect:
        connect.begin(**{"exactly.once.support": "required", "transaction.boundary": "interval",
                         "transaction.boundary.interval.ms": "100"})
        for connector in ("source", "sink"):
            connect.ask("POST", f"/connectors/{connector}/restart?includeTasks=true")
        connect.wait_progress()
        victim = connect.worker_of("source")
        victim.process.kill()
        victim.start()
        connect.wait_progress()
        restarted = connect.worker_of("sink")  # a sink commits what it has written before it stops; if killed it writes it again
        restarted.process.stop(30)
        restarted.start()
        connect.wait_progress()
        written, in_topic, arrived = connect.finish()
    assert in_topic == written
    assert arrived == written
    print(f"{len(written)} lines")


@pytest.mark.full
def test_without_exactly_once_support_lines_are_doubled_and_that_is_seen(replicated, tmp_path):
    with Connect(replicated, tmp_path, "connect-at-least", offset_flush_interval_ms=60_000) as connect:
        connect.begin()
        victim = connect.worker_of("source")
        victim.process.kill()
        victim.start()
        connect.wait_progress()
        written, in_topic, _ = connect.finish()
    counts = Counter(in_topic)
    assert set(counts) == set(written) and max(counts.values()) > 1
