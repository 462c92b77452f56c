// The steps about what a webhook received.

import com.fasterxml.jackson.databind.JsonNode
import com.standardwebhooks.Webhook
import com.standardwebhooks.exceptions.WebhookVerificationException
import com.voostack.mailstack.models.WebhookDomainEvent
import com.voostack.mailstack.models.WebhookEmailEvent
import java.security.MessageDigest
import java.util.Base64
import java.util.HexFormat
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

private class Delivery(val secret: String, val headers: Map<String, String>, val body: String)

val webhookSteps: Map<String, (Target, JsonNode) -> Observed> =
    mapOf(
        "decode an event about a message" to { _, input -> emailEvent(received(input)) },
        "decode an event about a domain" to { _, input -> domainEvent(received(input)) },
        "decode an event of a type and with members that are not in the document" to { _, input -> futureEvent(received(input)) },
        "verify what was delivered" to { _, input -> accept(input, ::isSigned) },
        "refuse what was altered, is replayed or was signed by others" to { _, input -> accept(input, ::isSigned) },
        "verify the HMAC of the body alone" to { _, input -> accept(input, ::isAuthentic) },
    )

/** The client's interface WebhookEvent is implemented by none of its types, so the type is named. */
private inline fun <reified T> received(input: JsonNode): T = json.readValue(input["body"].asText(), T::class.java)

private fun emailEvent(event: WebhookEmailEvent): Observed =
    mapOf(
        "id" to event.id,
        "type" to event.type,
        "createdAt" to instant(event.createdAt),
        "emailId" to event.data.id,
        "fromEmail" to event.data.fromEmail,
        "toEmail" to event.data.toEmail,
        "subject" to event.data.subject,
        "tags" to event.data.tags,
        "status" to event.data.status,
        "errorMessage" to event.data.errorMessage,
        "providerMessageId" to event.data.providerMessageId,
        "bounceType" to event.data.details.bounceType,
    )

private fun domainEvent(event: WebhookDomainEvent): Observed =
    mapOf(
        "id" to event.id,
        "type" to event.type,
        "createdAt" to instant(event.createdAt),
        "domainId" to event.data.id,
        "domain" to event.data.domain,
        "status" to event.data.status,
        "statusReason" to event.data.statusReason,
    )

private fun futureEvent(event: WebhookEmailEvent): Observed =
    mapOf(
        "id" to event.id,
        "type" to event.type,
        "createdAt" to instant(event.createdAt),
        "emailId" to event.data.id,
        "toEmail" to event.data.toEmail,
        "subject" to event.data.subject,
        "status" to event.data.status,
    )

private fun accept(input: JsonNode, judge: (Delivery) -> Boolean): Observed =
    mapOf("accepted" to input["deliveries"].map { judge(json.convertValue(it, Delivery::class.java)) })

private fun isSigned(delivery: Delivery): Boolean =
    try {
        Webhook(delivery.secret).verify(delivery.body, delivery.headers.mapValues { listOf(it.value) })
        true
    } catch (refusal: WebhookVerificationException) {
        false
    }

private fun isAuthentic(delivery: Delivery): Boolean {
    val mac = Mac.getInstance("HmacSHA256")
    mac.init(SecretKeySpec(Base64.getDecoder().decode(delivery.secret.removePrefix("whsec_")), "HmacSHA256"))
    val given = HexFormat.of().parseHex(delivery.headers.getValue("X-MailStack-Signature"))
    return MessageDigest.isEqual(given, mac.doFinal(delivery.body.toByteArray()))
}
