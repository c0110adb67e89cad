"""The console producer and consumer against both brokers."""

import pytest


def test_keys_headers_and_null_values_come_back(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "rich")
        kafka("kafka-console-producer", "--topic", "rich", "--property", "parse.key=true", "--property", "parse.headers=true",
              "--property", "null.marker=NULL", stdin="a:1,b:2\tk1\tv1\nc:\tk2\tNULL\n:\tNULL\tdrei \u00fc\n")
        kafka("kafka-console-consumer", "--topic", "rich", "--from-beginning", "--max-messages", 3, "--timeout-ms", 20000,
              "--property", "print.key=true", "--property", "print.headers=true", "--property", "print.offset=true",
              "--property", "print.partition=true", "--property", "print.epoch=true", "--property", "print.timestamp=true")
    both(scenario)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_come_back(both, codec):
    topic = f"squeezed-{codec}"

    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", topic)
        kafka("kafka-console-producer", "--topic", topic, "--compression-codec", codec, "--producer-property", "linger.ms=20",
              stdin="".join(f"record number {i} of many that look alike\n" for i in range(500)))
        kafka("kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", 500, "--timeout-ms", 20000)
        kafka("kafka-get-offsets", "--topic", topic)
    both(scenario)


@pytest.mark.parametrize("stored_as", ["gzip", "zstd", "uncompressed"])
def test_the_broker_compresses_again_as_the_topic_says(both, stored_as):
    topic = f"recoded-{stored_as}"

    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", topic, "--config", f"compression.type={stored_as}")
        kafka("kafka-console-producer", "--topic", topic, "--compression-codec", "lz4", "--producer-property", "linger.ms=20",
              stdin="".join(f"record number {i} of many that look alike\n" for i in range(100)))
        kafka("kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", 100, "--timeout-ms", 20000)
    both(scenario)


def test_records_that_are_too_large_are_refused(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "small", "--config", "max.message.bytes=1000")
        kafka("kafka-console-producer", "--topic", "small", "--sync", stdin="x" * 2000 + "\n", edit=lambda line: line if "Exception" in line else None, fails=True)
        kafka("kafka-get-offsets", "--topic", "small")
    both(scenario)


def test_a_topic_is_created_by_the_first_record(both):
    def scenario(kafka):
        kafka("kafka-console-producer", "--topic", "sprung-up", stdin="hello\n", edit=lambda line: None)
        kafka("kafka-console-consumer", "--topic", "sprung-up", "--from-beginning", "--max-messages", 1, "--timeout-ms", 20000)
        kafka("kafka-topics", "--describe", "--topic", "sprung-up")
    both(scenario)


def test_a_consumer_that_leaves_during_a_long_poll_has_nothing_to_complain_of(our_broker, tools):
    address = ["--bootstrap-server", our_broker.bootstrap]
    tools.run("kafka-console-producer", *address, "--topic", "left", stdin="a\nb\n")
    before = len(tools.log.read_text())
    outcome = tools.run("kafka-console-consumer", *address, "--topic", "left", "--from-beginning", "--max-messages", 2, "--timeout-ms", 20000)
    assert outcome.out.split() == ["a", "b"]
    logged = tools.log.read_text()[before:]
    assert "FetchSession" in logged or "Subscribed to topic" in logged  # the log is the one we think
    assert "invalid" not in logged and "WARN" not in logged and "ERROR" not in logged, logged[-4000:]


def test_a_consumer_without_records_times_out(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "silent")
        kafka("kafka-console-consumer", "--topic", "silent", "--from-beginning", "--timeout-ms", 600)
    both(scenario)
