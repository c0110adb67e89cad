"""Client quotas against both brokers: kafka-configs, and what clients with a quota reach."""

import re
import time


def test_quotas_are_set_described_and_removed(both):
    def scenario(kafka):
        def configs(*arguments, **how):
            return kafka("kafka-configs", *arguments, ordered=False, **how)

        def alter(*entity, add=None, delete=None, **how):
            change = ("--add-config", add) if add else ("--delete-config", delete)
            return configs("--alter", *change, *entity, **how)

        alice = ("--entity-type", "users", "--entity-name", "qalice")
        reports = ("--entity-type", "clients", "--entity-name", "qreports")
        users, clients = ("--entity-type", "users", "--entity-default"), ("--entity-type", "clients", "--entity-default")
        address = ("--entity-type", "ips", "--entity-name", "127.0.0.9")
        everything = [alice, reports, users, clients, alice + reports, alice + clients, users + reports, users + clients]
        for number, entity in enumerate(everything):
            alter(*entity, add=f"producer_byte_rate={1000 + number},consumer_byte_rate={2000 + number}")
        alter(*alice, add="request_percentage=12.5,controller_mutation_rate=0.5")
        alter(*address, add="connection_creation_rate=10")
        alter("--entity-type", "ips", "--entity-default", add="connection_creation_rate=20")
        for entity in [*everything, address, ("--entity-type", "users"), ("--entity-type", "clients"), ("--entity-type", "ips"),
                       ("--entity-type", "users", "--entity-type", "clients"), ("--entity-type", "ips", "--entity-default"),
                       ("--user", "qalice"), ("--client", "qreports"), ("--ip", "127.0.0.9"), ("--user-defaults",), ("--client-defaults",),
                       ("--ip-defaults",), ("--user", "qalice", "--client", "qreports"), ("--user-defaults", "--client", "qreports")]:
            configs("--describe", *entity)
        alter(*alice, add="producer_byte_rate=77")
        alter(*alice, delete="request_percentage,controller_mutation_rate")
        configs("--describe", *alice)
        alter(*alice, delete="request_percentage", fails=True)
        for entity in everything:
            alter(*entity, delete="producer_byte_rate,consumer_byte_rate")
        alter(*address, delete="connection_creation_rate")
        alter("--entity-type", "ips", "--entity-default", delete="connection_creation_rate")
        configs("--describe", *alice)
        configs("--describe", "--entity-type", "users", "--entity-type", "clients")
        alter(*alice, add="request_percentage=NaN")
        configs("--describe", *alice)
        alter(*alice, delete="request_percentage")
    both(scenario)


def test_wrong_quotas_are_refused_with_kafkas_words(both):
    def scenario(kafka):
        def refused(entity, change):
            kafka("kafka-configs", "--alter", "--add-config", change, *entity, fails=True)
        user, address = ("--entity-type", "users", "--entity-name", "wrong"), ("--entity-type", "ips", "--entity-name", "127.0.0.9")
        refused(user, "producer_byte_rate=0")
        refused(user, "producer_byte_rate=-1")
        refused(user, "producer_byte_rate=1.5")
        refused(user, "producer_byte_rate=many")
        refused(user, "consumer_byte_rate=1e19")
        refused(user, "request_percentage=0")
        refused(user, "controller_mutation_rate=-0.5")
        refused(user, "connection_creation_rate=5")
        refused(user, "no_such_quota=5")
        refused(address, "connection_creation_rate=0")
        refused(address, "connection_creation_rate=-1")
        refused(address, "connection_creation_rate=2147483648")
        refused(address, "producer_byte_rate=5")
        refused(("--entity-type", "ips", "--entity-name", "not an address"), "connection_creation_rate=5")
        refused(("--entity-type", "ips", "--entity-name", "no-such-host.invalid"), "connection_creation_rate=5")
        refused(user + address, "producer_byte_rate=5")
    both(scenario)


def set_quota(side, client_id, quota):
    side("kafka-configs", "--alter", "--entity-type", "clients", "--entity-name", client_id, "--add-config", quota)


def metric(text, name):
    """The largest value of a client's metric, from --print-metrics."""
    values = [float(v) for v in re.findall(rf"{name}[^\n]*: *([0-9.]+)\s*$", text, re.M)]
    assert values, f"no {name} in\n{text}"
    return max(values)


def test_producers_and_consumers_reach_their_quota_and_no_more(both):
    """Two seconds' worth are free, the rest takes its time: the same time on both, and the clients are told."""
    rate, records, size = 100_000, 500, 1000
    seconds = {}
    for side in (both.oracle, both.ours):
        address = ["--bootstrap-server", side.bootstrap]
        side("kafka-topics", "--create", "--topic", "throttled")
        set_quota(side, "throttled-producer", f"producer_byte_rate={rate}")
        set_quota(side, "throttled-consumer", f"consumer_byte_rate={rate}")
        begin = time.monotonic()
        produced = side.tools.run(
            "kafka-producer-perf-test", "--topic", "throttled", "--num-records", records, "--record-size", size, "--throughput", -1,
            "--print-metrics", "--producer-props", f"bootstrap.servers={side.bootstrap}", "client.id=throttled-producer", "batch.size=10000")
        middle = time.monotonic()
        assert produced.code == 0 and f"{records} records sent" in produced.out, str(produced)
        assert metric(produced.out, "produce-throttle-time-max") > 0
        consumed = side.tools.run(
            "kafka-consumer-perf-test", *address, "--topic", "throttled", "--num-records", records, "--timeout", 30000, "--print-metrics",
            "--command-property", "client.id=throttled-consumer", "--command-property", "group.protocol=classic",
            "--command-property", "fetch.max.bytes=20000", "--command-property", "max.partition.fetch.bytes=20000")
        assert consumed.code == 0, str(consumed)
        assert metric(consumed.out, "fetch-throttle-time-max") > 0
        seconds[side] = middle - begin, time.monotonic() - middle
    for ours, oracles in zip(seconds[both.ours], seconds[both.oracle]):
        assert ours > records * size / rate - 2.5, seconds  # what is above two seconds' worth
        assert abs(ours - oracles) < 2.5, seconds


def test_partitions_above_the_mutation_quota_are_refused(both, tmp_path):
    settings = tmp_path / "client.properties"
    settings.write_text("client.id=mutator\n")

    def scenario(kafka):
        def topics(*arguments, **how):
            return kafka("kafka-topics", "--command-config", settings, *arguments, **how)
        set_quota(kafka, "mutator", "controller_mutation_rate=1")
        topics("--create", "--topic", "mutated", "--partitions", "17")
        topics("--create", "--topic", "refused", "--partitions", "1", fails=True)
        kafka("kafka-topics", "--delete", "--topic", "mutated")  # nobody else is bound
        kafka("kafka-configs", "--alter", "--entity-type", "clients", "--entity-name", "mutator", "--delete-config", "controller_mutation_rate")
    both(scenario)
