import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMemberValue;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

/** Random groups through Kafka's own assignors; each group changes a few times and keeps what it had. */
public class AssignorCases {
    private static final Random RANDOM = new Random(4311);

    private static Uuid uuid() {
        return new Uuid(RANDOM.nextLong(), RANDOM.nextLong());
    }

    // Topics that share a bucket of a HashMap are listed in the order in which they came into it, back through all assignments.
    private static Uuid topic(Set<Uuid> others) {
        while (true) {
            Uuid id = uuid();
            if (others.stream().noneMatch(other -> bucket(other) == bucket(id))) return id;
        }
    }

    private static int bucket(Uuid id) {
        return (id.hashCode() ^ id.hashCode() >>> 16) & 15;
    }

    private static String text(Map<Uuid, ? extends Set<Integer>> assignment) {
        StringBuilder out = new StringBuilder();
        new TreeMap<Uuid, Set<Integer>>(assignment).forEach((topic, partitions) -> {
            if (partitions.isEmpty()) return;
            out.append(out.length() == 0 ? "" : ";").append(topic).append(":");
            String separator = "";
            for (int partition : new TreeSet<>(partitions)) {
                out.append(separator).append(partition);
                separator = ",";
            }
        });
        return out.length() == 0 ? "-" : out.toString();
    }

    // As it comes from the log.
    private static Assignment stored(Map<Uuid, ? extends Set<Integer>> assignment) {
        ConsumerGroupTargetAssignmentMemberValue record = new ConsumerGroupTargetAssignmentMemberValue();
        assignment.forEach((topic, partitions) -> record.topicPartitions().add(
            new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(topic)
                .setPartitions(new ArrayList<>(new TreeSet<>(partitions)))));
        return Assignment.fromRecord(record);
    }

    private static Set<Uuid> some(List<Uuid> topics) {
        Set<Uuid> chosen = new HashSet<>();
        for (Uuid topic : topics) if (RANDOM.nextInt(3) > 0) chosen.add(topic);
        return chosen;
    }

    public static void main(String[] args) {
        for (int group = 0; group < 60; group++) {
            boolean homogeneous = group % 2 == 0;
            ConsumerGroupPartitionAssignor assignor = group % 3 == 2 ? new RangeAssignor() : new UniformAssignor();
            Map<Uuid, Integer> topics = new LinkedHashMap<>();
            for (int i = 1 + RANDOM.nextInt(6); i > 0; i--) topics.put(topic(topics.keySet()), 1 + RANDOM.nextInt(24));
            Map<String, Optional<String>> members = new LinkedHashMap<>();
            Map<String, Set<Uuid>> subscriptions = new HashMap<>();
            Map<String, Assignment> assignments = new HashMap<>();
            for (int step = 0; step < 5; step++) {
                int joining = step == 0 ? 1 + RANDOM.nextInt(5) : RANDOM.nextInt(3);
                for (int i = 0; i < joining; i++) {
                    String id = uuid().toString();
                    members.put(id, RANDOM.nextInt(4) == 0 ? Optional.of("instance-" + RANDOM.nextInt(1000)) : Optional.empty());
                    subscriptions.put(id, some(new ArrayList<>(topics.keySet())));
                }
                if (step > 0 && members.size() > 1 && RANDOM.nextBoolean()) {
                    String gone = members.keySet().iterator().next();
                    members.remove(gone);
                    assignments.remove(gone);
                }
                if (step == 3) topics.put(topic(topics.keySet()), 1 + RANDOM.nextInt(12));
                if (step == 4) subscriptions.replaceAll((id, old) -> some(new ArrayList<>(topics.keySet())));
                run(assignor, homogeneous, topics, members, subscriptions, assignments);
            }
        }
    }

    private static void run(ConsumerGroupPartitionAssignor assignor, boolean homogeneous, Map<Uuid, Integer> topics,
            Map<String, Optional<String>> members, Map<String, Set<Uuid>> subscriptions, Map<String, Assignment> assignments) {
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new HashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new HashMap<>();
        members.forEach((id, instance) -> {
            Set<Uuid> subscribed = homogeneous ? topics.keySet() : subscriptions.get(id);
            Assignment assignment = assignments.getOrDefault(id, Assignment.EMPTY);
            specs.put(id, new MemberSubscriptionAndAssignmentImpl(Optional.empty(), instance, subscribed, assignment));
            assignment.partitions().forEach((topic, partitions) -> partitions.forEach(partition ->
                owners.computeIfAbsent(topic, t -> new HashMap<>()).put(partition, id)));
        });
        System.out.println("case\t" + assignor.name() + "\t" + (homogeneous ? "same" : "mixed"));
        topics.forEach((id, partitions) -> System.out.println("topic\t" + id + "\t" + partitions));
        specs.forEach((id, spec) -> {
            List<String> subscribed = new ArrayList<>();
            spec.subscribedTopicIds().forEach(topic -> subscribed.add(topic.toString()));
            System.out.println(String.join("\t", Arrays.asList("member", id, spec.instanceId().orElse("-"),
                subscribed.isEmpty() ? "-" : String.join(";", subscribed), text(spec.partitions()))));
        });
        SubscribedTopicDescriber describer = new SubscribedTopicDescriber() {
            @Override
            public int numPartitions(Uuid topic) {
                return topics.getOrDefault(topic, -1);
            }

            @Override
            public Set<String> racksForPartition(Uuid topic, int partition) {
                return Set.of();
            }
        };
        Map<String, MemberAssignment> result = assignor.assign(new GroupSpecImpl(specs,
            homogeneous ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS, owners), describer).members();
        for (String id : specs.keySet()) {
            Map<Uuid, Set<Integer>> got = result.containsKey(id) ? result.get(id).partitions() : Map.of();
            System.out.println("want\t" + id + "\t" + text(got));
            assignments.put(id, stored(got));
        }
    }
}
