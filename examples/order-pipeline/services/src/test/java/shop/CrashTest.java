package shop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.millrace.junit.EmbeddedMillrace;
import io.millrace.junit.MillraceBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import shop.common.Topics;

/** What was accepted is there once, at every step, though the broker dies twice. */
@EmbeddedMillrace
class CrashTest {

    private static final int ORDERS = 2_000;
    private static final int AT_ONCE = 20;

    @Test
    void withTransactionsNothingIsLostOrDoubledWhenTheBrokerIsKilled(MillraceBroker broker, @TempDir Path data) {
        try (Shop shop = Shop.open(data, "all", "transactional")) {
            CompletableFuture<Void> customer = CompletableFuture.runAsync(() -> {
                for (int i = 0; i < ORDERS; i += AT_ONCE) {
                    shop.order(Shop.orders("order-", i, i + AT_ONCE));
                }
            });
            await().atMost(Duration.ofSeconds(60)).until(() -> shop.reservations() > ORDERS / 4);
            broker.kill();
            broker.restart();
            await().atMost(Duration.ofSeconds(60)).until(() -> shop.reservations() > ORDERS / 2);
            broker.kill();
            broker.restart();
            customer.join();

            await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> assertThat(shop.reservations()).isEqualTo(ORDERS));
            await().atMost(Duration.ofSeconds(10)).untilAsserted(
                    () -> assertThat(Records.keys(broker.bootstrapServers(), Topics.STOCK_RESERVED)).hasSizeGreaterThanOrEqualTo(ORDERS));
            for (String topic : List.of(Topics.ORDERS, Topics.PAYMENTS, Topics.ORDERS_ENRICHED, Topics.STOCK_RESERVED)) {
                assertThat(Records.keys(broker.bootstrapServers(), topic)).as(topic).hasSize(ORDERS).doesNotHaveDuplicates();
            }
            assertThat(shop.reserved("chair")).isEqualTo(2L * ORDERS);
        }
    }
}
