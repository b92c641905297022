import static org.junit.platform.engine.discovery.ClassNameFilter.includeClassNamePatterns;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the tests that others have published in a jar, and holds what becomes of them against a list of exceptions.
 *
 * <p>{@code Judge JAR EXCEPTIONS CLASSES}: the tests of the jar whose class names match the regular expression. A line of the
 * list is {@code CLASS#TEST | excluded | REASON} (it is not run) or {@code CLASS#TEST | skips | REASON} (it runs, and says
 * itself that there is nothing to test); {@code *} as the test stands for all of a class. Ends with 0 when every other test
 * passes and the list has no line too many.
 */
public final class Judge implements TestExecutionListener, PostDiscoveryFilter {
  private static final String PACKAGE = "org.apache.hadoop.fs.azurebfs.";

  private final Map<String, String> exceptions = new LinkedHashMap<>();
  private final Set<String> used = new TreeSet<>();
  private final List<String> wrong = new ArrayList<>();
  private int passed;
  private int failed;
  private int skipped;

  public static void main(String[] arguments) throws Exception {
    Judge judge = new Judge();
    Pattern classes = Pattern.compile(arguments[2]);
    judge.read(Path.of(arguments[1]), classes);
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectClasspathRoots(Set.of(Path.of(arguments[0]))))
            .filters(includeClassNamePatterns(arguments[2]), judge)
            .build();
    LauncherFactory.create().execute(request, judge);
    // Threads of what was tested may still run.
    Runtime.getRuntime().exit(judge.verdict() ? 0 : 1);
  }

  private void read(Path list, Pattern classes) throws Exception {
    for (String line : Files.readAllLines(list)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] fields = line.split(" \\| ");
      if (fields.length != 3 || !Set.of("excluded", "skips").contains(fields[1].strip())) {
        throw new IllegalArgumentException("not CLASS#TEST | excluded or skips | REASON: " + line);
      }
      String test = fields[0].strip();
      if (classes.matcher(PACKAGE + test.substring(0, test.indexOf('#'))).matches()) {
        exceptions.put(test, fields[1].strip());
      }
    }
  }

  /** As the list calls a test or a class, parameters left out. */
  private static String name(TestSource source) {
    if (source instanceof MethodSource) {
      MethodSource method = (MethodSource) source;
      return shortened(method.getClassName()) + "#" + method.getMethodName();
    }
    return source instanceof ClassSource ? shortened(((ClassSource) source).getClassName()) + "#*" : "?#?";
  }

  private static String shortened(String name) {
    return name.startsWith(PACKAGE) ? name.substring(PACKAGE.length()) : name;
  }

  private boolean isListed(String test, String as) {
    String all = test.substring(0, test.indexOf('#')) + "#*";
    for (String entry : List.of(test, all)) {
      if (as.equals(exceptions.get(entry))) {
        used.add(entry);
        return true;
      }
    }
    return false;
  }

  @Override
  public FilterResult apply(org.junit.platform.engine.TestDescriptor test) {
    boolean out = test.getSource().map(source -> isListed(name(source), "excluded")).orElse(false);
    return FilterResult.includedIf(!out);
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    String name = test.getSource().map(Judge::name).orElse("?#?");
    switch (result.getStatus()) {
      case SUCCESSFUL:
        passed += test.isTest() ? 1 : 0;
        break;
      case ABORTED:
        skip(name, result.getThrowable().map(Throwable::getMessage).orElse(""));
        break;
      default:
        failed++;
        wrong.add(name + " failed");
        System.out.println("FAILED " + name + " (" + test.getDisplayName() + ")");
        result.getThrowable().map(Judge::trace).ifPresent(System.out::println);
    }
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    skip(test.getSource().map(Judge::name).orElse("?#?"), reason);
  }

  private void skip(String name, String reason) {
    skipped++;
    if (!isListed(name, "skips")) {
      String complaint = name + " was skipped, which the list does not say: " + reason;
      wrong.add(complaint);
      System.out.println(complaint);
    }
  }

  private static String trace(Throwable error) {
    StringWriter text = new StringWriter();
    error.printStackTrace(new PrintWriter(text));
    Stream<String> lines = text.toString().lines().filter(line -> !line.matches("\\s+at (org.junit|java.base|jdk).*"));
    return lines.limit(40).collect(Collectors.joining("\n"));
  }

  private boolean verdict() {
    for (String entry : exceptions.keySet()) {
      if (!used.contains(entry)) {
        wrong.add(entry + " is " + exceptions.get(entry) + " on the list, but was not");
      }
    }
    new TreeSet<>(wrong).forEach(System.out::println);
    System.out.println(passed + " passed, " + failed + " failed, " + skipped + " skipped");
    return wrong.isEmpty() && passed > 0;
  }
}
