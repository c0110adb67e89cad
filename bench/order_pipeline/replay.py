"""The records of examples/order-pipeline at full speed: replay.cc against one Millrace broker."""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

from bench.order_pipeline.measure import scratch
from e2e.lib.admin import Admin
from e2e.lib.broker import DevBroker
from tools.lib import paths

SOURCE = Path(__file__).resolve().parent / "replay.cc"
TOPICS = ("orders", "payments", "join-this-changelog", "join-other-changelog", "orders.enriched", "stock.reserved")
PARTITIONS = 12
# Three minutes write 15 GB, of which nobody reads the old.
KEEP = {"retention.bytes": 40_000_000, "segment.bytes": 20_000_000, "file.delete.delay.ms": 1000}


def program():
    """Compiled once per machine."""
    target = paths.cache_dir() / "classes" / f"replay-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=target.parent)) / "made"
        subprocess.run(["g++", "-std=c++20", "-O2", "-o", made, SOURCE, "-lrdkafka", "-pthread"], check=True, timeout=300)
        os.replace(made, target)
        made.parent.rmdir()
    return target


def measure(samples, settings, say):
    tool = program()
    with scratch() as folder, DevBroker(folder, ["--override", "log.retention.check.interval.ms=2000"]) as broker:
        with Admin("127.0.0.1", broker.port) as admin:
            for topic in TOPICS:
                admin.create_topic(topic, PARTITIONS, 1, KEEP)
        cpu = broker.process.cpu_seconds()
        rate, seconds = settings["replay_rate"], settings["replay_seconds"]
        running = subprocess.Popen([tool, broker.bootstrap, str(rate), str(seconds), str(PARTITIONS)], stdout=subprocess.PIPE, text=True)
        try:
            for line in running.stdout:
                if line.startswith("{"):
                    result = json.loads(line)
                elif int(line.split(" ")[0]) % 10 == 0:
                    say(f"replay {line.strip()}")
            running.wait(60)
        finally:
            running.kill()
        cpu = broker.process.cpu_seconds() - cpu
        say(f"replay: {result}")
        for key in ("rate", "p50_ms", "p99_ms", "lag_first"):
            samples.add("Millrace", f"replay_{key}", result[key])
        samples.add("Millrace", "replay_lag_growth", result["lag_last"] - result["lag_first"])
        samples.add("Millrace", "replay_missing", result["missing"] + result["failures"])
        samples.add("Millrace", "replay_cpu_s_per_million", cpu / (rate * seconds) * 1e6)
        samples.add("Millrace", "replay_rss_mib", broker.process.rss_bytes() / 2**20)
