package shop.inventory;

import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.support.Acknowledgment;
import org.springframework.stereotype.Service;
import shop.common.Json;
import shop.common.EnrichedOrder;
import shop.common.Listeners;
import shop.common.Topics;
import shop.common.Trace;

/** Reserves stock for paid orders. The database decides what is new, so nothing here depends on how often a record comes. */
@Service
@Profile("inventory")
class InventoryService {

    private final Warehouse warehouse;

    InventoryService(Warehouse warehouse) {
        this.warehouse = warehouse;
    }

    @KafkaListener(id = "inventory", topics = Topics.ORDERS_ENRICHED, containerFactory = Listeners.BATCH)
    void reserve(List<ConsumerRecord<String, byte[]>> batch, Acknowledgment acknowledgment) {
        warehouse.reserve(batch.stream()
                .map(record -> new Warehouse.Request(Json.read(record.value(), EnrichedOrder.class), Trace.of(record.headers())))
                .filter(request -> request.enriched().isPaid())
                .toList());
        acknowledgment.acknowledge();
    }
}
