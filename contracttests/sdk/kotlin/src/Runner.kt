// Takes the steps of the SDK scenario with the client that openapi-generator makes from openapi.yaml, and prints what
// the typed answers say; judging is the work of contracttests/sdk/run.

import com.fasterxml.jackson.annotation.JsonInclude
import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import com.voostack.mailstack.apis.ApiKeysApi
import com.voostack.mailstack.apis.BillingApi
import com.voostack.mailstack.apis.DomainsApi
import com.voostack.mailstack.apis.EmailsApi
import com.voostack.mailstack.infrastructure.Serializer
import java.io.File

typealias Observed = Map<String, Any?>

/** The client's own mapper. */
val json: ObjectMapper = Serializer.jacksonObjectMapper

/** The same, but it also writes what is null. */
private val lines: ObjectMapper = json.copy().setSerializationInclusion(JsonInclude.Include.ALWAYS)

fun variable(name: String): String = System.getenv(name) ?: error("$name is not set")

/** Where a step calls, and as whom. */
class Target(private val name: String) {
    private val url = variable(if (name == "future") "MAILSTACK_FUTURE_URL" else "MAILSTACK_URL")
    private val key = variable(if (name == "exhausted") "MAILSTACK_EXHAUSTED_API_KEY" else "MAILSTACK_API_KEY")

    val emails = EmailsApi(url).apply { accessTokenProvider = { key } }
    val domains = DomainsApi(url).apply { accessTokenProvider = { key } }
    val keys = ApiKeysApi(url).apply { accessTokenProvider = { key } }
    val billing = BillingApi(url).apply { accessTokenProvider = { key } }
}

fun main() {
    val steps = Steps().all.toMutableMap()
    for (step in json.readTree(File(variable("MAILSTACK_SCENARIO")))["steps"]) {
        val name = step["name"].asText()
        val take = steps.remove(name) ?: error("the runner lacks the step \"$name\"")
        val observed = take(Target(step.path("client").asText()), step.path("input"))
        println(lines.writeValueAsString(mapOf("step" to name, "observed" to observed)))
    }
    check(steps.isEmpty()) { "the runner adds the steps ${steps.keys}" }
}

inline fun <reified T> read(input: JsonNode): T = json.convertValue(input, T::class.java)
