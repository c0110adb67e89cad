"""What the tools read of the cluster itself: id, quorum, features, versions of the APIs."""

import re


def test_the_clusters_id_is_read(both):
    def scenario(kafka):
        kafka("kafka-cluster", "cluster-id", "--bootstrap-server", kafka.bootstrap, bootstrap=False)
        kafka("kafka-cluster", "list-endpoints", "--bootstrap-server", kafka.bootstrap, bootstrap=False,
              edit=lambda line: re.sub(r"127\.0\.0\.1|localhost", "<host>", line))
    both(scenario)


def test_the_quorums_status_is_read(both):
    def numbers(line):
        if line.startswith("CurrentVoters"):
            return re.sub(r'"(directoryId|endpoints)": (\[[^]]*\]|"[^"]*"|null)', r'"\1": <own>', line)
        return re.sub(r"^(LeaderEpoch|HighWatermark|MaxFollowerLagTimeMs|MaxFollowerLag):\s*-?\d+", r"\1: <n>", line)

    def replicas(line):
        return re.sub(r"^0 \S{22} \d+ 0 \S+ \S+", "0 <directory> <end> 0 <ms> <ms>", line)

    def scenario(kafka):
        kafka("kafka-metadata-quorum", "describe", "--status", edit=numbers)
        kafka("kafka-metadata-quorum", "describe", "--replication", edit=replicas)
    both(scenario)


def test_eligible_leader_replicas_are_switched_off_and_on(both):
    """On from the start, with one min.insync.replicas for the whole cluster (KIP-966)."""
    elr, brokers = "eligible.leader.replicas.version", ("--entity-type", "brokers", "--entity-default")

    def scenario(kafka):
        kafka("kafka-features", "describe", edit=lambda line: re.sub(r"Epoch: \d+", "Epoch: <n>", line) if elr in line else None)
        kafka("kafka-configs", "--describe", *brokers)
        kafka("kafka-configs", "--alter", *brokers, "--delete-config", "min.insync.replicas", fails=True)
        kafka("kafka-features", "upgrade", "--feature", f"{elr}=2", fails=True)
        kafka("kafka-features", "upgrade", "--feature", f"{elr}=0", fails=True)
        kafka("kafka-features", "downgrade", "--feature", f"{elr}=0")
        kafka("kafka-features", "upgrade", "--feature", f"{elr}=1")
        kafka("kafka-features", "describe", edit=lambda line: re.sub(r"Epoch: \d+", "Epoch: <n>", line) if elr in line else None)
    both(scenario)


def api_versions(text):
    """{name: "min to max"} of kafka-broker-api-versions' output."""
    return dict(re.findall(r"^\s(\w+)\(\d+\): ([\d to]+?)(?: \[usable|,|$)", text, re.MULTILINE))


def test_every_api_that_is_advertised_has_kafkas_versions(both):
    ours = api_versions(both.ours("kafka-broker-api-versions").out)
    oracle = api_versions(both.oracle("kafka-broker-api-versions").out)
    assert len(ours) > 30
    assert ours.keys() - oracle.keys() == set(), "advertised, but Kafka has no such API for clients"
    assert {name: (oracle[name], versions) for name, versions in ours.items() if oracle[name] != versions} == {}
