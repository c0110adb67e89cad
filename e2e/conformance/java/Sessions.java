import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.Metric;

/**
 * Java clients that stay connected for longer than their sessions last (KIP-368), told in lines on stdout. Arguments: the address of a
 * listener without logins, and of one whose sessions last two seconds.
 */
public final class Sessions {
  private static final String[] MECHANISMS = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
  private final String open;
  private final String shortSessions;

  private Sessions(String open, String shortSessions) {
    this.open = open;
    this.shortSessions = shortSessions;
  }

  public static void main(String[] arguments) throws Exception {
    Sessions sessions = new Sessions(arguments[0], arguments[1]);
    sessions.users();
    sessions.goOn();
    sessions.endWithTheUser();
  }

  private static void tell(String what, Object value) {
    System.out.println(what + ": " + value);
  }

  private Admin client(String mechanism, String user, String password) {
    String module = mechanism.equals("PLAIN") ? "plain.Plain" : "scram.Scram";
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", shortSessions);
    settings.put("security.protocol", "SASL_PLAINTEXT");
    settings.put("sasl.mechanism", mechanism);
    settings.put("sasl.jaas.config", "org.apache.kafka.common.security." + module + "LoginModule required username=\"" + user + "\" password=\""
        + password + "\";");
    return Admin.create(settings);
  }

  private void users() throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", open))) {
      for (String user : new String[] {"alice", "leaver"})
        for (ScramMechanism mechanism : new ScramMechanism[] {ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512})
          admin.alterUserScramCredentials(List.of(
              new UserScramCredentialUpsertion(user, new ScramCredentialInfo(mechanism, 4096), user + "-secret"))).all().get(30, TimeUnit.SECONDS);
    }
  }

  private static double metric(Admin client, String name) {
    double sum = 0;
    for (Metric metric : client.metrics().values())
      if (metric.metricName().name().equals(name) && metric.metricName().group().equals("admin-client-metrics")) sum += (double) metric.metricValue();
    return sum;
  }

  /** Two and a half sessions long. */
  private void goOn() throws Exception {
    List<Admin> clients = new ArrayList<>();
    List<Double> connections = new ArrayList<>();
    for (String mechanism : MECHANISMS) clients.add(client(mechanism, "alice", "alice-secret"));
    for (Admin client : clients) {
      client.describeCluster().nodes().get(30, TimeUnit.SECONDS);
      connections.add(metric(client, "connection-creation-total"));
    }
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(5_000);
    while (System.nanoTime() < end) {
      for (Admin client : clients) client.describeCluster().nodes().get(30, TimeUnit.SECONDS);
      Thread.sleep(20);
    }
    for (int i = 0; i < clients.size(); i++) {
      try (Admin client = clients.get(i)) {
        tell(MECHANISMS[i] + " re-authenticated more than once", metric(client, "successful-reauthentication-total") >= 2);
        tell(MECHANISMS[i] + " failures", metric(client, "failed-reauthentication-total"));
        tell(MECHANISMS[i] + " new connections", metric(client, "connection-creation-total") - connections.get(i));
      }
    }
  }

  /** Whose credential is deleted keeps his session, and cannot renew it. */
  private void endWithTheUser() throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", open)); Admin client = client("SCRAM-SHA-256", "leaver", "leaver-secret")) {
      client.describeCluster().nodes().get(30, TimeUnit.SECONDS);
      admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion("leaver", ScramMechanism.SCRAM_SHA_256))).all()
          .get(30, TimeUnit.SECONDS);
      int served = 0;
      try {
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20); System.nanoTime() < end; Thread.sleep(20)) {
          client.describeCluster().nodes().get(30, TimeUnit.SECONDS);
          served++;
        }
        tell("after the deletion", "no error");
      } catch (ExecutionException e) {
        tell("after the deletion", e.getCause().getClass().getSimpleName() + ", " + e.getCause().getMessage());
      }
      tell("served until its session ended", served > 5);
    }
  }
}
