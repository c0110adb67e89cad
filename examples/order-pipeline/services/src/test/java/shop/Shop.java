package shop;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.http.ResponseEntity;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.client.RestClient;
import shop.common.Order;

/** The services in this process, and a customer. The broker is where the system properties say. */
final class Shop implements AutoCloseable {

    private final ConfigurableApplicationContext context;
    private final RestClient http;

    private Shop(ConfigurableApplicationContext context) {
        this.context = context;
        int port = ((ServletWebServerApplicationContext) context).getWebServer().getPort();
        http = RestClient.create("http://127.0.0.1:" + port);
    }

    static Shop open(Path data, String... profiles) {
        return new Shop(new SpringApplicationBuilder(OrderPipeline.class).profiles(profiles)
                .run("--server.port=0", "--pipeline.data=" + data.toAbsolutePath()));
    }

    /** The trace that the shop answered. */
    String order(Order... orders) {
        return order(List.of(orders));
    }

    String order(List<Order> orders) {
        return http.post().uri("/orders").body(orders).retrieve().toBodilessEntity().getHeaders().getFirst("traceparent");
    }

    void post(String path) {
        ResponseEntity<Void> answer = http.post().uri(path).retrieve().toBodilessEntity();
        if (!answer.getStatusCode().is2xxSuccessful()) {
            throw new IllegalStateException(path + ": " + answer.getStatusCode());
        }
    }

    String metrics() {
        return http.get().uri("/actuator/prometheus").retrieve().body(String.class);
    }

    long reserved(String sku) {
        return database().queryForList("SELECT reserved FROM stock WHERE sku = ?", Long.class, sku).stream().findFirst().orElse(0L);
    }

    long reservations() {
        return database().queryForObject("SELECT count(*) FROM reservation", Long.class);
    }

    <T> T bean(Class<T> type) {
        return context.getBean(type);
    }

    private JdbcTemplate database() {
        return context.getBean(JdbcTemplate.class);
    }

    static Order anOrder(String id, String sku) {
        return new Order(id, "ann", sku, 2, 1999, "EUR", 0);
    }

    static List<Order> orders(String prefix, int from, int to) {
        return new ArrayList<>(IntStream.range(from, to).mapToObj(i -> anOrder(prefix + i, "chair")).toList());
    }

    @Override
    public void close() {
        context.close();
    }
}
