package io.millrace.junit;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestInstanceFactoryContext;
import org.junit.jupiter.api.extension.TestInstancePreConstructCallback;
import org.junit.platform.commons.support.AnnotationSupport;

/** Behind {@link EmbeddedMillrace}. */
public class MillraceExtension implements BeforeAllCallback, TestInstancePreConstructCallback, ParameterResolver {

    static final String EMBEDDED_BROKERS = "spring.embedded.kafka.brokers";

    @Override
    public void beforeAll(ExtensionContext context) {
        running(context);
    }

    /** With one instance for all tests, Spring makes its context before anybody's beforeAll. */
    @Override
    public void preConstructTestInstance(TestInstanceFactoryContext factory, ExtensionContext context) {
        running(context);
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == MillraceBroker.class;
    }

    @Override
    public MillraceBroker resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return running(context).broker;
    }

    private static Running running(ExtensionContext context) {
        return context.getStore(ExtensionContext.Namespace.create(MillraceExtension.class))
                .getOrComputeIfAbsent(Running.class, key -> new Running(annotation(context)), Running.class);
    }

    private static EmbeddedMillrace annotation(ExtensionContext context) {
        return AnnotationSupport.findAnnotation(context.getRequiredTestClass(), EmbeddedMillrace.class)
                .orElseThrow(() -> new IllegalStateException("no @EmbeddedMillrace on " + context.getRequiredTestClass()));
    }

    /** The broker and the properties that lead to it, until the last test of the class has ended. */
    private static final class Running implements ExtensionContext.Store.CloseableResource {

        private final MillraceBroker broker;
        private final Map<String, String> before = new LinkedHashMap<>();

        Running(EmbeddedMillrace wanted) {
            broker = MillraceBroker.start(wanted.brokerProperties());
            if (wanted.topics().length > 0) {
                broker.createTopics(wanted.partitions(), wanted.topics());
            }
            for (String name : new String[] {EMBEDDED_BROKERS, wanted.bootstrapServersProperty()}) {
                before.put(name, System.setProperty(name, broker.bootstrapServers()));
            }
        }

        @Override
        public void close() {
            before.forEach((name, value) -> {
                if (value == null) {
                    System.clearProperty(name);
                } else {
                    System.setProperty(name, value);
                }
            });
            broker.close();
        }
    }
}
