"""One program per client, one test per check: what it must show stands in the program."""

import re
import subprocess

import pytest

from e2e.clients import install

PYTHON = install.HERE / "python"
COMMANDS = {
    "kafka-python": lambda: [install.python(), "-B", PYTHON / "with_kafka_python.py"],
    "aiokafka": lambda: [install.python(), "-B", PYTHON / "with_aiokafka.py"],
    "confluent-kafka": lambda: [install.python(), "-B", PYTHON / "with_confluent_kafka.py"],
    "kafkajs": lambda: ["node", install.kafkajs()],
    "sarama": lambda: [install.sarama()],
}
CHECKS = ("records", "groups", "transactions", "admin", "security")
CASES = [(client, check) for client in COMMANDS for check in CHECKS] + [("confluent-kafka", "consumer-protocol")]


@pytest.mark.parametrize("client, check", CASES)
def test_a_client(secured, client, check, tmp_path):
    argv = [str(word) for word in [*COMMANDS[client](), check]]
    with open(tmp_path / "output", "w+") as output:
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=120,
                              env=secured.environment(f"{client}-{check}")).returncode
        output.seek(0)
        text = output.read()
    print(text)
    passed = re.search(rf"^PASS {check} (\d+)$", text, re.M)
    assert code == 0 and passed and int(passed[1]) > 0, f"exit code {code}\n{text[-4000:]}"
