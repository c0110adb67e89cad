package shop.common;

import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewTopic;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.core.KafkaAdmin.NewTopics;

/**
 * All of them have the same number of partitions and the order's id as key: the join needs that of orders and payments. Whoever comes
 * first makes them; where users may not create topics they come with the cluster (see ../../../../../resources) and
 * {@code spring.kafka.admin.auto-create} is false.
 */
@Configuration
public class Topics {

    public static final String ORDERS = "orders";
    public static final String ORDERS_RETRY = "orders.retry";
    public static final String ORDERS_DEAD = "orders.dead";
    public static final String PAYMENTS = "payments";
    public static final String ORDERS_ENRICHED = "orders.enriched";
    public static final String STOCK_RESERVED = "stock.reserved";

    @Bean
    NewTopics allTopics(PipelineProperties pipeline) {
        return new NewTopics(Stream.of(ORDERS, ORDERS_RETRY, ORDERS_DEAD, PAYMENTS, ORDERS_ENRICHED, STOCK_RESERVED)
                .map(name -> TopicBuilder.name(name).partitions(pipeline.partitions()).build())
                .toArray(NewTopic[]::new));
    }
}
