import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.internals.PluginMetricsImpl;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * What Apache's StandardAuthorizer decides: random sets of ACLs, and random questions to each. Arguments: seed, sets, questions per
 * set. One line per set, ACL and question, its fields between tabs:
 *   set  allow.everyone.if.no.acl.found  super.users
 *   acl  resource type, pattern, operation, permission (codes)  principal  host  name
 *   ask  principal  host  operation  resource type  name  allowed
 *   any  principal  host  operation  resource type  allowed          (authorizeByResourceType)
 */
public final class Decisions {
  // Few names, so that they meet: prefixes of each other, the wildcard as a name, what sorts before it, and the name that Kafka tries.
  private static final List<String> NAMES = List.of("a", "ab", "abc", "abcd", "b", "bc", "orders", "orders-1", "ord", "*", "*a", "a*", "!", "#1", "h",
      "hard", "hardcode", "hardcoded", "é", "éa", "zz", "kafka-cluster");
  private static final List<String> ASKERS = List.of("User:alice", "User:bob", "User:CN=app,O=shop", "Role:alice", "User:a:b");
  private static final List<String> PRINCIPALS = Stream.concat(ASKERS.stream(), Stream.of("User:*", "User:*")).toList();
  private static final List<String> HOSTS = List.of("10.0.0.1", "10.0.0.2", "0:0:0:0:0:0:0:1");
  private static final List<ResourceType> TYPES = codes(ResourceType.values(), 2);
  private static final List<AclOperation> OPERATIONS = codes(AclOperation.values(), 2);
  private final Metrics metrics = new Metrics();
  private final Random random;

  private Decisions(long seed) {
    random = new Random(seed);
  }

  public static void main(String[] arguments) throws Exception {
    new Decisions(Long.parseLong(arguments[0])).tell(Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
  }

  /** Without UNKNOWN and what is meant for filters. */
  private static <T extends Enum<T>> List<T> codes(T[] values, int first) {
    return Stream.of(values).filter(value -> value.ordinal() >= first).toList();
  }

  private <T> T one(List<T> of) {
    return of.get(random.nextInt(of.size()));
  }

  private void tell(int sets, int questions) throws Exception {
    StringBuilder out = new StringBuilder();
    for (int set = 0; set < sets; set++) {
      boolean everyone = random.nextInt(3) == 0;
      String superUsers = random.nextInt(3) == 0 ? "User:bob;User:root" : "User:root";
      out.append("set\t").append(everyone).append('\t').append(superUsers).append('\n');
      try (StandardAuthorizer authorizer = new StandardAuthorizer()) {
        Map<String, Object> settings = new HashMap<>(Map.of("node.id", "1", "super.users", superUsers, "allow.everyone.if.no.acl.found", everyone));
        authorizer.configure(settings);
        authorizer.withPluginMetrics(new PluginMetricsImpl(metrics, Map.of("set", String.valueOf(set))));
        authorizer.completeInitialLoad();
        // Few types and operations at a time, or nothing would ever match.
        List<ResourceType> types = List.of(one(TYPES), one(TYPES));
        List<AclOperation> operations = List.of(one(OPERATIONS), one(OPERATIONS), AclOperation.READ, AclOperation.DESCRIBE);
        List<StandardAcl> acls = acls(types, operations);
        for (StandardAcl acl : acls) {
          authorizer.addAcl(Uuid.randomUuid(), acl);
          out.append("acl\t").append(acl.resourceType().code()).append('\t').append(acl.patternType().code()).append('\t')
              .append(acl.operation().code()).append('\t').append(acl.permissionType().code()).append('\t').append(acl.principal())
              .append('\t').append(acl.host()).append('\t').append(acl.resourceName()).append('\n');
        }
        for (int question = 0; question < questions; question++) {
          String principal = one(ASKERS);  // Kafka's fails on a user named "*"
          String host = one(HOSTS);
          AclOperation operation = one(operations);
          if (operation == AclOperation.ALL) operation = AclOperation.WRITE;  // no request asks for all
          ResourceType type = one(types);
          Context context = new Context(principal, InetAddress.getByName(host));
          if (question % 5 == 4) {
            AuthorizationResult result = authorizer.authorizeByResourceType(context, operation, type);
            out.append("any\t").append(principal).append('\t').append(host).append('\t').append(operation.code()).append('\t').append(type.code())
                .append('\t').append(result == AuthorizationResult.ALLOWED).append('\n');
            continue;
          }
          String name = one(NAMES);
          Action action = new Action(operation, new ResourcePattern(type, name, PatternType.LITERAL), 1, false, false);
          AuthorizationResult result = authorizer.authorize(context, List.of(action)).get(0);
          out.append("ask\t").append(principal).append('\t').append(host).append('\t').append(operation.code()).append('\t').append(type.code())
              .append('\t').append(name).append('\t').append(result == AuthorizationResult.ALLOWED).append('\n');
        }
      }
    }
    System.out.print(out);
  }

  private List<StandardAcl> acls(List<ResourceType> types, List<AclOperation> operations) {
    List<StandardAcl> acls = new ArrayList<>();
    int count = random.nextInt(4) == 0 ? random.nextInt(60) : random.nextInt(8);
    for (int i = 0; i < count; i++) {
      acls.add(new StandardAcl(one(types), one(NAMES), random.nextBoolean() ? PatternType.LITERAL : PatternType.PREFIXED, one(PRINCIPALS),
          random.nextInt(3) == 0 ? one(HOSTS) : "*", random.nextInt(6) == 0 ? AclOperation.ALL : one(operations),
          random.nextInt(3) == 0 ? AclPermissionType.DENY : AclPermissionType.ALLOW));
    }
    return acls.stream().distinct().toList();  // the cache holds each once
  }

  private record Context(String text, InetAddress clientAddress) implements AuthorizableRequestContext {
    @Override
    public KafkaPrincipal principal() {
      int colon = text.indexOf(':');
      return new KafkaPrincipal(text.substring(0, colon), text.substring(colon + 1));
    }

    @Override
    public String listenerName() {
      return "L";
    }

    @Override
    public SecurityProtocol securityProtocol() {
      return SecurityProtocol.PLAINTEXT;
    }

    @Override
    public int requestType() {
      return 0;
    }

    @Override
    public int requestVersion() {
      return 0;
    }

    @Override
    public String clientId() {
      return "c";
    }

    @Override
    public int correlationId() {
      return 0;
    }
  }
}
