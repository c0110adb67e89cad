"""An open-loop customer: orders fall due at a rate whatever became of those before, and are timed from when they were due."""

import http.client
import json
import math
import queue
import statistics
import threading
import time
from dataclasses import dataclass

from e2e.lib import kcat
from e2e.lib.process import wait_until

TICK_SECONDS = 0.005  # what fell due meanwhile is one request
CONNECTIONS = 32
PATIENCE_SECONDS = 60
POISON_EVERY = 1000


@dataclass
class Load:
    """What was sent: orders `prefix`0, `prefix`1, … were due at begin, begin + 1/rate, …"""
    prefix: str
    rate: int
    begin: float
    count: int
    accepted: set  # numbers of orders that the shop answered for
    poison: set


def is_poison(number):
    return number % POISON_EVERY == POISON_EVERY - 1


def _body(prefix, first, last):
    return json.dumps([{"orderId": f"{prefix}{n}", "customer": f"customer-{n % 997}", "sku": f"sku-{n % 100}", "quantity": 1,
                        "amountCents": 1999 + n % 5000, "currency": "ZZZ" if is_poison(n) else "EUR"} for n in range(first, last)])


def send(port, prefix, rate, seconds):
    """Returns when all are answered, or were not within a minute."""
    jobs, accepted, lock = queue.Queue(), set(), threading.Lock()

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        while job := jobs.get():
            try:
                connection.request("POST", "/orders", _body(prefix, *job), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    with lock:
                        accepted.update(range(*job))
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    begin, sent, count = time.time(), 0, int(rate * seconds)
    while sent < count:
        due = min(count, math.ceil((time.time() - begin) * rate))
        if due > sent:
            jobs.put((sent, due))
            sent = due
        time.sleep(TICK_SECONDS)
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join(2 * PATIENCE_SECONDS)
    return Load(prefix, rate, begin, count, accepted, {n for n in range(count) if is_poison(n)})


@dataclass
class Outcome:
    average_ms: float
    p50_ms: float
    p99_ms: float
    most_behind: int  # orders that were due and not reserved
    behind_at_end: int
    lost: int  # accepted, and not there
    doubled: int  # more than once among what is committed
    dead: int
    poison: int


def _numbers(bootstrap, topic, prefix, form):
    out = kcat.kcat("-b", bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form, "-X", "isolation.level=read_committed",
                    seconds=120)[1].decode()
    return [(int(key[len(prefix):]), rest) for key, _, rest in (line.partition(" ") for line in out.splitlines()) if key.startswith(prefix)]


def judge(bootstrap, load, seconds=120):
    """Waits until everything that was accepted is where it belongs, or does not come; then looks at the topics."""
    good = load.accepted - load.poison

    def reserved():
        return {n for n, _ in _numbers(bootstrap, "stock.reserved", load.prefix, "%k x\\n")}

    def dead():
        return {n for n, _ in _numbers(bootstrap, "orders.dead", load.prefix, "%k x\\n")}
    try:
        wait_until(lambda: good <= reserved(), seconds, "all reserved", 1)
        wait_until(lambda: load.poison & load.accepted <= dead(), 30, "all dead letters", 1)
    except AssertionError:
        pass  # counted below
    events = _numbers(bootstrap, "stock.reserved", load.prefix, "%k %s\\n")
    at = {}
    for number, event in events:
        at.setdefault(number, json.loads(event)["reservedAtMillis"] / 1000)
    enriched = [n for n, _ in _numbers(bootstrap, "orders.enriched", load.prefix, "%k x\\n")]
    latencies = sorted((moment - load.begin - number / load.rate) * 1000 for number, moment in at.items())
    most, at_end = behind(load, sorted(at.values()))
    return Outcome(statistics.mean(latencies), percentile(latencies, 50), percentile(latencies, 99), most, at_end,
                   len(good - at.keys()), len(events) - len(at) + len(enriched) - len(set(enriched)), len(dead()),
                   len(load.poison & load.accepted))


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def behind(load, reserved):
    """(the most, at the end of the load): orders that were due and not reserved yet."""
    good = sorted(load.begin + n / load.rate for n in load.accepted - load.poison)
    steps = sorted([(moment, 1) for moment in good] + [(moment, -1) for moment in reserved])
    most = now = at_end = 0
    for moment, step in steps:
        now += step
        most = max(most, now)
        if moment <= load.begin + load.count / load.rate:
            at_end = now
    return most, at_end
