"""kafka-python against a broker: ./with_kafka_python.py CHECK… (see common.py)."""

import logging
import threading

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, ConfigResource,
                         ConfigResourceType, KafkaAdminClient, ResourcePattern, ResourcePatternFilter, ResourceType)
from kafka.errors import (CommitFailedError, InvalidRecordError, KafkaError, KafkaTimeoutError, NoError,
                          TopicAlreadyExistsError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError)
from kafka.structs import OffsetAndMetadata

import common
from common import CODECS, RECORDS, expected, name, record, same, same_records, say, wait_until


def settings(user=common.USER, password=common.PASSWORD):
    return dict(bootstrap_servers=common.BOOTSTRAP, security_protocol="SASL_SSL", ssl_cafile=common.CA,
                sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=user, sasl_plain_password=password)


def admin():
    return KafkaAdminClient(**settings())


def create(topic, partitions=3, configs=None):
    with_admin = admin()
    with_admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}},
                             wait_for_metadata=True)
    with_admin.close()


def read(topic, partition, count, **options):
    """The first `count` records of a partition; more than that is an error."""
    consumer = KafkaConsumer(**settings(), auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=50, **options)
    at = TopicPartition(topic, partition)
    consumer.assign([at])
    got = []
    wait_until(lambda: got.extend(r for rs in consumer.poll(200).values() for r in rs) or len(got) >= count,
               f"{count} records of {at}")
    got += [r for rs in consumer.poll(100).values() for r in rs]
    consumer.close()
    return got


def records():
    for codec in (None, *CODECS):
        topic = name(f"kafka-python-{codec}")
        create(topic, configs={"retention.ms": "-1"})
        producer = KafkaProducer(**settings(), compression_type=codec, acks="all", enable_idempotence=True, linger_ms=5)
        for i in range(RECORDS):
            r = record(i)
            producer.send(topic, r.value, r.key, r.headers, r.partition, r.timestamp)
        producer.flush(30)
        producer.close()
        for partition in range(3):
            got = read(topic, partition, len(expected(partition)))
            same([r.offset for r in got], list(range(len(got))), "offsets")
            same_records([common.Record(r.key, r.value, r.timestamp, r.partition, list(r.headers)) for r in got],
                         expected(partition), f"{topic}-{partition}")
        say(f"{codec or 'uncompressed'}: {RECORDS} records in order, with their bytes, headers and timestamps")
    return RECORDS * (1 + len(CODECS))


class Member:
    """A member of a group: a thread that polls and commits until it is told to leave, which it sees at the next record.

    Its polls are long, and end with records: one of kafka-python 3.0.12 that ends within a rebalance can leave it stuck.
    """

    def __init__(self, group, topic):
        self.consumer = KafkaConsumer(topic, **settings(), group_id=group, auto_offset_reset="earliest",
                                      enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=100)
        self.got = []
        self.leaving = False
        self._failure = None
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self):
        try:
            while not self.leaving:
                found = self.consumer.poll(20000)
                try:
                    self.consumer.commit()
                except CommitFailedError:
                    pass  # the group rebalances: what was not committed comes again
                self.got += [(r.partition, r.offset) for rs in found.values() for r in rs]
            self.consumer.close()
        except Exception as failure:
            self._failure = failure

    def left(self):
        self._thread.join(20)
        same((self._failure, self._thread.is_alive()), (None, False), "the end of a member")

    def owned(self):
        same(self._failure, None, "the life of a member")
        return len(self.consumer.assignment())


def fill(topic, partitions, first, count):
    """`count` records in each partition, whose offsets begin at `first`."""
    producer = KafkaProducer(**settings(), acks="all")
    sent = [producer.send(topic, b"%d" % i, b"key", partition=p) for i in range(count) for p in range(partitions)]
    same({f.get(20).offset for f in sent}, set(range(first, first + count)), "offsets of what was sent")
    producer.close()
    return {(p, first + i) for p in range(partitions) for i in range(count)}


def settle(members, shares):
    wait_until(lambda: sorted(m.owned() for m in members) == sorted(shares), f"a share of {shares} partitions")


def all_got(members, wanted):
    wait_until(lambda: {at for m in members for at in m.got} == wanted, f"{len(wanted)} records")


def groups():
    topic, group = name("kafka-python-groups"), name("kafka-python-group")
    create(topic, 6)
    first = Member(group, topic)
    settle([first], [6])
    second = Member(group, topic)
    settle([first, second], [3, 3])
    sent = fill(topic, 6, 0, 50)
    all_got([first, second], sent)
    say("two members: 3 partitions each, every record")
    second.leaving = True
    sent |= fill(topic, 6, 50, 10)
    second.left()
    settle([first], [6])
    all_got([first, second], sent)
    first.leaving = True
    sent |= fill(topic, 6, 60, 10)
    first.left()
    with_admin = admin()
    committed = {at.partition: found.offset for at, found in with_admin.list_group_offsets(group)[group].items()}
    with_admin.close()
    same(all(60 <= committed[p] <= 70 for p in range(6)), True, f"committed offsets {committed}")
    say("one left, the other has all 6 partitions and goes on behind the committed offsets")
    wanted = {(p, offset) for p, offset in sent if offset >= committed[p]} | fill(topic, 6, 70, 10)
    third = Member(group, topic)
    all_got([third], wanted)
    same(len(third.got), len(wanted), "each record once")
    third.leaving = True
    fill(topic, 6, 80, 1)
    third.left()
    say("a new member resumes from the committed offsets")
    return len(sent | wanted)


def transactions():
    topic, copy, group = name("kafka-python-txn"), name("kafka-python-txn-copy"), name("kafka-python-txn-group")
    create(topic, 1)
    create(copy, 1)
    options = dict(settings(), transactional_id=name("kafka-python-txn-id"), acks="all")
    producer = KafkaProducer(**options)
    producer.init_transactions()
    for batch, end in enumerate(("commit", "abort", "commit")):
        producer.begin_transaction()
        for i in range(10):
            producer.send(topic, b"%d-%d" % (batch, i), partition=0)
        producer.flush(20)  # so that there is something to abort
        producer.commit_transaction() if end == "commit" else producer.abort_transaction()
    committed = [b"%d-%d" % (batch, i) for batch in (0, 2) for i in range(10)]
    same([r.value for r in read(topic, 0, 20, isolation_level="read_committed")], committed, "read_committed")
    same(len(read(topic, 0, 30)), 30, "read_uncommitted")
    say("commit, abort, commit: read_committed sees 20 records of 30")

    at = TopicPartition(topic, 0)
    consumer = KafkaConsumer(topic, **settings(), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                             isolation_level="read_committed")
    got = []
    wait_until(lambda: got.extend(r for rs in consumer.poll(5000).values() for r in rs) or len(got) == 20, "20 records")
    for end, offset in (("abort", None), ("commit", got[-1].offset + 1)):
        producer.begin_transaction()
        for r in got:
            producer.send(copy, b"copy of " + r.value, partition=0)
        producer.flush(20)
        producer.send_offsets_to_transaction({at: OffsetAndMetadata(got[-1].offset + 1, "", -1)}, consumer.group_metadata())
        producer.commit_transaction() if end == "commit" else producer.abort_transaction()
        same(consumer.committed(at), offset, f"the group's offset after the {end}")
    same([r.value for r in read(copy, 0, 20, isolation_level="read_committed")], [b"copy of " + v for v in committed], "copies")
    consumer.close()
    say("records and offsets move together: nothing with the abort, everything with the commit")

    other = KafkaProducer(**options)
    other.init_transactions()
    try:
        producer.begin_transaction()
        producer.send(topic, b"zombie", partition=0)
        producer.commit_transaction()
        raise AssertionError("a fenced producer could commit")
    except KafkaError as error:  # itself, or what names it
        same("ProducerFencedError" in repr(error), True, f"how the older producer is refused: {error!r}")
        say("the older producer of the id is fenced: ProducerFencedError")
    other.begin_transaction()
    other.send(topic, b"heir", partition=0)
    other.commit_transaction()
    other.close()
    same([r.value for r in read(topic, 0, 21, isolation_level="read_committed")], committed + [b"heir"], "after the fencing")
    return 92


def topics_and_configs(client, topic):
    create(topic, 2, {"retention.ms": "3600000"})
    try:
        client.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
        raise AssertionError("a topic could be created twice")
    except TopicAlreadyExistsError:
        pass
    client.create_partitions({topic: 4})
    client.wait_for_topics([topic])
    described = wait_until(lambda: [t for t in client.describe_topics([topic]) if len(t["partitions"]) == 4], "4 partitions")
    same([p["partition_index"] for p in sorted(described[0]["partitions"], key=lambda p: p["partition_index"])], [0, 1, 2, 3],
         "partitions")
    same(topic in client.list_topics(), True, "list_topics")
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def modified():
        found = client.describe_configs([resource])["topic"][topic]
        return {key: value["value"] for key, value in found.items() if value["config_source"] == "DYNAMIC_TOPIC_CONFIG"}
    same(modified(), {"retention.ms": "3600000"}, "configs")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": ("APPEND", "compact"),
                                                                            "retention.ms": ("DELETE", None)})])
    wait_until(lambda: modified() == {"cleanup.policy": "delete,compact"}, "altered configs")
    answer = client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "soon"})])
    same(answer, {"topic": {topic: "[Error 40] InvalidConfigurationError: Invalid value soon for configuration retention.ms: "
                                   "Not a number of type LONG"}}, "a bad value")
    say("topics created, refused, grown; configs set, appended to, reset, refused")


def offsets_and_groups(client, topic, group):
    fill(topic, 4, 0, 10)
    at = [TopicPartition(topic, p) for p in range(4)]
    answer = client.delete_records({at[0]: 4})
    same(answer[at[0]]["low_watermark"], 4, "low watermark")
    same(read(topic, 0, 6)[0].offset, 4, "first record after delete_records")
    same(client.alter_group_offsets(group, {p: OffsetAndMetadata(5, "by hand", -1) for p in at}),
         {p: NoError for p in at}, "alter_group_offsets")
    listed = client.list_group_offsets(group)[group]
    same({p: (o.offset, o.metadata) for p, o in listed.items()}, {p: (5, "by hand") for p in at}, "list_group_offsets")
    client.delete_group_offsets(group, at[:1])
    same(sorted(client.list_group_offsets(group)[group]), at[1:], "after delete_group_offsets")
    same([g["group_state"] for g in client.list_groups() if g["group_id"] == group], ["Empty"], "list_groups")
    member = Member(group, topic)
    settle([member], [4])
    described = client.describe_groups([group])[group]
    same((described["group_state"], len(described["members"])), ("Stable", 1), "describe_groups")
    member.leaving = True
    fill(topic, 4, 10, 1)
    member.left()
    wait_until(lambda: client.describe_groups([group])[group]["group_state"] == "Empty", "the group to be empty")
    same(client.delete_groups([group]), {group: "OK"}, "delete_groups")
    same([g for g in client.list_groups() if g["group_id"] == group], [], "list_groups")
    say("records deleted; a group's offsets set, listed, deleted; the group described and deleted")


def keyless_record(topic):
    """The topic is compacted by now."""
    producer = KafkaProducer(**settings())
    try:
        producer.send(topic, b"without a key", partition=0).get(20)
        raise AssertionError("a compacted topic took a record without a key")
    except InvalidRecordError as error:
        same(f"Compacted topic cannot accept message without key in topic partition {topic}-0" in str(error), True,
             f"why: {error}")
    producer.close()
    say("a record without a key is refused, with the reason")


def acls(client, topic):
    pattern = ResourcePattern(ResourceType.TOPIC, topic, ACLResourcePatternType.PREFIXED)
    acl = ACL("User:somebody", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, pattern)
    same(len(client.create_acls([acl])["succeeded"]), 1, "create_acls")
    any_of_it = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY,
                          ResourcePatternFilter(ResourceType.TOPIC, topic + "-x", ACLResourcePatternType.MATCH))
    wait_until(lambda: client.describe_acls(any_of_it)[0] == [acl], "the ACL")
    same([a for _, found, _ in client.delete_acls([any_of_it]) for a in found], [acl], "delete_acls")
    wait_until(lambda: client.describe_acls(any_of_it)[0] == [], "no ACL")
    say("ACLs created, described, deleted")


def admin_calls():
    topic, group = name("kafka-python-admin"), name("kafka-python-admin-group")
    client = admin()
    same(len(client.describe_cluster()["brokers"]), 1, "brokers")
    topics_and_configs(client, topic)
    keyless_record(topic)
    offsets_and_groups(client, topic, group)
    acls(client, topic)
    client.delete_topics([topic])
    wait_until(lambda: topic not in client.list_topics(), "the topic to be gone")
    try:
        client.delete_topics([topic])
        raise AssertionError("a topic could be deleted twice")
    except UnknownTopicOrPartitionError:
        pass
    client.close()
    say("topic deleted, once")
    return 40


def security():
    reasons = []
    watcher = logging.Handler()
    watcher.emit = lambda line: reasons.append(line.getMessage())
    logging.getLogger("kafka").addHandler(watcher)
    try:
        KafkaProducer(**settings(password="guessed"), bootstrap_timeout_ms=1000).close()
        raise AssertionError("a wrong password was taken")
    except KafkaTimeoutError:  # it tries again for ever, and only its log says why; it may see the end before the answer
        refusals = ("SaslAuthenticationFailedError", "socket disconnected")
        said = [refusal for refusal in refusals if any(refusal in reason for reason in reasons)]
        same(bool(said), True, f"{reasons} say that the password is wrong")
    logging.getLogger("kafka").removeHandler(watcher)
    say(f"wrong password: {said[0]}")
    topic = name("kafka-python-secured")
    create(topic)
    producer = KafkaProducer(**settings(common.LIMITED_USER, common.LIMITED_PASSWORD), enable_idempotence=False)

    def send():
        return producer.send(topic, b"x", partition=0).get(10)
    try:
        send()
        raise AssertionError("a user without ACLs could write")
    except TopicAuthorizationFailedError as error:
        say(f"without an ACL: {type(error).__name__}")
    client = admin()
    client.create_acls([ACL(f"User:{common.LIMITED_USER}", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW,
                            ResourcePattern(ResourceType.TOPIC, topic))])

    def allowed():
        try:
            return send()
        except TopicAuthorizationFailedError:
            return None
    same(wait_until(allowed, "the ACL to count").offset, 0, "offset")
    producer.close()
    client.close()
    say("with an ACL: written")
    return 1


if __name__ == "__main__":
    common.main({"records": records, "groups": groups, "transactions": transactions, "admin": admin_calls,
                 "security": security})
