package shop.payment;

import org.springframework.context.annotation.Profile;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** For when the bank asks for quiet. A paused listener keeps its partitions: it goes on where it was, without a rebalance. */
@RestController
@Profile("payment")
class PaymentControl {

    private final KafkaListenerEndpointRegistry listeners;

    PaymentControl(KafkaListenerEndpointRegistry listeners) {
        this.listeners = listeners;
    }

    @PostMapping("/payments/pause")
    void pause() {
        container().pause();
    }

    @PostMapping("/payments/resume")
    void resume() {
        container().resume();
    }

    private MessageListenerContainer container() {
        return listeners.getListenerContainer(PaymentService.LISTENER);
    }
}
