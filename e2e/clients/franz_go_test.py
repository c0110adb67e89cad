"""franz-go's own tests: groups by both protocols, transactions, compression, SCRAM; exactly what passes against Kafka."""

from e2e.clients import franz_go
from e2e.conftest import FULL


def test_what_passes_against_kafka_passes_here(secured, tmp_path):
    results, text = franz_go.run(secured, franz_go.RECORDS_FULL if FULL else franz_go.RECORDS, 1200 if FULL else 150)
    (tmp_path / "output").write_text(text)
    wrong = {name: results.get(name, "did not run") for name in franz_go.expected() if results.get(name) != "PASS"}
    failed = [name for name, result in results.items() if result == "FAIL"]
    assert not wrong and not failed, f"{wrong} {failed}\n{text[-6000:]}\nall of it: {tmp_path / 'output'}"
    print(f"{len(results)} tests and sub-tests")
