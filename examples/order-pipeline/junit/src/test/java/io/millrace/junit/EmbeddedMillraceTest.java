package io.millrace.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;

@EmbeddedMillrace(topics = {"orders", "payments"}, partitions = 3, brokerProperties = "auto.create.topics.enable=false")
class EmbeddedMillraceTest {

    @Test
    void setsThePropertiesThatSpringReads(MillraceBroker broker) {
        assertEquals(broker.bootstrapServers(), System.getProperty("spring.embedded.kafka.brokers"));
        assertEquals(broker.bootstrapServers(), System.getProperty("spring.kafka.bootstrap-servers"));
    }

    @Test
    void makesTheTopicsAndTheyOutliveACrash(MillraceBroker broker) throws Exception {
        String address = broker.bootstrapServers();
        broker.kill();
        broker.restart();
        assertEquals(address, broker.bootstrapServers());
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            var topics = admin.describeTopics(java.util.List.of("orders", "payments")).allTopicNames().get();
            topics.values().forEach(topic -> assertEquals(3, topic.partitions().size()));
        }
    }

    @Test
    void startsWithinHalfASecond() {
        Duration best = IntStream.range(0, 5).mapToObj(i -> {
            try (MillraceBroker broker = MillraceBroker.start()) {
                return broker.startedIn();
            }
        }).min(Duration::compareTo).orElseThrow();
        System.out.println("started in " + best.toMillis() + " ms");
        assertTrue(best.compareTo(Duration.ofMillis(500)) <= 0, "best of five: " + best);
    }
}
