"""Kafka Streams with exactly_once_v2 (streams/ExactlyOnce.java): two instances, killed and started again while it runs."""

import pytest

from e2e.clients import install
from e2e.lib import jars
from e2e.lib.kafka import properties_text
from e2e.lib.process import Process

SOURCE = install.HERE / "streams" / "ExactlyOnce.java"
PAYMENTS = 20_000
KILLS = {15: 0, 40: 1, 65: 0}  # when so many percent are counted, that instance


@pytest.fixture
def start(secured, tmp_path):
    """Starts a process of the program, which ends with the test: start(name, *arguments)."""
    client = tmp_path / "client.properties"
    client.write_text(properties_text(secured.client_properties()))
    started = []

    def start(name, command, *arguments):
        argv = jars.java("ExactlyOnce", command, client, *arguments, heap="160m", source=SOURCE)
        started.append(Process(argv, tmp_path / f"{name}.log"))
        return started[-1]
    yield start
    for process in started:
        process.kill()


def test_every_payment_is_counted_once_though_instances_are_killed(start, tmp_path):
    prefix = "streams"

    def instance(number):
        return start(f"instance-{number}", "run", prefix, tmp_path / f"state-{number}")
    judge = start("judge", "judge", prefix, PAYMENTS)
    judge.wait_line("^topics made", 30)
    instances = [instance(0), instance(1)]
    for percent, victim in KILLS.items():
        judge.wait_line(f"^seen {percent} %", 60)
        instances[victim].kill()
        instances[victim] = instance(victim)
    counted = int(judge.wait_line(r"^PASS (\d+)", 90)[1])
    assert counted == PAYMENTS and judge.returncode in (0, None)
    assert not any("FAILED" in line for process in instances for line in process.lines)
