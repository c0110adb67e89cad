import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What a Java application does with a broker, told in lines on stdout. Run against two brokers, the lines must be the same:
 * nothing that may differ (ids, times, addresses) is printed.
 */
public final class Clients {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final long BASE = 1_700_000_000_000L;
  private final String bootstrap;
  private final Admin admin;

  private Clients(String bootstrap) {
    this.bootstrap = bootstrap;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  public static void main(String[] arguments) throws Exception {
    Clients clients = new Clients(arguments[0]);
    try (Admin closed = clients.admin) {
      clients.cluster();
      clients.topics();
      clients.producing();
      clients.offsets();
      clients.seeking();
      clients.configs();
      clients.deletion();
      clients.rebalance();
      clients.staticMembership();
      clients.groups();
    }
  }

  private static void tell(String what, Object value) {
    System.out.println(what + ": " + value);
  }

  private static void tellError(String what, Future<?> future) throws InterruptedException {
    try {
      future.get();
      tell(what, "no error");
    } catch (ExecutionException e) {
      tell(what, e.getCause().getClass().getSimpleName() + ", " + text(e.getCause()));
    }
  }

  /** The words of an error. Ours say how large a record was that is too large; Apache Kafka leaves it to the client. */
  private static String text(Throwable error) {
    return error instanceof org.apache.kafka.common.errors.RecordTooLargeException ? "…"
        : String.valueOf(error.getMessage()).replaceAll("TopicId \\S{22}", "TopicId …");
  }

  private static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(LIMIT.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
  }

  private void cluster() throws Exception {
    var cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
    tell("nodes", get(cluster.nodes()).size());
    tell("controller is a node", get(cluster.nodes()).contains(get(cluster.controller())));
    tell("cluster id length", get(cluster.clusterId()).length());
    tell("authorized operations", new TreeSet<>(get(cluster.authorizedOperations())));
  }

  private void topics() throws Exception {
    var dry = admin.createTopics(List.of(new NewTopic("dry", 2, (short) 1)), new CreateTopicsOptions().validateOnly(true));
    get(dry.all());
    tell("dry run created", get(admin.listTopics().names()).contains("dry"));
    var created = admin.createTopics(List.of(
        new NewTopic("java", Optional.of(3), Optional.empty()).configs(Map.of("retention.ms", "-1", "segment.bytes", "1048576"))));
    get(created.all());
    tell("created partitions", get(created.numPartitions("java")));
    tell("created replication", get(created.replicationFactor("java")));
    tell("created retention", get(created.config("java")).get("retention.ms").value());
    Uuid id = get(created.topicId("java"));
    TopicDescription byName = get(admin.describeTopics(List.of("java"), new DescribeTopicsOptions().includeAuthorizedOperations(true))
        .allTopicNames()).get("java");
    tell("id of description", byName.topicId().equals(id));
    tell("operations of description", new TreeSet<>(byName.authorizedOperations()));
    TopicDescription byId = get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id);
    tell("name by id", byId.name());
    tellError("unknown id", admin.describeTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).allTopicIds()
        .thenApply(all -> null));
    get(admin.createPartitions(Map.of("java", NewPartitions.increaseTo(4))).all());
    tell("partitions", get(admin.describeTopics(List.of("java")).allTopicNames()).get("java").partitions().size());
    tellError("fewer partitions", admin.createPartitions(Map.of("java", NewPartitions.increaseTo(2))).all());
    tellError("wrong assignment", admin.createPartitions(Map.of("java", NewPartitions.increaseTo(5, List.of(List.of(9))))).all());
    tellError("existing topic", admin.createTopics(List.of(new NewTopic("java", 1, (short) 1))).all());
    get(admin.createTopics(List.of(new NewTopic("gone", 1, (short) 1))).all());
    Uuid gone = get(admin.describeTopics(List.of("gone")).allTopicNames()).get("gone").topicId();
    get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(gone))).all());
    tell("deleted by id", !get(admin.listTopics().names()).contains("gone"));
  }

  private KafkaProducer<String, String> producer(Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all", "enable.idempotence", true,
        "linger.ms", 5, "delivery.timeout.ms", 30000, "request.timeout.ms", 10000));
    config.putAll(more);
    return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
  }

  private KafkaConsumer<String, String> consumer(String group, Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
        "enable.auto.commit", false, "group.protocol", "classic"));
    if (group != null) {
      config.put("group.id", group);
    }
    config.putAll(more);
    return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  private void producing() throws Exception {
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      try (var producer = producer(Map.of("compression.type", codec))) {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
          var record = new ProducerRecord<>("java", i % 4, BASE + i, "key-" + i, codec + "-" + i + "x".repeat(100));
          record.headers().add(new RecordHeader("codec", codec.getBytes()));
          sent.add(producer.send(record));
        }
        RecordMetadata last = null;
        for (var future : sent) {
          last = future.get();
        }
        tell("last of " + codec, last.partition() + "@" + last.offset() + " at " + last.timestamp());
      }
    }
    try (var plain = producer(Map.of("enable.idempotence", false, "acks", "1"))) {
      tell("acks=1", plain.send(new ProducerRecord<>("java", 0, BASE, "k", "one")).get().offset());
    }
    try (var fast = producer(Map.of("enable.idempotence", false, "acks", "0"))) {
      tell("acks=0", fast.send(new ProducerRecord<>("java", 0, BASE, "k", "none")).get().offset());
    }
    try (var producer = producer(Map.of("max.request.size", 20_000_000))) {
      tellError("too large", producer.send(new ProducerRecord<>("java", 0, "k", "x".repeat(3_000_000))));
    } catch (org.apache.kafka.common.errors.TimeoutException e) {
      tell("too large", e.getMessage());
    }
  }

  private void offsets() throws Exception {
    var asked = new TreeMap<String, OffsetSpec>(Map.of("earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
        "max timestamp", OffsetSpec.maxTimestamp(), "middle", OffsetSpec.forTimestamp(BASE + 100), "before all",
        OffsetSpec.forTimestamp(1), "after all", OffsetSpec.forTimestamp(BASE + 1_000_000)));
    TopicPartition partition = new TopicPartition("java", 1);
    for (var entry : asked.entrySet()) {
      ListOffsetsResultInfo info = get(admin.listOffsets(Map.of(partition, entry.getValue())).partitionResult(partition));
      tell("offset of " + entry.getKey(), info.offset() + " at " + info.timestamp() + " epoch " + info.leaderEpoch());
    }
    TopicPartition unknown = new TopicPartition("java", 99);
    tell("topics known", get(admin.listTopics().names()).contains(unknown.topic()));
  }

  private static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
    List<ConsumerRecord<String, String>> got = new ArrayList<>();
    long end = System.nanoTime() + LIMIT.toNanos();
    while (got.size() < count && System.nanoTime() < end) {
      consumer.poll(Duration.ofMillis(100)).forEach(got::add);
    }
    return got;
  }

  private void seeking() {
    List<TopicPartition> all = List.of(new TopicPartition("java", 0), new TopicPartition("java", 1), new TopicPartition("java", 2),
        new TopicPartition("java", 3));
    try (var consumer = consumer(null, Map.of("max.poll.records", 100, "fetch.max.bytes", 60000, "check.crcs", true))) {
      consumer.assign(all);
      consumer.seekToBeginning(all);
      Map<Integer, List<String>> perPartition = new TreeMap<>();
      for (var record : poll(consumer, 1002)) {
        perPartition.computeIfAbsent(record.partition(), p -> new ArrayList<>()).add(
            record.offset() + record.key() + record.value() + record.timestamp() + record.timestampType()
                + (record.headers().lastHeader("codec") == null ? "" : new String(record.headers().lastHeader("codec").value())));
      }
      perPartition.forEach((p, records) -> tell("records of " + p, records.size() + " " + records.hashCode()));
      tell("end offsets", new TreeMap<>(byPartition(consumer.endOffsets(all))));
      tell("beginning offsets", new TreeMap<>(byPartition(consumer.beginningOffsets(all))));
      Map<TopicPartition, Long> times = new HashMap<>();
      all.forEach(p -> times.put(p, BASE + 150L));
      Map<TopicPartition, OffsetAndTimestamp> found = consumer.offsetsForTimes(times);
      all.forEach(p -> tell("offset by time of " + p, found.get(p).offset() + " at " + found.get(p).timestamp()));
      consumer.seek(all.get(2), 120);
      consumer.pause(List.of(all.get(0), all.get(1), all.get(3)));
      var some = poll(consumer, 20);
      tell("while others pause", some.get(0).partition() + "@" + some.get(0).offset() + " "
          + some.stream().allMatch(record -> record.partition() == 2));
      consumer.resume(consumer.paused());
      consumer.seek(all.get(3), 5_000_000);
      consumer.pause(all.subList(0, 3));
      tell("after a reset", poll(consumer, 1).get(0).offset());
    }
  }

  private static Map<Integer, Long> byPartition(Map<TopicPartition, Long> offsets) {
    Map<Integer, Long> result = new HashMap<>();
    offsets.forEach((p, offset) -> result.put(p.partition(), offset));
    return result;
  }

  private void configs() throws Exception {
    ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "java");
    alter(topic, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND).get();
    alter(topic, "retention.ms", "1000000", AlterConfigOp.OpType.SET).get();
    var config = get(admin.describeConfigs(List.of(topic)).all()).get(topic);
    tell("cleanup.policy", config.get("cleanup.policy").value());
    tell("retention.ms", config.get("retention.ms").value() + " " + config.get("retention.ms").source());
    alter(topic, "cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT).get();
    alter(topic, "retention.ms", "", AlterConfigOp.OpType.DELETE).get();
    config = get(admin.describeConfigs(List.of(topic)).all()).get(topic);
    tell("cleanup.policy", config.get("cleanup.policy").value());
    tell("retention.ms", config.get("retention.ms").value() + " " + config.get("retention.ms").source());
    tellError("append to a number", alter(topic, "retention.ms", "1", AlterConfigOp.OpType.APPEND));
    tellError("bad value", alter(topic, "segment.bytes", "many", AlterConfigOp.OpType.SET));
    ConfigResource unknown = new ConfigResource(ConfigResource.Type.TOPIC, "unknown");
    tellError("unknown topic", admin.describeConfigs(List.of(unknown)).all());
  }

  private KafkaFuture<Void> alter(ConfigResource resource, String name, String value, AlterConfigOp.OpType type) {
    Collection<AlterConfigOp> changes = List.of(new AlterConfigOp(new ConfigEntry(name, value), type));
    return admin.incrementalAlterConfigs(Map.of(resource, changes)).all();
  }

  private void deletion() throws Exception {
    TopicPartition partition = new TopicPartition("java", 0);
    var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100)));
    tell("low watermark", get(deleted.lowWatermarks().get(partition)).lowWatermark());
    tellError("beyond the end", admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100_000))).all());
    try (var consumer = consumer(null, Map.of())) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      tell("first after deletion", poll(consumer, 1).get(0).offset());
    }
  }

  /** Two consumers share four partitions, one leaves, the other has all. */
  private void rebalance() throws Exception {
    for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
      Map<String, Object> config = Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor,
          "heartbeat.interval.ms", 200, "session.timeout.ms", 6000);
      String group = "rebalanced-" + assignor;
      try (var first = consumer(group, config)) {
        first.subscribe(List.of("java"), new ConsumerRebalanceListener() {
          @Override
          public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

          @Override
          public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
        });
        until(List.of(first), List.of(4));
        var second = consumer(group, config);
        try {
          second.subscribe(List.of("java"));
          until(List.of(first, second), List.of(2, 2));
          Set<TopicPartition> shared = new java.util.HashSet<>(first.assignment());
          shared.retainAll(second.assignment());
          tell(assignor + " shares", shared);
          ConsumerGroupDescription description = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
          tell(assignor + " state", description.groupState() + " " + description.partitionAssignor() + " " + description.type());
          for (MemberDescription member : description.members()) {
            tell(assignor + " member", member.assignment().topicPartitions().size() + " " + member.host() + " " + member.clientId()
                .replaceAll("-\\d+$", ""));
          }
          second.commitSync(Map.of(new TopicPartition("java", 3), new OffsetAndMetadata(7, Optional.of(0), "by the second")));
        } finally {
          second.close();
        }
        until(List.of(first), List.of(4));
        var committed = first.committed(Set.of(new TopicPartition("java", 3), new TopicPartition("java", 2)));
        tell(assignor + " committed", committed.get(new TopicPartition("java", 3)) + " " + committed.get(new TopicPartition("java", 2)));
      }
      tell(assignor + " at the end", get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState());
    }
  }

  /** Polls all until they have as many partitions as wanted. */
  private static void until(List<KafkaConsumer<String, String>> consumers, List<Integer> wanted) {
    long end = System.nanoTime() + LIMIT.toNanos();
    List<Integer> have = List.of();
    while (!have.equals(wanted)) {
      if (System.nanoTime() > end) {
        throw new IllegalStateException("partitions " + have + ", wanted " + wanted);
      }
      for (var consumer : consumers) {
        consumer.poll(Duration.ofMillis(50));
      }
      have = consumers.stream().map(consumer -> consumer.assignment().size()).toList();
    }
  }

  /** A static member that comes back has its partitions without a new generation. */
  private void staticMembership() throws Exception {
    Map<String, Object> one = Map.of("group.instance.id", "one", "session.timeout.ms", 20000, "heartbeat.interval.ms", 200);
    Map<String, Object> two = Map.of("group.instance.id", "two", "session.timeout.ms", 20000, "heartbeat.interval.ms", 200);
    try (var first = consumer("static", one)) {
      first.subscribe(List.of("java"));
      until(List.of(first), List.of(4));
      var second = consumer("static", two);
      second.subscribe(List.of("java"));
      until(List.of(first, second), List.of(2, 2));
      Set<TopicPartition> before = second.assignment();
      int generation = first.groupMetadata().generationId();
      second.close();
      tell("members while one is away", get(admin.describeConsumerGroups(List.of("static")).all()).get("static").members().size());
      second = consumer("static", two);
      second.subscribe(List.of("java"));
      until(List.of(first, second), List.of(2, 2));
      tell("the same partitions", second.assignment().equals(before));
      tell("the same generation", first.groupMetadata().generationId() == generation
          && second.groupMetadata().generationId() == generation);
      try (var impostor = consumer("static", two)) {
        impostor.subscribe(List.of("java"));
        poll(impostor, 1);
        String outcome = "no error";
        try {
          for (int i = 0; i < 100; i++) {
            second.poll(Duration.ofMillis(100));
          }
        } catch (org.apache.kafka.common.errors.FencedInstanceIdException e) {
          outcome = "FencedInstanceIdException";
        }
        tell("the older of two with one name", outcome);
        second.close();
      }
    }
    var description = get(admin.describeConsumerGroups(List.of("static")).all()).get("static");
    tell("instances", new TreeSet<>(description.members().stream().map(m -> m.groupInstanceId().orElse("")).toList()));
    get(admin.removeMembersFromConsumerGroup("static",
        new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions()).all());
    tell("after removal", get(admin.describeConsumerGroups(List.of("static")).all()).get("static").groupState());
  }

  private void groups() throws Exception {
    String group = "rebalanced-RangeAssignor";
    tell("offsets", new TreeMap<>(Map.copyOf(offsetsByName(group))));
    get(admin.alterConsumerGroupOffsets(group, Map.of(new TopicPartition("java", 0), new OffsetAndMetadata(5, "set"))).all());
    tell("offsets", offsetsByName(group));
    get(admin.deleteConsumerGroupOffsets(group, Set.of(new TopicPartition("java", 3))).all());
    tell("offsets", offsetsByName(group));
    tell("listed", get(admin.listConsumerGroups().all()).stream().filter(g -> g.groupId().equals(group))
        .map(g -> g.groupState() + " " + g.type() + " " + g.isSimpleConsumerGroup()).toList());
    get(admin.deleteConsumerGroups(List.of(group)).all());
    tellError("described after deletion", admin.describeConsumerGroups(List.of(group)).all());
    tellError("deleted twice", admin.deleteConsumerGroups(List.of(group)).all());
  }

  private Map<String, String> offsetsByName(String group) throws Exception {
    Map<String, String> result = new TreeMap<>();
    get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
        .forEach((p, o) -> result.put(p.toString(), o.offset() + " " + o.leaderEpoch() + " " + o.metadata()));
    return result;
  }
}
