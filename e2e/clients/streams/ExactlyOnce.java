import java.io.FileReader;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * A Kafka Streams application with exactly_once_v2 whose instances may be killed at any moment, and the judge of its output.
 *
 * <p>It counts payments per customer: from `payments` (payment -> customer) through a repartition topic and a state store
 * with a changelog to `counts` (customer -> how many so far). Of a customer with n payments the output must be 1, 2, … n: a
 * payment that was lost or counted twice, a state that was not rolled back, or an output that was, shows there.
 */
public final class ExactlyOnce {
    private static final int PARTITIONS = 4;
    private static final int CUSTOMERS = 50;

    public static void main(String[] arguments) throws Exception {
        Properties client = new Properties();
        try (FileReader reader = new FileReader(arguments[1])) {
            client.load(reader);
        }
        switch (arguments[0]) {
            case "run" -> run(client, arguments[2], arguments[3]);
            case "judge" -> judge(client, arguments[2], Integer.parseInt(arguments[3]));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void run(Properties client, String prefix, String stateFolder) {
        Properties config = new Properties();
        config.putAll(client);
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix);
        config.put(StreamsConfig.STATE_DIR_CONFIG, stateFolder);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 50);
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0); // each count is seen
        config.put(StreamsConfig.producerPrefix(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG), 5000);
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 6000);
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), 300);
        KafkaStreams streams = new KafkaStreams(topology(prefix), config);
        streams.setUncaughtExceptionHandler(error -> {
            System.out.println("FAILED " + error);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.start();
    }

    private static Topology topology(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(prefix + "-payments", Consumed.with(Serdes.Long(), Serdes.String()))
            .selectKey((payment, customer) -> customer)
            .groupByKey(Grouped.with("by-customer", Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")))
            .toStream()
            .to(prefix + "-counts", Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    /** Makes the topics, sends `payments` over ten seconds, and reads what was committed until all are counted. */
    private static void judge(Properties client, String prefix, int payments) throws Exception {
        try (Admin admin = Admin.create(client)) {
            admin.createTopics(List.of(new NewTopic(prefix + "-payments", PARTITIONS, (short) 1),
                new NewTopic(prefix + "-counts", PARTITIONS, (short) 1))).all().get(20, TimeUnit.SECONDS);
        }
        System.out.println("topics made");
        Map<String, Long> wanted = new HashMap<>();
        Map<String, Long> counts = new HashMap<>();
        Random random = new Random(7);
        int sent = 0;
        int seen = 0;
        long begin = System.nanoTime();
        try (KafkaProducer<Long, String> producer = new KafkaProducer<>(client, new LongSerializer(), new StringSerializer());
             KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(reading(client, prefix), new StringDeserializer(),
                 new LongDeserializer())) {
            consumer.subscribe(List.of(prefix + "-counts"));
            while (seen < payments) {
                long due = Math.min(payments, payments * (System.nanoTime() - begin) / 10_000_000_000L);
                for (; sent < due; sent++) {
                    String customer = "customer-" + random.nextInt(CUSTOMERS);
                    wanted.merge(customer, 1L, Long::sum);
                    producer.send(new ProducerRecord<>(prefix + "-payments", (long) sent, customer));
                }
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(50))) {
                    long next = counts.merge(record.key(), 1L, Long::sum);
                    if (record.value() != next) {
                        throw new IllegalStateException(record.key() + " has the count " + record.value() + " after "
                            + (next - 1) + ", at " + record.topic() + "-" + record.partition() + " offset " + record.offset());
                    }
                    if (++seen % (payments / 20) == 0) {
                        System.out.println("seen " + 100 * seen / payments + " %");
                    }
                }
            }
            for (long end = System.nanoTime() + 500_000_000L; System.nanoTime() < end;) {
                seen += consumer.poll(Duration.ofMillis(100)).count();
            }
        }
        if (seen != payments || !counts.equals(wanted)) {
            throw new IllegalStateException(seen + " counts of " + payments + " payments: " + counts + ", not " + wanted);
        }
        System.out.println("PASS " + seen);
    }

    private static Properties reading(Properties client, String prefix) {
        Properties config = new Properties();
        config.putAll(client);
        config.put(ConsumerConfig.GROUP_ID_CONFIG, prefix + "-judge");
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        config.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        return config;
    }
}
