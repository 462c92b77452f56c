import com.fasterxml.jackson.databind.JsonNode;
import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import com.voostack.mailstack.ApiClient;
import com.voostack.mailstack.model.WebhookDomainEvent;
import com.voostack.mailstack.model.WebhookEmailEvent;
import com.voostack.mailstack.model.WebhookEvent;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** The steps about what a webhook received. */
final class Webhooks {
  static Map<String, Runner.Step> steps() {
    return Map.of(
        "decode an event about a message", Webhooks::emailEvent,
        "decode an event about a domain", Webhooks::domainEvent,
        "decode an event of a type and with members that are not in the document", Webhooks::futureEvent,
        "verify what was delivered", (client, input) -> accept(input, Webhooks::isSigned),
        "refuse what was altered, is replayed or was signed by others", (client, input) -> accept(input, Webhooks::isSigned),
        "verify the HMAC of the body alone", (client, input) -> accept(input, Webhooks::isAuthentic));
  }

  private static Map<String, Object> emailEvent(ApiClient client, JsonNode input) throws Exception {
    WebhookEmailEvent event = received(input, WebhookEvent.class).getWebhookEmailEvent();
    return Steps.observed(
        "id", event.getId(),
        "type", event.getType(),
        "createdAt", event.getCreatedAt(),
        "emailId", event.getData().getId(),
        "fromEmail", event.getData().getFromEmail(),
        "toEmail", event.getData().getToEmail(),
        "subject", event.getData().getSubject(),
        "tags", event.getData().getTags(),
        "status", event.getData().getStatus(),
        "errorMessage", event.getData().getErrorMessage(),
        "providerMessageId", event.getData().getProviderMessageId(),
        "bounceType", event.getData().getDetails().getBounceType());
  }

  private static Map<String, Object> domainEvent(ApiClient client, JsonNode input) throws Exception {
    WebhookDomainEvent event = received(input, WebhookEvent.class).getWebhookDomainEvent();
    return Steps.observed(
        "id", event.getId(),
        "type", event.getType(),
        "createdAt", event.getCreatedAt(),
        "domainId", event.getData().getId(),
        "domain", event.getData().getDomain(),
        "status", event.getData().getStatus(),
        "statusReason", event.getData().getStatusReason());
  }

  /** It is decoded by the type that is asked for: the client's WebhookEvent knows no other for it. */
  private static Map<String, Object> futureEvent(ApiClient client, JsonNode input) throws Exception {
    WebhookEmailEvent event = received(input, WebhookEmailEvent.class);
    return Steps.observed(
        "id", event.getId(),
        "type", event.getType(),
        "createdAt", event.getCreatedAt(),
        "emailId", event.getData().getId(),
        "toEmail", event.getData().getToEmail(),
        "subject", event.getData().getSubject(),
        "status", event.getData().getStatus());
  }

  private static <T> T received(JsonNode input, Class<T> event) throws Exception {
    return Runner.JSON.readValue(input.get("body").asText(), event);
  }

  private interface Judge {
    boolean accepts(String secret, Map<String, List<String>> headers, String body) throws Exception;
  }

  private static Map<String, Object> accept(JsonNode input, Judge judge) throws Exception {
    List<Boolean> accepted = new ArrayList<>();
    for (JsonNode delivery : input.get("deliveries")) {
      Map<String, List<String>> headers = new HashMap<>();
      delivery.get("headers").properties().forEach(header -> headers.put(header.getKey(), List.of(header.getValue().asText())));
      accepted.add(judge.accepts(delivery.get("secret").asText(), headers, delivery.get("body").asText()));
    }
    return Steps.observed("accepted", accepted);
  }

  private static boolean isSigned(String secret, Map<String, List<String>> headers, String body) {
    try {
      new Webhook(secret).verify(body, headers);
    } catch (WebhookVerificationException refusal) {
      return false;
    }
    return true;
  }

  private static boolean isAuthentic(String secret, Map<String, List<String>> headers, String body)
      throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
    byte[] code = mac.doFinal(body.getBytes(StandardCharsets.UTF_8));
    byte[] given = HexFormat.of().parseHex(headers.get("X-MailStack-Signature").get(0));
    return MessageDigest.isEqual(given, code);
  }

  private Webhooks() {}
}
