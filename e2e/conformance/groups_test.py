"""kafka-consumer-groups against both brokers: consumer groups as the console consumer leaves them."""

import re

RECORDS = "".join(f"key-{i}:value-{i}\n" for i in range(20))


def load(kafka, topic, partitions=2):
    kafka("kafka-topics", "--create", "--topic", topic, "--partitions", partitions)
    kafka("kafka-console-producer", "--topic", topic, "--property", "parse.key=true", "--property", "key.separator=:", stdin=RECORDS)


def read(kafka, topic, group, count):
    kafka("kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", count, "--timeout-ms", 20000,
          "--consumer-property", "group.protocol=classic", ordered=False,
          edit=lambda line: re.sub(r"value-\d+", "value", line))


def test_groups_are_listed_described_reset_and_deleted(both):
    def scenario(kafka):
        def groups(*arguments, **how):
            return kafka("kafka-consumer-groups", *arguments, **{"ordered": False, **how})

        def only_mine(line):
            return line if re.search(r"billing|GROUP|^! ", line) else None
        load(kafka, "invoices")
        read(kafka, "invoices", "billing", 20)
        groups("--list", edit=only_mine)
        groups("--list", "--state", edit=only_mine)
        groups("--list", "--type", edit=only_mine)
        groups("--list", "--state", "empty", edit=only_mine)
        groups("--describe", "--group", "billing")
        groups("--describe", "--group", "billing", "--state")
        groups("--describe", "--group", "billing", "--members")
        groups("--reset-offsets", "--group", "billing", "--topic", "invoices", "--to-earliest", "--dry-run")
        groups("--reset-offsets", "--group", "billing", "--topic", "invoices", "--to-earliest", "--execute")
        groups("--describe", "--group", "billing", "--offsets")
        groups("--reset-offsets", "--group", "billing", "--topic", "invoices:0", "--shift-by", 3, "--execute")
        groups("--reset-offsets", "--group", "billing", "--all-topics", "--to-datetime", "2020-01-01T00:00:00.000", "--execute")
        groups("--reset-offsets", "--group", "billing", "--all-topics", "--to-latest", "--execute")
        groups("--reset-offsets", "--group", "billing", "--topic", "invoices:1", "--to-offset", 1, "--execute", "--export")
        groups("--delete-offsets", "--group", "billing", "--topic", "invoices:1")
        groups("--describe", "--group", "billing")
        groups("--delete", "--group", "billing")
        groups("--list", edit=only_mine)
    both(scenario)


def test_unknown_groups_are_refused_with_kafkas_words(both):
    def scenario(kafka):
        def groups(*arguments, **how):
            return kafka("kafka-consumer-groups", *arguments, **{"ordered": False, **how})
        groups("--describe", "--group", "nobody")
        groups("--delete", "--group", "nobody")
        groups("--reset-offsets", "--group", "nobody", "--topic", "invoices-unknown", "--to-earliest", "--execute")
        groups("--delete-offsets", "--group", "nobody", "--topic", "invoices")
    both(scenario)
