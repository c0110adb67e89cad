package io.millrace.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Starts a broker for the tests of a class, as {@code @EmbeddedKafka} does, and sets the system properties
 * {@code spring.embedded.kafka.brokers} and {@link #bootstrapServersProperty}. Tests may have a parameter {@link MillraceBroker}.
 *
 * <p>The broker ends with the class; a Spring context that uses it should too: add {@code @DirtiesContext}.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Documented
@Inherited
@ExtendWith(MillraceExtension.class)
public @interface EmbeddedMillrace {

    /** Topics that are there before the tests begin. */
    String[] topics() default {};

    /** Of each of these topics. */
    int partitions() default 2;

    /** Lines of server.properties: {@code key=value}. */
    String[] brokerProperties() default {};

    /** What else is set to the broker's address; the default is what Spring Boot reads. */
    String bootstrapServersProperty() default "spring.kafka.bootstrap-servers";
}
