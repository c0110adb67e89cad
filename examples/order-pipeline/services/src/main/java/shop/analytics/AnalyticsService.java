package shop.analytics;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.support.Acknowledgment;
import org.springframework.stereotype.Service;
import shop.common.EnrichedOrder;
import shop.common.Json;
import shop.common.Listeners;
import shop.common.Topics;

/** What the shop's people look at: figures of the last minute, on /actuator/prometheus. */
@Service
@Profile("analytics")
class AnalyticsService {

    private final LastMinute lastMinute = new LastMinute();

    AnalyticsService(MeterRegistry metrics) {
        Gauge.builder("shop.orders.last.minute", () -> lastMinute.totals(System.currentTimeMillis()).orders())
                .description("orders whose payment was decided").register(metrics);
        Gauge.builder("shop.revenue.last.minute", () -> lastMinute.totals(System.currentTimeMillis()).revenueCents() / 100.0)
                .description("of paid orders, whatever their currency").register(metrics);
        Gauge.builder("shop.declined.last.minute", () -> lastMinute.totals(System.currentTimeMillis()).declined())
                .description("orders that the bank declined").register(metrics);
    }

    @KafkaListener(id = "analytics", topics = Topics.ORDERS_ENRICHED, containerFactory = Listeners.BATCH)
    void count(List<ConsumerRecord<String, byte[]>> batch, Acknowledgment acknowledgment) {
        for (ConsumerRecord<String, byte[]> record : batch) {
            lastMinute.add(Json.read(record.value(), EnrichedOrder.class));
        }
        acknowledgment.acknowledge();
    }
}
