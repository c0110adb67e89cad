"""Start and end: settings that are wrong or unknown, how fast the first record is in, what SIGTERM leaves behind."""

import json
import os
import subprocess
import time

import pytest

from e2e.lib.broker import PROGRAM, Broker, DevBroker
from e2e.lib.kafka import properties_text
from e2e.lib.kcat import consume, kcat, produce
from e2e.lib.process import free_ports


def settings_for(folder):
    client, controller = free_ports(2)
    return {
        "process.roles": "broker,controller", "node.id": 1, "log.dirs": folder / "data",
        "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER", "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 2,
    }


WRONG = {  # what is wrong -> (settings, what the line must name)
    "not a number": ({"node.id": "one"}, ["node.id", "one", "INT"]),
    "below the range": ({"num.network.threads": 0}, ["num.network.threads", "at least 1"]),
    "not one of the choices": ({"log.cleanup.policy": "burn"}, ["log.cleanup.policy", "burn", "compact", "delete"]),
    "not a boolean": ({"auto.create.topics.enable": "perhaps"}, ["auto.create.topics.enable", "true", "false"]),
    "an unknown role": ({"process.roles": "broker,cook"}, ["process.roles", "cook", "controller"]),
    "an unknown protocol": ({"listener.security.protocol.map": "PLAINTEXT:TELNET,CONTROLLER:PLAINTEXT"},
                            ["listener.security.protocol.map", "TELNET", "SASL_SSL"]),
    "an unknown mechanism": ({"listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
                              "sasl.enabled.mechanisms": "GSSAPI"}, ["sasl.enabled.mechanisms", "GSSAPI", "SCRAM-SHA-512"]),
    "a keystore that is not there": ({"inter.broker.listener.name": "PLAINTEXT", "listener.security.protocol.map": "PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
                                      "ssl.keystore.type": "PEM", "ssl.keystore.location": "/nowhere/keystore.pem"},
                                     ["/nowhere/keystore.pem"]),
    "a listener without an address": ({"listeners": "PLAINTEXT"}, ["listeners", "PLAINTEXT"]),
    "a super user without a type": ({"super.users": "root"}, ["super.users", "root", "User:"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_stops_the_start_with_one_clear_line(millrace_broker_program, tmp_path, name):
    changes, words = WRONG[name]
    file = tmp_path / "server.properties"
    file.write_text(properties_text({**settings_for(tmp_path), **changes}))
    subprocess.run([PROGRAM, "format", file], capture_output=True, timeout=20)
    result = subprocess.run([PROGRAM, "run", file, "--http", ""], capture_output=True, text=True, timeout=20)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if not line.startswith("{")]
    assert result.returncode == 1 and len(lines) == 1, result.stdout + result.stderr
    missing = [word for word in words if word not in lines[0]]
    assert not missing, lines[0]
    if name != "a keystore that is not there":
        assert str(file) in lines[0]


def test_an_unknown_key_is_a_warning_that_names_file_line_and_key(millrace_broker_program, tmp_path):
    with Broker(tmp_path, {**settings_for(tmp_path), "log.retention.hoursss": 5}) as broker:
        line, = [line for line in broker.process.lines if "log.retention.hoursss" in line]
        assert "server.properties:" in line and "WARN" in line.upper()


def test_a_port_that_is_taken_stops_the_start_with_one_clear_line(shared_broker, millrace_broker_program, tmp_path):
    result = subprocess.run([PROGRAM, "dev", "--listen", shared_broker.bootstrap, "--data", tmp_path / "data"],
                            capture_output=True, text=True, timeout=20)
    lines = result.stderr.splitlines()
    assert result.returncode == 1 and len(lines) == 1, result.stderr
    assert shared_broker.bootstrap in lines[0] and "in use" in lines[0]


def test_a_directory_in_use_stops_the_start_with_one_clear_line(shared_broker, millrace_broker_program):
    result = subprocess.run([PROGRAM, "dev", "--listen", "127.0.0.1:0", "--data", shared_broker.data],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result.stderr
    assert str(shared_broker.data) in result.stderr
    assert produce(shared_broker.bootstrap, "still-there", [b"x"])[0] == 0


def load_factor():
    """Times are for an idle machine."""
    return 3 if os.getloadavg()[0] > os.cpu_count() * 0.75 else 1


def test_the_first_record_is_acknowledged_within_half_a_second_of_exec(millrace_broker_program, tmp_path, record_property):
    times = []
    for attempt in range(3):
        with DevBroker(tmp_path / str(attempt)) as broker:
            produce(broker.bootstrap, "first", [b"hello"], {"linger.ms": 0, "topic.metadata.refresh.fast.interval.ms": 10})
            times.append(time.monotonic() - broker.process.started)
    record_property("first_record_seconds", min(times))
    print(f"first record acknowledged after {', '.join(f'{t:.3f}' for t in times)} s, load {os.getloadavg()[0]:.1f}")
    assert min(times) <= 0.5 * load_factor(), times


def test_sigterm_ends_an_idle_broker_within_a_second_and_leaves_a_clean_log(millrace_broker_program, tmp_path):
    with Broker(tmp_path, settings_for(tmp_path)) as broker:
        address = next(w for w in broker.config.read_text().split() if w.startswith("listeners=")).split("//")[1].split(",")[0]
        produce(address, "kept", [b"one", b"two"])
        begin = time.monotonic()
        assert broker.stop() == 0
        taken = time.monotonic() - begin
        print(f"ended after {taken:.3f} s")
        assert taken < 1.0 * load_factor()
        assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()
        first_run = len(broker.process.lines)
        assert first_run
        broker.start()
        assert not [line for line in broker.process.lines if "recover" in line.lower()]
        assert consume(address, "kept") == [b"one", b"two"]
        broker.kill()
        assert not (tmp_path / "data" / ".kafka_cleanshutdown").exists()
        broker.start()
        assert [line for line in broker.process.lines if "recover" in line.lower()], broker.process.tail()
        assert consume(address, "kept") == [b"one", b"two"]


def test_sigterm_waits_for_no_idle_client(broker):
    produce(broker.bootstrap, "busy", [b"x"])
    waiting = subprocess.Popen(["kcat", "-b", broker.bootstrap, "-C", "-t", "busy", "-o", "end", "-X", "fetch.wait.max.ms=30000"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        kcat("-b", broker.bootstrap, "-L")
        begin = time.monotonic()
        assert broker.stop() == 0
        assert time.monotonic() - begin < 1.0 * load_factor()
    finally:
        waiting.kill()
        waiting.wait()


def test_a_development_broker_ends_with_the_program_that_holds_its_input(millrace_broker_program):
    process = subprocess.Popen([PROGRAM, "dev", "--listen", "127.0.0.1:0", "--json", "--until-stdin-closes"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        folder = json.loads(process.stdout.readline())["dataDirectory"]
        process.stdin.write("what comes is ignored\n")
        process.stdin.flush()
        assert os.path.isdir(folder)
        process.stdin.close()
        assert process.wait(10) == 0 and not os.path.exists(folder)
    finally:
        process.kill()
