"""kafka-dump-log reads our directories without a complaint: after load, after a crash, after an orderly end."""

import re

import pytest

from e2e.lib.broker import DevBroker
from e2e.lib.kcat import kcat, settings

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
# The tool itself takes the first record of a segment, followed by "-1", for a gap when it is not compressed.
COMPLAINTS = re.compile(r"(?i)mismatch|\d+ is followed by (?<!-1 is followed by )|out of order|exception|error|isvalid: false|not a valid|could not|unable|corrupt|unknown")


def load(bootstrap):
    """Records of every codec in several segments, a compacted topic with keys and tombstones, committed offsets."""
    for codec in CODECS:
        kcat("-b", bootstrap, "-P", "-t", "loaded", "-p", 0, *settings({"compression.codec": codec, "enable.idempotence": "true"}),
             stdin="".join(f"{codec} {i} {'x' * 1000}\n" for i in range(1000)))
    kcat("-b", bootstrap, "-P", "-t", "keyed", "-K", ":", "-Z", stdin="a:1\nb:2\na:\n")
    kcat("-b", bootstrap, "-G", "dumpers", "-X", "auto.offset.reset=earliest", "-c", 100, "-q", "loaded")


def files(data, pattern):
    return ",".join(str(f) for f in sorted(data.glob(pattern)))


def dump(tools, data, pattern, *options):
    names = files(data, pattern)
    assert names, f"no {pattern} in {sorted(data.rglob('*'))}"
    outcome = tools.run("kafka-dump-log", "--files", names, *options)
    text = outcome.out + outcome.err
    complaints = [line for line in text.splitlines() if COMPLAINTS.search(line.split(" payload: ")[0])]
    assert outcome.code == 0 and not complaints, f"{pattern} {options}\n" + "\n".join(complaints[:20]) + outcome.err[-2000:]
    return outcome.out


def check_everything(tools, data):
    records = dump(tools, data, "loaded-0/*.log", "--deep-iteration")
    assert len(set(re.findall(r"\| offset: (\d+)", records))) == 5000
    assert set(re.findall(r"compresscodec: (\w+)", records)) == {c for c in CODECS}
    assert "payload: 1" in dump(tools, data, "keyed-0/*.log", "--print-data-log")
    for partition in ("loaded-0", "keyed-0", "__cluster_metadata-0"):
        dump(tools, data, f"{partition}/*.index")
        dump(tools, data, f"{partition}/*.index", "--index-sanity-check")
        dump(tools, data, f"{partition}/*.timeindex")
        dump(tools, data, f"{partition}/*.timeindex", "--index-sanity-check")
    metadata = dump(tools, data, "__cluster_metadata-0/*.log", "--cluster-metadata-decoder")
    for record in ("REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", '"name":"loaded"'):
        assert record in metadata
    checkpoint = dump(tools, data, "__cluster_metadata-0/*.checkpoint", "--cluster-metadata-decoder")
    assert "metadata.version" in checkpoint or "KRaftVersion" in checkpoint
    offsets = dump(tools, data, "__consumer_offsets-*/*.log", "--offsets-decoder")
    assert '"group":"dumpers"' in offsets and '"topic":"loaded"' in offsets


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_data_and_metadata_are_read_after_the_broker_ended(end, tools, millrace_broker_program, tmp_path):
    with DevBroker(tmp_path, ["--override", "log.segment.bytes=1048576", "--override", "log.index.interval.bytes=4096"]) as broker:
        load(broker.bootstrap)
        check_everything(tools, broker.data)  # while it runs
        getattr(broker, end)()
        check_everything(tools, broker.data)
        broker.start()
        check_everything(tools, broker.data)
        snapshots = dump(tools, broker.data, "loaded-0/*.snapshot")
        assert "producerId:" in snapshots
        broker.stop()
        check_everything(tools, broker.data)
