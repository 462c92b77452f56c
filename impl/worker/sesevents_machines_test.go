package worker_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/mail"
)

// TestOpensOfProgramsAreFactsOfTheirOwn: an open that SES takes to be a program's is another fact than a person's, in the
// list of events and for webhooks, also when both come at the same moment.
func TestOpensOfProgramsAreFactsOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.opened", "email.clicked")
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	open := func(isBotEvent string) string {
		return event(id, "Open", "open", `{"timestamp":"2026-03-01T13:00:00Z","userAgent":"x","ipAddress":"192.0.2.1"`+isBotEvent+`}`)
	}
	click := event(id, "Click", "click", `{"timestamp":"2026-03-01T13:00:01Z","link":"https://a.test/","isBotEvent":"Likely"}`)
	h.notify(t, open(`,"isBotEvent":"Likely"`), open(`,"isBotEvent":"Unlikely"`), open(""), click)
	eventually(t, "the three facts are delivered", func() bool {
		_, err := h.worker.RunOnce(t.Context())
		must(t, err)
		return len(e.to("https://a.example")) == 3
	})

	kinds := map[string]string{}
	for _, one := range h.events(t, o, id) {
		word, _, _ := strings.Cut(one.FactKey, "/")
		var data struct{ Automated *bool }
		must(t, json.Unmarshal(one.Data, &data))
		said, err := json.Marshal(data.Automated)
		must(t, err)
		kinds[word] = one.Type + " " + string(said)
	}
	// The third open says nothing of who did it: the same fact as a person's.
	if len(kinds) != 3 || kinds["openedByMachine"] != "email.opened true" || kinds["opened"] == "email.opened true" ||
		!strings.HasPrefix(kinds["opened"], "email.opened ") || kinds["clickedByMachine"] != "email.clicked true" {
		t.Errorf("the facts are %v", kinds)
	}
	automated := 0
	for _, one := range e.to("https://a.example") {
		if strings.Contains(one.Body, `"automated": true`) {
			automated++
		}
	}
	if automated != 2 {
		t.Errorf("webhooks were told of %d automated events, want 2", automated)
	}
}

// TestHigherOutcomeIsOneRule: the rule of the schema is that of the code, and the order of facts cannot matter to it.
func TestHigherOutcomeIsOneRule(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ranks := []mail.Outcome{
		mail.OutcomeQueued, mail.OutcomeSendFailed, mail.OutcomeSent, mail.OutcomeSoftBounced, mail.OutcomeDelivered, mail.OutcomeRejected,
		mail.OutcomeBounced, mail.OutcomeComplained,
	}
	for i, a := range ranks {
		for j, b := range ranks {
			want := ranks[max(i, j)]
			var stored int16
			must(t, h.store.Pool().QueryRow(t.Context(), "SELECT higher_outcome($1, $2)", int16(a), int16(b)).Scan(&stored))
			if got := mail.Higher(a, b); got != want || mail.Outcome(stored) != want {
				t.Errorf("of %d and %d, the code takes %d and the schema %d, want %d", a, b, got, stored, want)
			}
		}
	}
}
