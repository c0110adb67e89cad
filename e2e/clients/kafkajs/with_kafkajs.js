// kafkajs against a broker: node with_kafkajs.js CHECK… Each check prints what it did and ends with `PASS <check> <records>`;
// the first thing that is not as it should be ends the program with exit code 1.
'use strict'
const assert = require('node:assert/strict')
const fs = require('node:fs')
const kafkajs = require('kafkajs')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, CompressionCodecs, CompressionTypes, ConfigResourceTypes,
  Kafka, ResourcePatternTypes, logLevel } = kafkajs
const RECORDS = Number(process.env.CLIENT_RECORDS || 2000)
const FIRST_TIMESTAMP = 1_700_000_000_000
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }

// kafkajs brings gzip only.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (buffer) => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
})

const name = (what) => `${process.env.CLIENT_PREFIX}-kafkajs-${what}`
const say = (text) => console.log(`  ${text}`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const range = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i)

function kafka (username = 'admin', password = 'admin-secret', retries = 5) {
  return new Kafka({
    brokers: [process.env.CLIENT_BOOTSTRAP],
    ssl: { ca: [fs.readFileSync(process.env.CLIENT_CA)] },
    sasl: { mechanism: 'scram-sha-512', username, password },
    retry: { initialRetryTime: 50, retries },
    logLevel: logLevel.NOTHING,
  })
}

// Makes something that connects, gives it to `use`, and disconnects it in any case.
async function withConnected (made, use) {
  await made.connect()
  try {
    return await use(made)
  } finally {
    await made.disconnect()
  }
}

const withAdmin = (use) => withConnected(kafka().admin(), use)

async function waitUntil (condition, what, seconds = 20) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`)
    await pause(20)
  }
}

async function errorOf (promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('not refused')
}

// The name of the protocol's error, which may be the cause of the one that is thrown.
const typeOf = (error) => error && (error.type || typeOf(error.cause) || typeOf(error.originalError))

const create = (topic, numPartitions = 3, configEntries = []) => withAdmin((admin) =>
  admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }], waitForLeaders: true }))

// Record number i of a topic with three partitions: null keys, null and empty values, repeated headers among them.
function record (i) {
  const value = i % 50 === 49 ? null : i % 50 === 24 ? Buffer.alloc(0)
    : Buffer.concat([Buffer.from(`${i}:`), Buffer.alloc(i % 200, i % 256)])
  return {
    key: i % 7 === 0 && value !== null ? null : Buffer.from(`key-${i % 13}`),
    value,
    partition: i % 3,
    timestamp: String(FIRST_TIMESTAMP + i),
    headers: { n: i % 3 === 0 ? [Buffer.from(String(i)), Buffer.from('again')] : Buffer.from(String(i)), empty: Buffer.alloc(0) },
  }
}

// All records of a topic, by partition and in order, once there are `count`; more than that is an error.
async function read (topic, count, options = {}) {
  const consumer = kafka().consumer({ groupId: name(`reader-${topic}-${options.readUncommitted}`), maxWaitTimeInMs: 100, ...options })
  return withConnected(consumer, async () => {
    const got = new Map()
    let seen = 0
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (!got.has(partition)) got.set(partition, [])
        got.get(partition).push(message)
        seen++
      },
    })
    await waitUntil(() => seen >= count, `${count} records of ${topic}`)
    await pause(200)
    assert.equal(seen, count, `records of ${topic}`)
    return got
  })
}

async function records () {
  await zstd.init()
  for (const [codec, compression] of Object.entries(CODECS)) {
    const topic = name(codec)
    await create(topic, 3, [{ name: 'retention.ms', value: '-1' }])
    await withConnected(kafka().producer({ idempotent: true, maxInFlightRequests: 1 }), async (producer) => {
      for (let i = 0; i < RECORDS; i += 250) {
        const messages = range(Math.min(250, RECORDS - i), i).map(record)
        await producer.send({ topic, compression, acks: -1, messages })
      }
    })
    const got = await read(topic, RECORDS)
    for (const partition of [0, 1, 2]) {
      const wanted = range(RECORDS).filter((i) => i % 3 === partition).map(record)
      got.get(partition).forEach((message, at) => {
        const { key, value, timestamp, headers } = message
        assert.equal(message.offset, String(at))
        assert.deepEqual({ key, value, timestamp, headers, partition }, wanted[at], `${topic}-${partition} at ${at}`)
      })
      assert.equal(got.get(partition).length, wanted.length)
    }
    say(`${codec}: ${RECORDS} records in order, with their bytes, headers and timestamps`)
  }
  return RECORDS * Object.keys(CODECS).length
}

// A member of a group that remembers what it got.
class Member {
  constructor (groupId) {
    this.consumer = kafka().consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 100, maxWaitTimeInMs: 100, rebalanceTimeout: 5000 })
    this.got = []
    this.partitions = []
    this.consumer.on(this.consumer.events.GROUP_JOIN, (event) => {
      this.partitions = Object.values(event.payload.memberAssignment).flat()
    })
  }

  async start (topic) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => { this.got.push([partition, Number(message.offset)]) },
    })
    return this
  }
}

const settle = (members, shares) => waitUntil(
  () => String(members.map((m) => m.partitions.length).sort()) === String(shares), `a share of ${shares} partitions`)

// `count` records in each partition, whose offsets begin at `first`.
async function fill (topic, partitions, first, count) {
  const answer = await withConnected(kafka().producer(), (producer) => producer.send({
    topic, messages: range(count).flatMap((i) => range(partitions).map((partition) => ({ partition, key: 'key', value: String(i) }))),
  }))
  assert.deepEqual(answer.map((p) => Number(p.baseOffset)), range(partitions).map(() => first), 'offsets of what was sent')
  return range(partitions).flatMap((p) => range(count, first).map((offset) => [p, offset]))
}

// What was not committed may come again when the group changes.
async function allGot (members, wanted) {
  const different = (list) => String([...new Set(list.map(([p, o]) => `${p}:${String(o).padStart(6, '0')}`))].sort())
  await waitUntil(() => different(members.flatMap((m) => m.got)) === different(wanted), `${wanted.length} records`)
}

async function groups () {
  const [topic, group] = [name('groups'), name('group')]
  await create(topic, 6)
  const first = await new Member(group).start(topic)
  await settle([first], [6])
  const second = await new Member(group).start(topic)
  await settle([first, second], [3, 3])
  const sent = await fill(topic, 6, 0, 50)
  await allGot([first, second], sent)
  say('two members: 3 partitions each, every record')
  await second.consumer.disconnect()
  await settle([first], [6])
  sent.push(...await fill(topic, 6, 50, 10))
  await allGot([first, second], sent)
  await waitUntil(() => first.consumer.commitOffsets(range(6).map((partition) => ({ topic, partition, offset: '60' })))
    .then(() => true, (error) => { if (typeOf(error) !== 'REBALANCE_IN_PROGRESS') throw error }), 'the commit')
  await first.consumer.disconnect()
  const committed = await withAdmin((admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }))
  assert.deepEqual(committed[0].partitions.map((p) => p.offset), range(6).map(() => '60'))
  say('one left, the other has all 6 partitions')
  const more = await fill(topic, 6, 60, 10)
  const third = await new Member(group).start(topic)
  await allGot([third], more)
  assert.equal(third.got.length, more.length, 'each record once')
  await third.consumer.disconnect()
  say('a new member resumes from the committed offsets')
  return 420
}

async function transactions () {
  const [topic, copy, group] = [name('txn'), name('txn-copy'), name('txn-group')]
  await create(topic, 1)
  await create(copy, 1)
  const options = { transactionalId: name('txn-id'), idempotent: true, maxInFlightRequests: 1 }
  const values = (got) => got.get(0).map((m) => String(m.value))
  const committed = [0, 2].flatMap((batch) => range(10).map((i) => `${batch}-${i}`))
  await withConnected(kafka().producer(options), async (producer) => {
    for (const [batch, end] of ['commit', 'abort', 'commit'].entries()) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: range(10).map((i) => ({ partition: 0, value: `${batch}-${i}` })) })
      await transaction[end]()
    }
    const got = await read(topic, 20)
    assert.deepEqual(values(got), committed, 'read_committed')
    await read(topic, 30, { readUncommitted: true })
    say('commit, abort, commit: read_committed sees 20 records of 30')

    const next = String(Number(got.get(0).at(-1).offset) + 1)
    for (const [end, offset] of [['abort', '-1'], ['commit', next]]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: copy, messages: committed.map((value) => ({ partition: 0, value: `copy of ${value}` })) })
      await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [{ partition: 0, offset: next }] }] })
      await transaction[end]()
      const found = await withAdmin((admin) => waitUntil(async () => {
        const answer = await admin.fetchOffsets({ groupId: group, topics: [topic] })
        return end === 'abort' || answer[0].partitions[0].offset !== '-1' ? answer : null
      }, 'the committed offset'))
      assert.equal(found[0].partitions[0].offset, offset, `the group's offset after the ${end}`)
    }
    assert.deepEqual(values(await read(copy, 20)), committed.map((value) => `copy of ${value}`), 'copies')
    say('records and offsets move together: nothing with the abort, everything with the commit')

    await withConnected(kafka().producer(options), async (heir) => {
      const transaction = await heir.transaction()
      const error = await errorOf(producer.transaction().then((t) => t.send({ topic, messages: [{ partition: 0, value: 'zombie' }] })))
      assert.match(`${error.type} ${error.message}`, /FENCED|INVALID_PRODUCER_EPOCH|newer epoch/)
      say(`the older producer of the id is fenced: ${error.type}`)
      await transaction.send({ topic, messages: [{ partition: 0, value: 'heir' }] })
      await transaction.commit()
    })
  })
  assert.deepEqual(values(await read(topic, 21)), [...committed, 'heir'], 'after the fencing')
  return 92
}

async function topicsAndConfigs (admin, topic) {
  await create(topic, 2, [{ name: 'retention.ms', value: '3600000' }, { name: 'flush.messages', value: '100' }])
  assert.equal(await admin.createTopics({ topics: [{ topic }] }), false, 'the same topic again')
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  await waitUntil(async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 4, '4 partitions')
  const value = async (key) => {
    const answer = await admin.describeConfigs({ includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [key] }] })
    return answer.resources[0].configEntries[0].configValue
  }
  const alter = (key, to) => admin.alterConfigs({ validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: key, value: to }] }] })
  assert.equal(await value('retention.ms'), '3600000')
  await alter('retention.ms', '7200000') // not incremental: the other keys are reset
  await waitUntil(async () => await value('retention.ms') === '7200000', 'the altered config')
  assert.equal(await value('flush.messages'), '9223372036854775807')
  assert.equal((await errorOf(alter('retention.ms', 'soon'))).type, 'INVALID_CONFIG')
  say('topics created, refused, grown; configs described, altered, reset, refused')
}

async function offsetsAndGroups (admin, topic, groupId) {
  await fill(topic, 4, 0, 10)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  const ends = (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)
  assert.deepEqual(ends.map(({ low, high }) => [low, high]), [['4', '10'], ['0', '10'], ['0', '10'], ['0', '10']])
  await admin.setOffsets({ groupId, topic, partitions: range(4).map((partition) => ({ partition, offset: '5' })) })
  const committed = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.deepEqual(committed[0].partitions.map((p) => p.offset), ['5', '5', '5', '5'], "the group's offsets")
  const member = await new Member(groupId).start(topic)
  await settle([member], [4])
  const described = (await admin.describeGroups([groupId])).groups[0]
  assert.deepEqual([described.state, described.members.length], ['Stable', 1], 'describeGroups')
  assert.equal((await errorOf(admin.deleteGroups([groupId]))).groups[0].error.type, 'NON_EMPTY_GROUP')
  await waitUntil(() => member.got.length === 20, '20 records')
  await member.consumer.disconnect()
  await waitUntil(async () => (await admin.describeGroups([groupId])).groups[0].state === 'Empty', 'the group to be empty')
  assert.equal((await admin.listGroups()).groups.some((g) => g.groupId === groupId), true, 'listGroups')
  await admin.deleteGroups([groupId])
  assert.equal((await admin.listGroups()).groups.some((g) => g.groupId === groupId), false, 'listGroups')
  say("records deleted, offsets listed; a group's offsets set, listed, resumed from; the group described, kept while in use, deleted")
}

async function acls (admin, topic) {
  const acl = { resourceType: AclResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: 'User:somebody', host: '*', operation: AclOperationTypes.WRITE, permissionType: AclPermissionTypes.ALLOW }
  const filter = { resourceType: AclResourceTypes.TOPIC, resourceName: `${topic}-x`, resourcePatternType: ResourcePatternTypes.MATCH,
    operation: AclOperationTypes.ANY, permissionType: AclPermissionTypes.ANY }
  await admin.createAcls({ acl: [acl] })
  const found = async () => (await admin.describeAcls(filter)).resources
  await waitUntil(async () => (await found()).length === 1, 'the ACL')
  const [resource] = await found()
  assert.equal(resource.resourceName, topic)
  assert.deepEqual(resource.acls.map((a) => [a.principal, a.operation]), [['User:somebody', AclOperationTypes.WRITE]])
  const deleted = await admin.deleteAcls({ filters: [filter] })
  assert.deepEqual(deleted.filterResponses[0].matchingAcls.map((a) => a.principal), ['User:somebody'])
  await waitUntil(async () => (await found()).length === 0, 'no ACL')
  say('ACLs created, described, deleted')
}

async function adminCalls () {
  const [topic, group] = [name('admin'), name('admin-group')]
  await withAdmin(async (admin) => {
    assert.equal((await admin.describeCluster()).brokers.length, 1)
    await topicsAndConfigs(admin, topic)
    await offsetsAndGroups(admin, topic, group)
    await acls(admin, topic)
    await admin.deleteTopics({ topics: [topic] })
    await waitUntil(async () => !(await admin.listTopics()).includes(topic), 'the topic to be gone')
    say('topic deleted')
  })
  return 40
}

async function security () {
  const refused = await errorOf(kafka('admin', 'guessed', 0).producer().connect())
  assert.match(String(refused), /SASL SCRAM SHA512 authentication failed/i)
  say(`wrong password: ${refused.message}`)
  const topic = name('secured')
  await create(topic)
  await withConnected(kafka('limited', 'limited-secret', 0).producer({ retry: { retries: 0 } }), async (producer) => {
    const send = () => producer.send({ topic, messages: [{ partition: 0, value: 'x' }] })
    const error = await errorOf(send())
    assert.equal(typeOf(error), 'TOPIC_AUTHORIZATION_FAILED')
    say(`without an ACL: ${typeOf(error)}`)
    await withAdmin((admin) => admin.createAcls({ acl: [{ resourceType: AclResourceTypes.TOPIC, resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL, principal: 'User:limited', host: '*', operation: AclOperationTypes.WRITE,
      permissionType: AclPermissionTypes.ALLOW }] }))
    await waitUntil(() => send().catch((refusal) => {
      if (typeOf(refusal) !== 'TOPIC_AUTHORIZATION_FAILED') throw refusal
    }), 'the ACL to count')
  })
  await read(topic, 1)
  say('with an ACL: written')
  return 1
}

const CHECKS = { records, groups, transactions, admin: adminCalls, security }

async function main () {
  for (const word of process.argv.slice(2)) {
    console.log(`PASS ${word} ${await CHECKS[word]()}`)
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})
