import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A producer or a member of a group that writes down all it does; e2e/faults/history.py explains the lines. It ends in order when
 * its stdin ends.
 *
 * <p>Arguments: produce|consume NAME TOPIC PARTITIONS RATE BYTES GROUP HISTORY key=value…
 */
public final class Workload {
  private static final AtomicBoolean stopping = new AtomicBoolean();
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** Lines of events; on disk at most 20 ms later, so that the test can follow. */
  private static final class History implements AutoCloseable {
    private final BufferedWriter out;

    History(String file) throws IOException {
      out = Files.newBufferedWriter(Path.of(file), StandardCharsets.UTF_8);
      Thread flusher = new Thread(() -> {
        while (true) {
          LockSupport.parkNanos(20_000_000);
          try {
            synchronized (out) {
              out.flush();
            }
          } catch (IOException e) {
            return;
          }
        }
      });
      flusher.setDaemon(true);
      flusher.start();
    }

    void add(String kind, long time, Object... fields) {
      StringBuilder line = new StringBuilder(kind).append('\t').append(time);
      for (Object field : fields) {
        line.append('\t').append(field);
      }
      try {
        synchronized (out) {
          out.write(line.append('\n').toString());
        }
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }

    @Override
    public void close() throws IOException {
      synchronized (out) {
        out.close();
      }
    }
  }

  private static String oneLine(Throwable e) {
    return (e.getClass().getSimpleName() + ": " + e.getMessage()).replaceAll("\\s+", " ");
  }

  private static void produce(String name, String topic, int partitions, int rate, int bytes, Properties config, History history) {
    config.put("key.serializer", StringSerializer.class.getName());
    config.put("value.serializer", StringSerializer.class.getName());
    String padding = "x".repeat(bytes);
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(config)) {
      long start = System.nanoTime();
      for (long seq = 0; !stopping.get(); seq++) {
        long due = start + seq * 1_000_000_000L / rate;
        for (long left = due - System.nanoTime(); left > 0 && !stopping.get(); left = due - System.nanoTime()) {
          LockSupport.parkNanos(Math.min(left, 50_000_000));
        }
        long number = seq;
        int partition = (int) (seq % partitions);
        String value = name + ":" + seq + ":";
        value += padding.substring(Math.min(bytes, value.length()));
        history.add("S", System.nanoTime(), number, partition);
        try {
          producer.send(new ProducerRecord<>(topic, partition, name, value), (metadata, error) -> {
            if (error == null) {
              history.add("A", System.nanoTime(), number, partition, metadata.offset());
            } else {
              history.add("F", System.nanoTime(), number, partition, oneLine(error));
            }
          });
        } catch (org.apache.kafka.common.errors.TimeoutException e) {
          history.add("F", System.nanoTime(), number, partition, oneLine(e));  // its buffer stayed full too long
        } catch (RuntimeException e) {
          history.add("X", System.nanoTime(), oneLine(e));
          return;
        }
      }
      producer.flush();
    }
  }

  private static void consume(String topic, Properties config, History history) {
    config.put("key.deserializer", StringDeserializer.class.getName());
    config.put("value.deserializer", StringDeserializer.class.getName());
    Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config)) {
      consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
          commit(consumer, done, history);
          partitions.forEach(p -> history.add("-", System.nanoTime(), p.partition()));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
          done.clear();
          partitions.forEach(p -> history.add("-", System.nanoTime(), p.partition()));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
          done.clear();
          long asked = System.nanoTime();
          Map<TopicPartition, OffsetAndMetadata> found = consumer.committed(new HashSet<>(partitions), LIMIT);
          for (TopicPartition p : partitions) {
            history.add("P", asked, p.partition(), found.get(p) == null ? -1 : found.get(p).offset());
          }
        }
      });
      long commitAt = System.nanoTime();
      while (!stopping.get()) {
        try {
          for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
            String[] parts = record.value().split(":", 3);
            history.add("R", System.nanoTime(), record.partition(), record.offset(), parts[0] + ":" + parts[1]);
            done.put(new TopicPartition(topic, record.partition()), new OffsetAndMetadata(record.offset() + 1));
          }
          if (System.nanoTime() - commitAt > 200_000_000L) {
            commit(consumer, done, history);
            commitAt = System.nanoTime();
          }
        } catch (RuntimeException e) {
          history.add("E", System.nanoTime(), oneLine(e));
          if (!(e instanceof org.apache.kafka.common.errors.RetriableException)) {
            history.add("X", System.nanoTime(), oneLine(e));
            return;
          }
        }
      }
      commit(consumer, done, history);
    }
  }

  private static void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> done, History history) {
    if (done.isEmpty()) {
      return;
    }
    Map<TopicPartition, OffsetAndMetadata> now = new HashMap<>(done);
    try {
      consumer.commitSync(now, LIMIT);
      long time = System.nanoTime();
      now.forEach((p, offset) -> history.add("C", time, p.partition(), offset.offset()));
    } catch (org.apache.kafka.common.errors.RebalanceInProgressException | org.apache.kafka.clients.consumer.CommitFailedException
        | org.apache.kafka.common.errors.TimeoutException e) {
      long time = System.nanoTime();
      now.forEach((p, offset) -> history.add("c", time, p.partition(), offset.offset()));
      return;
    }
    done.keySet().removeAll(now.keySet());
  }

  public static void main(String[] arguments) throws Exception {
    Properties config = new Properties();
    for (int i = 8; i < arguments.length; i++) {
      int equals = arguments[i].indexOf('=');
      config.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
    }
    Thread stopper = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {
          // the end is what matters
        }
      } catch (IOException e) {
        // so does a broken pipe
      }
      stopping.set(true);
    });
    stopper.setDaemon(true);
    stopper.start();
    try (History history = new History(arguments[7])) {
      if (arguments[0].equals("produce")) {
        produce(arguments[1], arguments[2], Integer.parseInt(arguments[3]), Integer.parseInt(arguments[4]), Integer.parseInt(arguments[5]),
            config, history);
      } else {
        config.put("group.id", arguments[6]);
        consume(arguments[2], config, history);
      }
      history.add("Z", System.nanoTime());
    }
  }
}
