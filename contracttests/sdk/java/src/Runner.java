import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.voostack.mailstack.ApiClient;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Takes the steps of the SDK scenario with the client that openapi-generator makes from openapi.yaml, and prints what
 * the typed answers say; judging is the work of contracttests/sdk/run.
 */
public final class Runner {
  /** The client's own mapper; it writes ids and times as the client does. */
  static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper();

  /** The same, but it also writes what is null. */
  private static final ObjectMapper LINES = JSON.copy().setSerializationInclusion(JsonInclude.Include.ALWAYS);

  interface Step {
    /** Returns what the typed answer says, by the names of the scenario. */
    Map<String, Object> take(ApiClient client, JsonNode input) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    JsonNode scenario = JSON.readTree(Path.of(variable("MAILSTACK_SCENARIO")).toFile());
    Map<String, Step> steps = new Steps().all();
    for (JsonNode step : scenario.get("steps")) {
      String name = step.get("name").asText();
      Step known = steps.remove(name);
      if (known == null) {
        throw new IllegalStateException("the runner lacks the step \"" + name + "\"");
      }
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("step", name);
      line.put("observed", known.take(client(step.path("client").asText()), step.get("input")));
      System.out.println(LINES.writeValueAsString(line));
    }
    if (!steps.isEmpty()) {
      throw new IllegalStateException("the runner adds the steps " + steps.keySet());
    }
  }

  private static ApiClient client(String name) {
    String key = variable(name.equals("exhausted") ? "MAILSTACK_EXHAUSTED_API_KEY" : "MAILSTACK_API_KEY");
    ApiClient client = new ApiClient();
    client.updateBaseUri(variable(name.equals("future") ? "MAILSTACK_FUTURE_URL" : "MAILSTACK_URL"));
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
    return client;
  }

  private static String variable(String name) {
    String value = System.getenv(name);
    if (value == null) {
      throw new IllegalStateException(name + " is not set");
    }
    return value;
  }

  private Runner() {}
}
