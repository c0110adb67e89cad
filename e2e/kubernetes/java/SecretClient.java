import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** An application that knows a file of its User's Secret, a topic and a group. Produces records and reads them back. */
public final class SecretClient {
  private static final long LIMIT_MS = 60_000;

  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0]);
    String topic = arguments[1];
    String group = arguments[2];
    String run = arguments[3];
    int count = Integer.parseInt(arguments[4]);
    System.out.println("produced " + produce(settings(file), topic, run, count));
    System.out.println("consumed " + consume(settings(file), topic, group, run, count) + " in order");
  }

  private static Properties settings(Path file) throws Exception {
    Properties settings = new Properties();
    try (InputStream in = Files.newInputStream(file)) {
      settings.load(in);
    }
    return settings;
  }

  private static int produce(Properties settings, String topic, String run, int count) throws Exception {
    Future<RecordMetadata> last = null;
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      for (int i = 0; i < count; i++) {
        last = producer.send(new ProducerRecord<>(topic, "key " + i % 10, run + " " + i));
      }
      producer.flush();
      last.get();
    }
    return count;
  }

  /** Fails if a record of this run is missing, doubled, or stands before an earlier one of its key. */
  private static int consume(Properties settings, String topic, String group, String run, int count) {
    settings.put("group.id", group);
    settings.put("auto.offset.reset", "earliest");
    Map<String, Integer> next = new HashMap<>();
    int found = 0;
    long deadline = System.currentTimeMillis() + LIMIT_MS;
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(topic));
      while (found < count && System.currentTimeMillis() < deadline) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
          if (!record.value().startsWith(run + " ")) {
            continue; // of an earlier run
          }
          int number = Integer.parseInt(record.value().substring(run.length() + 1));
          int expected = next.getOrDefault(record.key(), number % 10);
          if (number != expected) {
            throw new IllegalStateException(record.key() + ": " + number + " instead of " + expected);
          }
          next.put(record.key(), number + 10);
          found++;
        }
      }
      consumer.commitSync();
    }
    if (found != count) {
      throw new IllegalStateException(found + " of " + count + " records came back");
    }
    return found;
  }
}
