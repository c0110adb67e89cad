package shop.common;

import org.apache.kafka.common.TopicPartition;
import org.springframework.boot.autoconfigure.kafka.ConcurrentKafkaListenerContainerFactoryConfigurer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultAfterRollbackProcessor;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.support.ExponentialBackOffWithMaxRetries;
import org.springframework.util.backoff.BackOff;
import org.springframework.util.backoff.ExponentialBackOff;

/**
 * The two ways of going on after an exception. A batch is tried again until it works: its records are fine, something else is not (the
 * database, the broker). A single order is tried a few times and then put aside.
 *
 * <p>In a transaction an exception rolls back what the listener sent, so there it is not an error handler that decides but what comes
 * after the rollback.
 */
@Configuration
public class Listeners {

    public static final String BATCH = "batch";
    public static final String SINGLE = "single";

    @Bean(BATCH)
    ConcurrentKafkaListenerContainerFactory<Object, Object> batch(ConcurrentKafkaListenerContainerFactoryConfigurer configurer,
            ConsumerFactory<Object, Object> consumers, KafkaTemplate<?, ?> template) {
        var factory = new ConcurrentKafkaListenerContainerFactory<Object, Object>();
        configurer.configure(factory, consumers);
        factory.setBatchListener(true);
        ExponentialBackOff forever = new ExponentialBackOff(100, 2);
        forever.setMaxInterval(5_000);
        if (template.isTransactional()) {
            factory.setAfterRollbackProcessor(new DefaultAfterRollbackProcessor<>(forever));
        } else {
            factory.setCommonErrorHandler(new DefaultErrorHandler(forever));
        }
        return factory;
    }

    @Bean(SINGLE)
    ConcurrentKafkaListenerContainerFactory<Object, Object> single(ConcurrentKafkaListenerContainerFactoryConfigurer configurer,
            ConsumerFactory<Object, Object> consumers, KafkaTemplate<Object, Object> template, PipelineProperties pipeline) {
        var factory = new ConcurrentKafkaListenerContainerFactory<Object, Object>();
        configurer.configure(factory, consumers);
        var deadLetters = new DeadLetterPublishingRecoverer(template,
                (record, exception) -> new TopicPartition(Topics.ORDERS_DEAD, record.partition()));
        BackOff backOff = backOff(pipeline);
        if (template.isTransactional()) {
            var processor = new DefaultAfterRollbackProcessor<Object, Object>(deadLetters, backOff, template, true);
            processor.addNotRetryableExceptions(Json.NotReadable.class);
            factory.setAfterRollbackProcessor(processor);
        } else {
            var handler = new DefaultErrorHandler(deadLetters, backOff);
            handler.addNotRetryableExceptions(Json.NotReadable.class);
            factory.setCommonErrorHandler(handler);
        }
        return factory;
    }

    private static BackOff backOff(PipelineProperties pipeline) {
        ExponentialBackOffWithMaxRetries backOff = new ExponentialBackOffWithMaxRetries(pipeline.retries());
        backOff.setInitialInterval(pipeline.firstRetryAfter().toMillis());
        backOff.setMultiplier(2);
        return backOff;
    }
}
