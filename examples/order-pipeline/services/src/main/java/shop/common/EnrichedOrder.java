package shop.common;

/** An order and what became of its payment. */
public record EnrichedOrder(Order order, Payment payment) {

    public boolean isPaid() {
        return payment.status() == Payment.Status.PAID;
    }
}
