package shop.common;

/** What a customer wants. The key of its records is {@code orderId}, which the customer's side chose: sent again, it is the same order. */
public record Order(String orderId, String customer, String sku, int quantity, long amountCents, String currency, long placedAtMillis) {

    public Order placedAt(long millis) {
        return new Order(orderId, customer, sku, quantity, amountCents, currency, millis);
    }
}
