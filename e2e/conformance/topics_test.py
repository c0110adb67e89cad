"""kafka-topics against both brokers."""


def test_topics_are_created_described_altered_listed_and_deleted(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "life", "--partitions", 3, "--config", "retention.ms=3600000",
              "--config", "cleanup.policy=compact")
        kafka("kafka-topics", "--create", "--topic", "life.default")
        kafka("kafka-topics", "--create", "--topic", "life_default2", "--if-not-exists")
        kafka("kafka-topics", "--describe", "--topic", "life")
        kafka("kafka-topics", "--describe", "--topic", "life.*", ordered=False)
        kafka("kafka-topics", "--describe", "--topic", "life.*", "--topics-with-overrides")
        kafka("kafka-topics", "--describe", "--topic", "life.*", "--partition-size-limit-per-response", 2, ordered=False)
        kafka("kafka-topics", "--alter", "--topic", "life", "--partitions", 5)
        kafka("kafka-topics", "--describe", "--topic", "life", "--under-replicated-partitions")
        kafka("kafka-topics", "--describe", "--topic", "life", "--exclude-internal")
        kafka("kafka-topics", "--list", edit=lambda line: line if line.startswith("life") else None)
        kafka("kafka-topics", "--delete", "--topic", "life.*")
        kafka("kafka-topics", "--list", edit=lambda line: line if line.startswith("life") else None)
        kafka("kafka-topics", "--create", "--topic", "life", "--replica-assignment", "0,0")
        kafka("kafka-topics", "--delete", "--topic", "life")
    both(scenario)


def test_wrong_topics_are_refused_with_kafkas_words(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "refused", "--partitions", 2)
        kafka("kafka-topics", "--create", "--topic", "refused", fails=True)
        kafka("kafka-topics", "--create", "--topic", "refused", "--if-not-exists")
        kafka("kafka-topics", "--create", "--topic", "bad name!", fails=True)
        kafka("kafka-topics", "--create", "--topic", "n" * 250, fails=True)
        kafka("kafka-topics", "--create", "--topic", "..", fails=True)
        kafka("kafka-topics", "--create", "--topic", "many", "--replication-factor", 3, fails=True)
        kafka("kafka-topics", "--create", "--topic", "none", "--replication-factor", 0, fails=True)
        kafka("kafka-topics", "--create", "--topic", "none", "--partitions", 0, fails=True)
        kafka("kafka-topics", "--create", "--topic", "nowhere", "--replica-assignment", "7", fails=True)
        kafka("kafka-topics", "--create", "--topic", "twice", "--replica-assignment", "0:0", fails=True)
        kafka("kafka-topics", "--create", "--topic", "unknown.key", "--config", "no.such.key=1", fails=True)
        kafka("kafka-topics", "--create", "--topic", "bad.value", "--config", "retention.ms=soon", fails=True)
        kafka("kafka-topics", "--create", "--topic", "bad.value", "--config", "cleanup.policy=burn", fails=True)
        kafka("kafka-topics", "--create", "--topic", "bad.value", "--config", "max.message.bytes=-1", fails=True)
        kafka("kafka-topics", "--create", "--topic", "re.fused", "--partitions", 1)
        kafka("kafka-topics", "--create", "--topic", "re_fused", "--partitions", 1, fails=True)
        kafka("kafka-topics", "--alter", "--topic", "refused", "--partitions", 1, fails=True)
        kafka("kafka-topics", "--alter", "--topic", "refused", "--partitions", 2, fails=True)
        kafka("kafka-topics", "--alter", "--topic", "unknown", "--partitions", 2, fails=True)
        kafka("kafka-topics", "--describe", "--topic", "unknown", fails=True)
        kafka("kafka-topics", "--delete", "--topic", "unknown", fails=True)
        kafka("kafka-topics", "--delete", "--topic", "unknown", "--if-exists")
        kafka("kafka-topics", "--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAAAQ", fails=True)
    both(scenario)
