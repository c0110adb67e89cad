"""aiokafka against a broker: ./with_aiokafka.py CHECK… (see common.py). It has no admin calls for ACLs and groups' offsets."""

import asyncio
import contextlib

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (CommitFailedError, KafkaConnectionError, ProducerFenced, TopicAlreadyExistsError,
                             TopicAuthorizationFailedError)
from aiokafka.helpers import create_ssl_context
from aiokafka.structs import OffsetAndMetadata

import common
from common import CODECS, RECORDS, expected, name, record, same, same_records, say


def settings(user=common.USER, password=common.PASSWORD):
    return dict(bootstrap_servers=common.BOOTSTRAP, security_protocol="SASL_SSL",
                ssl_context=create_ssl_context(cafile=common.CA), sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=user,
                sasl_plain_password=password)


@contextlib.asynccontextmanager
async def connected_admin():
    admin = AIOKafkaAdminClient(**settings())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def until(condition, what, seconds=20.0):
    """Like common.wait_until, for a coroutine."""
    async def poll():
        while not (value := await condition()):
            await asyncio.sleep(0.02)
        return value
    try:
        return await asyncio.wait_for(poll(), seconds)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what}: not within {seconds} s") from None


async def create(topic, partitions=3, configs=None):
    async with connected_admin() as admin:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs or {})])
        await until(lambda: known(admin, topic, partitions), f"metadata of {topic}")


async def known(admin, topic, partitions):
    found = (await admin.describe_topics([topic]))[0]
    return found["error_code"] == 0 and len(found["partitions"]) == partitions and all(
        p["leader"] >= 0 for p in found["partitions"])


async def read(topic, partition, count, **options):
    """The first `count` records of a partition; more than that is an error."""
    at = TopicPartition(topic, partition)
    async with AIOKafkaConsumer(**settings(), auto_offset_reset="earliest", enable_auto_commit=False, **options) as consumer:
        consumer.assign([at])
        got = []

        async def all_there():
            got.extend(r for rs in (await consumer.getmany(timeout_ms=200)).values() for r in rs)
            return len(got) >= count
        await until(all_there, f"{count} records of {at}")
        return got + [r for rs in (await consumer.getmany(timeout_ms=100)).values() for r in rs]


async def records():
    for codec in (None, *CODECS):
        topic = name(f"aiokafka-{codec}")
        await create(topic, configs={"retention.ms": "-1"})
        async with AIOKafkaProducer(**settings(), compression_type=codec, enable_idempotence=True, linger_ms=5) as producer:
            sent = []
            for i in range(RECORDS):
                r = record(i)
                sent.append(await producer.send(topic, r.value, r.key, r.partition, r.timestamp, r.headers))
            for future in sent:
                await future
        for partition in range(3):
            got = await read(topic, partition, len(expected(partition)))
            same([r.offset for r in got], list(range(len(got))), "offsets")
            same_records([common.Record(r.key, r.value, r.timestamp, r.partition, list(r.headers)) for r in got],
                         expected(partition), f"{topic}-{partition}")
        say(f"{codec or 'uncompressed'}: {RECORDS} records in order, with their bytes, headers and timestamps")
    return RECORDS * (1 + len(CODECS))


class Member:
    """A member of a group that polls in a task of its own and remembers what it got."""

    async def start(self, group, topic):
        self.got = []
        self.consumer = AIOKafkaConsumer(topic, **settings(), group_id=group, auto_offset_reset="earliest",
                                         enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=100)
        await self.consumer.start()
        self.task = asyncio.create_task(self._poll())
        return self

    async def _poll(self):
        while True:
            for rs in (await self.consumer.getmany(timeout_ms=100)).values():
                self.got += [(r.partition, r.offset) for r in rs]

    def owned(self):
        if self.task.done():
            self.task.result()
        return len(self.consumer.assignment())

    async def close(self):
        self.task.cancel()
        await self.consumer.stop()


async def fill(topic, partitions, first, count):
    """`count` records in each partition, whose offsets begin at `first`."""
    async with AIOKafkaProducer(**settings()) as producer:
        sent = [await producer.send(topic, b"%d" % i, b"key", partition=p) for i in range(count) for p in range(partitions)]
        got = {(r.partition, r.offset) for r in [await future for future in sent]}
    wanted = {(p, first + i) for p in range(partitions) for i in range(count)}
    same(got, wanted, "offsets of what was sent")
    return wanted


async def settle(members, shares):
    async def settled():
        return sorted(m.owned() for m in members) == sorted(shares)
    await until(settled, f"a share of {shares} partitions")


async def all_got(members, wanted):
    """What was not committed may come again when the group changes."""
    async def all_there():
        return {at for m in members for at in m.got} == wanted
    await until(all_there, f"{len(wanted)} records")


async def groups():
    topic, group = name("aiokafka-groups"), name("aiokafka-group")
    at = [TopicPartition(topic, p) for p in range(6)]
    await create(topic, 6)
    first = await Member().start(group, topic)
    await settle([first], [6])
    second = await Member().start(group, topic)
    await settle([first, second], [3, 3])
    sent = await fill(topic, 6, 0, 50)
    await all_got([first, second], sent)
    say("two members: 3 partitions each, every record")
    await second.close()
    await settle([first], [6])
    sent |= await fill(topic, 6, 50, 10)
    await all_got([first, second], sent)

    async def committed():
        try:
            await first.consumer.commit({p: 60 for p in at})
        except CommitFailedError:  # the group rebalances
            return False
        return [await first.consumer.committed(p) for p in at] == [60] * 6
    await until(committed, "committed offsets")
    await first.close()
    say("one left, the other has all 6 partitions")
    sent = await fill(topic, 6, 60, 10)
    third = await Member().start(group, topic)
    await all_got([third], sent)
    same(len(third.got), len(sent), "each record once")
    await third.close()
    say("a new member resumes from the committed offsets")
    return 420


async def transactions():
    topic, copy, group = name("aiokafka-txn"), name("aiokafka-txn-copy"), name("aiokafka-txn-group")
    await create(topic, 1)
    await create(copy, 1)
    options = dict(settings(), transactional_id=name("aiokafka-txn-id"))
    producer = AIOKafkaProducer(**options)
    await producer.start()
    for batch, end in enumerate(("commit", "abort", "commit")):
        await producer.begin_transaction()
        for i in range(10):
            await producer.send(topic, b"%d-%d" % (batch, i), partition=0)
        await producer.flush()
        await (producer.commit_transaction() if end == "commit" else producer.abort_transaction())
    committed = [b"%d-%d" % (batch, i) for batch in (0, 2) for i in range(10)]
    same([r.value for r in await read(topic, 0, 20, isolation_level="read_committed")], committed, "read_committed")
    same(len(await read(topic, 0, 30)), 30, "read_uncommitted")
    say("commit, abort, commit: read_committed sees 20 records of 30")

    at, got = TopicPartition(topic, 0), await read(topic, 0, 20, isolation_level="read_committed")
    next_offset = got[-1].offset + 1

    async def group_offset():
        async with AIOKafkaConsumer(**settings(), group_id=group, enable_auto_commit=False,
                                    isolation_level="read_committed") as consumer:
            consumer.assign([at])
            return await consumer.committed(at)
    for end, offset in (("abort", None), ("commit", next_offset)):
        await producer.begin_transaction()
        for r in got:
            await producer.send(copy, b"copy of " + r.value, partition=0)
        await producer.send_offsets_to_transaction({at: OffsetAndMetadata(next_offset, "")}, group)
        await (producer.commit_transaction() if end == "commit" else producer.abort_transaction())
        same(await group_offset(), offset, f"the group's offset after the {end}")
    same([r.value for r in await read(copy, 0, 20, isolation_level="read_committed")], [b"copy of " + v for v in committed],
         "copies")
    say("records and offsets move together: nothing with the abort, everything with the commit")

    heir = AIOKafkaProducer(**options)
    await heir.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"zombie", partition=0)
        raise AssertionError("a fenced producer could commit")
    except ProducerFenced as error:
        say(f"the older producer of the id is fenced: {type(error).__name__}")
    async with heir.transaction():
        await heir.send_and_wait(topic, b"heir", partition=0)
    await heir.stop()
    try:
        await producer.stop()
    except ProducerFenced:
        pass
    same([r.value for r in await read(topic, 0, 21, isolation_level="read_committed")], committed + [b"heir"],
         "after the fencing")
    return 92


async def admin_calls():
    topic, group = name("aiokafka-admin"), name("aiokafka-admin-group")
    await create(topic, 2, {"retention.ms": "3600000"})
    async with connected_admin() as admin:
        same(len((await admin.describe_cluster())["brokers"]), 1, "brokers")
        answer = await admin.create_topics([NewTopic(topic, 2, 1)])
        same([t[1] for t in answer.topic_errors], [TopicAlreadyExistsError.errno], "the same topic again")
        await admin.create_partitions({topic: NewPartitions(4)})
        await until(lambda: known(admin, topic, 4), "4 partitions")
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)

        async def value(key):
            for answer in await admin.describe_configs([resource]):
                for found in answer.resources:
                    return {entry[0]: entry[1] for entry in found[4]}[key]
        same(await value("retention.ms"), "3600000", "retention.ms")
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "7200000"})])

        async def altered():
            return await value("retention.ms") == "7200000"
        await until(altered, "the altered config")
        say("topics created, refused, grown; configs described and altered")

        await fill(topic, 4, 0, 10)
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(4)})
        same((await read(topic, 0, 6))[0].offset, 4, "first record after delete_records")
        member = await Member().start(group, topic)
        await settle([member], [4])

        async def state():
            return [g[1:3] for answer in await admin.describe_consumer_groups([group]) for g in answer.groups]
        same(await state(), [(group, "Stable")], "describe_consumer_groups")
        await until(lambda: asyncio.sleep(0, len(member.got) == 36), "36 records")
        await member.consumer.commit()
        await member.close()
        same((group, "consumer") in await admin.list_consumer_groups(), True, "list_consumer_groups")
        offsets = await admin.list_consumer_group_offsets(group)
        same({at.partition: found.offset for at, found in offsets.items()}, {p: 10 for p in range(4)}, "the group's offsets")
        say("records deleted; a group listed and described, with its offsets")

        await admin.delete_topics([topic])

        async def gone():
            return topic not in await admin.list_topics()
        await until(gone, "the topic to be gone")
        say("topic deleted")
    return 40


async def security():
    stranger = AIOKafkaProducer(**settings(password="guessed"))
    try:
        await stranger.start()
        raise AssertionError("a wrong password was taken")
    except KafkaConnectionError as error:
        say(f"wrong password: {error}")
    finally:
        await stranger.stop()
    topic = name("aiokafka-secured")
    await create(topic)
    limited = AIOKafkaProducer(**settings(common.LIMITED_USER, common.LIMITED_PASSWORD))
    await limited.start()
    try:
        await limited.send_and_wait(topic, b"x", partition=0)
        raise AssertionError("a user without ACLs could write")
    except TopicAuthorizationFailedError as error:
        say(f"without an ACL: {type(error).__name__}")
    finally:
        await limited.stop()
    return 1


def run(check):
    return lambda: asyncio.run(check())


if __name__ == "__main__":
    common.main({"records": run(records), "groups": run(groups), "transactions": run(transactions), "admin": run(admin_calls),
                 "security": run(security)})
