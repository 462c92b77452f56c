package problem

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/voostack/mailstack/gen/api"
)

// kinds maps every code of the contract to its status, its title and the text of its page.
var kinds = map[api.ProblemCode]Kind{ //nolint:gochecknoglobals // a read-only table
	api.ProblemCodeMalformedJSON: {
		http.StatusBadRequest, "The body is not one JSON document.",
		"The body must be exactly one JSON document in UTF-8, at most 32 levels deep, without a member given twice, " +
			"without data after it, without lone surrogates.",
	},
	api.ProblemCodeValidationFailed: {
		http.StatusBadRequest, "The request is not valid.",
		"A member is missing, unknown, of the wrong type or out of its limits. The list of errors points to each one.",
	},
	api.ProblemCodeDomainNotVerified: {
		http.StatusBadRequest, "The from-domain is not verified.",
		"The sender's domain must be a verified domain of your organization, or lie below one. Register it, publish its " +
			"DNS records and verify it.",
	},
	api.ProblemCodeRecipientSuppressed: {
		http.StatusBadRequest, "A recipient is suppressed.",
		"Mail to this address bounced or was complained about, or somebody suppressed it by hand. No message to it is accepted.",
	},
	api.ProblemCodeTemplateNotPublished: {
		http.StatusBadRequest, "There is no such published template.",
		"The template does not exist in your organization, or none of its versions is published.",
	},
	api.ProblemCodeTemplateInvalid: {
		http.StatusBadRequest, "The template cannot be rendered.",
		"A tag is not closed or not supported (partials, lambdas, changed delimiters, unescaped html), a value cannot stand " +
			"where it is used, or the result is too large.",
	},
	api.ProblemCodeVariableMissing: {
		http.StatusBadRequest, "A variable has no value.",
		"A placeholder that was reached has no value in the variables. The list of errors names each one.",
	},
	api.ProblemCodeUnauthorized: {
		http.StatusUnauthorized, "The API key is missing or not valid.",
		"Send a key that exists and is neither expired nor revoked as \"Authorization: Bearer ms_live_…\".",
	},
	api.ProblemCodeFreeTierExhausted: {
		http.StatusPaymentRequired, "The free allowance is used up.",
		"The free emails of this calendar month (UTC) are used up and the organization has no payment method.",
	},
	api.ProblemCodeSpendCapReached: {
		http.StatusPaymentRequired, "The monthly spend cap is reached.",
		"Accepting the message would cost more than the organization's spend cap of this calendar month (UTC) allows.",
	},
	api.ProblemCodeMissingScope: {
		http.StatusForbidden, "The API key lacks a scope.",
		"The detail names the scope that the operation needs. Create a key that has it.",
	},
	api.ProblemCodeOrganizationInactive: {
		http.StatusForbidden, "The organization is not active.",
		"The organization is suspended. Messages accepted before wait until it is resumed.",
	},
	api.ProblemCodeSendingPaused: {
		http.StatusForbidden, "Sending is paused.",
		"Too much of the organization's mail, or of a domain's, bounced for good or was reported as unwanted within 7 days. " +
			"Messages accepted before wait. Remove the addresses that bounce from your lists, find out why recipients " +
			"complain, and ask the operator of the server to resume sending.",
	},
	api.ProblemCodeKeyExceedsCreator: {
		http.StatusForbidden, "A key cannot create one that exceeds it.",
		"The new key may have no scope that the creating key does not have, and may not outlive it.",
	},
	api.ProblemCodeNotFound: {
		http.StatusNotFound, "There is no such resource.",
		"The resource does not exist, or it belongs to another organization.",
	},
	api.ProblemCodeRouteNotFound: {
		http.StatusNotFound, "There is no such route.",
		"The path is not one of this API. The reference is at /docs.",
	},
	api.ProblemCodeMethodNotAllowed: {
		http.StatusMethodNotAllowed, "The route does not take this method.",
		"The Allow header lists the methods that the path takes.",
	},
	api.ProblemCodeDomainExists: {
		http.StatusConflict, "The domain is registered already.",
		"The organization has registered this domain before. List the domains to find it.",
	},
	api.ProblemCodeDomainLimitReached: {
		http.StatusConflict, "The organization has as many domains as it may have.",
		"An organization may have at most 100 domains. Delete one first.",
	},
	api.ProblemCodeKeyNameExists: {
		http.StatusConflict, "A key of this name exists already.",
		"The names of an organization's unrevoked keys are unique. Revoke the other one, or choose another name.",
	},
	api.ProblemCodeKeyLimitReached: {
		http.StatusConflict, "The organization has as many keys as it may have.",
		"An organization may have at most 100 unrevoked keys. Revoke one first.",
	},
	api.ProblemCodeTemplateNameExists: {
		http.StatusConflict, "A template of this name exists already.",
		"The names of an organization's templates are unique. Delete or rename the other one, or choose another name.",
	},
	api.ProblemCodeTemplateLimitReached: {
		http.StatusConflict, "The organization has as many templates as it may have.",
		"An organization may have at most 1,000 templates. Delete one first.",
	},
	api.ProblemCodeTemplateVersionLimitReached: {
		http.StatusConflict, "The template has as many versions as it may have.",
		"A template may have at most 1,000 versions. Create another template with the new content.",
	},
	api.ProblemCodeWebhookLimitReached: {
		http.StatusConflict, "The organization has as many webhooks as it may have.",
		"An organization may have at most 20 webhooks. Delete one first.",
	},
	api.ProblemCodeWebhookDisabled: {
		http.StatusConflict, "The webhook is not enabled.",
		"Nothing is delivered to a webhook that is not enabled. Its disabledReason says why, when this server disabled it. " +
			"Enable it first.",
	},
	api.ProblemCodeIdempotencyInProgress: {
		http.StatusConflict, "A request with this idempotency key is at work.",
		"The first request with this Idempotency-Key has not been answered yet. Repeat yours after the seconds that Retry-After " +
			"gives: it gets the first one's answer, or does the work if that one failed.",
	},
	api.ProblemCodeIdempotencyKeyReused: {
		http.StatusUnprocessableEntity, "The idempotency key belongs to another request.",
		"Within the last 24 hours this Idempotency-Key came with another operation or body, and was answered. Choose a new key " +
			"for each thing that is to be created, and repeat a request byte for byte.",
	},
	api.ProblemCodeRequestTimeout: {
		http.StatusRequestTimeout, "The body did not arrive in time.",
		"Nothing of the body came within 5 seconds, then less than 4 KiB a second, or not all of it within 60 seconds. The " +
			"server did nothing with the request and closes the connection: send the request again, without pauses.",
	},
	api.ProblemCodePayloadTooLarge: {
		http.StatusRequestEntityTooLarge, "The body is too large.",
		"The detail names the limit: 10 MiB for an email and for each item of a batch, 20 MiB for a batch, 4 MiB for a " +
			"template, 1 MiB for its preview and for a list of addresses, 64 KiB elsewhere.",
	},
	api.ProblemCodeUnsupportedMediaType: {
		http.StatusUnsupportedMediaType, "The body is not declared as JSON.",
		"Send \"Content-Type: application/json\", in UTF-8, without a content encoding.",
	},
	api.ProblemCodeRateLimited: {
		http.StatusTooManyRequests, "Too many requests.",
		"The key sends requests faster than it may. Wait for the seconds that Retry-After gives.",
	},
	api.ProblemCodeOrganizationLimit: {
		http.StatusTooManyRequests, "The organization's limit is reached.",
		"The organization has reached the number of emails that it may send in a day (UTC) or in a second. The limit of a new " +
			"organization can grow with its age. Wait for the seconds that Retry-After gives, or ask the operator of the " +
			"server for more.",
	},
	api.ProblemCodeInternalError: {
		http.StatusInternalServerError, "The server failed.",
		"A defect of the server. Tell its operator the request id.",
	},
	api.ProblemCodeDependencyUnavailable: {
		http.StatusServiceUnavailable, "A dependency is not available.",
		"The database or Amazon SES does not answer. Nothing is half-stored; try again after the seconds that Retry-After gives.",
	},
	api.ProblemCodeDraining: {
		http.StatusServiceUnavailable, "The server is shutting down.",
		"This process takes no new work. Try again: another one, or the next, will.",
	},
	api.ProblemCodeOverloaded: {
		http.StatusServiceUnavailable, "The server is overloaded.",
		"The server has as much work as it can hold. Try again after the seconds that Retry-After gives.",
	},
}

// KindOf returns what the problems of a code have in common, and whether the code exists.
func KindOf(code api.ProblemCode) (Kind, bool) {
	found, known := kinds[code]
	return found, known
}

// Codes returns every code, sorted by status and then by name.
func Codes() []api.ProblemCode {
	return slices.SortedFunc(maps.Keys(kinds), func(a, b api.ProblemCode) int {
		return cmp.Or(cmp.Compare(kinds[a].Status, kinds[b].Status), strings.Compare(string(a), string(b)))
	})
}
