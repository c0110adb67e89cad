"""kafka-get-offsets and kafka-delete-records against both brokers."""

import json


def test_offsets_by_time_and_records_deleted_up_to_an_offset(both, tmp_path):
    def scenario(kafka):
        def offsets(*arguments, **how):
            return kafka("kafka-get-offsets", *arguments, **how)
        kafka("kafka-topics", "--create", "--topic", "measured", "--partitions", 2)
        offsets("--topic", "measured")
        kafka("kafka-console-producer", "--topic", "measured", stdin="".join(f"r{i}\n" for i in range(10)),)
        total = offsets("--topic", "measured", edit=lambda line: None).out
        kafka.note(f"records in all: {sum(int(line.rsplit(':', 1)[1]) for line in total.split())}")
        kafka("kafka-topics", "--create", "--topic", "measured-one")
        kafka("kafka-console-producer", "--topic", "measured-one", stdin="".join(f"r{i}\n" for i in range(10)))
        for time in ("-1", "earliest", "latest", "0", "4102444800000", "earliest-local", "latest-tiered"):
            offsets("--topic", "measured-one", "--time", time)
        file = tmp_path / "delete.json"
        file.write_text(json.dumps({"version": 1, "partitions": [{"topic": "measured-one", "partition": 0, "offset": 4}]}))
        kafka("kafka-delete-records", "--offset-json-file", file)
        offsets("--topic", "measured-one", "--time", "earliest")
        kafka("kafka-console-consumer", "--topic", "measured-one", "--from-beginning", "--max-messages", 6, "--timeout-ms", 20000)
        file.write_text(json.dumps({"version": 1, "partitions": [{"topic": "measured-one", "partition": 0, "offset": 400}]}))
        kafka("kafka-delete-records", "--offset-json-file", file)
        file.write_text(json.dumps({"version": 1, "partitions": [{"topic": "measured-one", "partition": 0, "offset": -1}]}))
        kafka("kafka-delete-records", "--offset-json-file", file)
        offsets("--topic-partitions", "measured-one:0", "--time", "earliest")
        offsets("--topic-partitions", "measured-one:7", fails=True)
        offsets("--topic", "measured-none", fails=True)
        offsets("--topic", "measured.*", "--exclude-internal-topics", "--time", "earliest")
    both(scenario)
