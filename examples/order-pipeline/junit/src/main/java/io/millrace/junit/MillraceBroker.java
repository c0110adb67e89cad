package io.millrace.junit;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * A broker of its own process on a free port, with its data in a temporary folder. It ends with this program, however that ends.
 *
 * <p>The program is looked for in the system property {@code millrace.broker}, the environment variable {@code MILLRACE_BROKER}, and as
 * {@code millrace-broker} on the PATH.
 */
public final class MillraceBroker implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final Pattern READY = Pattern.compile("\"bootstrapServers\":\"([^\"]+)\"");

    private final List<String> properties;
    private final Path folder;
    private Process process;
    private String bootstrapServers = "127.0.0.1:0"; // the first start takes a free port, later ones the same
    private Duration startedIn;

    private MillraceBroker(List<String> properties) {
        this.properties = properties;
        try {
            folder = Files.createTempDirectory("millrace-junit-");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns when it serves clients. {@code properties} are lines of server.properties: {@code key=value}. */
    public static MillraceBroker start(String... properties) {
        MillraceBroker broker = new MillraceBroker(List.of(properties));
        broker.launch();
        return broker;
    }

    public String bootstrapServers() {
        return bootstrapServers;
    }

    /** How long the last start took, from exec until it served clients. */
    public Duration startedIn() {
        return startedIn;
    }

    /** As a crash: SIGKILL. The data stays. */
    public void kill() {
        process.destroyForcibly();
        waitForEnd();
    }

    /** As an orderly stop: SIGTERM. The data stays. */
    public void stop() {
        process.destroy();
        waitForEnd();
    }

    /** After {@link #kill} or {@link #stop}: on the same port, with the same data. */
    public void restart() {
        if (process.isAlive()) {
            throw new IllegalStateException("the broker still runs");
        }
        launch();
    }

    public void createTopics(int partitions, String... names) {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrapServers))) {
            admin.createTopics(Arrays.stream(names).map(name -> new NewTopic(name, partitions, (short) 1)).toList()).all().get();
        } catch (ExecutionException e) {
            throw new IllegalStateException("topics " + String.join(", ", names) + " were not created", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Ends the broker and removes its data. */
    @Override
    public void close() {
        stop();
        try (var files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(java.io.File::delete);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void launch() {
        List<String> command = new ArrayList<>(List.of(program(), "dev", "--listen", bootstrapServers, "--data",
                folder.resolve("data").toString(), "--json", "--until-stdin-closes"));
        properties.forEach(property -> command.addAll(List.of("--override", property)));
        Path log = folder.resolve("broker.log");
        try {
            long begin = System.nanoTime();
            process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(log.toFile())).start();
            String line = firstLine(log);
            startedIn = Duration.ofNanos(System.nanoTime() - begin);
            Matcher ready = READY.matcher(line);
            if (!ready.find()) {
                throw new IllegalStateException("millrace-broker said: " + line);
            }
            bootstrapServers = ready.group(1);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot run " + command.get(0) + ": set MILLRACE_BROKER to the program", e);
        }
    }

    /** What the broker prints when it is ready. */
    private String firstLine(Path log) throws IOException {
        BufferedReader output = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        CompletableFuture<String> line = CompletableFuture.supplyAsync(() -> {
            try {
                return output.readLine();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        String why;
        try {
            String text = line.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            if (text != null) {
                return text;
            }
            why = "ended";
        } catch (TimeoutException e) {
            why = "was not ready within " + PATIENCE.toSeconds() + " s";
        } catch (ExecutionException e) {
            why = "cannot be read: " + e.getCause();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            why = "was not waited for";
        }
        process.destroyForcibly();
        throw new IllegalStateException("millrace-broker " + why + "\n" + Files.readString(log));
    }

    private void waitForEnd() {
        try {
            if (!process.waitFor(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException("the broker did not stop within " + PATIENCE.toSeconds() + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            process.destroyForcibly();
        }
    }

    private static String program() {
        String given = System.getProperty("millrace.broker", System.getenv("MILLRACE_BROKER"));
        return given == null || given.isBlank() ? "millrace-broker" : given;
    }
}
