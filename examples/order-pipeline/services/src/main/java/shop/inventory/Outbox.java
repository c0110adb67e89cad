package shop.inventory;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.core.KafkaOperations;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;
import shop.common.Topics;
import shop.common.Trace;

/**
 * Tells the world what the database has committed: reads the outbox in order, writes it to the log, then forgets it. A crash between the
 * two tells some of it again, with the same order id as key.
 */
@Component
@Profile("inventory")
class Outbox {

    private static final int MOST_AT_ONCE = 500;

    private final Warehouse warehouse;
    private final KafkaTemplate<String, byte[]> template;

    Outbox(Warehouse warehouse, KafkaTemplate<String, byte[]> template) {
        this.warehouse = warehouse;
        this.template = template;
    }

    @Scheduled(fixedDelayString = "${pipeline.outbox-every}")
    void relay() {
        List<Warehouse.Event> events;
        while (!(events = warehouse.oldestEvents(MOST_AT_ONCE)).isEmpty()) {
            List<Warehouse.Event> told = events;
            if (template.isTransactional()) {
                template.executeInTransaction(transaction -> send(transaction, told));
            } else {
                CompletableFuture.allOf(send(template, told)).join();
            }
            warehouse.forgetEventsUpTo(told.get(told.size() - 1).id());
        }
    }

    private static CompletableFuture<?>[] send(KafkaOperations<String, byte[]> to, List<Warehouse.Event> events) {
        return events.stream().map(event -> to.send(Trace.record(Topics.STOCK_RESERVED, event.orderId(), event.value(), event.trace())))
                .toArray(CompletableFuture<?>[]::new);
    }
}
