"""Apache's own load tools run against us to their end."""

import re


def test_the_performance_tools_run_to_their_end(our_broker, tools):
    address = ["--bootstrap-server", our_broker.bootstrap]
    assert tools.run("kafka-topics", *address, "--create", "--topic", "perf", "--partitions", 4).code == 0
    produced = tools.run("kafka-producer-perf-test", "--topic", "perf", "--num-records", 20000, "--record-size", 500, "--throughput", -1,
                         "--producer-props", f"bootstrap.servers={our_broker.bootstrap}", "acks=all", "compression.type=lz4")
    assert produced.code == 0 and "20000 records sent" in produced.out, str(produced)
    consumed = tools.run("kafka-consumer-perf-test", *address, "--topic", "perf", "--num-records", 20000, "--timeout", 20000,
                         "--command-property", "group.protocol=classic")
    assert consumed.code == 0, str(consumed)
    values = consumed.out.splitlines()[-1].split(", ")
    assert int(values[4]) == 20000, str(consumed)
    latency = tools.run("kafka-e2e-latency", *address, "--topic", "perf-latency", "--num-records", 200, "--producer-acks", "all",
                        "--record-size", 100)
    assert latency.code == 0 and re.search(r"Percentiles: 50th = \d+", latency.out), str(latency)
