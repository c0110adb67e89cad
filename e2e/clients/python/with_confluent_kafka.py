"""confluent-kafka (librdkafka) against a broker: ./with_confluent_kafka.py CHECK… (see common.py)."""

from confluent_kafka import (Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, IsolationLevel,
                             KafkaError, KafkaException, OFFSET_BEGINNING, Producer, TopicPartition)
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourcePatternType, ResourceType)

import common
from common import CODECS, RECORDS, expected, name, record, same, same_records, say, wait_until


def settings(user=common.USER, password=common.PASSWORD, **more):
    return {"bootstrap.servers": common.BOOTSTRAP, "security.protocol": "SASL_SSL", "ssl.ca.location": common.CA,
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": password,
            "log_level": 2} | {key.replace("_", "."): value for key, value in more.items()}


def done(futures):
    return {key: future.result(20) for key, future in futures.items()}


def code_of(futures):
    """The one error that the calls must end with."""
    for key, future in futures.items():
        try:
            future.result(20)
        except KafkaException as error:
            return error.args[0].code()
        raise AssertionError(f"{key}: not refused")


def create(topic, partitions=3, config=None):
    client = AdminClient(settings())
    done(client.create_topics([NewTopic(topic, partitions, 1, config=config or {})]))
    wait_until(lambda: known(client, topic, partitions), f"metadata of {topic}")


def known(client, topic, partitions):
    found = client.list_topics(topic, 10).topics[topic]
    return found.error is None and len(found.partitions) == partitions and all(p.leader >= 0 for p in found.partitions.values())


def take(consumer, seconds=0.05):
    """What the consumer has now."""
    got = []
    for message in consumer.consume(500, seconds):
        if message.error():
            raise KafkaException(message.error())
        got.append(message)
    return got


def read(topic, count, partitions=1, **options):
    """The first `count` records of a topic; more than that is an error."""
    consumer = Consumer(settings(group_id=name("reader"), enable_auto_commit=False, fetch_wait_max_ms=50, **options))
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    got = []
    wait_until(lambda: got.extend(take(consumer)) or len(got) >= count, f"{count} records of {topic}")
    got += take(consumer, 0.2)
    consumer.close()
    same(len(got), count, f"records of {topic}")
    return got


def records():
    for codec in (None, *CODECS):
        topic = name(f"confluent-kafka-{codec}")
        create(topic, config={"retention.ms": "-1"})
        offsets = {0: [], 1: [], 2: []}

        def delivered(error, message):
            if error:
                raise KafkaException(error)
            offsets[message.partition()].append(message.offset())
        producer = Producer(settings(compression_type=codec or "none", enable_idempotence=True, linger_ms=5))
        for i in range(RECORDS):
            r = record(i)
            producer.produce(topic, r.value, r.key, r.partition, on_delivery=delivered, timestamp=r.timestamp, headers=r.headers)
            producer.poll(0)
        same(producer.flush(30), 0, "records left unsent")
        all_of_it = read(topic, RECORDS, 3)
        for partition in range(3):
            got = [m for m in all_of_it if m.partition() == partition]
            same([m.offset() for m in got], list(range(len(got))), "offsets")
            same(offsets[partition], list(range(len(got))), "offsets of the delivery reports")
            same_records([common.Record(m.key(), m.value(), m.timestamp()[1], m.partition(), m.headers()) for m in got],
                         expected(partition), f"{topic}-{partition}")
        say(f"{codec or 'uncompressed'}: {RECORDS} records in order, with their bytes, headers and timestamps")
    return RECORDS * (1 + len(CODECS))


class Member:
    """A member of a group that remembers what it got; cooperative or not, by the classic protocol or by the new one."""

    def __init__(self, group, topic, options):
        self.consumer = Consumer(settings(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **options))
        self.consumer.subscribe([topic])
        self.got = []
        self.closed = False

    def poll(self):
        if not self.closed:
            self.got += [(m.partition(), m.offset()) for m in take(self.consumer)]

    def close(self):
        self.closed = True
        self.consumer.close()

    def owned(self):
        return len(self.consumer.assignment())

    def commit(self, offsets):
        """False while the group rebalances."""
        self.poll()
        try:
            return all(p.error is None for p in self.consumer.commit(offsets=offsets, asynchronous=False))
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION,
                                            KafkaError.STALE_MEMBER_EPOCH):
                raise
            return False


def fill(topic, partitions, first, count):
    """`count` records in each partition, whose offsets begin at `first`."""
    sent = set()
    producer = Producer(settings())
    for i in range(count):
        for p in range(partitions):
            producer.produce(topic, b"%d" % i, b"key", p, on_delivery=lambda error, m: sent.add((m.partition(), m.offset())))
    same(producer.flush(30), 0, "records left unsent")
    wanted = {(p, first + i) for p in range(partitions) for i in range(count)}
    same(sent, wanted, "offsets of what was sent")
    return wanted


def settle(members, shares):
    def settled():
        for member in members:
            member.poll()
        return sorted(m.owned() for m in members) == sorted(shares)
    wait_until(settled, f"a share of {shares} partitions", 30)


def poll_all(members, wanted, sent):
    """Until the members have got what is wanted; what was sent before may come again where it was not committed."""
    def all_there():
        for member in members:
            member.poll()
        return wanted <= {at for m in members for at in m.got}
    wait_until(all_there, f"{len(wanted)} records")
    same({at for m in members for at in m.got} - sent, set(), "records that nobody sent")


def group_life(kind, options):
    topic, group = name(f"confluent-kafka-{kind}"), name(f"confluent-kafka-{kind}-group")
    create(topic, 6)
    first = Member(group, topic, options)
    settle([first], [6])
    second = Member(group, topic, options)
    settle([first, second], [3, 3])
    sent = fill(topic, 6, 0, 50)
    poll_all([first, second], sent, sent)
    second.close()
    settle([first], [6])
    sent |= fill(topic, 6, 50, 10)
    poll_all([first, second], sent, sent)
    wait_until(lambda: first.commit([TopicPartition(topic, p, 60) for p in range(6)]), "the commit")
    first.close()
    sent = fill(topic, 6, 60, 10)
    third = Member(group, topic, options)
    same([p.offset for p in third.consumer.committed([TopicPartition(topic, p) for p in range(6)], 10)], [60] * 6,
         "committed offsets")
    poll_all([third], sent, sent)
    same(len(third.got), len(sent), "each record once")
    third.close()
    say(f"{kind}: 6, then 3 and 3, then 6 partitions; every record; a new member resumes from the committed offsets")


def groups():
    classic = dict(session_timeout_ms=10000, heartbeat_interval_ms=200)
    group_life("range", classic | dict(partition_assignment_strategy="range"))
    group_life("cooperative", classic | dict(partition_assignment_strategy="cooperative-sticky"))
    return 2 * 420


def consumer_protocol():
    group_life("uniform", dict(group_protocol="consumer"))
    group_life("server-range", dict(group_protocol="consumer", group_remote_assignor="range"))
    return 2 * 420


def transactions():
    topic, copy, group = (name(f"confluent-kafka-{what}") for what in ("txn", "txn-copy", "txn-group"))
    create(topic, 1)
    create(copy, 1)
    options = settings(transactional_id=name("confluent-kafka-txn-id"))
    producer = Producer(options)
    producer.init_transactions(20)
    for batch, end in enumerate(("commit", "abort", "commit")):
        producer.begin_transaction()
        for i in range(10):
            producer.produce(topic, b"%d-%d" % (batch, i), partition=0)
        producer.flush(20)  # so that there is something to abort
        producer.commit_transaction(20) if end == "commit" else producer.abort_transaction(20)
    committed = [b"%d-%d" % (batch, i) for batch in (0, 2) for i in range(10)]
    same([m.value() for m in read(topic, 20, isolation_level="read_committed")], committed, "read_committed")
    read(topic, 30, isolation_level="read_uncommitted")
    say("commit, abort, commit: read_committed sees 20 records of 30")

    consumer = Consumer(settings(group_id=group, auto_offset_reset="earliest", enable_auto_commit=False))
    consumer.subscribe([topic])
    got = []
    wait_until(lambda: got.extend(take(consumer)) or len(got) == 20, "20 records")
    next_offset = got[-1].offset() + 1
    for end, offset in (("abort", -1001), ("commit", next_offset)):
        producer.begin_transaction()
        for m in got:
            producer.produce(copy, b"copy of " + m.value(), partition=0)
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, next_offset)], consumer.consumer_group_metadata(), 20)
        producer.commit_transaction(20) if end == "commit" else producer.abort_transaction(20)
        same(consumer.committed([TopicPartition(topic, 0)], 10)[0].offset, offset, f"the group's offset after the {end}")
    same([m.value() for m in read(copy, 20)], [b"copy of " + v for v in committed], "copies")
    consumer.close()
    say("records and offsets move together: nothing with the abort, everything with the commit")

    heir = Producer(options)
    heir.init_transactions(20)
    try:
        producer.begin_transaction()
        producer.produce(topic, b"zombie", partition=0)
        producer.commit_transaction(20)
        raise AssertionError("a fenced producer could commit")
    except KafkaException as error:
        same(error.args[0].code(), KafkaError._FENCED, "how the older producer is refused")
        say(f"the older producer of the id is fenced: {error.args[0].name()}")
    heir.begin_transaction()
    heir.produce(topic, b"heir", partition=0)
    heir.commit_transaction(20)
    same([m.value() for m in read(topic, 21)], committed + [b"heir"], "after the fencing")
    return 92


def topics_and_configs(client, topic):
    create(topic, 2, {"retention.ms": "3600000"})
    same(code_of(client.create_topics([NewTopic(topic, 2, 1)])), KafkaError.TOPIC_ALREADY_EXISTS, "the same topic again")
    done(client.create_partitions([NewPartitions(topic, 4)]))
    wait_until(lambda: known(client, topic, 4), "4 partitions")
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def value(key):
        return done(client.describe_configs([resource]))[resource][key].value
    same(value("retention.ms"), "3600000", "retention.ms")

    def alter(*entries):
        return client.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, topic,
                                                                incremental_configs=[ConfigEntry(k, v, incremental_operation=o)
                                                                                     for k, v, o in entries])])
    done(alter(("cleanup.policy", "compact", AlterConfigOpType.APPEND), ("retention.ms", None, AlterConfigOpType.DELETE)))
    wait_until(lambda: (value("cleanup.policy"), value("retention.ms")) == ("delete,compact", "604800000"), "altered configs")
    same(code_of(alter(("retention.ms", "soon", AlterConfigOpType.SET))), KafkaError.INVALID_CONFIG, "a bad value")
    say("topics created, refused, grown; configs set, appended to, reset, refused")


def offsets_and_groups(client, topic, group):
    fill(topic, 4, 0, 10)
    at = [TopicPartition(topic, p) for p in range(4)]
    done(client.delete_records([TopicPartition(topic, 0, 4)]))
    same(sorted(m.offset() for m in read(topic, 36, 4) if m.partition() == 0), list(range(4, 10)), "after delete_records")
    for spec, wanted in ((OffsetSpec.earliest(), [4, 0, 0, 0]), (OffsetSpec.latest(), [10] * 4)):
        found = done(client.list_offsets({p: spec for p in at}, isolation_level=IsolationLevel.READ_COMMITTED))
        same([found[p].offset for p in at], wanted, "list_offsets")
    by_hand = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p, 5) for p in range(4)])
    done(client.alter_consumer_group_offsets([by_hand]))
    listed = done(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))[group]
    same(sorted((p.partition, p.offset) for p in listed.topic_partitions), [(p, 5) for p in range(4)], "the group's offsets")
    member = Member(group, topic, {})
    settle([member], [4])
    found = done(client.describe_consumer_groups([group]))[group]
    same((found.state, len(found.members), found.type),
         (ConsumerGroupState.STABLE, 1, ConsumerGroupType.CLASSIC), "describe_consumer_groups")
    same(code_of(client.delete_consumer_groups([group])), KafkaError.NON_EMPTY_GROUP, "deleting a group in use")
    member.close()

    def listing():
        return [g.state for g in client.list_consumer_groups().result(20).valid if g.group_id == group]
    wait_until(lambda: listing() == [ConsumerGroupState.EMPTY], "the group to be empty")
    done(client.delete_consumer_groups([group]))
    same(listing(), [], "list_consumer_groups")
    same(code_of(client.delete_consumer_groups([group])), KafkaError.GROUP_ID_NOT_FOUND, "deleting a group that is gone")
    say("records deleted, offsets listed; a group's offsets set and listed; the group described, kept while in use, deleted")


def acls(client, topic):
    binding = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.PREFIXED, "User:somebody", "*", AclOperation.WRITE,
                         AclPermissionType.ALLOW)
    any_of_it = AclBindingFilter(ResourceType.TOPIC, topic + "-x", ResourcePatternType.MATCH, None, None, AclOperation.ANY,
                                 AclPermissionType.ANY)
    done(client.create_acls([binding]))
    wait_until(lambda: client.describe_acls(any_of_it).result(20) == [binding], "the ACL")
    same(done(client.delete_acls([any_of_it]))[any_of_it], [binding], "delete_acls")
    wait_until(lambda: client.describe_acls(any_of_it).result(20) == [], "no ACL")
    say("ACLs created, described, deleted")


def admin_calls():
    topic, group = name("confluent-kafka-admin"), name("confluent-kafka-admin-group")
    client = AdminClient(settings())
    same(len(client.describe_cluster().result(20).nodes), 1, "brokers")
    topics_and_configs(client, topic)
    offsets_and_groups(client, topic, group)
    acls(client, topic)
    done(client.delete_topics([topic]))
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics, "the topic to be gone")
    same(code_of(client.delete_topics([topic])), KafkaError.UNKNOWN_TOPIC_OR_PART, "the same topic again")
    say("topic deleted, once")
    return 40


def security():
    refusals = []
    stranger = AdminClient(settings(password="guessed") | {"error_cb": refusals.append})
    try:
        stranger.list_topics(timeout=2)
        raise AssertionError("a wrong password was taken")
    except KafkaException:
        wait_until(lambda: stranger.poll(0.1) or refusals, "an error")
    same(KafkaError._AUTHENTICATION in {e.code() for e in refusals}, True, f"{refusals} says why")
    say(f"wrong password: {[e.name() for e in refusals][0]}")
    topic = name("confluent-kafka-secured")
    create(topic)

    def send():
        reports = []
        producer = Producer(settings(common.LIMITED_USER, common.LIMITED_PASSWORD))
        producer.produce(topic, b"x", partition=0, on_delivery=lambda error, message: reports.append(error and error.code()))
        producer.flush(10)
        return reports
    same(send(), [KafkaError.TOPIC_AUTHORIZATION_FAILED], "without an ACL")
    say("without an ACL: TOPIC_AUTHORIZATION_FAILED")
    client = AdminClient(settings())
    done(client.create_acls([AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{common.LIMITED_USER}", "*", AclOperation.WRITE,
        AclPermissionType.ALLOW)]))
    wait_until(lambda: send() == [None], "the ACL to count")
    read(topic, 1)
    say("with an ACL: written")
    return 1


if __name__ == "__main__":
    common.main({"records": records, "groups": groups, "consumer-protocol": consumer_protocol, "transactions": transactions,
                 "admin": admin_calls, "security": security})
