import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData.TopicPartitions;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatResponseData;
import org.apache.kafka.common.message.FindCoordinatorRequestData;
import org.apache.kafka.common.message.OffsetCommitRequestData;
import org.apache.kafka.common.message.OffsetCommitResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.requests.RequestHeader;

/**
 * Heartbeats of the consumer protocol (KIP-848), right and wrong ones, request by request, told in lines on stdout: member ids are
 * ours, so that two brokers must give the same epochs, assignments and errors.
 */
public final class Heartbeats {
  private final Admin admin;
  private final DataInputStream in;
  private final DataOutputStream out;
  private final Map<Uuid, String> names = new HashMap<>();
  private final Map<String, Uuid> ids = new HashMap<>();
  private final Map<String, Integer> epochs = new HashMap<>();
  private final Map<String, List<TopicPartitions>> assigned = new HashMap<>();
  private String group;

  private Heartbeats(String bootstrap) throws Exception {
    admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    String[] address = bootstrap.split(":");
    Socket socket = new Socket(address[0], Integer.parseInt(address[1]));
    in = new DataInputStream(socket.getInputStream());
    out = new DataOutputStream(socket.getOutputStream());
  }

  public static void main(String[] arguments) throws Exception {
    Heartbeats beats = new Heartbeats(arguments[0]);
    beats.create("beats", 6);
    beats.create("other", 4);
    beats.joinAndLeave();
    beats.wrongRequests();
    beats.staticMembers();
    beats.rangeAssignor();
    beats.subscriptions();
    beats.growingTopic();
    beats.commits();
    beats.admin.close();
  }

  // Members come one by one and go again; everybody gives up what it is told to.
  private void joinAndLeave() throws Exception {
    begin("beats-join");
    for (String member : List.of("a", "b", "c", "d")) {
      join(member, "beats");
      settle();
    }
    leave("b");
    settle();
    join("e", "beats");
    settle();
    leave("a");
    leave("c");
    settle();
  }

  private void wrongRequests() throws Exception {
    begin("beats-wrong");
    send("no group", request("x", 5));
    send("leave no group", request("x", -1));
    send("no member id", request("", 0).setRebalanceTimeoutMs(1000).setSubscribedTopicNames(List.of("beats")).setTopicPartitions(List.of()));
    send("blank group", request("x", 0).setGroupId(" "));
    send("no rebalance timeout", request("x", 0).setSubscribedTopicNames(List.of("beats")).setTopicPartitions(List.of()));
    send("no partitions", request("x", 0).setRebalanceTimeoutMs(1000).setSubscribedTopicNames(List.of("beats")));
    send("no subscription", request("x", 0).setRebalanceTimeoutMs(1000).setTopicPartitions(List.of()));
    send("epoch -3", request("x", -3));
    send("static leave of a dynamic member", request("x", -2));
    send("unknown assignor", request("x", 0).setRebalanceTimeoutMs(1000).setSubscribedTopicNames(List.of("beats"))
        .setTopicPartitions(List.of()).setServerAssignor("sticky"));
    send("no regular expression", request("x", 0).setRebalanceTimeoutMs(1000).setSubscribedTopicRegex("[").setTopicPartitions(List.of()));
    join("x", "beats");
    send("greater epoch", request("x", 99));
    send("unknown member", request("y", 2));
    send("leave of an unknown member", request("y", -1));
    send("unknown instance", request("x", 2).setInstanceId("nobody"));
    join("y", "beats");
    settle();
    send("previous epoch, silent", request("x", epochs.get("x") - 1));
    send("previous epoch, what it has", request("x", epochs.get("x") - 1).setTopicPartitions(assigned.get("x")));
    send("joins again", request("x", 0).setRebalanceTimeoutMs(1000).setSubscribedTopicNames(List.of("beats")).setTopicPartitions(List.of()));
  }

  private void staticMembers() throws Exception {
    begin("beats-static");
    joinAs("s1", "i1", null, "beats");
    joinAs("s2", "i2", null, "beats");
    settle();
    send("taken", joining("s3", "beats").setInstanceId("i1"));
    send("away", request("s1", -2).setInstanceId("i1"));
    epochs.remove("s1");
    send("wrong place", request("s2", epochs.get("s2")).setInstanceId("i1"));
    joinAs("s3", "i1", null, "beats");
    send("fenced", request("s1", 2).setInstanceId("i1"));
    settle();
    send("gone", request("s3", -1).setInstanceId("i1"));
    epochs.remove("s3");
    settle();
  }

  private void rangeAssignor() throws Exception {
    begin("beats-range");
    joinAs("r2", null, "range", "beats", "other");
    settle();
    joinAs("r1", null, "range", "beats", "other");
    settle();
    joinAs("r3", null, "uniform", "beats", "other");
    settle();
  }

  private void subscriptions() throws Exception {
    begin("beats-mixed");
    join("m1", "beats");
    settle();
    join("m2", "other");
    settle();
    join("m3", "beats", "other");
    settle();
    send("changes", request("m1", epochs.get("m1")).setSubscribedTopicNames(List.of("other")));
    settle();
    send("to nothing there", request("m2", epochs.get("m2")).setSubscribedTopicNames(List.of("absent")));
    settle();
  }

  private void growingTopic() throws Exception {
    begin("beats-growing");
    create("growing", 1);
    join("g1", "growing");
    settle();
    admin.createPartitions(Map.of("growing", NewPartitions.increaseTo(3))).all().get();
    for (int i = 0; i < 100 && assigned.get("g1").get(0).partitions().size() < 3; i++) {
      Thread.sleep(50);
      exchange(request("g1", epochs.get("g1")));
    }
    tell("grown", assigned.get("g1"));
  }

  private void commits() throws Exception {
    begin("beats-commits");
    join("c1", "beats");
    settle();
    commit("current epoch", "c1", epochs.get("c1"), (short) 9);
    commit("later epoch", "c1", 77, (short) 9);
    commit("earlier epoch", "c1", 0, (short) 9);
    commit("old version", "c1", epochs.get("c1"), (short) 8);
    commit("unknown member", "c2", 1, (short) 9);
    commit("no member", "", -1, (short) 9);
    leave("c1");
    commit("no member of an empty group", "", -1, (short) 9);
  }

  private void begin(String name) throws Exception {
    group = name;
    epochs.clear();
    assigned.clear();
    System.out.println("== " + name);
    ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, name);
    Collection<AlterConfigOp> op = List.of(new AlterConfigOp(new ConfigEntry("consumer.assignment.interval.ms", "0"), AlterConfigOp.OpType.SET));
    admin.incrementalAlterConfigs(Map.of(resource, op)).all().get();
    for (int i = 0; i < 200; i++) {
      Message answer = roundTrip(ApiKeys.FIND_COORDINATOR, (short) 4,
          new FindCoordinatorRequestData().setKeyType((byte) 0).setCoordinatorKeys(List.of(name)),
          new org.apache.kafka.common.message.FindCoordinatorResponseData());
      var data = (org.apache.kafka.common.message.FindCoordinatorResponseData) answer;
      if (data.coordinators().get(0).errorCode() == 0) break;
      Thread.sleep(50);
    }
    Thread.sleep(300);
  }

  private void create(String topic, int partitions) throws Exception {
    Uuid id = admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).topicId(topic).get();
    for (int i = 0; i < 200 && !admin.listTopics().names().get().contains(topic); i++) Thread.sleep(50);
    Thread.sleep(500);
    names.put(id, topic);
    ids.put(topic, id);
  }

  private ConsumerGroupHeartbeatRequestData request(String member, int epoch) {
    return new ConsumerGroupHeartbeatRequestData().setGroupId(group).setMemberId(member).setMemberEpoch(epoch);
  }

  private ConsumerGroupHeartbeatRequestData joining(String member, String... topics) {
    return request(member, 0).setRebalanceTimeoutMs(60_000).setSubscribedTopicNames(List.of(topics)).setTopicPartitions(List.of());
  }

  private void join(String member, String... topics) throws Exception {
    joinAs(member, null, null, topics);
  }

  private void joinAs(String member, String instance, String assignor, String... topics) throws Exception {
    assigned.put(member, List.of());
    send("join " + member, joining(member, topics).setInstanceId(instance).setServerAssignor(assignor));
  }

  private void leave(String member) throws Exception {
    send("leave " + member, request(member, -1));
    epochs.remove(member);
    assigned.remove(member);
  }

  // Everybody beats, saying what it has, until nothing moves any more.
  private void settle() throws Exception {
    for (int round = 0; round < 8; round++) {
      for (String member : new TreeSet<>(epochs.keySet())) {
        send("round " + round + " " + member, request(member, epochs.get(member)).setTopicPartitions(assigned.get(member)));
      }
    }
  }

  private ConsumerGroupHeartbeatResponseData exchange(ConsumerGroupHeartbeatRequestData request) throws Exception {
    while (true) {
      ConsumerGroupHeartbeatResponseData answer = (ConsumerGroupHeartbeatResponseData) roundTrip(ApiKeys.CONSUMER_GROUP_HEARTBEAT,
          (short) 1, request, new ConsumerGroupHeartbeatResponseData());
      Errors error = Errors.forCode(answer.errorCode());
      if (error == Errors.COORDINATOR_LOAD_IN_PROGRESS || error == Errors.NOT_COORDINATOR || error == Errors.COORDINATOR_NOT_AVAILABLE) {
        Thread.sleep(50);
        continue;
      }
      if (error == Errors.NONE && answer.memberEpoch() >= 0) {
        epochs.put(request.memberId(), answer.memberEpoch());
        if (answer.assignment() != null) {
          List<TopicPartitions> owned = new ArrayList<>();
          answer.assignment().topicPartitions().forEach(topic -> owned.add(
              new TopicPartitions().setTopicId(topic.topicId()).setPartitions(topic.partitions())));
          assigned.put(request.memberId(), owned);
        }
      }
      return answer;
    }
  }

  private void send(String what, ConsumerGroupHeartbeatRequestData request) throws Exception {
    ConsumerGroupHeartbeatResponseData answer = exchange(request);
    Errors error = Errors.forCode(answer.errorCode());
    if (error != Errors.NONE) {
      System.out.println(what + ": " + error + (error == Errors.INVALID_REGULAR_EXPRESSION ? "" : " " + answer.errorMessage()));
      return;
    }
    System.out.print(what + ": " + answer.memberId() + " epoch " + answer.memberEpoch() + " every " + answer.heartbeatIntervalMs());
    if (answer.assignment() == null) System.out.println();
    else tell("", assigned.get(request.memberId()));
  }

  private void tell(String what, List<TopicPartitions> owned) {
    TreeSet<String> shown = new TreeSet<>();
    owned.forEach(topic -> topic.partitions().forEach(partition -> shown.add(names.get(topic.topicId()) + "-" + partition)));
    System.out.println(what + " has " + shown);
  }

  private void commit(String what, String member, int epoch, short version) throws Exception {
    OffsetCommitRequestData request = new OffsetCommitRequestData().setGroupId(group).setMemberId(member).setGenerationIdOrMemberEpoch(epoch);
    request.topics().add(new OffsetCommitRequestData.OffsetCommitRequestTopic().setName("beats").setPartitions(List.of(
        new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(0).setCommittedOffset(1))));
    OffsetCommitResponseData answer = (OffsetCommitResponseData) roundTrip(ApiKeys.OFFSET_COMMIT, version, request, new OffsetCommitResponseData());
    System.out.println("commit, " + what + ": " + Errors.forCode(answer.topics().get(0).partitions().get(0).errorCode()));
  }

  private Message roundTrip(ApiKeys api, short version, Message request, Message answer) throws Exception {
    RequestHeader header = new RequestHeader(api, version, "beats", 1);
    ByteBuffer head = MessageUtil.toByteBufferAccessor(header.data(), header.headerVersion()).buffer();
    ByteBuffer body = MessageUtil.toByteBufferAccessor(request, version).buffer();
    out.writeInt(head.remaining() + body.remaining());
    out.write(head.array(), head.arrayOffset() + head.position(), head.remaining());
    out.write(body.array(), body.arrayOffset() + body.position(), body.remaining());
    out.flush();
    byte[] bytes = new byte[in.readInt()];
    in.readFully(bytes);
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    buffer.getInt();  // correlation id
    if (api.responseHeaderVersion(version) > 0) buffer.get();  // no tagged fields
    answer.read(new ByteBufferAccessor(buffer), version);
    return answer;
  }
}
