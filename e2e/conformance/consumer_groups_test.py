"""Groups of group.protocol=consumer (KIP-848): Java's consumers and Apache's tools see the same of both brokers; crashes of both sides."""

import difflib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.conformance.dump_log_test import dump
from e2e.conformance.support import java
from e2e.conftest import CONSUMER_GROUPS
from e2e.lib.broker import DevBroker
from e2e.lib.kcat import kcat
from e2e.lib.process import Process, wait_until


def same_lines(program, apache_kafka, our_broker, at_least):
    with ThreadPoolExecutor() as both:
        oracle, ours = both.map(lambda broker: java.run(program, broker.bootstrap, seconds=240).out.splitlines(), (apache_kafka, our_broker))
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 2, ""))
    assert not difference, "\n".join(difference)
    assert len(oracle) >= at_least, "\n".join(oracle)


def test_members_join_leave_return_and_change_the_protocol_as_with_apache_kafka(apache_kafka, our_broker):
    same_lines("ConsumerProtocol", apache_kafka, our_broker, 40)


@pytest.mark.full
def test_heartbeats_right_and_wrong_are_answered_as_by_apache_kafka(apache_kafka, our_broker):
    same_lines("Heartbeats", apache_kafka, our_broker, 200)


class Members(Process):
    """java/Members.java: members of `group`, one per client id, in one JVM."""

    def __init__(self, bootstrap, group, topic, *clients, log):
        super().__init__(java.command("Members", bootstrap, group, topic, *clients), log=log)

    def last(self, client):
        """(epoch, partitions) as the member was last told, or None."""
        for line in reversed(self.lines):
            if match := re.fullmatch(rf"{client} epoch (-?\d+) has \[(.*)\]", line):
                return int(match[1]), {int(p) for p in match[2].split(", ") if p}
        return None

    def has(self, client):
        return len(self.last(client)[1]) if self.last(client) else 0

    def read(self):
        return [line.split(" read ")[1] for line in self.lines if " read " in line]


def test_the_tools_show_groups_in_use(both, tmp_path):
    def scenario(kafka):
        def groups(*arguments, **how):
            return kafka("kafka-consumer-groups", *arguments, **{"ordered": False, **how})

        def only_mine(line):
            return line if re.search(r"shown|GROUP|^! ", line) else None
        kafka("kafka-topics", "--create", "--topic", "shown", "--partitions", 5)
        kafka("kafka-console-producer", "--topic", "shown", stdin="r\n")
        port = kafka.bootstrap.rsplit(":", 1)[1]
        with Members(kafka.bootstrap, "shown", "shown", "one", "two", log=tmp_path / f"members-{port}.log") as members:
            wait_until(lambda: sorted((members.has("one"), members.has("two"))) == [2, 3] and len(members.read()) == 1, 60,
                       "both members have partitions")

            def unnumbered(line):  # which of them has what depends on their random ids
                return re.sub(r"\b(one|two)\b", "<client>", re.sub(r" [\w-]{22} ", " <member> ", line))
            groups("--describe", "--group", "shown", edit=lambda line: re.sub(r"^shown shown \d+ (\d+|-) \d+ (\d+|-)", "shown", unnumbered(line)))
            groups("--describe", "--group", "shown", "--state", "--verbose", edit=unnumbered)
            groups("--describe", "--group", "shown", "--members", edit=unnumbered)
            groups("--list", "--state", edit=only_mine)
            groups("--list", "--type", edit=only_mine)
            groups("--list", "--type", "consumer", "--state", "stable", edit=only_mine)
            kafka("kafka-groups", "--list", "--consumer", edit=only_mine, ordered=False)
            groups("--delete", "--group", "shown")
            members.stop()
        groups("--describe", "--group", "shown", "--state")
        groups("--reset-offsets", "--group", "shown", "--topic", "shown", "--to-earliest", "--execute")
        groups("--delete-offsets", "--group", "shown", "--topic", "shown:1")
        groups("--delete", "--group", "shown")
        groups("--list", edit=only_mine)
    both(scenario)


def test_a_group_outlives_a_killed_member_and_a_killed_broker(tools, millrace_broker_program, tmp_path):
    overrides = {**CONSUMER_GROUPS, "group.consumer.session.timeout.ms": 3000, "offsets.topic.num.partitions": 1}
    arguments = [word for key, value in overrides.items() for word in ("--override", f"{key}={value}")]

    def produce(broker, values):
        for value in values:
            kcat("-b", broker.bootstrap, "-P", "-t", "lasting", "-p", value % 6, stdin=f"{value}\n")
    with DevBroker(tmp_path / "broker", arguments) as broker:
        tools.run("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", "lasting", "--partitions", 6)
        with Members(broker.bootstrap, "lasting", "lasting", "stays", log=tmp_path / "stays.log") as stays, \
             Members(broker.bootstrap, "lasting", "lasting", "dies", log=tmp_path / "dies.log") as dies:
            wait_until(lambda: stays.has("stays") == 3 and dies.has("dies") == 3, 60, "two members with three partitions each")
            produce(broker, range(12))
            wait_until(lambda: len(stays.read() + dies.read()) == 12, 30, "all records are read")
            dies.kill()
            wait_until(lambda: stays.has("stays") == 6, 60, "the other member has all partitions")
            epoch = stays.last("stays")
            broker.kill()
            broker.start()
            told = len(stays.lines)
            produce(broker, range(12, 24))
            wait_until(lambda: len(stays.read() + dies.read()) >= 24, 60, "the member goes on after the crash")
            assert sorted(map(int, stays.read() + dies.read())) == list(range(24))
            assert stays.last("stays") == epoch
            assert not [line for line in stays.lines[told:] if " read " not in line and line.startswith("stays ")]
            records = dump(tools, broker.data, "__consumer_offsets-0/*.log", "--offsets-decoder")
            assert f'"epoch":{epoch[0]}' in records and '"group":"lasting"' in records and '"clientId":"stays"' in records
            stays.stop()
        state = tools.run("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, "--describe", "--group", "lasting", "--state").out
        assert "Empty" in state, state
        assert tools.run("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, "--delete", "--group", "lasting").code == 0
