package shop.common;

public record Payment(String orderId, Status status, long amountCents, long paidAtMillis) {

    public enum Status { PAID, DECLINED }
}
