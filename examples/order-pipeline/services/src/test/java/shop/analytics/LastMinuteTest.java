package shop.analytics;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import shop.common.EnrichedOrder;
import shop.common.Order;
import shop.common.Payment;

class LastMinuteTest {

    private final LastMinute window = new LastMinute();

    @Test
    void sumsWhatWasOrderedWithinIt() {
        add(1_000, Payment.Status.PAID);
        add(2_000, Payment.Status.DECLINED);

        assertThat(window.totals(2_500)).isEqualTo(new LastMinute.Totals(2, 1, 500));
    }

    @Test
    void forgetsWhatIsOlder() {
        add(1_000, Payment.Status.PAID);
        add(70_000, Payment.Status.PAID);

        assertThat(window.totals(70_000).orders()).isEqualTo(1);
        add(1_000, Payment.Status.PAID); // late, and its slot has another second by now or is too old to count
        assertThat(window.totals(70_000).orders()).isEqualTo(1);
    }

    private void add(long at, Payment.Status status) {
        window.add(new EnrichedOrder(new Order("1", "ann", "chair", 1, 500, "EUR", at), new Payment("1", status, 500, at)));
    }
}
