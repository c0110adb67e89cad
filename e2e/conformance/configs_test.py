"""kafka-configs against both brokers: topics, brokers, users' SCRAM credentials."""

import re


def test_topic_configs_are_described_altered_and_deleted(both):
    def scenario(kafka):
        def topics(*arguments, **how):
            return kafka("kafka-configs", "--entity-type", "topics", *arguments, **how)
        kafka("kafka-topics", "--create", "--topic", "configured", "--config", "retention.bytes=12345")
        topics("--entity-name", "configured", "--describe")
        topics("--entity-name", "configured", "--describe", "--all")
        topics("--entity-name", "configured", "--alter", "--add-config", "retention.ms=86400000,cleanup.policy=[compact,delete]")
        topics("--entity-name", "configured", "--describe")
        topics("--entity-name", "configured", "--alter", "--delete-config", "retention.bytes")
        topics("--entity-name", "configured", "--alter", "--delete-config", "retention.bytes")
        topics("--entity-name", "configured", "--describe")
        topics("--entity-name", "configured", "--alter", "--add-config", "no.such.key=1", fails=True)
        topics("--entity-name", "configured", "--alter", "--add-config", "retention.ms=soon", fails=True)
        topics("--entity-name", "configured", "--alter", "--add-config", "min.insync.replicas=0", fails=True)
        topics("--entity-name", "configured", "--alter", "--add-config", "compression.type=rar", fails=True)
        topics("--entity-name", "unknown", "--alter", "--add-config", "retention.ms=1", fails=True)
        topics("--entity-name", "unknown", "--describe")
    both(scenario)


def test_broker_configs_are_altered_for_one_and_for_all(both):
    def scenario(kafka):
        def brokers(*arguments, **how):
            return kafka("kafka-configs", "--entity-type", "brokers", *arguments, **how)
        brokers("--entity-name", "0", "--describe")
        brokers("--entity-default", "--alter", "--add-config", "log.retention.ms=7200000")
        brokers("--entity-default", "--describe")
        brokers("--entity-name", "0", "--alter", "--add-config", "message.max.bytes=2000000")
        brokers("--entity-name", "0", "--describe")
        kafka("kafka-topics", "--create", "--topic", "inherits")
        kafka("kafka-configs", "--entity-type", "topics", "--entity-name", "inherits", "--describe", "--all",
              edit=lambda line: line if re.match(r"(! |retention.ms|max.message)", line) else None)
        brokers("--entity-name", "0", "--alter", "--add-config", "process.roles=broker", fails=True)
        brokers("--entity-name", "0", "--alter", "--add-config", "log.cleaner.threads=-1", fails=True)
        brokers("--entity-default", "--alter", "--add-config", "ssl.keystore.type=PEM", fails=True)
        brokers("--entity-default", "--alter", "--add-config", "listener.name.plaintext.ssl.keystore.type=PEM", fails=True)
        brokers("--entity-name", "0", "--alter", "--delete-config", "message.max.bytes")
        brokers("--entity-default", "--alter", "--delete-config", "log.retention.ms")
        brokers("--entity-default", "--describe")
        brokers("--entity-name", "0", "--describe")
        brokers("--entity-name", "77", "--describe")
        brokers("--entity-name", "zero", "--describe", fails=True)
    both(scenario)


# What differs because the two servers were given different settings.
OWN_SETTINGS = re.compile(r"(advertised\.listeners|broker\.id|config\.storage|controller\.(listener|quorum)|early\.start|listener|log\.dirs?|"
                          r"metadata\.log\.dir|node\.id|process\.roles|share\.coordinator\.state|transaction\.state\.log)")


def test_every_broker_config_has_kafkas_default_source_and_sensitivity(both):
    def scenario(kafka):
        kafka("kafka-configs", "--entity-type", "brokers", "--entity-name", "0", "--describe", "--all", ordered=False,
              edit=lambda line: None if OWN_SETTINGS.match(line) else line)
    both(scenario)


def without_order(line):
    """Mechanisms come in the order of a hash map."""
    head, _, mechanisms = line.partition(" are ")
    return f"{head} are {sorted(mechanisms.split(', '))}"


def test_scram_credentials_of_users(both):
    def scenario(kafka):
        def users(*arguments, **how):
            return kafka("kafka-configs", "--entity-type", "users", *arguments, **how)
        users("--entity-name", "alice", "--alter", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=alice-secret]")
        users("--entity-name", "alice", "--alter", "--add-config", "SCRAM-SHA-512=[password=alice-secret]")
        users("--entity-name", "alice", "--describe", edit=without_order)
        users("--entity-name", "alice", "--alter", "--delete-config", "SCRAM-SHA-512")
        users("--entity-name", "alice", "--describe", edit=without_order)
        users("--entity-name", "alice", "--alter", "--delete-config", "SCRAM-SHA-512", fails=True)
        users("--entity-name", "alice", "--alter", "--add-config", "SCRAM-SHA-256=[iterations=10,password=x]", fails=True)
        users("--entity-name", "nobody", "--describe")
        users("--describe")
        users("--entity-name", "alice", "--alter", "--delete-config", "SCRAM-SHA-256")
    both(scenario)
