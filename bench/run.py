#!/usr/bin/python3
"""./dev bench [quick|full|replicated|order-pipeline] [--only PART ...] [--docs]

Runs Millrace and Apache Kafka 4.3.1 side by side and prints one table with the goals.
  quick         about five minutes (default); full: more rounds, about twelve
  replicated    three brokers of each system, about eight minutes
  order-pipeline  examples/order-pipeline with each system, about twenty minutes; its records at full speed, about four
  --only PART   some of: start idle throughput operator kubernetes; of replicated: start many idle throughput latency kill;
                of order-pipeline: plain transactional kill replay
  --docs        also writes docs/benchmarks.md (or benchmarks-MODE.md), its JSON and the plots in docs/img
  docs          only writes these again from the JSON in docs
The figures go to build/bench-results/MODE.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench import brokers, kubernetes_load, operator_load, replicated, report  # noqa: E402
from bench.order_pipeline import measure as order_pipeline, replay  # noqa: E402
from tools.lib import paths  # noqa: E402

PARTS = ("start", "idle", "throughput", "operator", "kubernetes")
REPLICATED_PARTS = ("start", "many", "idle", "throughput", "latency", "kill")
PIPELINE_PARTS = ("plain", "transactional", "kill", "replay")
PARTS_OF = {"replicated": REPLICATED_PARTS, "order-pipeline": PIPELINE_PARTS}
SETTINGS = {
    "quick": {"starts": 3, "idle_rounds": 1, "idle_seconds": 10, "rounds": 5, "warm_up": 1_000_000, "records": 500_000,
              "bulk": 1000, "singles": 100},
    "full": {"starts": 5, "idle_rounds": 3, "idle_seconds": 20, "rounds": 5, "warm_up": 2_000_000, "records": 2_000_000,
             "bulk": 1000, "singles": 300},
    "replicated": {"starts": 3, "idle_rounds": 2, "idle_seconds": 10, "rounds": 3, "warm_up": 300_000, "records": 300_000,
                   "latency_seconds": 15, "kills": 3, "many": 5000},
    "order-pipeline": {"rates": [500, 1000, 2000], "rounds": 2, "seconds": 20, "warm_up_rate": 1000, "warm_up_seconds": 30, "kill_rate": 500,
                       "kill_seconds": 20, "replay_rate": 45_000, "replay_seconds": 180},
}
DOCS = paths.ROOT / "docs"


def first_match(path, key):
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return ""


def output(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, cwd=paths.ROOT)
    return (result.stdout or result.stderr).strip()


def load():
    return round(os.getloadavg()[0], 1)


def machine():
    return {
        "cpu": first_match("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(first_match("/proc/meminfo", "MemTotal").split()[0]) / 2**20),
        "kernel": platform.release(),
        "disk": brokers.disk_of(os.environ.get("TMPDIR", "/tmp")),
        "java": output("java", "-version").splitlines()[0],
        "load_before": load(),
    }


def measure(mode, parts, say):
    settings = SETTINGS[mode]
    result = {"mode": mode, "date": time.strftime("%Y-%m-%d"), "commit": output("git", "rev-parse", "--short=10", "HEAD"),
              "settings": settings, "machine": machine()}
    samples = brokers.Samples()
    if mode == "replicated":
        replicated.measure(samples, settings, parts, say)
    elif mode == "order-pipeline":
        order_pipeline.measure(samples, settings, parts, say)
        if "replay" in parts:
            replay.measure(samples, settings, say)
    else:
        measure_single(samples, settings, parts, say)
    result["machine"]["load_after"] = load()
    # Our own load comes from one broker and its client; what was there before is other work.
    result["machine"]["noisy"] = result["machine"]["load_before"] > 0.3 * result["machine"]["cores"]
    result["values"] = samples.values
    return result


def measure_single(samples, settings, parts, say):
    if "start" in parts:
        brokers.start_and_stop(samples, settings["starts"], say)
    if "idle" in parts:
        brokers.idle(samples, settings["idle_rounds"], settings["idle_seconds"], say)
    if "operator" in parts:
        operator_load.topics(samples, settings["bulk"], settings["singles"], say)
    if "kubernetes" in parts:
        kubernetes_load.topics(samples, settings["bulk"], settings["singles"], say)
    if "throughput" in parts:
        brokers.throughput(samples, settings["rounds"], settings["warm_up"], settings["records"], say)


def write_docs(result):
    (DOCS / "img").mkdir(parents=True, exist_ok=True)
    (DOCS / f"{report.page(result)}.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / f"{report.page(result)}.md").write_text(report.markdown(result))
    for name, svg in report.images(result).items():
        (DOCS / "img" / name).write_text(svg)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="quick", choices=[*SETTINGS, "docs"])
    parser.add_argument("--only", nargs="+", choices=sorted({*PARTS, *REPLICATED_PARTS, *PIPELINE_PARTS}), metavar="PART")
    parser.add_argument("--docs", action="store_true")
    arguments = parser.parse_args()
    if arguments.mode == "docs":
        for file in DOCS.glob("benchmarks*.json"):
            write_docs(json.loads(file.read_text()))
        return None
    parts = PARTS_OF.get(arguments.mode, PARTS)
    if unknown := set(arguments.only or ()) - set(parts):
        parser.error(f"{arguments.mode} has no part {', '.join(sorted(unknown))}")
    started = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    result = measure(arguments.mode, arguments.only or parts, say)
    target = paths.ROOT / "build" / "bench-results" / f"{arguments.mode}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print("\n" + report.table(result) + f"\n\n{target}")
    if arguments.docs:
        write_docs(result)
    return None


if __name__ == "__main__":
    main()
