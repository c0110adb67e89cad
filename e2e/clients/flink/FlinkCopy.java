import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A Flink job in a MiniCluster that copies a topic by the Kafka connector, with checkpoints, and fails in its middle; and the
 * judge of its output: of what goes in each comes out once. `FlinkCopy BOOTSTRAP PREFIX GUARANTEE NAMING`.
 */
public final class FlinkCopy {
    private static final int RECORDS = 12_000;
    private static final int PARTITIONS = 4;
    private static final List<Integer> FAILS_AT = List.of(4_000, 9_000); // of what the mappers saw, repetitions included
    private static final AtomicInteger SEEN = new AtomicInteger();
    private static final AtomicInteger FAILURES = new AtomicInteger();

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String input = arguments[1] + "-in";
        String output = arguments[1] + "-out";
        fill(bootstrap, input, output);
        copy(bootstrap, input, output, DeliveryGuarantee.valueOf(arguments[2]), TransactionNamingStrategy.valueOf(arguments[3]));
        System.out.println("done: " + FAILURES + " failures, " + SEEN + " records seen");
        judge(bootstrap, output);
    }

    private static void fill(String bootstrap, String input, String output) throws Exception {
        Map<String, Object> client = Map.of("bootstrap.servers", bootstrap);
        try (Admin admin = Admin.create(client)) {
            admin.createTopics(List.of(new NewTopic(input, PARTITIONS, (short) -1), new NewTopic(output, PARTITIONS, (short) -1)))
                .all().get(30, TimeUnit.SECONDS);
        }
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(client, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(input, i % PARTITIONS, null, Integer.toString(i)));
            }
        }
    }

    private static void copy(String bootstrap, String input, String output, DeliveryGuarantee guarantee,
            TransactionNamingStrategy naming) throws Exception {
        Configuration configuration = new Configuration();
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 2 * FAILS_AT.size());
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(100));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, configuration);
        env.enableCheckpointing(200);
        KafkaSource<String> source = KafkaSource.<String>builder().setBootstrapServers(bootstrap).setTopics(input)
            .setGroupId(input).setStartingOffsets(OffsetsInitializer.earliest()).setBounded(OffsetsInitializer.latest())
            .setProperty("max.poll.records", "50").setValueOnlyDeserializer(new SimpleStringSchema()).build();
        KafkaSink<String> sink = KafkaSink.<String>builder().setBootstrapServers(bootstrap).setDeliveryGuarantee(guarantee)
            .setTransactionalIdPrefix(output).setTransactionNamingStrategy(naming)
            .setProperty("transaction.timeout.ms", "60000") // the connector's own is above what brokers allow
            .setRecordSerializer(KafkaRecordSerializationSchema.builder().setTopic(output)
                .setValueSerializationSchema(new SimpleStringSchema()).build()).build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "source").map(new Failing()).sinkTo(sink);
        env.execute(output);
    }

    /** Lets pass what it gets, slowly enough for checkpoints, and fails now and then. */
    private static final class Failing implements MapFunction<String, String> {
        @Override
        public String map(String value) throws Exception {
            int seen = SEEN.incrementAndGet();
            if (FAILS_AT.contains(seen)) {
                FAILURES.incrementAndGet();
                throw new IllegalStateException("the failure after " + seen + " records that the test wants");
            }
            if (seen % 4 == 0) {
                Thread.sleep(1);
            }
            return value;
        }
    }

    private static void judge(String bootstrap, String output) {
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed"));
        BitSet found = new BitSet();
        int doubled = 0;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            Set<TopicPartition> partitions = IntStream.range(0, PARTITIONS).mapToObj(n -> new TopicPartition(output, n))
                .collect(Collectors.toSet());
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    int value = Integer.parseInt(record.value());
                    doubled += found.get(value) ? 1 : 0;
                    found.set(value);
                }
            }
        }
        int lost = RECORDS - found.cardinality();
        boolean right = lost == 0 && doubled == 0 && FAILURES.get() == FAILS_AT.size();
        System.out.println(right ? "PASS " + RECORDS : "FAIL lost " + lost + ", doubled " + doubled + ", failures " + FAILURES);
        System.exit(right ? 0 : 1);
    }
}
