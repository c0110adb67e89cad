import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Transactions as an application sees them. "same": told in lines on stdout that must be the same of two brokers. "copy": every
 * record of one topic to another, exactly once, whatever happens to the brokers; "timeout": a producer that falls silent.
 */
public final class Transactions {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private final String bootstrap;
  private final Admin admin;

  private Transactions(String bootstrap) {
    this.bootstrap = bootstrap;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  public static void main(String[] arguments) throws Exception {
    Transactions self = new Transactions(arguments[1]);
    try (Admin closed = self.admin) {
      switch (arguments[0]) {
        case "same" -> self.same();
        case "copy" -> self.copy(arguments[2], arguments[3], Integer.parseInt(arguments[4]));
        case "timeout" -> self.timeout();
        case "hang" -> self.hang(arguments[2], arguments[3]);
        default -> throw new IllegalArgumentException(arguments[0]);
      }
    }
  }

  private static void tell(String what, Object value) {
    System.out.println(what + ": " + value);
  }

  private KafkaProducer<String, String> producer(String id, Map<String, Object> more) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    properties.put("transactional.id", id);
    properties.putAll(more);
    return new KafkaProducer<>(properties);
  }

  private KafkaProducer<String, String> producer(String id) {
    KafkaProducer<String, String> producer = producer(id, Map.of());
    producer.initTransactions();
    return producer;
  }

  private KafkaConsumer<String, String> consumer(String group, boolean committed) {
    Map<String, Object> properties = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest",
        "key.deserializer", StringDeserializer.class.getName(), "value.deserializer", StringDeserializer.class.getName(),
        "isolation.level", committed ? "read_committed" : "read_uncommitted", "enable.auto.commit", "false", "max.poll.records", "20"));
    if (group != null) properties.put("group.id", group);
    return new KafkaConsumer<>(properties);
  }

  /** Everything up to the end as that reader sees it. */
  private List<String> read(String topic, boolean committed) {
    List<String> values = new ArrayList<>();
    try (KafkaConsumer<String, String> consumer = consumer(null, committed)) {
      List<TopicPartition> partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      long limit = System.nanoTime() + LIMIT.toNanos();
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p)) && System.nanoTime() < limit) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) values.add(record.value());
      }
      TreeMap<Integer, Long> shown = new TreeMap<>();
      ends.forEach((p, end) -> shown.put(p.partition(), end));
      tell("  ends of " + topic + (committed ? " committed" : ""), shown);
    }
    values.sort(null);
    return values;
  }

  /** An end is answered when it is decided; the markers that readers see follow. */
  private void settle() throws Exception {
    var deciding = new ListTransactionsOptions().filterStates(Set.of(TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT));
    long limit = System.nanoTime() + LIMIT.toNanos();
    while (!admin.listTransactions(deciding).all().get().isEmpty() && System.nanoTime() < limit) Thread.sleep(20);
  }

  private void show(String topic) throws Exception {
    settle();
    tell("  committed of " + topic, read(topic, true));
    tell("  all of " + topic, read(topic, false));
  }

  private static void send(KafkaProducer<String, String> producer, String topic, int partition, String value) throws Exception {
    producer.send(new ProducerRecord<>(topic, partition, "k", value)).get();
  }

  private static String failure(Throwable error) {
    return error instanceof ExecutionException ? failure(error.getCause()) : error.getClass().getSimpleName();
  }

  private interface Action {
    void run() throws Exception;
  }

  private static void tellOutcome(String what, Action action) {
    try {
      action.run();
      tell(what, "done");
    } catch (Exception e) {
      tell(what, failure(e));
    }
  }

  private void same() throws Exception {
    admin.createTopics(List.of(new NewTopic("t1", 2, (short) 1), new NewTopic("t2", 1, (short) 1), new NewTopic("in", 1, (short) 1))).all().get();
    endings();
    fencing();
    offsets();
    questions();
    tellOutcome("a timeout beyond the maximum", () -> {
      try (KafkaProducer<String, String> p = producer("long", Map.of("transaction.timeout.ms", 900_001))) {
        p.initTransactions();
      }
    });
  }

  private void endings() throws Exception {
    try (KafkaProducer<String, String> p = producer("one")) {
      p.beginTransaction();
      send(p, "t1", 0, "a");
      send(p, "t1", 1, "b");
      send(p, "t2", 0, "c");
      tell("open", "");
      show("t1");
      p.commitTransaction();
      tell("committed", "");
      show("t1");
      p.beginTransaction();
      send(p, "t1", 0, "lost");
      send(p, "t2", 0, "lost too");
      p.abortTransaction();
      tell("aborted", "");
      show("t1");
      show("t2");
      p.beginTransaction();
      p.commitTransaction();
      p.beginTransaction();
      p.abortTransaction();
      for (int i = 0; i < 20; i++) {
        p.beginTransaction();
        for (int n = 0; n < 5; n++) p.send(new ProducerRecord<>("t2", 0, "k", String.format("%02d.%d", i, n)));
        p.flush();
        if (i % 3 == 0) {
          p.abortTransaction();
        } else {
          p.commitTransaction();
        }
      }
      tell("many", "");
      show("t2");
    }
  }

  private void fencing() throws Exception {
    KafkaProducer<String, String> old = producer("fenced");
    old.beginTransaction();
    send(old, "t1", 0, "of the old one");
    try (KafkaProducer<String, String> successor = producer("fenced")) {
      tellOutcome("the fenced producer sends", () -> send(old, "t1", 0, "never"));
      tellOutcome("the fenced producer commits", old::commitTransaction);
      successor.beginTransaction();
      send(successor, "t1", 0, "of the new one");
      successor.commitTransaction();
    }
    old.close(Duration.ZERO);
    tell("fenced", "");
    show("t1");
    KafkaProducer<String, String> ended = producer("by an admin");
    ended.beginTransaction();
    send(ended, "t1", 1, "open");
    admin.fenceProducers(List.of("by an admin")).all().get();
    tellOutcome("a producer fenced by an admin commits", ended::commitTransaction);
    ended.close(Duration.ZERO);
    show("t1");
  }

  private void offsets() throws Exception {
    try (KafkaProducer<String, String> p = producer("mover"); KafkaConsumer<String, String> c = consumer("movers", true)) {
      TopicPartition in = new TopicPartition("in", 0);
      p.beginTransaction();
      for (int i = 0; i < 4; i++) send(p, "in", 0, "in " + i);
      p.commitTransaction();
      c.subscribe(List.of("in"));
      int seen = 0;
      while (seen < 4) seen += c.poll(Duration.ofMillis(200)).count();
      ConsumerGroupMetadata group = c.groupMetadata();
      p.beginTransaction();
      p.sendOffsetsToTransaction(Map.of(in, new OffsetAndMetadata(3, "m")), group);
      p.abortTransaction();
      tell("offset after an abort", c.committed(Set.of(in)));
      p.beginTransaction();
      p.sendOffsetsToTransaction(Map.of(in, new OffsetAndMetadata(4, "n")), group);
      tell("offset as the admin sees it meanwhile", admin.listConsumerGroupOffsets("movers").partitionsToOffsetAndMetadata().get());
      p.commitTransaction();
      OffsetAndMetadata committed = c.committed(Set.of(in)).get(in);
      tell("offset after a commit", committed.offset() + " " + committed.metadata());
      p.beginTransaction();
      tellOutcome("offsets of a member that does not exist", () -> p.sendOffsetsToTransaction(Map.of(in, new OffsetAndMetadata(9)),
          new ConsumerGroupMetadata("movers", 1, "stranger", java.util.Optional.empty())));
      tellOutcome("and then a commit", p::commitTransaction);
      tellOutcome("and then an abort", p::abortTransaction);
    }
  }

  private void questions() throws Exception {
    KafkaProducer<String, String> p = producer("asked");
    p.beginTransaction();
    send(p, "t2", 0, "asked");
    TransactionDescription description = admin.describeTransactions(List.of("asked")).description("asked").get();
    tell("state", description.state() + " " + description.topicPartitions() + " " + description.transactionTimeoutMs());
    tell("has a start", description.transactionStartTimeMs().isPresent());
    settle();
    var states = new TreeMap<String, String>();
    admin.listTransactions().all().get().forEach(t -> states.put(t.transactionalId(), t.state().toString()));
    tell("states", states);
    tell("ongoing", admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING))).all().get().size());
    TopicPartition at = new TopicPartition("t2", 0);
    var open = admin.describeProducers(List.of(at)).partitionResult(at).get().activeProducers().stream()
        .filter(s -> s.currentTransactionStartOffset().isPresent()).toList();
    tell("open in t2", open.size() + " from " + open.get(0).currentTransactionStartOffset().getAsLong()
        + " last sequence " + open.get(0).lastSequence());
    tellOutcome("an unknown id", () -> admin.describeTransactions(List.of("nobody")).description("nobody").get());
    tell("latest committed", admin.listOffsets(Map.of(at, OffsetSpec.latest()), new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).partitionResult(at).get().offset()
        < admin.listOffsets(Map.of(at, OffsetSpec.latest())).partitionResult(at).get().offset());
    p.abortTransaction();
    p.close();
  }

  /** Moves `count` records; killed brokers cost time only. */
  private void copy(String from, String to, int count) throws Exception {
    int done = 0;
    try (KafkaConsumer<String, String> c = consumer("copiers", true)) {
      c.subscribe(List.of(from));
      KafkaProducer<String, String> p = producer("copier", Map.of("transaction.timeout.ms", 60_000, "delivery.timeout.ms", 60_000,
          "request.timeout.ms", 5_000, "linger.ms", 0, "max.block.ms", 60_000));
      p.initTransactions();
      while (done < count) {
        ConsumerRecords<String, String> records = c.poll(Duration.ofMillis(200));
        if (records.isEmpty()) continue;
        try {
          p.beginTransaction();
          Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
          int taken = 0;
          for (ConsumerRecord<String, String> record : records) {
            p.send(new ProducerRecord<>(to, null, record.value(), record.value()));
            next.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            taken++;
          }
          p.sendOffsetsToTransaction(next, c.groupMetadata());
          p.commitTransaction();
          done += taken;
          tell("copied", done);
        } catch (KafkaException e) {
          tell("again after", e.getClass().getSimpleName());
          try {
            p.abortTransaction();
          } catch (KafkaException fatal) {
            p.close(Duration.ZERO);
            p = producer("copier", Map.of("transaction.timeout.ms", 60_000, "request.timeout.ms", 5_000));
            p.initTransactions();
          }
          rewind(c);
          done = position(c);
        }
        Thread.sleep(20);
      }
      p.close();
    }
    tell("done", done);
  }

  private static void rewind(KafkaConsumer<String, String> consumer) {
    Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
    for (TopicPartition at : consumer.assignment()) {
      OffsetAndMetadata offset = committed.get(at);
      if (offset == null) {
        consumer.seekToBeginning(List.of(at));
      } else {
        consumer.seek(at, offset);
      }
    }
  }

  private static int position(KafkaConsumer<String, String> consumer) {
    return consumer.assignment().stream().mapToInt(at -> (int) consumer.position(at)).sum();
  }

  private void timeout() throws Exception {
    admin.createTopics(List.of(new NewTopic("silent", 1, (short) 1))).all().get();
    KafkaProducer<String, String> p = producer("silent", Map.of("transaction.timeout.ms", 1_000));
    p.initTransactions();
    p.beginTransaction();
    send(p, "silent", 0, "given up");
    try (KafkaProducer<String, String> other = producer("other")) {
      other.beginTransaction();
      send(other, "silent", 0, "behind it");
      other.commitTransaction();
    }
    long limit = System.nanoTime() + LIMIT.toNanos();
    while (read("silent", true).isEmpty() && System.nanoTime() < limit) Thread.sleep(200);
    tell("what it held back", read("silent", true));
    tellOutcome("the silent producer commits", p::commitTransaction);
    p.close(Duration.ZERO);
  }

  /** Leaves a transaction open and ends without a word. */
  private void hang(String id, String topic) throws Exception {
    KafkaProducer<String, String> p = producer(id);
    p.beginTransaction();
    send(p, topic, 0, "hanging");
    tell("hanging", id);
    Runtime.getRuntime().halt(0);
  }
}
