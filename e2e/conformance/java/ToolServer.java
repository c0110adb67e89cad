import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

/**
 * Runs Apache's tools one after the other in one JVM, because starting a JVM costs more than any of them. A line of JSON on
 * stdin is a command ({"main", "args", "stdin"}), a line of JSON on stdout its outcome ({"code", "out", "err"}).
 */
public final class ToolServer {
  private static final String MARK = "ToolServer: the tool ended";

  /** What Exit.exit does here: it unwinds the tool instead of ending the JVM. */
  private static final class Ended extends Error {
    Ended() {
      super(MARK, null, false, false);
    }
  }

  /** Loads the tools' own classes afresh for each command: some keep counters and latches in static fields. */
  private static final class ToolLoader extends ClassLoader {
    ToolLoader(ClassLoader parent) {
      super(parent);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (!name.startsWith("org.apache.kafka.tools.") && !name.startsWith("kafka.admin.")) {
        return super.loadClass(name, resolve);
      }
      synchronized (getClassLoadingLock(name)) {
        Class<?> known = findLoadedClass(name);
        return known != null ? known : define(name);
      }
    }

    private Class<?> define(String name) throws ClassNotFoundException {
      try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        byte[] code = in.readAllBytes();
        return defineClass(name, code, 0, code.length);
      } catch (java.io.IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }

  private static Integer firstExitCode;
  private static final List<Runnable> hooks = new ArrayList<>();

  private static int run(String main, String[] arguments) {
    firstExitCode = null;
    hooks.clear();
    try {
      ClassLoader loader = new ToolLoader(ToolServer.class.getClassLoader());
      Thread.currentThread().setContextClassLoader(loader);
      loader.loadClass(main).getMethod("main", String[].class).invoke(null, (Object) arguments);
    } catch (InvocationTargetException e) {
      if (!(e.getCause() instanceof Ended)) {
        System.err.println("Exception in thread \"main\"");
        e.getCause().printStackTrace();
        firstExitCode = firstExitCode == null ? 1 : firstExitCode;
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
    for (Runnable hook : hooks) {
      try {
        hook.run();
      } catch (Ended ignored) {
        // a hook that wants the exit that is under way
      }
    }
    return firstExitCode == null ? 0 : firstExitCode;
  }

  private static void exit(int code) {
    if (firstExitCode == null) {
      firstExitCode = code;
    }
    throw new Ended();
  }

  public static void main(String[] unused) throws Exception {
    Exit.setExitProcedure((code, message) -> exit(code));
    Exit.setHaltProcedure((code, message) -> exit(code));
    Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
    LoggerFactory.getLogger(ToolServer.class);  // what is logged goes to the real stderr, not to a command's
    PrintStream answers = System.out;
    ObjectMapper json = new ObjectMapper();
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      JsonNode command = json.readTree(line);
      List<String> arguments = new ArrayList<>();
      command.get("args").forEach(argument -> arguments.add(argument.asText()));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      System.setIn(new ByteArrayInputStream(command.get("stdin").asText().getBytes(StandardCharsets.UTF_8)));
      System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
      int code = run(command.get("main").asText(), arguments.toArray(new String[0]));
      ObjectNode outcome = json.createObjectNode();
      outcome.put("code", code);
      outcome.put("out", out.toString(StandardCharsets.UTF_8));
      // A tool that catches and prints everything prints our own unwinding too.
      String errors = err.toString(StandardCharsets.UTF_8).lines().filter(e -> !e.contains(MARK)).collect(Collectors.joining("\n"));
      outcome.put("err", errors);
      answers.println(json.writeValueAsString(outcome));
      answers.flush();
    }
  }
}
