import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Members of a group by the consumer protocol until SIGTERM, one per client id: <bootstrap> <group> <topic> <client id>...
 * They tell what they are given and lose ("<client id> epoch <e> has <n>", "<client id> lost <n>") and what they read
 * ("<client id> read <value>"), once it is committed.
 */
public final class Members {
  private static volatile boolean ended;

  private Members() {}

  public static void main(String[] arguments) throws Exception {
    Thread[] threads = new Thread[arguments.length - 3];
    for (int i = 0; i < threads.length; i++) {
      String client = arguments[i + 3];
      threads[i] = new Thread(() -> run(arguments[0], arguments[1], arguments[2], client));
      threads[i].start();
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      ended = true;
      for (Thread thread : threads) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          return;
        }
      }
    }));
  }

  private static void run(String bootstrap, String group, String topic, String client) {
    Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", group, "client.id", client,
        "group.protocol", "consumer", "auto.offset.reset", "earliest", "enable.auto.commit", false, "reconnect.backoff.max.ms", 200));
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(Set.of(topic), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
          tell(client + " lost " + partitions.size());
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
      });
      String told = "";
      while (!ended) {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
        if (!records.isEmpty()) {
          consumer.commitSync();
          for (ConsumerRecord<String, String> record : records) tell(client + " read " + record.value());
        }
        String has = "epoch " + consumer.groupMetadata().generationId() + " has " + new TreeSet<>(
            consumer.assignment().stream().map(TopicPartition::partition).toList());
        if (!has.equals(told)) tell(client + " " + has);
        told = has;
      }
    }
  }

  private static synchronized void tell(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
