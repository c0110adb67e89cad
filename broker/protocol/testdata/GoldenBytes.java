// Writes golden.tsv: the bytes that Apache Kafka's own classes produce for every message of our
// schemas, in every version, with defaults and with values by a fixed rule (message_case.h has the
// same rule). README.md next to this file says how to run it.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.zip.CRC32C;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.internal.MemoryRecords;

public class GoldenBytes {
  static final int SHOWN_BYTES = 200;

  /** A range of versions in a schema: "3", "0-4", "2+", "none". */
  static boolean contains(String range, int version) {
    if (range.equals("none")) return false;
    if (range.endsWith("+")) return version >= Integer.parseInt(range.substring(0, range.length() - 1));
    String[] ends = range.split("-");
    return version >= Integer.parseInt(ends[0]) && version <= Integer.parseInt(ends[ends.length - 1]);
  }

  final JsonNode schema;
  final Class<?> type;
  final int version;
  final boolean nulls;
  int n = 0;

  GoldenBytes(JsonNode schema, Class<?> type, int version, boolean nulls) {
    this.schema = schema;
    this.type = type;
    this.version = version;
    this.nulls = nulls;
  }

  static Map<String, Method> setters(Class<?> type) {
    Map<String, Method> found = new HashMap<>();
    for (Method method : type.getMethods()) {
      if (method.getName().startsWith("set") && method.getParameterCount() == 1) {
        found.put(method.getName().substring(3).toLowerCase(), method);
      }
    }
    return found;
  }

  void fill(Object target, JsonNode fields) throws Exception {
    Map<String, Method> setters = setters(target.getClass());
    for (JsonNode field : fields) {
      if (field.has("versions") && !contains(field.get("versions").asText(), version)) continue;
      String name = field.get("name").asText();
      Method setter = setters.get(name.replace("_", ""));
      if (setter == null) throw new IllegalStateException(target.getClass() + " has no " + name);
      boolean nullable = field.has("nullable")
          && (field.get("nullable").isBoolean() || contains(field.get("nullable").asText(), version));
      setter.invoke(target, nulls && nullable ? null : value(field, setter.getParameterTypes()[0]));
    }
  }

  @SuppressWarnings("unchecked")
  Object value(JsonNode field, Class<?> wanted) throws Exception {
    String name = field.get("type").asText();
    if (!name.startsWith("[")) return single(name, field, wanted);
    String element = name.substring(1, name.length() - 1);
    Collection<Object> list = wanted == List.class
        ? new ArrayList<>()
        : (Collection<Object>) wanted.getDeclaredConstructor().newInstance();
    for (int i = 0; i < 2; ++i) list.add(single(element, field, null));
    return list;
  }

  Object single(String name, JsonNode field, Class<?> wanted) throws Exception {
    JsonNode fields = schema.path("structs").path(name);
    if (!fields.isMissingNode()) {
      Object struct =
          Class.forName(type.getName() + "$" + name).getDeclaredConstructor().newInstance();
      fill(struct, fields);
      return struct;
    }
    if (name.equals("bool")) return !field.path("default").asBoolean(false);
    ++n;
    int sign = n % 2 == 0 ? -1 : 1;
    switch (name) {
      case "int8": return (byte) (sign * (n % 100 + 2));
      case "int16": return (short) (sign * (1000 + n));
      case "int32": return sign * (100000 + n);
      case "int64": return sign * (10000000000000L + n);
      case "uint16": return 60000 + n % 5000;
      case "uint32": return 4000000000L + n;
      case "float64": return n + 0.25;
      case "string": return "s" + n + "x".repeat(n % 7 == 0 ? 130 : 0);
      case "uuid": return new Uuid(0x1000000000000000L + n, 3L * n);
      default:
    }
    byte[] bytes = new byte[n % 11 == 0 ? 1100 : 4];
    Arrays.fill(bytes, (byte) n);
    if (name.equals("records")) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
    return wanted == ByteBuffer.class ? ByteBuffer.wrap(bytes) : bytes;
  }

  static String text(Message message, short version) {
    try {
      ObjectSerializationCache cache = new ObjectSerializationCache();
      ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
      message.write(new ByteBufferAccessor(buffer), cache, version);
      if (buffer.hasRemaining()) throw new IllegalStateException("size differs");
      if (buffer.position() > SHOWN_BYTES) {
        CRC32C crc = new CRC32C();
        crc.update(buffer.array());
        return String.format("crc:%08x:%d", crc.getValue(), buffer.position());
      }
      StringBuilder hex = new StringBuilder();
      for (byte b : buffer.array()) hex.append(String.format("%02x", b));
      return hex.toString();
    } catch (RuntimeException e) {
      return "!" + e.getClass().getSimpleName();
    }
  }

  static Map<String, String> classes() throws Exception {
    Map<String, String> found = new HashMap<>();
    for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (!jar.endsWith(".jar") || !jar.contains("kafka")) continue;
      try (JarFile file = new JarFile(jar)) {
        file.stream().map(entry -> entry.getName())
            .filter(name -> name.matches(".*/(generated|message|metadata)/[^/]*"))
            .filter(name -> name.endsWith(".class") && !name.contains("$"))
            .map(name -> name.substring(0, name.length() - 6).replace('/', '.'))
            .forEach(name -> found.put(name.substring(name.lastIndexOf('.') + 1), name));
      }
    }
    return found;
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> classes = classes();
    Map<String, JsonNode> schemas = new TreeMap<>();
    List<Path> paths = Files.walk(Path.of(args[0])).filter(p -> p.toString().endsWith(".json")).toList();
    for (Path path : paths) {
      JsonNode schema = new ObjectMapper().readTree(path.toFile());
      schemas.put(schema.get("message").asText(), schema);
    }
    try (PrintWriter out = new PrintWriter(args[1], StandardCharsets.US_ASCII)) {
      for (Map.Entry<String, JsonNode> entry : schemas.entrySet()) {
        String name = entry.getKey();
        JsonNode schema = entry.getValue();
        String className = classes.getOrDefault(name + "Data", classes.get(name));
        if (className == null) {
          System.err.println("no class for " + name);
          continue;
        }
        Class<?> type = Class.forName(className);
        Message fresh = (Message) type.getDeclaredConstructor().newInstance();
        int key = fresh instanceof ApiMessage api ? api.apiKey() : -1;
        out.print(name + "\t" + fresh.highestSupportedVersion() + "\tkey\t" + key + "\n");
        for (short version = 0; version < 100; ++version) {
          if (!contains(schema.get("versions").asText(), version)) continue;
          Message plain = (Message) type.getDeclaredConstructor().newInstance();
          out.print(name + "\t" + version + "\tdefault\t" + text(plain, version) + "\n");
          for (boolean nulls : new boolean[] {false, true}) {
            Message message = (Message) type.getDeclaredConstructor().newInstance();
            new GoldenBytes(schema, type, version, nulls).fill(message, schema.get("fields"));
            String variant = nulls ? "nulls" : "filled";
            out.print(name + "\t" + version + "\t" + variant + "\t" + text(message, version) + "\n");
          }
        }
      }
    }
  }
}
