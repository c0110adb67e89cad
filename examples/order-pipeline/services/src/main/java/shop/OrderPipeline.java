package shop;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;
import org.springframework.scheduling.annotation.EnableScheduling;

/** Each service is a package and a Spring profile. Without a profile all of them run in this process. */
@SpringBootApplication
@ConfigurationPropertiesScan
@EnableScheduling
public class OrderPipeline {

    public static void main(String[] arguments) {
        SpringApplication.run(OrderPipeline.class, arguments);
    }
}
