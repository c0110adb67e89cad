package shop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static shop.Shop.anOrder;

import io.millrace.junit.EmbeddedMillrace;
import io.millrace.junit.MillraceBroker;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import shop.common.Json;
import shop.common.Order;
import shop.common.StockReserved;
import shop.common.Topics;
import shop.common.Trace;
import shop.payment.PaymentService;

@EmbeddedMillrace
class OrderPipelineTest {

    private static Shop shop;

    @BeforeAll
    static void open(@TempDir Path data) {
        shop = Shop.open(data, "all");
    }

    @AfterAll
    static void close() {
        shop.close();
    }

    @Test
    void anOrderIsPaidEnrichedReservedAndTold(MillraceBroker broker) {
        String trace = shop.order(anOrder("happy-1", "table"));

        ConsumerRecord<String, byte[]> told = awaitRecord(broker, Topics.STOCK_RESERVED, "happy-1");

        StockReserved event = Json.read(told.value(), StockReserved.class);
        assertThat(event.sku()).isEqualTo("table");
        assertThat(shop.reserved("table")).isEqualTo(2);
        assertThat(Trace.of(told.headers())).isEqualTo(trace);
        await().untilAsserted(() -> assertThat(shop.metrics()).contains("shop_revenue_last_minute ", "shop_order_to_inventory_seconds{quantile=\"0.99\"}"));
    }

    @Test
    void whatTheBankDeclinesIsNotReserved(MillraceBroker broker) {
        shop.order(new Order("declined-1", "bob", "yacht", 1, 1_000_000, "EUR", 0));

        awaitRecord(broker, Topics.ORDERS_ENRICHED, "declined-1");
        shop.order(anOrder("declined-2", "boat"));
        awaitRecord(broker, Topics.STOCK_RESERVED, "declined-2");
        assertThat(shop.reserved("yacht")).isZero();
    }

    @Test
    void anOrderThatFailsAgainAndAgainIsPutAsideAndHoldsNobodyUp(MillraceBroker broker) {
        String trace = shop.order(new Order("poison-1", "eve", "lamp", 1, 1999, "ZZZ", 0), anOrder("poison-2", "lamp"));

        awaitRecord(broker, Topics.STOCK_RESERVED, "poison-2");
        ConsumerRecord<String, byte[]> dead = awaitRecord(broker, Topics.ORDERS_DEAD, "poison-1");
        assertThat(Json.read(dead.value(), Order.class).customer()).isEqualTo("eve");
        assertThat(header(dead, "kafka_dlt-exception-message")).contains("no such currency: ZZZ");
        assertThat(Trace.of(dead.headers())).isEqualTo(trace);
        assertThat(shop.reserved("lamp")).isEqualTo(2);
    }

    @Test
    void whatIsNoOrderAtAllIsPutAsideToo(MillraceBroker broker) {
        Records.write(broker.bootstrapServers(), Topics.ORDERS, "noise-1", "no order");

        assertThat(awaitRecord(broker, Topics.ORDERS_DEAD, "noise-1").value()).asString().isEqualTo("no order");
        shop.order(anOrder("noise-2", "sofa"));
        awaitRecord(broker, Topics.STOCK_RESERVED, "noise-2");
    }

    @Test
    void paymentsCanBePausedAndResumed(MillraceBroker broker) throws Exception {
        shop.post("/payments/pause");
        var payments = shop.bean(KafkaListenerEndpointRegistry.class).getListenerContainer(PaymentService.LISTENER);
        await().until(payments::isContainerPaused);
        shop.order(anOrder("paused-1", "bed"));
        Thread.sleep(500);
        assertThat(Records.keys(broker.bootstrapServers(), Topics.PAYMENTS)).doesNotContain("paused-1");

        shop.post("/payments/resume");

        awaitRecord(broker, Topics.STOCK_RESERVED, "paused-1");
        assertThat(Records.keys(broker.bootstrapServers(), Topics.PAYMENTS)).containsOnlyOnce("paused-1");
    }

    @Test
    void anOrderThatIsSentAgainIsReservedOnce(MillraceBroker broker) {
        shop.order(anOrder("again-1", "desk"));
        awaitRecord(broker, Topics.STOCK_RESERVED, "again-1");
        shop.order(anOrder("again-1", "desk"), anOrder("again-2", "desk"));
        awaitRecord(broker, Topics.STOCK_RESERVED, "again-2");

        await().during(Duration.ofMillis(500)).untilAsserted(() -> assertThat(shop.reserved("desk")).isEqualTo(4));
        assertThat(Records.keys(broker.bootstrapServers(), Topics.STOCK_RESERVED)).containsOnlyOnce("again-1");
    }

    private static ConsumerRecord<String, byte[]> awaitRecord(MillraceBroker broker, String topic, String key) {
        return await().atMost(Duration.ofSeconds(30)).until(() -> Records.all(broker.bootstrapServers(), topic).stream()
                .filter(record -> key.equals(record.key())).findFirst(), java.util.Optional::isPresent).orElseThrow();
    }

    private static String header(ConsumerRecord<String, byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
