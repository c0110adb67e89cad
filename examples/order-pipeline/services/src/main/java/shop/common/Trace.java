package shop.common;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * The trace of an order (W3C Trace Context) travels in a header of every record that it causes. Listeners that take a batch have no
 * "current" trace, so it is handed on by name; Kafka Streams hands headers on by itself.
 */
public final class Trace {

    public static final String HEADER = "traceparent";

    private Trace() {}

    public static String begin() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        HexFormat hex = HexFormat.of();
        return "00-" + hex.toHexDigits(random.nextLong()) + hex.toHexDigits(random.nextLong()) + "-" + hex.toHexDigits(random.nextLong()) + "-01";
    }

    /** Null if there is none. */
    public static String of(Headers headers) {
        Header header = headers.lastHeader(HEADER);
        return header == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    public static ProducerRecord<String, byte[]> record(String topic, String key, Object value, String trace) {
        return record(topic, key, Json.write(value), trace);
    }

    public static ProducerRecord<String, byte[]> record(String topic, String key, byte[] value, String trace) {
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(topic, key, value);
        if (trace != null) {
            record.headers().add(HEADER, trace.getBytes(StandardCharsets.UTF_8));
        }
        return record;
    }
}
