package shop.order;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.core.KafkaOperations;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Service;
import shop.common.Order;
import shop.common.Topics;
import shop.common.Trace;

/**
 * Puts orders into the log. The producer is idempotent: what it repeats after a lost answer is written once. With a transaction id
 * (profile "transactional") the orders of one call are seen all or not at all.
 */
@Service
@Profile("order")
class OrderService {

    private final KafkaTemplate<String, byte[]> template;

    OrderService(KafkaTemplate<String, byte[]> template) {
        this.template = template;
    }

    /** Returns when the brokers have them. */
    void place(List<Order> orders, String trace) {
        if (template.isTransactional()) {
            template.executeInTransaction(transaction -> send(transaction, orders, trace));
        } else {
            CompletableFuture.allOf(send(template, orders, trace)).join();
        }
    }

    private static CompletableFuture<?>[] send(KafkaOperations<String, byte[]> to, List<Order> orders, String trace) {
        long now = System.currentTimeMillis();
        return orders.stream()
                .map(order -> to.send(Trace.record(Topics.ORDERS, order.orderId(), order.placedAt(now), trace)))
                .toArray(CompletableFuture<?>[]::new);
    }
}
