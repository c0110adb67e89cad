import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.streams.tests.SmokeTestDriver;

/** What StreamsSmokeTest does for `run`, with an amount of data of our choice: there it is fixed, and takes 90 seconds. */
public final class SmokeDriver {
    public static void main(String[] arguments) {
        int keys = Integer.parseInt(arguments[1]);
        int records = Integer.parseInt(arguments[2]);
        Duration spread = Duration.ofSeconds(Integer.parseInt(arguments[3]));
        Map<String, Set<Integer>> sent = SmokeTestDriver.generate(arguments[0], keys, records, spread);
        SmokeTestDriver.verify(arguments[0], sent, records, true);
    }
}
