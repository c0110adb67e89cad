package shop.common;

public record StockReserved(String orderId, String sku, int quantity, long reservedAtMillis) {}
