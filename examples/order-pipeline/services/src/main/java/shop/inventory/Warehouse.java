package shop.inventory;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.springframework.context.annotation.Profile;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Repository;
import org.springframework.transaction.annotation.Transactional;
import shop.common.EnrichedOrder;
import shop.common.Json;
import shop.common.Order;
import shop.common.StockReserved;

/** The tables of schema.sql. What is reserved and what is to be told about it (the outbox) are written in one database transaction. */
@Repository
@Profile("inventory")
public class Warehouse {

    record Request(EnrichedOrder enriched, String trace) {}

    record Event(long id, String orderId, byte[] value, String trace) {}

    private final JdbcTemplate database;
    private final Counter repeated;
    private final Timer sinceOrder;

    Warehouse(JdbcTemplate database, MeterRegistry metrics) {
        this.database = database;
        repeated = Counter.builder("shop.inventory.repeated").description("orders that came again and changed nothing").register(metrics);
        sinceOrder = Timer.builder("shop.order.to.inventory").description("from the order to the reservation")
                .publishPercentiles(0.5, 0.99).register(metrics);
    }

    @Transactional(Database.TRANSACTIONS)
    public void reserve(List<Request> requests) {
        if (requests.isEmpty()) {
            return;
        }
        long now = System.currentTimeMillis();
        List<Request> fresh = insertNew(requests, now);
        Map<String, Integer> taken = new LinkedHashMap<>();
        fresh.forEach(request -> taken.merge(request.enriched().order().sku(), request.enriched().order().quantity(), Integer::sum));
        database.batchUpdate("INSERT INTO stock(sku, reserved) VALUES (?, 0) ON CONFLICT DO NOTHING",
                taken.keySet().stream().map(sku -> new Object[] {sku}).toList());
        database.batchUpdate("UPDATE stock SET reserved = reserved + ? WHERE sku = ?",
                taken.entrySet().stream().map(entry -> new Object[] {entry.getValue(), entry.getKey()}).toList());
        database.batchUpdate("INSERT INTO outbox(order_id, content, trace) VALUES (?, ?, ?)", fresh.stream().map(request -> {
            Order order = request.enriched().order();
            byte[] content = Json.write(new StockReserved(order.orderId(), order.sku(), order.quantity(), now));
            return new Object[] {order.orderId(), content, request.trace()};
        }).toList());
        repeated.increment(requests.size() - fresh.size());
        fresh.forEach(request -> sinceOrder.record(now - request.enriched().order().placedAtMillis(), TimeUnit.MILLISECONDS));
    }

    /** Those that were not there, now are. */
    private List<Request> insertNew(List<Request> requests, long now) {
        int[] inserted = database.batchUpdate("INSERT INTO reservation(order_id, sku, quantity, reserved_at) VALUES (?, ?, ?, ?) "
                + "ON CONFLICT DO NOTHING", requests.stream().map(request -> {
                    Order order = request.enriched().order();
                    return new Object[] {order.orderId(), order.sku(), order.quantity(), now};
                }).toList());
        List<Request> fresh = new ArrayList<>();
        for (int i = 0; i < inserted.length; i++) {
            if (inserted[i] == 1) {
                fresh.add(requests.get(i));
            }
        }
        return fresh;
    }

    List<Event> oldestEvents(int most) {
        return database.query("SELECT id, order_id, content, trace FROM outbox ORDER BY id LIMIT ?",
                (row, number) -> new Event(row.getLong(1), row.getString(2), row.getBytes(3), row.getString(4)), most);
    }

    void forgetEventsUpTo(long id) {
        database.update("DELETE FROM outbox WHERE id <= ?", id);
    }
}
