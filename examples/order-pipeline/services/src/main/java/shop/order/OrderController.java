package shop.order;

import java.util.List;
import org.springframework.context.annotation.Profile;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import shop.common.Order;
import shop.common.Trace;

@RestController
@Profile("order")
class OrderController {

    private final OrderService service;

    OrderController(OrderService service) {
        this.service = service;
    }

    /** A list of orders. 202: they are in the log, the rest follows. */
    @PostMapping("/orders")
    ResponseEntity<Void> place(@RequestBody List<Order> orders, @RequestHeader(name = Trace.HEADER, required = false) String given) {
        String trace = given == null ? Trace.begin() : given;
        service.place(orders, trace);
        return ResponseEntity.accepted().header(Trace.HEADER, trace).build();
    }
}
