"""What is measured of a broker. Each function adds one value per round and subject to the samples; the brokers take turns."""

import os
import re
import subprocess
import tempfile
import time
from collections import defaultdict

from bench import probe
from bench.subjects import Kafka, Millrace
from e2e.lib.kafka import TOOLS, kafka_tool
from e2e.lib import jars

SUBJECTS = (Millrace, Kafka)
RECORD_BYTES = 1000
PARTITIONS = 12


class Samples:
    """Values by (subject, figure), in the order of their rounds."""

    def __init__(self):
        self.values = defaultdict(lambda: defaultdict(list))

    def add(self, name, figure, value):
        self.values[name][figure].append(value)


def folder():
    return tempfile.mkdtemp(prefix="millrace-bench-")


def start_and_stop(samples, rounds, say):
    """From exec to the first acknowledged record in a topic that the record creates; then SIGTERM to the end."""
    for turn in range(rounds):
        for kind in SUBJECTS:
            with kind(folder()) as subject:
                started = time.monotonic()
                subject.launch()
                acknowledged = probe.first_record(subject.bootstrap, "first", 60)
                samples.add(subject.name, "first_record_s", acknowledged - started)
                subject.wait_ready()
                samples.add(subject.name, "stop_s", subject.stop())
            say(f"start and stop {turn + 1}/{rounds}: {kind.name} {acknowledged - started:.2f} s")


def idle(samples, rounds, seconds, say):
    """Both at once, as they do nothing: memory, and processor time as a share of one core."""
    with Millrace(folder()) as millrace, Kafka(folder()) as kafka:
        subjects = (millrace, kafka)
        for subject in subjects:
            subject.launch().wait_ready()
            probe.first_record(subject.bootstrap, "first", 30)
        time.sleep(3)
        idle_windows(samples, subjects, rounds, seconds, say)


def idle_windows(samples, subjects, rounds, seconds, say, prefix=""):
    """What subjects cost that do nothing, all of them at once. `prefix`: of the figures' names."""
    for turn in range(rounds):
        before = [s.cpu_seconds() for s in subjects]
        time.sleep(seconds)
        for subject, cpu in zip(subjects, before):
            samples.add(subject.name, f"{prefix}idle_cpu_percent", (subject.cpu_seconds() - cpu) / seconds * 100)
            samples.add(subject.name, f"{prefix}idle_rss_mib", subject.rss_bytes() / 2**20)
        say(f"idle {turn + 1}/{rounds}")


def _client(tool, *arguments, seconds):
    """One of Apache's performance tools with the JVM it chooses itself. Its last line."""
    argv = ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={jars.LOGGING}", "-cp", f"{jars.ensure()}/*", TOOLS[tool],
            *map(str, arguments)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
    if result.returncode != 0:
        raise RuntimeError(f"{tool}: exit code {result.returncode}\n{result.stdout[-1000:]}{result.stderr[-1000:]}")
    return result.stdout.strip().splitlines()[-1]


def produce(subject, topic, records, seconds=120):
    """(MB/s, broker processor seconds per GB)"""
    cpu = subject.cpu_seconds()
    line = _client("kafka-producer-perf-test", "--topic", topic, "--num-records", records, "--record-size", RECORD_BYTES,
                   "--throughput", -1, "--producer-props", f"bootstrap.servers={subject.bootstrap}", "acks=all", seconds=seconds)
    cpu = subject.cpu_seconds() - cpu
    per_second = float(re.search(r"([\d.]+) records/sec", line)[1])
    return per_second * RECORD_BYTES / 1e6, cpu / (records * RECORD_BYTES / 1e9)


def consume(subject, topic, records, seconds=120):
    """(MB/s without the joining of the group, broker processor seconds per GB)"""
    cpu = subject.cpu_seconds()
    line = _client("kafka-consumer-perf-test", "--bootstrap-server", subject.bootstrap, "--topic", topic, "--num-records", records,
                   "--timeout", 30_000, seconds=seconds)
    cpu = subject.cpu_seconds() - cpu
    fields = [field.strip() for field in line.split(",")]
    megabytes, fetch_ms = float(fields[2]) * 2**20 / 1e6, float(fields[7])
    return megabytes / (fetch_ms / 1000), cpu / (megabytes / 1000)


def throughput(samples, rounds, warm_up, records, say):
    """Java clients, 1 KB records, 12 partitions, acks=all. The warm-up lets the JVM compile; it is not counted. Every round begins
    with what came before on the disk: else one broker pays, in processor time too, for the write-back of the other."""
    with Millrace(folder()) as millrace, Kafka(folder()) as kafka:
        for subject in (millrace, kafka):
            subject.launch().wait_ready()
            for turn in range(rounds + 1):
                kafka_tool("kafka-topics", "--bootstrap-server", subject.bootstrap, "--create", "--topic", f"round-{turn}",
                           "--partitions", PARTITIONS, "--replication-factor", 1)
            produce(subject, "round-0", warm_up)
            consume(subject, "round-0", warm_up)
            say(f"warmed up: {subject.name}")
        for turn in range(1, rounds + 1):
            for subject in (millrace, kafka):
                os.sync()
                speed, cpu = produce(subject, f"round-{turn}", records)
                samples.add(subject.name, "produce_mb_s", speed)
                samples.add(subject.name, "produce_cpu_s_per_gb", cpu)
                say(f"produce {turn}/{rounds}: {subject.name} {speed:.0f} MB/s, {cpu:.2f} CPU-s/GB")
            for subject in (millrace, kafka):
                speed, cpu = consume(subject, f"round-{turn}", records)
                samples.add(subject.name, "consume_mb_s", speed)
                samples.add(subject.name, "consume_cpu_s_per_gb", cpu)
                say(f"consume {turn}/{rounds}: {subject.name} {speed:.0f} MB/s, {cpu:.2f} CPU-s/GB")
        for subject in (millrace, kafka):
            samples.add(subject.name, "loaded_rss_mib", subject.rss_bytes() / 2**20)


def disk_of(path):
    """Device and file system below a folder."""
    out = subprocess.run(["df", "--output=source,fstype", path], capture_output=True, text=True).stdout.split()
    return " ".join(out[-2:])
