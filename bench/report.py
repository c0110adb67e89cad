"""The goals, the table on the screen and docs/benchmarks.md. Reads only what run.py wrote as JSON."""

import statistics
from dataclasses import dataclass
from typing import Callable, Optional

from bench import plot

US, THEM = "Millrace", "Apache Kafka 4.3.1"


@dataclass
class Figure:
    key: str
    title: str
    unit: str
    digits: int = 0
    goal: str = ""  # as text
    reached: Optional[Callable] = None  # (ours, theirs) -> bool
    wall: bool = False  # a time on the clock: other work on the machine shows in it


def _pipeline_figures(variant, rate):
    name, key = f"{variant}, {rate:,} orders/s", f"pipeline_{variant}_{rate}"
    last = rate == PIPELINE_RATES[-1]
    return [
        Figure(f"{key}_average_ms", f"{name}: order to inventory, average", "ms", 0,
               *(("≤ 85 ms", lambda us, _: us <= 85) if last else ("", None)), wall=True),
        Figure(f"{key}_p50_ms", f"{name}: P50", "ms", 0, wall=True),
        Figure(f"{key}_p99_ms", f"{name}: P99", "ms", 0, wall=True),
        Figure(f"{key}_most_behind", f"{name}: most orders behind", "", 0, wall=True),
        Figure(f"{key}_cpu_s_per_million", f"{name}: broker CPU seconds per million", "s", 0, "≤ 1/3 of Kafka", lambda us, them: us <= them / 3),
    ]


PIPELINE_RATES = (500, 1000, 2000)
FIGURES = [
    Figure("first_record_s", "exec to first acknowledged record", "s", 2, "≤ 0.5 s", lambda us, _: us <= 0.5, True),
    Figure("stop_s", "SIGTERM to end of process", "s", 2, "< 1 s", lambda us, _: us < 1, True),
    Figure("idle_rss_mib", "idle: resident memory", "MiB", 0, "≤ 40 MiB", lambda us, _: us <= 40),
    Figure("idle_cpu_percent", "idle: processor, share of a core", "%", 2, "< 0.5 %", lambda us, _: us < 0.5),
    Figure("produce_mb_s", "produce, 1 KB records, acks=all", "MB/s", 0, wall=True),
    Figure("produce_cpu_s_per_gb", "produce: broker CPU seconds per GB", "s", 2, "≤ 1/3 of Kafka",
           lambda us, them: us <= them / 3),
    Figure("consume_mb_s", "consume", "MB/s", 0, wall=True),
    Figure("consume_cpu_s_per_gb", "consume: broker CPU seconds per GB", "s", 2),
    Figure("loaded_rss_mib", "resident memory after the load", "MiB", 0),
    Figure("cluster_ready_s", "operator: Cluster file to Ready", "s", 2, "≤ 2 s", lambda us, _: us <= 2, True),
    Figure("operator_rss_mib", "operator: memory, 1 cluster, 1,000 topics", "MiB", 0, "≤ 32 MiB", lambda us, _: us <= 32),
    Figure("operator_idle_cpu_percent", "operator: processor when idle", "%", 2),
    Figure("topic_ready_p50_ms", "topic file to Ready, P50", "ms", 0, wall=True),
    Figure("topic_ready_p99_ms", "topic file to Ready, P99", "ms", 0, "≤ 250 ms", lambda us, _: us <= 250, True),
    Figure("bulk_ready_s", "1,000 topic files to all Ready", "s", 1, "≤ 10 s", lambda us, _: us <= 10, True),
    Figure("k8s_operator_rss_mib", "on Kubernetes: operator's memory, 1,000 topics", "MiB", 1, "≤ 32 MiB", lambda us, _: us <= 32),
    Figure("k8s_topic_ready_p50_ms", "on Kubernetes: topic to Ready, P50", "ms", 0, wall=True),
    Figure("k8s_topic_ready_p99_ms", "on Kubernetes: topic to Ready, P99", "ms", 0, "≤ 250 ms", lambda us, _: us <= 250, True),
    Figure("k8s_bulk_ready_s", "on Kubernetes: 1,000 topics to all Ready", "s", 1, "≤ 10 s", lambda us, _: us <= 10, True),
    # Three brokers; processor time is that of all three, memory that of the largest.
    Figure("replicated_first_record_s", "exec of three to first record that all have", "s", 2, "≤ 1.5 s", lambda us, _: us <= 1.5, True),
    Figure("replicated_idle_cpu_percent", "idle: processor, share of a core", "%", 2, "≤ 1 %", lambda us, _: us <= 1),
    Figure("replicated_idle_rss_mib", "idle: resident memory per broker", "MiB", 0),
    Figure("replicated_mb_s", "produce, 1 KB records, acks=all", "MB/s", 0, wall=True),
    Figure("replicated_cpu_s_per_gb", "produce: CPU seconds of all brokers per GB", "s", 2, "≤ 1/6 of Kafka", lambda us, them: us <= them / 6),
    Figure("replicated_loaded_rss_mib", "resident memory per broker after the load", "MiB", 0, "≤ 80 MiB", lambda us, _: us <= 80),
    Figure("replicated_p50_ms", "1,000 records a second, acks=all: P50", "ms", 2, wall=True),
    Figure("replicated_p99_ms", "1,000 records a second, acks=all: P99", "ms", 2, "≤ 1/5 of Kafka", lambda us, them: us <= them / 5, True),
    Figure("replicated_kill_gap_s", "kill -9 of a leader: longest gap of a partition", "s", 2, "≤ 0.2 s", lambda us, _: us <= 0.2, True),
    Figure("many_idle_cpu_percent", "5,000 partitions, idle: processor, share of a core", "%", 2, "≤ 1 % per broker", lambda us, _: us <= 3),
    Figure("many_rss_mib", "5,000 partitions: resident memory per broker", "MiB", 0, "≤ 100 MiB", lambda us, _: us <= 100),
    Figure("many_restart_s", "5,000 partitions: exec to the last ISR", "s", 1, "≤ 5 s", lambda us, _: us <= 5, True),
]
FIGURES += [figure for variant in ("plain", "transactional") for rate in PIPELINE_RATES for figure in _pipeline_figures(variant, rate)]
FIGURES += [figure for variant in ("plain", "transactional") for figure in (
    Figure(f"pipeline_{variant}_lost", f"{variant}: orders lost", "", 0, "0", lambda us, _: us == 0),
    Figure(f"pipeline_{variant}_doubled", f"{variant}: orders doubled", "", 0, "0", lambda us, _: us == 0),
    Figure(f"pipeline_{variant}_dead", f"{variant}: dead letters", ""),
    Figure(f"pipeline_{variant}_poison", f"{variant}: poison orders", ""),
    Figure(f"pipeline_{variant}_kill_lost", f"{variant}, broker killed: orders lost", "", 0, "0", lambda us, _: us == 0),
    Figure(f"pipeline_{variant}_kill_doubled", f"{variant}, broker killed: orders doubled", "", 0, *(
        ("0", lambda us, _: us == 0) if variant == "transactional" else ())),
    Figure(f"pipeline_{variant}_kill_p99_ms", f"{variant}, broker killed: P99", "ms", 0, wall=True),
)]
FIGURES += [
    Figure("replay_rate", "replay: orders reserved per second", "", 0, "≥ 44,700", lambda us, _: us >= 44_700, True),
    Figure("replay_p50_ms", "replay: order to inventory, P50", "ms", 1, wall=True),
    Figure("replay_p99_ms", "replay: order to inventory, P99", "ms", 1, wall=True),
    Figure("replay_lag_first", "replay: orders behind, mean of the first minute", "", 0, wall=True),
    Figure("replay_lag_growth", "replay: more of them in the last minute", "", 0, "≤ 4,500 (0.1 s)", lambda us, _: us <= 4500, True),
    Figure("replay_missing", "replay: orders that did not arrive", "", 0, "0", lambda us, _: us == 0),
    Figure("replay_cpu_s_per_million", "replay: broker CPU seconds per million orders", "s", 1),
    Figure("replay_rss_mib", "replay: resident memory after it", "MiB", 0),
]


def median(result, subject, key):
    values = result["values"].get(subject, {}).get(key)
    return statistics.median(values) if values else None


def _number(figure, value):
    return "–" if value is None else f"{value:,.{figure.digits}f} {figure.unit}"


def rows(result):
    """(title, ours, theirs, ours/theirs, goal, verdict) as text, for the figures that were measured."""
    for figure in FIGURES:
        us, them = median(result, US, figure.key), median(result, THEM, figure.key)
        if us is None:
            continue
        verdict = ""
        if figure.reached and (them is not None or "Kafka" not in figure.goal):
            verdict = "ok" if figure.reached(us, them) else "short"
        if figure.wall and result["machine"]["noisy"]:
            verdict = f"{verdict} (noisy)".strip()
        ratio = f"{us / them:.2f}" if them else ""
        yield figure.title, _number(figure, us), _number(figure, them), ratio, figure.goal, verdict


def table(result):
    lines = [("", US, THEM, "ratio", "reach", ""), *rows(result)]
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    text = []
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0]), line[1].rjust(widths[1]), line[2].rjust(widths[2]), line[3].rjust(widths[3]),
                 line[4].ljust(widths[4]), line[5]]
        text.append("  ".join(cells).rstrip())
        if number == 0:
            text.append("  ".join("-" * width for width in widths[:5]))
    return "\n".join(text)


def _spread(result):
    """Minimum and maximum of what was measured more than once."""
    for figure in FIGURES:
        for subject in (US, THEM):
            values = result["values"].get(subject, {}).get(figure.key, [])
            if len(values) > 1:
                yield (f"| {figure.title} | {subject} | {len(values)} | {_number(figure, min(values))} | "
                       f"{_number(figure, statistics.median(values))} | {_number(figure, max(values))} |")


TITLES = {"replicated": "Benchmarks of three brokers", "order-pipeline": "Benchmarks of an application"}


def page(result):
    """The name of the page and of its JSON in docs/."""
    return f"benchmarks-{result['mode']}" if result["mode"] in TITLES else "benchmarks"


def markdown(result):
    machine, name = result["machine"], page(result)
    method = {"replicated": _replicated_method, "order-pipeline": _pipeline_method}.get(result["mode"], _single_method)
    out = [f"# {TITLES.get(result['mode'], 'Benchmarks')}", "",
           f"Generated by `./dev bench {result['mode']} --docs` from `docs/{name}.json`; do not edit. Both systems ran side by side in one run on",
           "one machine and took turns; figures are medians.", "",
           f"- {result['date']}, commit `{result['commit']}`",
           f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, data on {machine['disk']}",
           f"- load average {machine['load_before']} before and {machine['load_after']} after"
           + (": **the machine had other work, times on the clock are noisy**" if machine["noisy"] else ""),
           f"- Apache Kafka 4.3.1 on {machine['java']}, its start script's JVM options; both brokers with default settings, but for few partitions of internal topics and no delay of a group's first rebalance", "",
           "| | Millrace | Apache Kafka 4.3.1 | ratio | reach | |", "| --- | ---: | ---: | ---: | --- | --- |"]
    out += ["| " + " | ".join(row) + " |" for row in rows(result)]
    out += ["", *(line for file in images(result) for line in (f"![{file.removesuffix('.svg').replace('-', ' ')}](img/{file})", "")), "## How it was measured", "",
            *method(result["settings"]), "",
            "## Spread", "", "| | | rounds | min | median | max |", "| --- | --- | ---: | ---: | ---: | ---: |", *_spread(result), ""]
    return "\n".join(out)


def _single_method(settings):
    return [f"- Start: from `exec` to the first record acknowledged with acks=all in a topic created on demand, by a native client that tries every 2 ms; "
            "formatting Kafka's storage is not counted.",
            f"- Idle: {settings['idle_seconds']} s windows after one record; processor time is the process's own (`/proc/PID/stat`).",
            f"- Produce and consume: `ProducerPerformance` and `ConsumerPerformance`, {settings['records']:,} records of 1,000 bytes per "
            f"round, 12 partitions, acks=all, no compression, after a warm-up of {settings['warm_up']:,} records each (it lets the JVM compile); everything written is synced before a round begins. "
            "The client shares the cores with the broker, so MB/s say less than CPU seconds per GB.",
            "- Operator: `millrace-operator standalone`, one YAML file per topic; the time from writing a file to `Ready` in its status file, "
            f"{settings['singles']} topics one after the other beside 1,000 others.",
            "- On Kubernetes: the local one of `./dev up`, the operator in its pod; from POST to `Ready` as a watch shows it. Memory is that of the acting "
            "replica, with the pages of its program and libraries."]


def _replicated_method(settings):
    return ["- Three nodes, each broker and controller, on loopback addresses of their own; replication factor 3, `min.insync.replicas=2`, acks=all, "
            "12 partitions. Processor time is that of all three processes (`/proc/PID/stat`), memory that of the largest.",
            "- Start: from `exec` of the three to the first record acknowledged in a topic created on demand; formatting is not counted.",
            f"- Idle: {settings['idle_seconds']} s windows.",
            f"- Produce: `ProducerPerformance`, {settings['records']:,} records of 1,000 bytes per round after a warm-up of {settings['warm_up']:,}; each "
            "round has a topic of its own, deleted after it. The client shares the cores with six brokers.",
            f"- Latency: librdkafka without lingering, 1,000 records of 100 bytes a second for {settings['latency_seconds']} s, from hand-over to the "
            "delivery report.",
            f"- Many: one topic of {settings['many']:,} partitions; a broker stopped and started again.",
            "- Kill: SIGKILL of a broker that leads partitions but not the quorum, under that load: the longest time without an acknowledgement "
            "in the worst partition."]


def _pipeline_method(settings):
    return ["- examples/order-pipeline twice, once with each broker: five services, each a JVM (192 MiB heap) on the same two cores as the brokers, the other "
            "five and the generator. 12 partitions. *plain*: idempotent producers, exactly_once_v2 in the join; *transactional*: transactions everywhere.",
            f"- Open loop: orders fall due at the rate for {settings['seconds']} s whatever became of those before, what fell due within 5 ms is one request. "
            "Latency is from when an order was due to the commit of its reservation in the inventory's database. One order in 1,000 is poison and must "
            "be found among the dead letters.",
            "- Lost: answered with 202, and not reserved. Doubled: more than once among the committed records of orders.enriched or stock.reserved.",
            f"- Broker killed: SIGKILL in the middle of {settings['kill_seconds']} s at {settings['kill_rate']} orders/s, started again at once.",
            f"- Replay: the same records by a native program (librdkafka), {settings['replay_rate']:,} orders a second for {settings['replay_seconds']} s on one "
            "broker: producer, payment (consume, produce), enrichment (transactions of 100 ms over the join's topics and offsets), inventory, analytics."]


def images(result):
    """File name -> SVG."""

    def chart(title, unit, keys, digits):
        titles = {figure.key: figure.title for figure in FIGURES}
        groups = [(titles[key], [(US, median(result, US, key)), (THEM, median(result, THEM, key))]) for key in keys]
        return plot.bars(title, unit, [(name, bars) for name, bars in groups if all(value is not None for _, value in bars)], digits)

    if result["mode"] == "order-pipeline":
        return {
            "bench-order-pipeline-cpu.svg": chart("Broker processor seconds per million orders (less is better)", "s", [
                f"pipeline_{variant}_{rate}_cpu_s_per_million" for variant in ("plain", "transactional") for rate in PIPELINE_RATES], 0),
        }
    if result["mode"] == "replicated":
        return {
            "bench-replicated-cpu.svg": chart("Processor seconds of three brokers per GB (less is better)", "s", ["replicated_cpu_s_per_gb"], 2),
            "bench-replicated-memory.svg": chart("Resident memory per broker (less is better)", "MiB",
                                                 ["replicated_idle_rss_mib", "replicated_loaded_rss_mib"], 0),
            "bench-replicated-time.svg": chart("First record; gap when a leader is killed (less is better)", "s",
                                               ["replicated_first_record_s", "replicated_kill_gap_s"], 2),
            "bench-replicated-latency.svg": chart("Latency at 1,000 records a second (less is better)", "ms",
                                                  ["replicated_p50_ms", "replicated_p99_ms"], 2),
        }
    return {
        "bench-cpu.svg": chart("Broker processor seconds per GB (less is better)", "s",
                               ["produce_cpu_s_per_gb", "consume_cpu_s_per_gb"], 2),
        "bench-memory.svg": chart("Resident memory (less is better)", "MiB", ["idle_rss_mib", "loaded_rss_mib"], 0),
        "bench-start.svg": chart("Start and stop (less is better)", "s", ["first_record_s", "stop_s"], 2),
    }
