"""A Java application (java/Clients.java) tells the same of both brokers: admin, producer, consumer, groups."""

import difflib

from e2e.conformance.support import java


def test_a_java_application_sees_what_it_sees_of_apache_kafka(apache_kafka, our_broker):
    oracle = java.run("Clients", apache_kafka.bootstrap).out.splitlines()
    ours = java.run("Clients", our_broker.bootstrap).out.splitlines()
    assert len(oracle) > 60
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)
