package shop.payment;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.Acknowledgment;
import org.springframework.stereotype.Service;
import shop.common.Json;
import shop.common.Listeners;
import shop.common.Order;
import shop.common.Topics;
import shop.common.Trace;

/**
 * Charges orders in batches. One that fails holds nobody up: it goes to a topic of its own, where it is tried again with growing pauses
 * and at last put among the dead letters.
 *
 * <p>The batch is acknowledged when its payments are in the log, so a crash repeats a part of it (at least once). With transactions,
 * payments and offsets are committed together: exactly once.
 */
@Service
@Profile("payment")
public class PaymentService {

    public static final String LISTENER = "payment";
    private static final Logger log = LoggerFactory.getLogger(PaymentService.class);

    private final Bank bank;
    private final KafkaTemplate<String, byte[]> template;

    PaymentService(Bank bank, KafkaTemplate<String, byte[]> template) {
        this.bank = bank;
        this.template = template;
    }

    @KafkaListener(id = LISTENER, topics = Topics.ORDERS, containerFactory = Listeners.BATCH, concurrency = "3")
    void charge(List<ConsumerRecord<String, byte[]>> batch, Acknowledgment acknowledgment) {
        CompletableFuture<?>[] sent = batch.stream().map(record -> template.send(paymentOrRetry(record))).toArray(CompletableFuture<?>[]::new);
        if (!template.isTransactional()) { // else the commit waits for them
            CompletableFuture.allOf(sent).join();
        }
        acknowledgment.acknowledge();
    }

    @KafkaListener(id = "payment-retry", topics = Topics.ORDERS_RETRY, containerFactory = Listeners.SINGLE, concurrency = "3")
    void chargeAgain(ConsumerRecord<String, byte[]> record, Acknowledgment acknowledgment) {
        CompletableFuture<?> sent = template.send(payment(record));
        if (!template.isTransactional()) {
            sent.join();
        }
        acknowledgment.acknowledge();
    }

    private ProducerRecord<String, byte[]> paymentOrRetry(ConsumerRecord<String, byte[]> record) {
        try {
            return payment(record);
        } catch (RuntimeException e) {
            log.warn("trace {}: {}", Trace.of(record.headers()), e.getMessage());
            return Trace.record(Topics.ORDERS_RETRY, record.key(), record.value(), Trace.of(record.headers()));
        }
    }

    private ProducerRecord<String, byte[]> payment(ConsumerRecord<String, byte[]> record) {
        Order order = Json.read(record.value(), Order.class);
        return Trace.record(Topics.PAYMENTS, order.orderId(), bank.charge(order), Trace.of(record.headers()));
    }
}
