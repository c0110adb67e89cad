import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Groups of group.protocol=consumer (KIP-848) as a Java application has them, told in lines on stdout that must be the same of
 * two brokers: who joins, leaves and comes back, regular expressions, commits, and members of both protocols in one group.
 */
public final class ConsumerProtocol {
  private static final String TOPIC = "ahead";
  private static final int PARTITIONS = 6;
  private static final Duration LIMIT = Duration.ofSeconds(40);
  private final String bootstrap;
  private final Admin admin;

  private ConsumerProtocol(String bootstrap) {
    this.bootstrap = bootstrap;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  public static void main(String[] arguments) throws Exception {
    ConsumerProtocol protocol = new ConsumerProtocol(arguments[0]);
    try (Admin closed = protocol.admin) {
      protocol.records();
      protocol.joinAndLeave();
      protocol.staticMembers();
      protocol.upgradeAndDowngrade();
      protocol.regularExpression();
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
      tell(what, e.getCause().getClass().getSimpleName() + ", " + e.getCause().getMessage());
    }
  }

  private static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
  }

  private KafkaConsumer<String, String> consumer(String group, String client, Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
        "enable.auto.commit", false, "group.protocol", "consumer", "group.id", group, "client.id", client));
    config.putAll(more);
    return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  private KafkaConsumer<String, String> member(String group, String client, Map<String, Object> more) {
    var consumer = consumer(group, client, more);
    consumer.subscribe(List.of(TOPIC));
    return consumer;
  }

  private void records() throws Exception {
    get(admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 1))).all());
    try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
      List<Future<?>> sent = new ArrayList<>();
      for (int i = 0; i < 10 * PARTITIONS; i++) {
        sent.add(producer.send(new ProducerRecord<>(TOPIC, i % PARTITIONS, "k", "v" + i)));
      }
      for (var future : sent) future.get();
    }
  }

  /** Polls all until they have as many partitions as wanted; what they read is added to `read`. */
  private static void until(List<Integer> wanted, Collection<String> read, List<KafkaConsumer<String, String>> consumers) {
    long end = System.nanoTime() + LIMIT.toNanos();
    List<Integer> have = List.of();
    while (!have.equals(wanted)) {
      if (System.nanoTime() > end) throw new IllegalStateException("partitions " + have + ", wanted " + wanted);
      for (var consumer : consumers) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) read.add(record.value());
      }
      have = consumers.stream().map(consumer -> consumer.assignment().size()).toList();
    }
  }

  private static void until(List<Integer> wanted, List<KafkaConsumer<String, String>> consumers) {
    until(wanted, new HashSet<>(), consumers);
  }

  /** Nobody shares a partition with another. */
  private static void disjoint(String what, List<KafkaConsumer<String, String>> consumers) {
    Set<TopicPartition> all = new HashSet<>();
    int count = 0;
    for (var consumer : consumers) {
      all.addAll(consumer.assignment());
      count += consumer.assignment().size();
    }
    tell(what + ", partitions and those of one member", all.size() + " " + count);
  }

  private ConsumerGroupDescription describe(String group) throws Exception {
    return get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
  }

  /** Polls the members until nothing moves any more. */
  private ConsumerGroupDescription settled(String group, List<KafkaConsumer<String, String>> consumers) throws Exception {
    long end = System.nanoTime() + LIMIT.toNanos();
    while (true) {
      ConsumerGroupDescription description = describe(group);
      boolean settled = description.groupState() == GroupState.STABLE || description.groupState() == GroupState.EMPTY;
      if (settled || System.nanoTime() > end) return description;
      for (var consumer : consumers) consumer.poll(Duration.ofMillis(50));
    }
  }

  private void tellGroup(String what, String group, List<KafkaConsumer<String, String>> consumers) throws Exception {
    ConsumerGroupDescription description = settled(group, consumers);
    tell(what, description.type() + " " + description.groupState() + " " + description.partitionAssignor());
    Set<String> members = new TreeSet<>();
    for (var member : description.members()) {
      members.add(member.clientId() + " " + member.groupInstanceId().orElse("-") + " has "
          + member.assignment().topicPartitions().size() + " of " + member.targetAssignment().map(t -> t.topicPartitions().size())
          + " upgraded " + member.upgraded().map(String::valueOf).orElse("-") + (description.groupEpoch().isEmpty() ? ""
          : " up to date " + member.memberEpoch().equals(description.groupEpoch())));
    }
    members.forEach(member -> tell(what + ", member", member));
  }

  private void joinAndLeave() throws Exception {
    String group = "ahead-together";
    Set<String> read = new HashSet<>();
    var one = member(group, "one", Map.of());
    until(List.of(6), read, List.of(one));
    tellGroup("one member", group, List.of(one));
    long end = System.nanoTime() + LIMIT.toNanos();
    while (read.size() < 60 && System.nanoTime() < end) one.poll(Duration.ofMillis(50)).forEach(record -> read.add(record.value()));
    tell("records read", read.size());
    one.commitSync();
    var two = member(group, "two", Map.of());
    until(List.of(3, 3), List.of(one, two));
    var three = member(group, "three", Map.of());
    until(List.of(2, 2, 2), List.of(one, two, three));
    disjoint("three members", List.of(one, two, three));
    tellGroup("three members", group, List.of(one, two, three));
    tell("positions go on", three.assignment().stream().allMatch(partition -> three.position(partition) == 10));
    three.commitSync(Map.of(new TopicPartition(TOPIC, 5), new OffsetAndMetadata(7, "by the third")));
    tellError("deletion of a group in use", admin.deleteConsumerGroups(List.of(group)).all());
    tellError("offsets of a group in use", admin.alterConsumerGroupOffsets(group,
        Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(1))).all());
    tellError("deletion of offsets in use", admin.deleteConsumerGroupOffsets(group, Set.of(new TopicPartition(TOPIC, 0))).all());
    two.close();
    until(List.of(3, 3), List.of(one, three));
    get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(8))).all());
    until(List.of(4, 4), List.of(one, three));
    disjoint("more partitions", List.of(one, three));
    three.close();
    until(List.of(8), List.of(one));
    tell("committed", one.committed(Set.of(new TopicPartition(TOPIC, 5))));
    one.unsubscribe();
    tellGroup("nobody", group, List.of());
    tell("listed", get(admin.listConsumerGroups().all()).stream().filter(listing -> listing.groupId().equals(group))
        .map(listing -> listing.groupState() + " " + listing.type() + " " + listing.isSimpleConsumerGroup()).toList());
    one.subscribe(List.of(TOPIC));
    until(List.of(8), List.of(one));
    one.close();
    get(admin.deleteConsumerGroups(List.of(group)).all());
    tellError("described after deletion", admin.describeConsumerGroups(List.of(group)).all());
  }

  /** A static member comes back to its partitions; nobody else can have its name meanwhile. */
  private void staticMembers() throws Exception {
    String group = "ahead-static";
    var first = member(group, "one", Map.of("group.instance.id", "first"));
    until(List.of(8), List.of(first));
    var second = member(group, "two", Map.of("group.instance.id", "second"));
    until(List.of(4, 4), List.of(first, second));
    Set<TopicPartition> before = Set.copyOf(second.assignment());
    String outcome = "no error";
    try (var impostor = member(group, "three", Map.of("group.instance.id", "second"))) {
      until(List.of(1), List.of(impostor));
    } catch (org.apache.kafka.common.KafkaException e) {
      outcome = e.getClass().getSimpleName() + ", " + e.getMessage().replaceAll("[\\w-]{22}", "…");
    }
    tell("the same name", outcome);
    int epoch = settled(group, List.of(first, second)).groupEpoch().orElseThrow();
    second.close();
    tell("members while one is away", describe(group).members().size());
    second = member(group, "two", Map.of("group.instance.id", "second"));
    until(List.of(4, 4), List.of(first, second));
    tell("the same partitions", second.assignment().equals(before));
    tell("epochs later", describe(group).groupEpoch().orElseThrow() - epoch);
    second.close();
    first.close();
    tell("members while both are away", describe(group).members().size());
    get(admin.removeMembersFromConsumerGroup(group, new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions()).all());
    tellGroup("after removal", group, List.of());
  }

  /** A group changes its protocol while it is in use, both ways. */
  private void upgradeAndDowngrade() throws Exception {
    for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
      String group = "ahead-mixed-" + assignor;
      Map<String, Object> classic = Map.of("group.protocol", "classic", "heartbeat.interval.ms", 200, "session.timeout.ms", 20000,
          "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
      var old = member(group, "old", classic);
      until(List.of(8), List.of(old));
      old.commitSync(Map.of(new TopicPartition(TOPIC, 3), new OffsetAndMetadata(4)));
      tellGroup(assignor + ", before", group, List.of(old));
      var next = member(group, "next", Map.of());
      until(List.of(4, 4), List.of(old, next));
      disjoint(assignor + ", both", List.of(old, next));
      tellGroup(assignor + ", both", group, List.of(old, next));
      var later = member(group, "later", classic);
      List<KafkaConsumer<String, String>> all = List.of(old, next, later);
      long end = System.nanoTime() + LIMIT.toNanos();
      List<Integer> sizes = List.of();
      while (!sizes.equals(List.of(2, 3, 3)) && System.nanoTime() < end) {
        for (var consumer : all) consumer.poll(Duration.ofMillis(50));
        sizes = all.stream().map(consumer -> consumer.assignment().size()).sorted().toList();
      }
      tell(assignor + ", three", sizes);
      disjoint(assignor + ", three", all);
      later.close();
      until(List.of(4, 4), List.of(old, next));
      next.close();
      until(List.of(8), List.of(old));
      tellGroup(assignor + ", after", group, List.of(old));
      next = member(group, "next", Map.of());
      until(List.of(4, 4), List.of(old, next));
      old.close();
      until(List.of(8), List.of(next));
      tellGroup(assignor + ", at the end", group, List.of(next));
      tell(assignor + ", committed", new TreeMap<>(Map.of(3, next.committed(Set.of(new TopicPartition(TOPIC, 3))).values().toString())));
      next.close();
    }
  }

  private void regularExpression() throws Exception {
    try (var wrong = consumer("ahead-regex", "wrong", Map.of())) {
      wrong.subscribe(new SubscriptionPattern("["));
      until(List.of(1), List.of(wrong));
    } catch (org.apache.kafka.common.errors.InvalidRegularExpression e) {
      tell("no regular expression", e.getClass().getSimpleName());
    }
    try (var consumer = consumer("ahead-regex", "regex", Map.of()); var named = member("ahead-regex", "named", Map.of())) {
      consumer.subscribe(new SubscriptionPattern("ahead(-more)?"));
      until(List.of(4, 4), List.of(consumer, named));
      get(admin.createTopics(List.of(new NewTopic("ahead-more", 2, (short) 1), new NewTopic("not-ahead-more", 1, (short) 1))).all());
      until(List.of(5, 5), List.of(consumer, named));
      tell("of the topic that came later", consumer.assignment().stream().filter(p -> p.topic().equals("ahead-more")).count());
    }
  }
}
