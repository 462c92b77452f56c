import com.fasterxml.jackson.databind.JsonNode;
import com.voostack.mailstack.ApiClient;
import com.voostack.mailstack.ApiException;
import com.voostack.mailstack.ApiResponse;
import com.voostack.mailstack.api.ApiKeysApi;
import com.voostack.mailstack.api.BillingApi;
import com.voostack.mailstack.api.DomainsApi;
import com.voostack.mailstack.api.EmailsApi;
import com.voostack.mailstack.model.ApiKey;
import com.voostack.mailstack.model.BatchItemResult;
import com.voostack.mailstack.model.BatchResult;
import com.voostack.mailstack.model.CreateApiKeyRequest;
import com.voostack.mailstack.model.CreateDomainRequest;
import com.voostack.mailstack.model.CreatedApiKey;
import com.voostack.mailstack.model.DnsRecord;
import com.voostack.mailstack.model.Domain;
import com.voostack.mailstack.model.Email;
import com.voostack.mailstack.model.EmailRecipient;
import com.voostack.mailstack.model.EmailStatus;
import com.voostack.mailstack.model.Problem;
import com.voostack.mailstack.model.ProblemError;
import com.voostack.mailstack.model.QueuedEmail;
import com.voostack.mailstack.model.SendBatchRequest;
import com.voostack.mailstack.model.SendEmailRequest;
import com.voostack.mailstack.model.Usage;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;

/** The steps; it keeps what a later one needs from an earlier one. */
final class Steps {
  private static final Duration SENT_LIMIT = Duration.ofSeconds(30);

  private UUID domain;
  private UUID email;
  private UUID key;

  Map<String, Runner.Step> all() {
    Map<String, Runner.Step> steps = new LinkedHashMap<>();
    steps.put("register a domain", this::registerDomain);
    steps.put(
        "be refused the same domain again (409)",
        (client, input) -> refused(() -> new DomainsApi(client).createDomainWithHttpInfo(read(input, CreateDomainRequest.class), null)));
    steps.put("list the domains", this::listDomains);
    steps.put("get the domain", this::getDomain);
    steps.put("verify the domain", this::verifyDomain);
    steps.put("send an email", this::send);
    steps.put("send a batch with one rejected item", this::sendBatch);
    steps.put("read the email back until it is sent", this::readBack);
    steps.put("create a key", this::createKey);
    steps.put(
        "revoke the key",
        (client, input) -> observed("http", new ApiKeysApi(client).revokeApiKeyWithHttpInfo(key).getStatusCode()));
    steps.put("list the keys", this::listKeys);
    steps.put("read the usage", this::usage);
    steps.put("be refused an address that is none (400)", this::refusedSend);
    steps.put("be refused without an allowance (402)", this::refusedSend);
    steps.put("be refused an email that is not there (404)", this::refusedRead);
    steps.put(
        "delete the domain",
        (client, input) -> observed("http", new DomainsApi(client).deleteDomainWithHttpInfo(domain).getStatusCode()));
    steps.put("decode an answer with members and values that are not in the document", this::futureEmail);
    steps.put("decode a problem with a status and a code that are not in the document", this::refusedRead);
    steps.putAll(Webhooks.steps());
    return steps;
  }

  private Map<String, Object> registerDomain(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<Domain> answer = new DomainsApi(client).createDomainWithHttpInfo(read(input, CreateDomainRequest.class), null);
    Domain created = answer.getData();
    domain = created.getId();
    List<DnsRecord> records = created.getDnsRecords();
    return observed(
        "http", answer.getStatusCode(),
        "id", created.getId(),
        "domain", created.getDomain(),
        "status", created.getStatus(),
        "customMailFromDomain", created.getCustomMailFromDomain(),
        "recordTypes", collect(records, DnsRecord::getType),
        "recordPurposes", collect(records, DnsRecord::getPurpose),
        "recordTtls", collect(records, DnsRecord::getTtl),
        "verifiedAt", created.getVerifiedAt(),
        "createdAt", created.getCreatedAt());
  }

  private Map<String, Object> listDomains(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<List<Domain>> answer = new DomainsApi(client).listDomainsWithHttpInfo();
    return observed(
        "http", answer.getStatusCode(),
        "domains", collect(answer.getData(), Domain::getDomain),
        "ids", collect(answer.getData(), Domain::getId));
  }

  private Map<String, Object> getDomain(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<Domain> answer = new DomainsApi(client).getDomainWithHttpInfo(domain);
    Domain found = answer.getData();
    return observed("http", answer.getStatusCode(), "id", found.getId(), "domain", found.getDomain(), "status", found.getStatus());
  }

  private Map<String, Object> verifyDomain(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<Domain> answer = new DomainsApi(client).verifyDomainWithHttpInfo(domain);
    Domain found = answer.getData();
    return observed(
        "http", answer.getStatusCode(),
        "id", found.getId(),
        "status", found.getStatus(),
        "statusReason", found.getStatusReason(),
        "verifiedAt", found.getVerifiedAt(),
        "recordStatuses", collect(found.getDnsRecords(), DnsRecord::getStatus));
  }

  private Map<String, Object> send(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<QueuedEmail> answer = new EmailsApi(client).sendEmailWithHttpInfo(read(input, SendEmailRequest.class), null);
    email = answer.getData().getId();
    return observed("http", answer.getStatusCode(), "id", email, "status", answer.getData().getStatus());
  }

  private Map<String, Object> refusedSend(ApiClient client, JsonNode input) throws Exception {
    return refused(() -> new EmailsApi(client).sendEmailWithHttpInfo(read(input, SendEmailRequest.class), null));
  }

  private Map<String, Object> sendBatch(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<BatchResult> answer = new EmailsApi(client).sendBatchWithHttpInfo(read(input, SendBatchRequest.class), null);
    List<BatchItemResult> results = answer.getData().getResults();
    return observed(
        "http", answer.getStatusCode(),
        "accepted", answer.getData().getAccepted(),
        "rejected", answer.getData().getRejected(),
        "indexes", collect(results, BatchItemResult::getIndex),
        "statuses", collect(results, BatchItemResult::getStatus),
        "ids", collect(results, BatchItemResult::getId),
        "codes", collect(results, BatchItemResult::getCode),
        "errors", collect(results, BatchItemResult::getError),
        "pointers", collect(results, item -> collect(item.getErrors(), ProblemError::getPointer)));
  }

  private Map<String, Object> readBack(ApiClient client, JsonNode input) throws Exception {
    Instant deadline = Instant.now().plus(SENT_LIMIT);
    ApiResponse<Email> answer = new EmailsApi(client).getEmailWithHttpInfo(email);
    while (answer.getData().getStatus() == EmailStatus.QUEUED) {
      if (Instant.now().isAfter(deadline)) {
        throw new IllegalStateException("the message is still queued");
      }
      Thread.sleep(100);
      answer = new EmailsApi(client).getEmailWithHttpInfo(email);
    }
    Email found = answer.getData();
    Map<String, Object> observed =
        observed(
            "http", answer.getStatusCode(),
            "id", found.getId(),
            "fromEmail", found.getFromEmail(),
            "fromName", found.getFromName(),
            "cc", found.getCc(),
            "replyTo", found.getReplyTo(),
            "subject", found.getSubject(),
            "status", found.getStatus(),
            "tags", found.getTags(),
            "providerMessageId", found.getProviderMessageId(),
            "errorMessage", found.getErrorMessage(),
            "sentAt", found.getSentAt());
    observed.putAll(recipients(found));
    return observed;
  }

  private Map<String, Object> refusedRead(ApiClient client, JsonNode input) throws Exception {
    return refused(() -> new EmailsApi(client).getEmailWithHttpInfo(UUID.fromString(input.get("id").asText())));
  }

  private Map<String, Object> futureEmail(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<Email> answer = new EmailsApi(client).getEmailWithHttpInfo(UUID.fromString(input.get("id").asText()));
    Email found = answer.getData();
    Map<String, Object> observed =
        observed("http", answer.getStatusCode(), "id", found.getId(), "subject", found.getSubject(), "status", found.getStatus());
    observed.putAll(recipients(found));
    return observed;
  }

  private Map<String, Object> createKey(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<CreatedApiKey> answer = new ApiKeysApi(client).createApiKeyWithHttpInfo(read(input, CreateApiKeyRequest.class));
    ApiKey created = answer.getData().getKey();
    key = created.getId();
    return observed(
        "http", answer.getStatusCode(),
        "id", created.getId(),
        "name", created.getName(),
        "scopes", created.getScopes(),
        "expiresAt", created.getExpiresAt(),
        "lastUsedAt", created.getLastUsedAt(),
        "isActive", created.getIsActive(),
        "maskedKey", created.getMaskedKey(),
        "fullKey", answer.getData().getFullKey());
  }

  private Map<String, Object> listKeys(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<List<ApiKey>> answer = new ApiKeysApi(client).listApiKeysWithHttpInfo(null);
    return observed(
        "http", answer.getStatusCode(),
        "names", collect(answer.getData(), ApiKey::getName),
        "active", collect(answer.getData(), ApiKey::getIsActive),
        "revokedAt", collect(answer.getData(), ApiKey::getRevokedAt),
        "expiresAt", collect(answer.getData(), ApiKey::getExpiresAt));
  }

  private Map<String, Object> usage(ApiClient client, JsonNode input) throws ApiException {
    ApiResponse<Usage> answer = new BillingApi(client).getUsageWithHttpInfo();
    Usage usage = answer.getData();
    return observed(
        "http", answer.getStatusCode(),
        "periodKey", usage.getPeriodKey(),
        "periodStart", usage.getPeriodStart(),
        "emailsSent", usage.getEmailsSent(),
        "freeMonthlyAllowance", usage.getFreeMonthlyAllowance(),
        "freeRemaining", usage.getFreeRemaining(),
        "billableEmails", usage.getBillableEmails(),
        "pricePer1kCents", usage.getPricePer1kCents(),
        "hasPaymentMethod", usage.getHasPaymentMethod(),
        "monthlySpendCapCents", usage.getMonthlySpendCapCents());
  }

  private interface Call {
    ApiResponse<?> make() throws ApiException;
  }

  /** The client throws for every refusal; its model decodes the body. */
  private static Map<String, Object> refused(Call call) throws Exception {
    try {
      call.make();
    } catch (ApiException refusal) {
      Problem problem = Runner.JSON.readValue(refusal.getResponseBody(), Problem.class);
      return observed(
          "http", refusal.getCode(),
          "status", problem.getStatus(),
          "type", problem.getType(),
          "code", problem.getCode(),
          "title", problem.getTitle(),
          "detail", problem.getDetail(),
          "requestId", problem.getRequestId(),
          "pointers", collect(problem.getErrors(), ProblemError::getPointer));
    }
    throw new IllegalStateException("it was not refused");
  }

  private static Map<String, Object> recipients(Email email) {
    return observed(
        "recipientEmails", collect(email.getRecipients(), EmailRecipient::getEmail),
        "recipientKinds", collect(email.getRecipients(), EmailRecipient::getKind),
        "recipientStatuses", collect(email.getRecipients(), EmailRecipient::getStatus));
  }

  private static <T> T read(JsonNode input, Class<T> request) {
    return Runner.JSON.convertValue(input, request);
  }

  /** Names and values in turn; a value may be null. */
  static Map<String, Object> observed(Object... pairs) {
    Map<String, Object> observed = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      observed.put((String) pairs[i], pairs[i + 1]);
    }
    return observed;
  }

  /** One member of every element, in order; nothing when there is no list. */
  private static <E, M> List<M> collect(List<E> elements, Function<E, M> member) {
    return elements == null ? List.of() : elements.stream().map(member).toList();
  }
}
