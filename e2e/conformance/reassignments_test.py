"""kafka-leader-election, kafka-reassign-partitions and kafka-streams-application-reset against both brokers, a node each."""

import json


def test_elections_that_change_nothing_and_such_that_cannot_be(both, tmp_path):
    def scenario(kafka):
        def elect(*words, **how):
            return kafka("kafka-leader-election", *words, **how)
        file = tmp_path / "election.json"
        kafka("kafka-topics", "--create", "--topic", "elected", "--partitions", 2)
        for kind in ("preferred", "unclean"):
            elect("--election-type", kind, "--topic", "elected", "--partition", 0)
        elect("--election-type", "preferred", "--topic", "elected", "--partition", 7, fails=True)
        elect("--election-type", "preferred", "--topic", "elected-none", "--partition", 0, fails=True)
        file.write_text(json.dumps({"partitions": [{"topic": "elected", "partition": n} for n in (0, 1)]}))
        elect("--election-type", "preferred", "--path-to-json-file", file)
        file.write_text(json.dumps({"partitions": []}))
        elect("--election-type", "preferred", "--path-to-json-file", file)
        elect("--election-type", "any", "--topic", "elected", "--partition", 0, fails=True)
        elect("--election-type", "preferred", "--topic", "elected", fails=True)
    both(scenario)


def test_reassignments_are_proposed_executed_verified_listed_and_refused(both, tmp_path):
    def scenario(kafka):
        def reassign(*words, **how):
            return kafka("kafka-reassign-partitions", *words, edit=lambda line: line.replace(str(kafka.server.data), "<data>"), **how)
        topics, plan = tmp_path / "topics.json", tmp_path / "plan.json"

        def planned(*replicas, topic="moved", partition=0):
            plan.write_text(json.dumps({"version": 1, "partitions": [
                {"topic": topic, "partition": partition, "replicas": list(replicas), "log_dirs": ["any"] * len(replicas)}]}))
        kafka("kafka-topics", "--create", "--topic", "moved", "--partitions", 2)
        topics.write_text(json.dumps({"version": 1, "topics": [{"topic": "moved"}]}))
        reassign("--topics-to-move-json-file", topics, "--broker-list", "0", "--generate")
        reassign("--topics-to-move-json-file", topics, "--broker-list", "0,0", "--generate", fails=True)
        reassign("--topics-to-move-json-file", topics, "--broker-list", "99", "--generate", fails=True)
        planned(0)
        reassign("--reassignment-json-file", plan, "--execute")
        reassign("--reassignment-json-file", plan, "--verify")
        reassign("--list")
        reassign("--reassignment-json-file", plan, "--cancel")
        planned(99)
        reassign("--reassignment-json-file", plan, "--execute", fails=True)
        planned(0, topic="moved-none")
        reassign("--reassignment-json-file", plan, "--execute", fails=True)
        reassign("--reassignment-json-file", plan, "--verify", fails=True)
        planned(0, 0)
        reassign("--reassignment-json-file", plan, "--execute", fails=True)
        planned(0, partition=7)
        reassign("--reassignment-json-file", plan, "--execute", fails=True)
        plan.write_text("{}")
        reassign("--reassignment-json-file", plan, "--execute", fails=True)
        planned(0)
        reassign("--reassignment-json-file", plan, "--execute", "--throttle", 1_000_000)
        kafka("kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "moved")
        reassign("--reassignment-json-file", plan, "--verify")
        kafka("kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "moved")
    both(scenario)


def test_an_applications_input_is_reset_and_its_internal_topics_removed(both):
    def scenario(kafka):
        def reset(*words, **how):
            return kafka("kafka-streams-application-reset", "--application-id", "application", *words, ordered=False, **how)
        for topic in ("application-input", "application-store-changelog", "application-by-key-repartition"):
            kafka("kafka-topics", "--create", "--topic", topic)
        kafka("kafka-console-producer", "--topic", "application-input", stdin="".join(f"r{i}\n" for i in range(10)))
        reset("--input-topics", "application-input", "--to-offset", 4, "--dry-run")
        reset("--input-topics", "application-input", "--to-offset", 4)
        kafka("kafka-consumer-groups", "--describe", "--group", "application", "--offsets")
        reset("--input-topics", "application-input", "--shift-by", -2)
        reset("--input-topics", "application-none", fails=True)
        reset("--to-earliest")
        kafka("kafka-topics", "--list", edit=lambda line: line if line.startswith(("application", "$", "exit")) else None)
    both(scenario)
