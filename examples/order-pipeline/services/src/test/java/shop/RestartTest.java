package shop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.millrace.junit.EmbeddedMillrace;
import io.millrace.junit.MillraceBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import shop.common.Topics;

/** Services that are started again go on where they were; those that forgot where that was do no harm. */
@EmbeddedMillrace
class RestartTest {

    @Test
    void nothingIsReservedTwiceThoughAllIsReadAgain(MillraceBroker broker, @TempDir Path data) throws Exception {
        try (Shop shop = Shop.open(data, "all")) {
            shop.order(Shop.orders("first-", 0, 100));
            await().atMost(Duration.ofSeconds(30)).until(() -> shop.reserved("chair") > 0);
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
            admin.deleteConsumerGroups(List.of("inventory")).all().get();
        }
        try (Shop shop = Shop.open(data, "all")) {
            shop.order(Shop.orders("second-", 0, 100));

            await().atMost(Duration.ofSeconds(30)).until(() -> shop.reservations() >= 200);
            await().atMost(Duration.ofSeconds(30)).untilAsserted(() -> assertThat(
                    Records.keys(broker.bootstrapServers(), Topics.STOCK_RESERVED)).hasSize(200).doesNotHaveDuplicates());
            assertThat(shop.reserved("chair")).isEqualTo(400);
            assertThat(shop.metrics()).containsPattern("shop_inventory_repeated_total [1-9]");
        }
    }
}
