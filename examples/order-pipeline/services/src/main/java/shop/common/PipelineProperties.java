package shop.common;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * @param partitions of every topic that the services make
 * @param joinWindow how far apart an order and its payment may be
 * @param retries of an order that the bank did not take, before it goes to the dead letters
 * @param firstRetryAfter the pause before the first; every later one is twice as long
 */
@ConfigurationProperties("pipeline")
public record PipelineProperties(int partitions, Duration joinWindow, int retries, Duration firstRetryAfter) {}
