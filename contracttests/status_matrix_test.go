package contracttests

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// row is a promise: this operation responds with this status, to the request that the row describes.
type row struct {
	operation string
	status    int
	// code is the code of the problem; empty means success.
	code api.ProblemCode
	on   place
	// change turns the successful request into the one with this response. Nil means no change.
	change func(w *scene, r *request)
}

// place is the server that a row needs.
type place int

const (
	// anywhere is any server, given its URL, a key with every scope and a verified domain.
	anywhere place = iota
	// inside is the same server, with access to its database.
	inside
	// limited is a server whose keys have used up their rate.
	limited
	// hurried is a server that gives bodies little time.
	hurried
	// cutOff is a server whose Postgres is gone.
	cutOff
)

// table returns every promise of the spec except 500, which must never occur.
func table(ops []operation) []row {
	rows := []row{
		{"sendEmail", 202, "", anywhere, nil},
		{"sendEmail", 400, api.ProblemCodeDomainNotVerified, anywhere, func(_ *scene, r *request) { r.body = email("a@unverified.example", "to", recipient) }},
		{"sendEmail", 402, api.ProblemCodeFreeTierExhausted, inside, func(w *scene, r *request) { r.key, r.body = w.broke.key, email(w.broke.from) }},
		{"sendEmail", 403, api.ProblemCodeSendingPaused, inside, func(w *scene, r *request) { r.key, r.body = w.paused.key, email(w.paused.from) }},
		{"sendEmail", 429, api.ProblemCodeOrganizationLimit, inside, func(w *scene, r *request) { r.key, r.body = w.atLimit.key, email(w.atLimit.from) }},
		{"sendBatch", 202, "", anywhere, nil},
		{"sendBatch", 402, api.ProblemCodeFreeTierExhausted, inside, func(w *scene, r *request) { r.key, r.body = w.broke.key, batchOf(email(w.broke.from)) }},
		{"sendBatch", 403, api.ProblemCodeSendingPaused, inside, func(w *scene, r *request) {
			r.key, r.body = w.paused.key, batchOf(email(w.paused.from), email("a@unverified.example"))
		}},
		{"sendBatch", 429, api.ProblemCodeOrganizationLimit, inside, func(w *scene, r *request) {
			r.key, r.body = w.atLimit.key, batchOf(email(w.atLimit.from), email("a@unverified.example"))
		}},
		{"getEmail", 200, "", anywhere, nil},
		{"listEmailEvents", 200, "", anywhere, nil},
		{"listEmailEvents", 400, api.ProblemCodeValidationFailed, anywhere, func(_ *scene, r *request) { r.query = "?cursor=AAAA" }},
		{"listEmails", 200, "", anywhere, nil},

		{"listDomains", 200, "", anywhere, nil},
		{"createDomain", 201, "", anywhere, nil},
		{"createDomain", 409, api.ProblemCodeDomainExists, anywhere, func(w *scene, r *request) { r.body = w.domain.request }},
		{"getDomain", 200, "", anywhere, nil},
		{"verifyDomain", 200, "", anywhere, nil},
		{"deleteDomain", 204, "", anywhere, func(w *scene, r *request) { r.id = w.create("createDomain").id }},

		{"listApiKeys", 200, "", anywhere, nil},
		{"createApiKey", 201, "", anywhere, nil},
		{"createApiKey", 403, api.ProblemCodeKeyExceedsCreator, anywhere, func(w *scene, r *request) { r.key = w.keyMaker }},
		{"createApiKey", 409, api.ProblemCodeKeyNameExists, anywhere, func(w *scene, r *request) { r.body = w.apiKey.request }},
		{"getApiKey", 200, "", anywhere, nil},
		{"revokeApiKey", 204, "", anywhere, func(w *scene, r *request) { r.id = w.create("createApiKey").id }},

		{"listSuppressions", 200, "", anywhere, nil},
		{"createSuppressions", 201, "", anywhere, nil},
		{"getSuppression", 200, "", anywhere, nil},
		{"deleteSuppression", 204, "", anywhere, func(w *scene, r *request) { r.id = w.create("createSuppressions").id }},

		{"listTemplates", 200, "", anywhere, nil},
		{"createTemplate", 201, "", anywhere, nil},
		{"createTemplate", 400, api.ProblemCodeTemplateInvalid, anywhere, func(w *scene, r *request) { r.body = newTemplate(w.name(), "html", "{{#a}}") }},
		{"createTemplate", 409, api.ProblemCodeTemplateNameExists, anywhere, func(w *scene, r *request) { r.body = w.template.request }},
		{"getTemplate", 200, "", anywhere, nil},
		{"updateTemplate", 200, "", anywhere, nil},
		{"updateTemplate", 400, api.ProblemCodeTemplateInvalid, anywhere, func(_ *scene, r *request) { r.body = map[string]any{"text": "{{>file}}"} }},
		{"updateTemplate", 409, api.ProblemCodeTemplateNameExists, anywhere, func(w *scene, r *request) {
			r.id = w.create("createTemplate").id
			r.body = map[string]any{"name": w.template.request.(map[string]any)["name"]}
		}},
		{"deleteTemplate", 204, "", anywhere, func(w *scene, r *request) { r.id = w.create("createTemplate").id }},
		{"publishTemplate", 200, "", anywhere, nil},
		{"previewTemplate", 200, "", anywhere, nil},
		{"previewTemplate", 400, api.ProblemCodeTemplateInvalid, anywhere, func(_ *scene, r *request) { r.body = values{"variables": values{"name": values{}}} }},
		{"listTemplateVersions", 200, "", anywhere, nil},
		{"getTemplateVersion", 200, "", anywhere, nil},

		{"listWebhooks", 200, "", anywhere, nil},
		{"createWebhook", 201, "", anywhere, nil},
		{"createWebhook", 409, api.ProblemCodeWebhookLimitReached, inside, func(w *scene, r *request) { r.key = w.hooked }},
		{"getWebhook", 200, "", anywhere, nil},
		{"updateWebhook", 200, "", anywhere, nil},
		{"deleteWebhook", 204, "", anywhere, func(w *scene, r *request) { r.id = w.create("createWebhook").id }},
		{"rotateWebhookSecret", 200, "", anywhere, nil},
		{"testWebhook", 202, "", anywhere, nil},
		{"testWebhook", 409, api.ProblemCodeWebhookDisabled, anywhere, func(w *scene, r *request) { r.id = w.disabled }},
		{"listWebhookDeliveries", 200, "", anywhere, nil},
		{"replayWebhookDelivery", 202, "", anywhere, nil},
		{"replayWebhookDelivery", 404, api.ProblemCodeNotFound, anywhere, func(w *scene, r *request) { r.deliveryID = w.disabledDelivery }},
		{"replayWebhookDelivery", 409, api.ProblemCodeWebhookDisabled, anywhere, func(w *scene, r *request) {
			r.id, r.deliveryID = w.disabled, w.disabledDelivery
		}},

		{"getUsage", 200, "", anywhere, nil},
		{"getHealth", 200, "", anywhere, nil},
		{"getHealth", 200, "", cutOff, nil},
		{"getReadiness", 200, "", anywhere, nil},
		{"getReadiness", 503, api.ProblemCodeDependencyUnavailable, cutOff, nil},
	}
	for _, op := range ops {
		rows = append(rows, derived(op)...)
	}
	return rows
}

// derived returns the promises that follow from what an operation is: secured, with an id, with a query, with a
// body.
func derived(op operation) []row {
	var rows []row
	add := func(status int, code api.ProblemCode, on place, change func(w *scene, r *request)) {
		rows = append(rows, row{op.id, status, code, on, change})
	}
	if op.secured {
		add(401, api.ProblemCodeUnauthorized, anywhere, func(_ *scene, r *request) { r.key = "" })
		add(403, api.ProblemCodeMissingScope, anywhere, func(w *scene, r *request) { r.key = w.lesser(op.scopes) })
		add(403, api.ProblemCodeOrganizationInactive, inside, func(w *scene, r *request) { r.key = w.suspended })
		add(429, api.ProblemCodeRateLimited, limited, nil)
		add(503, api.ProblemCodeDependencyUnavailable, cutOff, nil)
	}
	add(400, api.ProblemCodeValidationFailed, anywhere, func(_ *scene, r *request) { r.query = "?statsu=Sent" })
	if named(op) {
		add(400, api.ProblemCodeValidationFailed, anywhere, func(_ *scene, r *request) { r.id = "zzz" })
		add(404, api.ProblemCodeNotFound, anywhere, func(_ *scene, r *request) { r.id = op.name(uuid.New()) })
		add(404, api.ProblemCodeNotFound, inside, func(w *scene, r *request) { r.key = w.stranger })
	}
	if idempotent(op) {
		under := func(key string) []string { return []string{"Idempotency-Key", key} }
		add(400, api.ProblemCodeValidationFailed, anywhere, func(_ *scene, r *request) { r.headers = under("two words") })
		add(409, api.ProblemCodeIdempotencyInProgress, inside, func(w *scene, r *request) { r.headers = under(w.heldKey) })
		add(422, api.ProblemCodeIdempotencyKeyReused, anywhere, func(w *scene, r *request) {
			first := w.succeeding(op)
			first.headers = under(w.name())
			w.createBy(op.id, first)
			*r = w.another(op, first)
		})
	}
	if op.spec.RequestBody != nil {
		add(400, api.ProblemCodeMalformedJSON, anywhere, func(_ *scene, r *request) { r.body = "{" })
		add(400, api.ProblemCodeValidationFailed, anywhere, func(_ *scene, r *request) { r.body = `{"sujbect":1}` })
		add(408, api.ProblemCodeRequestTimeout, hurried, func(w *scene, r *request) { r.body = stalled(w.t) })
		add(413, api.ProblemCodePayloadTooLarge, anywhere, func(_ *scene, r *request) {
			// The server must respond before the whole body is sent.
			r.body, r.headers = padded("{}", op.limit+1), []string{"Expect", "100-continue"}
		})
		add(415, api.ProblemCodeUnsupportedMediaType, anywhere, func(_ *scene, r *request) { r.headers = []string{"Content-Type", "text/plain"} })
	}
	return rows
}

// stalled returns a body of which nothing arrives. It ends when it is closed, as an HTTP client closes every body.
func stalled(t testing.TB) io.Reader {
	t.Helper()
	body, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	return body
}

// valid reports whether the spec allows the request of a row.
func (r row) valid() bool {
	return r.status != http.StatusBadRequest && r.status != http.StatusRequestTimeout && r.status != http.StatusRequestEntityTooLarge && r.status != http.StatusUnsupportedMediaType ||
		slices.Contains([]api.ProblemCode{api.ProblemCodeDomainNotVerified, api.ProblemCodeTemplateInvalid}, r.code)
}

func (r row) cell() cell { return cell{r.operation, r.status} }

func (r row) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", r.operation, r.status, r.code))
}

// evidence is a row with its exchange.
type evidence struct {
	row  row
	seen exchange
}

// run makes the request of every row.
func (w *scene) run(rows []row) []evidence {
	w.t.Helper()
	proof := make([]evidence, 0, len(rows))
	for _, promised := range rows {
		proof = append(proof, evidence{promised, w.make(promised).seen})
	}
	return proof
}

// TestPromises proves every cell of operations × statuses, and then that the proof notices every change to the spec
// or to a response.
func TestPromises(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	proof := newInside(t).run(table(operations(t)))
	for fault := range judge(c, c.cells(), proof) {
		t.Error(fault)
	}
	documented, proven := c.cells(), provenBy(c, proof)
	report := append(matrix(c, proven.mark), mutate(t, proof))
	counted.tell(report, func(undocumented int) string {
		return fmt.Sprintf("cells: %d documented, %d proven, %d undocumented answers", len(documented), len(proven), undocumented)
	})
}
