package shop.analytics;

import shop.common.EnrichedOrder;

/** Sums of a window that slides second by second, by the time of the order. */
class LastMinute {

    record Totals(long orders, long declined, long revenueCents) {}

    private static final int SECONDS = 60;

    private final long[] second = new long[SECONDS]; // which one the slot holds
    private final long[] orders = new long[SECONDS];
    private final long[] declined = new long[SECONDS];
    private final long[] revenueCents = new long[SECONDS];

    synchronized void add(EnrichedOrder enriched) {
        long at = enriched.order().placedAtMillis() / 1000;
        int slot = (int) (at % SECONDS);
        if (at < second[slot]) {
            return; // older than the window
        }
        if (at > second[slot]) {
            second[slot] = at;
            orders[slot] = declined[slot] = revenueCents[slot] = 0;
        }
        orders[slot]++;
        if (enriched.isPaid()) {
            revenueCents[slot] += enriched.payment().amountCents();
        } else {
            declined[slot]++;
        }
    }

    synchronized Totals totals(long nowMillis) {
        long oldest = nowMillis / 1000 - SECONDS;
        long sumOrders = 0;
        long sumDeclined = 0;
        long sumRevenue = 0;
        for (int slot = 0; slot < SECONDS; slot++) {
            if (second[slot] > oldest) {
                sumOrders += orders[slot];
                sumDeclined += declined[slot];
                sumRevenue += revenueCents[slot];
            }
        }
        return new Totals(sumOrders, sumDeclined, sumRevenue);
    }
}
