package contracttests

import (
	"net/http"
	"testing"

	"github.com/voostack/mailstack/gen/api"
)

func TestSendEmailIsSent(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	tenant, from := s.newSender()
	id := tenant.send(email(from, "fromName", "Acme", "tags", " welcome , b", "html", "<p>Hi</p>"))
	eventually(t, "the message is sent", func() bool { return tenant.read(id).Status == api.EmailStatusSent })
	found := tenant.read(id)
	if found.ProviderMessageID == nil || found.SentAt == nil || *found.Tags != "welcome,b" || *found.FromName != "Acme" {
		t.Fatalf("message is %+v", found)
	}
	if received := s.sim.Messages(); len(received) != 1 || received[0].MessageID != id.String() {
		t.Fatalf("the simulator received %+v", received)
	}
	tenant.call(http.MethodGet, "/v1/emails/zzz", nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}
