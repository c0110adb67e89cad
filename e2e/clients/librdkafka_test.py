"""librdkafka's own tests against three of our brokers: those that pass three of three times against Apache Kafka."""

import pytest

from e2e.clients import librdkafka
from e2e.conftest import FULL
from e2e.lib.cluster import MILLRACE

QUICK_SECONDS = 15  # the default form runs those that took no longer against Apache Kafka


@pytest.mark.parametrize("scenario", librdkafka.SCENARIOS)
def test_what_passes_against_kafka_passes_here(millrace_broker_program, tmp_path, scenario):
    wanted = {name for name, seconds in librdkafka.expected(scenario).items() if FULL or seconds <= QUICK_SECONDS}
    if not wanted:
        pytest.skip("none of them is quick: ./dev test --full" if not FULL else "no test of this scenario is in expected.tsv")
    with librdkafka.cluster_of(tmp_path / "cluster", MILLRACE, scenario) as cluster:
        cluster.start()
        runner = librdkafka.Runner(tmp_path / "tests", cluster.bootstrap, scenario, "test")
        outcomes = runner.run_all(sorted({name[:4] for name in wanted}))
    wrong = {name: outcomes.get(name) for name in wanted if name not in outcomes or not outcomes[name].passed}
    assert not wrong, "\n".join(f"==== {name}: {found and found.state}\n{found and found.output}" for name, found in wrong.items())
    print(f"{len(wanted)} tests, {sum(outcomes[name].seconds for name in wanted):.0f} s of their own time")
