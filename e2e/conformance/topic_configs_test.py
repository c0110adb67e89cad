"""Every topic configuration with good and bad values: taken or refused by both brokers, in the same words."""

KEYS = {  # key: (values that are taken, values that are refused)
    "cleanup.policy": (["compact", "delete", "[compact,delete]"], ["burn", "[delete,burn]"]),
    "compression.type": (["uncompressed", "zstd", "producer"], ["none", "rar", "ZSTD"]),
    "compression.gzip.level": (["-1", "1", "9"], ["0", "10", "fast"]),
    "compression.lz4.level": (["1", "17"], ["0", "18"]),
    "compression.zstd.level": (["-131072", "22"], ["23", "-131073"]),
    "delete.retention.ms": (["0", "1"], ["-1", "soon"]),
    "file.delete.delay.ms": (["0"], ["-1"]),
    "flush.messages": (["1"], ["0", "1.5"]),
    "flush.ms": (["0"], ["-1"]),
    "follower.replication.throttled.replicas": (["*", "[0:0,1:0]"], ["0", "0:a"]),
    "index.interval.bytes": (["0"], ["-1", "2147483648"]),
    "leader.replication.throttled.replicas": (["*"], ["all"]),
    "local.retention.bytes": (["-2"], ["-3"]),
    "local.retention.ms": (["-2"], ["-3"]),
    "max.compaction.lag.ms": (["1"], ["0"]),
    "max.message.bytes": (["0", "1000"], ["-1", "1k"]),
    "message.timestamp.after.max.ms": (["0"], ["-1"]),
    "message.timestamp.before.max.ms": (["0"], ["-1"]),
    "message.timestamp.type": (["LogAppendTime"], ["logappendtime", "Never"]),
    "min.cleanable.dirty.ratio": (["0.0", "0.25", "1.0"], ["1.01", "-0.1", "half"]),
    "min.compaction.lag.ms": (["0"], ["-1", "9223372036854775808"]),
    "min.insync.replicas": (["1"], ["0"]),
    "preallocate": (["true"], ["yes"]),
    "remote.storage.enable": (["false"], ["true", "maybe"]),
    "retention.bytes": (["-1", "100"], ["1e3"]),
    "retention.ms": (["-1", "1"], ["-2"]),
    "segment.bytes": (["1048576"], ["1048575", "14"]),
    "segment.index.bytes": (["4"], ["3"]),
    "segment.jitter.ms": (["0"], ["-1"]),
    "segment.ms": (["1"], ["0"]),
    "unclean.leader.election.enable": (["true"], ["1"]),
}


def test_every_topic_config_is_taken_or_refused_as_kafka_does(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "every-config")
        for key, (good, bad) in KEYS.items():
            for value in good:
                kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "every-config", "--alter",
                      "--add-config", f"{key}={value}")
            for value in bad:
                kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "every-config", "--alter",
                      "--add-config", f"{key}={value}", fails=True)
            kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "every-config", "--describe")
            kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "every-config", "--alter", "--delete-config", key)
        kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "every-config", "--alter",
              "--add-config", "min.compaction.lag.ms=10,max.compaction.lag.ms=5", fails=True)
    both(scenario)
