package shop.enrichment;

import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.EnableKafkaStreams;
import org.springframework.kafka.config.StreamsBuilderFactoryBeanConfigurer;
import shop.common.EnrichedOrder;
import shop.common.Json;
import shop.common.Order;
import shop.common.Payment;
import shop.common.PipelineProperties;
import shop.common.Topics;

/** Orders joined with their payments, each pair once (exactly_once_v2 in application.yml). */
@Configuration
@EnableKafkaStreams
@Profile("enrichment")
class Enrichment {

    @Bean
    KStream<String, EnrichedOrder> enriched(StreamsBuilder builder, PipelineProperties pipeline) {
        var text = Serdes.String();
        var orders = Json.serde(Order.class);
        var payments = Json.serde(Payment.class);
        // A payment that is later than the window allows, because its service was away, is still taken within the grace period.
        JoinWindows window = JoinWindows.ofTimeDifferenceAndGrace(pipeline.joinWindow(), Duration.ofSeconds(10));
        KStream<String, EnrichedOrder> enriched = builder.stream(Topics.ORDERS, Consumed.with(text, orders))
                .join(builder.stream(Topics.PAYMENTS, Consumed.with(text, payments)), EnrichedOrder::new, window,
                        StreamJoined.with(text, orders, payments).withName("order-payment").withStoreName("order-payment"));
        enriched.to(Topics.ORDERS_ENRICHED, Produced.with(text, Json.serde(EnrichedOrder.class)));
        return enriched;
    }

    /** A thread that fails is replaced; a process that ends says so, and its partitions go to the others at once. */
    @Bean
    StreamsBuilderFactoryBeanConfigurer endsAndGoesOn() {
        return factory -> {
            factory.setStreamsUncaughtExceptionHandler(exception -> StreamThreadExceptionResponse.REPLACE_THREAD);
            factory.setLeaveGroupOnClose(true);
        };
    }
}
