import com.fasterxml.jackson.databind.JsonNode
import com.voostack.mailstack.infrastructure.ApiResponse
import com.voostack.mailstack.infrastructure.ClientError
import com.voostack.mailstack.infrastructure.ServerError
import com.voostack.mailstack.infrastructure.Success
import com.voostack.mailstack.models.ApiKey
import com.voostack.mailstack.models.BatchResult
import com.voostack.mailstack.models.CreateApiKeyRequest
import com.voostack.mailstack.models.CreateDomainRequest
import com.voostack.mailstack.models.CreatedApiKey
import com.voostack.mailstack.models.Domain
import com.voostack.mailstack.models.Email
import com.voostack.mailstack.models.EmailStatus
import com.voostack.mailstack.models.Problem
import com.voostack.mailstack.models.QueuedEmail
import com.voostack.mailstack.models.SendBatchRequest
import com.voostack.mailstack.models.SendEmailRequest
import com.voostack.mailstack.models.Usage
import java.time.OffsetDateTime
import java.util.UUID

private const val SENT_LIMIT_MILLISECONDS = 30_000L

/** The steps; it keeps what a later one needs from an earlier one. */
class Steps {
    private lateinit var domain: UUID
    private lateinit var email: UUID
    private lateinit var key: UUID

    val all: Map<String, (Target, JsonNode) -> Observed> =
        mapOf(
            "register a domain" to ::registerDomain,
            "be refused the same domain again (409)" to { target, input ->
                refused(target.domains.createDomainWithHttpInfo(read<CreateDomainRequest>(input), null))
            },
            "list the domains" to ::listDomains,
            "get the domain" to ::getDomain,
            "verify the domain" to ::verifyDomain,
            "send an email" to ::send,
            "send a batch with one rejected item" to ::sendBatch,
            "read the email back until it is sent" to ::readBack,
            "create a key" to ::createKey,
            "revoke the key" to { target, _ -> mapOf("http" to target.keys.revokeApiKeyWithHttpInfo(key).statusCode) },
            "list the keys" to ::listKeys,
            "read the usage" to ::usage,
            "be refused an address that is none (400)" to ::refusedSend,
            "be refused without an allowance (402)" to ::refusedSend,
            "be refused an email that is not there (404)" to ::refusedRead,
            "delete the domain" to { target, _ -> mapOf("http" to target.domains.deleteDomainWithHttpInfo(domain).statusCode) },
            "decode an answer with members and values that are not in the document" to ::futureEmail,
            "decode a problem with a status and a code that are not in the document" to ::refusedRead,
        ) + webhookSteps

    private fun registerDomain(target: Target, input: JsonNode): Observed {
        val answer = target.domains.createDomainWithHttpInfo(read<CreateDomainRequest>(input), null)
        val created: Domain = decoded(answer)
        domain = created.id
        return mapOf(
            "http" to answer.statusCode,
            "id" to created.id,
            "domain" to created.domain,
            "status" to created.status,
            "customMailFromDomain" to created.customMailFromDomain,
            "recordTypes" to created.dnsRecords.map { it.type },
            "recordPurposes" to created.dnsRecords.map { it.purpose },
            "recordTtls" to created.dnsRecords.map { it.ttl },
            "verifiedAt" to instant(created.verifiedAt),
            "createdAt" to instant(created.createdAt),
        )
    }

    private fun listDomains(target: Target, input: JsonNode): Observed {
        val answer = target.domains.listDomainsWithHttpInfo()
        val domains: List<Domain> = decoded(answer)
        return mapOf("http" to answer.statusCode, "domains" to domains.map { it.domain }, "ids" to domains.map { it.id })
    }

    private fun getDomain(target: Target, input: JsonNode): Observed {
        val answer = target.domains.getDomainWithHttpInfo(domain)
        val found: Domain = decoded(answer)
        return mapOf("http" to answer.statusCode, "id" to found.id, "domain" to found.domain, "status" to found.status)
    }

    private fun verifyDomain(target: Target, input: JsonNode): Observed {
        val answer = target.domains.verifyDomainWithHttpInfo(domain)
        val found: Domain = decoded(answer)
        return mapOf(
            "http" to answer.statusCode,
            "id" to found.id,
            "status" to found.status,
            "statusReason" to found.statusReason,
            "verifiedAt" to instant(found.verifiedAt),
            "recordStatuses" to found.dnsRecords.map { it.status },
        )
    }

    private fun send(target: Target, input: JsonNode): Observed {
        val answer = target.emails.sendEmailWithHttpInfo(read<SendEmailRequest>(input), null)
        val queued: QueuedEmail = decoded(answer)
        email = queued.id
        return mapOf("http" to answer.statusCode, "id" to queued.id, "status" to queued.status)
    }

    private fun refusedSend(target: Target, input: JsonNode): Observed =
        refused(target.emails.sendEmailWithHttpInfo(read<SendEmailRequest>(input), null))

    private fun sendBatch(target: Target, input: JsonNode): Observed {
        val answer = target.emails.sendBatchWithHttpInfo(read<SendBatchRequest>(input), null)
        val result: BatchResult = decoded(answer)
        return mapOf(
            "http" to answer.statusCode,
            "accepted" to result.accepted,
            "rejected" to result.rejected,
            "indexes" to result.results.map { it.index },
            "statuses" to result.results.map { it.status },
            "ids" to result.results.map { it.id },
            "codes" to result.results.map { it.code },
            "errors" to result.results.map { it.error },
            "pointers" to result.results.map { item -> item.errors.orEmpty().map { it.pointer } },
        )
    }

    private fun readBack(target: Target, input: JsonNode): Observed {
        val deadline = System.currentTimeMillis() + SENT_LIMIT_MILLISECONDS
        var answer = target.emails.getEmailWithHttpInfo(email)
        while (decoded<Email>(answer).status == EmailStatus.Queued) {
            check(System.currentTimeMillis() < deadline) { "the message is still queued" }
            Thread.sleep(100)
            answer = target.emails.getEmailWithHttpInfo(email)
        }
        val found: Email = decoded(answer)
        return mapOf(
            "http" to answer.statusCode,
            "id" to found.id,
            "fromEmail" to found.fromEmail,
            "fromName" to found.fromName,
            "cc" to found.cc,
            "replyTo" to found.replyTo,
            "subject" to found.subject,
            "status" to found.status,
            "tags" to found.tags,
            "providerMessageId" to found.providerMessageId,
            "errorMessage" to found.errorMessage,
            "sentAt" to instant(found.sentAt),
        ) + recipients(found)
    }

    private fun refusedRead(target: Target, input: JsonNode): Observed =
        refused(target.emails.getEmailWithHttpInfo(UUID.fromString(input["id"].asText())))

    private fun futureEmail(target: Target, input: JsonNode): Observed {
        val answer = target.emails.getEmailWithHttpInfo(UUID.fromString(input["id"].asText()))
        val found: Email = decoded(answer)
        return mapOf("http" to answer.statusCode, "id" to found.id, "subject" to found.subject, "status" to found.status) +
            recipients(found)
    }

    private fun createKey(target: Target, input: JsonNode): Observed {
        val answer = target.keys.createApiKeyWithHttpInfo(read<CreateApiKeyRequest>(input))
        val created: CreatedApiKey = decoded(answer)
        key = created.key.id
        return mapOf(
            "http" to answer.statusCode,
            "id" to created.key.id,
            "name" to created.key.name,
            "scopes" to created.key.scopes,
            "expiresAt" to instant(created.key.expiresAt),
            "lastUsedAt" to instant(created.key.lastUsedAt),
            "isActive" to created.key.isActive,
            "maskedKey" to created.key.maskedKey,
            "fullKey" to created.fullKey,
        )
    }

    private fun listKeys(target: Target, input: JsonNode): Observed {
        val answer = target.keys.listApiKeysWithHttpInfo(null)
        val keys: List<ApiKey> = decoded(answer)
        return mapOf(
            "http" to answer.statusCode,
            "names" to keys.map { it.name },
            "active" to keys.map { it.isActive },
            "revokedAt" to keys.map { instant(it.revokedAt) },
            "expiresAt" to keys.map { instant(it.expiresAt) },
        )
    }

    private fun usage(target: Target, input: JsonNode): Observed {
        val answer = target.billing.getUsageWithHttpInfo()
        val usage: Usage = decoded(answer)
        return mapOf(
            "http" to answer.statusCode,
            "periodKey" to usage.periodKey,
            "periodStart" to instant(usage.periodStart),
            "emailsSent" to usage.emailsSent,
            "freeMonthlyAllowance" to usage.freeMonthlyAllowance,
            "freeRemaining" to usage.freeRemaining,
            "billableEmails" to usage.billableEmails,
            "pricePer1kCents" to usage.pricePer1kCents,
            "hasPaymentMethod" to usage.hasPaymentMethod,
            "monthlySpendCapCents" to usage.monthlySpendCapCents,
        )
    }

    private fun recipients(email: Email): Observed =
        mapOf(
            "recipientEmails" to email.recipients.map { it.email },
            "recipientKinds" to email.recipients.map { it.kind },
            "recipientStatuses" to email.recipients.map { it.status },
        )
}

/** RFC 3339 with seconds, which the text of a time leaves out when they are zero. */
fun instant(time: OffsetDateTime?): String? = time?.toInstant()?.toString()

private inline fun <reified T> decoded(answer: ApiResponse<*>): T {
    val data = (answer as? Success<*>)?.data
    return data as? T ?: error("the answer with status ${answer.statusCode} was decoded as $data")
}

/** The client leaves the body of a refusal as text; its model decodes it. */
private fun refused(answer: ApiResponse<*>): Observed {
    val body =
        when (answer) {
            is ClientError<*> -> answer.body
            is ServerError<*> -> answer.body
            else -> error("it was not refused")
        }
    val problem = json.readValue(body as String, Problem::class.java)
    return mapOf(
        "http" to answer.statusCode,
        "status" to problem.status,
        "type" to problem.type,
        "code" to problem.code,
        "title" to problem.title,
        "detail" to problem.detail,
        "requestId" to problem.requestId,
        "pointers" to problem.errors.orEmpty().map { it.pointer },
    )
}
