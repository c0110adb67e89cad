package shop.payment;

import java.util.Set;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;
import shop.common.Order;
import shop.common.Payment;

/** Stands for a bank: declines what is too much, and fails for a currency that it does not know. */
@Component
@Profile("payment")
public class Bank {

    private static final long LIMIT_CENTS = 100_000;
    private static final Set<String> CURRENCIES = Set.of("EUR", "USD", "GBP");

    public Payment charge(Order order) {
        if (!CURRENCIES.contains(order.currency())) {
            throw new IllegalArgumentException("order " + order.orderId() + ": no such currency: " + order.currency());
        }
        Payment.Status status = order.amountCents() > LIMIT_CENTS ? Payment.Status.DECLINED : Payment.Status.PAID;
        return new Payment(order.orderId(), status, order.amountCents(), System.currentTimeMillis());
    }
}
