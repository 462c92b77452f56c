package contracttests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/voostack/mailstack/gen/api"
)

// TestSenders checks which domains a message may be sent from.
func TestSenders(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, other := s.newTenant(), s.newTenant()
	tenant.verified("acme.test")
	tenant.verified("deep.sub.other.test")
	tenant.register("pending.test")
	other.verified("other.test")
	failed := tenant.verified("failed.test")
	tenant.execute(`UPDATE domains SET status = 'Failed' WHERE id = $1`, failed.ID)
	deleted := tenant.verified("deleted.test")
	tenant.call(http.MethodDelete, "/v1/domains/"+deleted.ID.String(), nil).is(http.StatusNoContent)

	for _, sender := range []string{
		"a@acme.test", "a@ACME.Test", "A@news.acme.test", "a@x.y.z.acme.test", "a@deep.sub.other.test",
		"a@deeper.deep.sub.other.test", `"a b"@acme.test`,
	} {
		tenant.sends(1, 1, singlePath, email(sender)).is(http.StatusAccepted)
	}
	for _, sender := range []string{
		"a@unknown.test", "a@pending.test", "a@failed.test", "a@deleted.test", "a@other.test", "a@sub.other.test",
		"a@news.other.test", "a@notacme.test", "a@acme.test.evil.test", "a@acme.tes", "a@acme-test.test", "a@cme.test",
		"a@xn--acm-dma.test", `"a@acme.test"@evil.test`, "a@test.acme", "acme.test@evil.test",
	} {
		tenant.refusedBothWays(api.ProblemCodeDomainNotVerified, "/from", email(sender))
	}
	other.refusedBothWays(api.ProblemCodeDomainNotVerified, "/from", email("a@acme.test"))
}

// TestSuppressedRecipients finds a suppressed address however it is written.
func TestSuppressedRecipients(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	tenant.suppress("gone@example.com", "two.words@example.com", `"a b"@example.com`, "joerg@xn--bcher-kva.example")
	s.newTenant().suppress("user@example.com", "copy@example.com")
	for _, suppressed := range []string{
		"gone@example.com", "GONE@Example.Com", "Sam <gone@example.com>", `"x, y" <Gone@EXAMPLE.com>`, `"gone"@example.com`,
		`"G\one"@example.com`, "<gone@example.com>", "gone@example.com (Sam)", "user@example.com; gone@example.com",
		"user@example.com, Sam <gone@example.com>, b@example.com", `"two.words"@example.com`, `"A B"@example.com`,
		`"A\ B"@example.com`, "joerg@BÜCHER.example", "JOERG@xn--bcher-kva.example",
	} {
		for _, field := range []string{"to", "cc", "bcc"} {
			t.Run(field+" "+suppressed, func(t *testing.T) {
				t.Parallel()
				tenant := tenant.in(t)
				request := email(from, field, suppressed)
				found := tenant.refused(singlePath, request).problem(http.StatusBadRequest, api.ProblemCodeRecipientSuppressed)
				if found.Detail != "Recipient is suppressed." {
					t.Errorf("says %q", found.Detail)
				}
				tenant.refusedBothWays(api.ProblemCodeRecipientSuppressed, "/"+field, request)
			})
		}
	}
	t.Run("others", func(t *testing.T) {
		tenant := tenant.in(t)
		for _, free := range []string{
			"user@example.com", "gone@example.org", "gone+tag@example.com", "xgone@example.com", "gone@sub.example.com",
			`"gone@example.com" <user@example.com>`, "user@example.com (gone@example.com)", `"gone@example.com"@example.org`,
		} {
			tenant.send(email(from, "to", free))
		}
		tenant.send(email(from, "replyTo", "gone@example.com"))
		tenant.send(email(from, "subject", strings.Repeat("gone@example.com ", 3)))
	})
}
