"""Apache's own StreamsSmokeTest with exactly_once_v2, on three brokers: processes of it are killed, in the long form a broker too.

Its driver sends numbers and checks minimum, maximum, sum, count, average, joins, suppressed windows and a repartitioned count."""

from e2e.clients import install
from e2e.conftest import FULL
from e2e.lib import jars
from e2e.lib.kafka import properties_text
from e2e.lib.process import Process

POMS = (jars.POM, install.TESTS_POM)
DRIVER = install.HERE / "streams" / "SmokeDriver.java"
TOPICS = ("data", "echo", "max", "min", "min-suppressed", "min-raw", "dif", "sum", "sws-raw", "sws-suppressed", "cnt", "avg",
          "tagg", "fk")
KEYS, RECORDS, SECONDS = (20, 1000, 90) if FULL else (8, 500, 15)
KILLS = {25: 0, 50: 1, 75: 0}  # when so many percent are sent, that process


def test_the_smoke_test_succeeds_though_its_processes_are_killed(replicated, tmp_path):
    for topic in TOPICS:
        replicated.create_topic(topic, 3)
    processes = []

    def process(number):
        properties = tmp_path / f"process-{number}.properties"
        properties.write_text(properties_text({
            "bootstrap.servers": replicated.bootstrap, "processing.guarantee": "exactly_once_v2", "replication.factor": 3,
            "state.dir": tmp_path / f"state-{number}", "commit.interval.ms": 100, "session.timeout.ms": 6000,
            "producer.transaction.timeout.ms": 5000,
            "dsl.store.suppliers.class": "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers"}))
        processes.append(Process(jars.java("org.apache.kafka.streams.tests.StreamsSmokeTest", properties, "process",
                                           poms=POMS, options=[f"-Djava.io.tmpdir={tmp_path}"]),
                                 tmp_path / f"process-{number}.log"))
        return processes[-1]
    running = [process(0), process(1)]
    running[0].wait_line("SMOKE-TEST-CLIENT-STARTED", 60)
    driver = Process(jars.java("SmokeDriver", replicated.bootstrap, KEYS, RECORDS, SECONDS, source=DRIVER, poms=POMS),
                     tmp_path / "driver.log")
    try:
        for percent, victim in KILLS.items():
            driver.wait_line(rf" {KEYS * RECORDS * percent // 100} records produced", SECONDS + 60)
            running[victim].kill()
            running[victim] = process(victim)
            if FULL and percent == 50:
                replicated.nodes[1].kill()
                replicated.nodes[1].start()
        driver.wait_line("^(SUCCESS|FAILURE)$", 180)
        assert {"ALL-RECORDS-DELIVERED", "SUCCESS"} <= set(driver.lines), driver.tail(60)
        assert not any("EXCEPTION" in line for one in processes for line in one.lines)
    finally:
        for one in [driver, *processes]:
            one.kill()
