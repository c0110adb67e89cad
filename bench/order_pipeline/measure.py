"""examples/order-pipeline twice: with Millrace and with Apache Kafka, each service a JVM of its own; they take turns."""

import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.order_pipeline import load
from bench.subjects import BROKER, Kafka, Millrace
from e2e.clients import pipeline
from e2e.lib.process import wait_until

SUBJECTS = (Millrace, Kafka)
VARIANTS = ("plain", "transactional")
DRAIN_SECONDS = 90
COUNTED = ("lost", "doubled", "dead", "poison")


@contextmanager
def scratch():
    folder = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Shop:
    """A broker and the services that use it."""

    def __init__(self, subject, services):
        self.name, self.subject, self.services = subject.name, subject, services
        self._turns = 0

    def run(self, rate, seconds, accident=None):
        """(what became of the orders, processor seconds of the broker per million of them)"""
        self._turns += 1
        before, cpu = self._reserved(), self.subject.cpu_seconds()
        with ThreadPoolExecutor(1) as customers:
            sending = customers.submit(load.send, self.services["order"].port, f"turn{self._turns}-", rate, seconds)
            if accident:  # on this thread: a broker that another one starts ends with that thread
                time.sleep(seconds / 2)
                accident()
            sent = sending.result()
        try:
            wait_until(lambda: self._reserved() - before >= len(sent.accepted - sent.poison), DRAIN_SECONDS, "all reserved", 0.5)
            time.sleep(1)  # dead letters come later
        except AssertionError:
            pass  # load.judge() counts what is lost
        cpu = self.subject.cpu_seconds() - cpu
        return load.judge(self.subject.bootstrap, sent), cpu / sent.count * 1e6

    def crash(self):
        """kill -9 and start again at once."""
        self.subject.process.kill()
        self.subject.launch().wait_ready()

    def _reserved(self):
        return self.services["inventory"].metric("shop_order_to_inventory_seconds_count")


@contextmanager
def shops(jar, variant):
    with ExitStack() as stack:
        found = []
        for kind in SUBJECTS:
            folder = stack.enter_context(scratch())
            subject = stack.enter_context(kind(folder / "broker")).launch().wait_ready()

            def settings(service, subject=subject):
                return [f"--spring.kafka.bootstrap-servers={subject.bootstrap}", f"--pipeline.process={service}-1"], (), {}
            profiles = [] if variant == "plain" else [variant]
            found.append(Shop(subject, stack.enter_context(pipeline.Pipeline(jar, folder, settings, profiles))))
        yield found


def measure(samples, settings, parts, say):
    with scratch() as folder:
        jar = pipeline.build(folder / "project", BROKER, tests=False)
        say("services built")
        for variant in VARIANTS:
            if variant in parts:
                with shops(jar, variant) as both:
                    _measure_variant(samples, settings, variant, both, "kill" in parts, say)


def _measure_variant(samples, settings, variant, both, kill, say):
    for shop in both:
        outcome, _ = shop.run(settings["warm_up_rate"], settings["warm_up_seconds"])
        say(f"{variant}: warmed up {shop.name}, p50 {outcome.p50_ms:.0f} ms")
    totals = {shop.name: Counter() for shop in both}
    for turn in range(1, settings["rounds"] + 1):
        for rate in settings["rates"]:
            for shop in both:
                outcome, cpu = shop.run(rate, settings["seconds"])
                say(f"{variant}, {rate}/s, {turn}/{settings['rounds']}: {shop.name} {_text(outcome)}, {cpu:.0f} broker CPU-s per million")
                for key in ("average_ms", "p50_ms", "p99_ms", "most_behind"):
                    samples.add(shop.name, f"pipeline_{variant}_{rate}_{key}", getattr(outcome, key))
                samples.add(shop.name, f"pipeline_{variant}_{rate}_cpu_s_per_million", cpu)
                totals[shop.name].update({key: getattr(outcome, key) for key in COUNTED})
    for shop in both:
        for key in COUNTED:
            samples.add(shop.name, f"pipeline_{variant}_{key}", totals[shop.name][key])
    if kill:
        for shop in both:
            outcome, _ = shop.run(settings["kill_rate"], settings["kill_seconds"], shop.crash)
            say(f"{variant}, {settings['kill_rate']}/s, broker killed: {shop.name} {_text(outcome)}")
            for key in ("lost", "doubled", "p99_ms"):
                samples.add(shop.name, f"pipeline_{variant}_kill_{key}", getattr(outcome, key))


def _text(outcome):
    return (f"average {outcome.average_ms:.0f} ms, p50 {outcome.p50_ms:.0f}, p99 {outcome.p99_ms:.0f}, behind {outcome.most_behind} at most "
            f"and {outcome.behind_at_end} at the end, lost {outcome.lost}, doubled {outcome.doubled}, dead {outcome.dead} of {outcome.poison}")
