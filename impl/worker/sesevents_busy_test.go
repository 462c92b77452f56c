package worker_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// Events whose messages another transaction has, such as the one that stores the result of sending them, hold up no others,
// and are recorded when it ends.
func TestBusyMessagesHoldUpNone(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"the due row is locked":           "SELECT FROM sends WHERE email_id = $1 FOR UPDATE",
		"the message is locked":           "SELECT FROM emails WHERE id = $1 FOR NO KEY UPDATE",
		"a row of the message is changed": "UPDATE emails SET sent_at = now() WHERE id = $1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			ids := h.accept(t, o, 2)
			h.exec(t, "UPDATE emails SET provider_message_id = 'ses-' || id WHERE id = $1", ids[0])
			other, err := h.store.Pool().Begin(t.Context())
			must(t, err)
			_, err = other.Exec(t.Context(), statement, ids[0])
			must(t, err)
			untagged := strings.ReplaceAll(deliveryEvent(ids[0], firstRecipient), "mailstack-message-id", "other")
			h.notify(t, sendEvent(ids[0]), untagged, sendEvent(ids[1]))

			h.record(t, 3)
			if outcome := mail.Outcome(h.email(t, o, ids[1]).Outcome); outcome != mail.OutcomeSent {
				t.Errorf("the other message is %s", outcome.Status())
			}
			if n := h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL AND attempt = 0"); n != 2 {
				t.Errorf("%d notifications stay due as they were", n)
			}
			h.record(t, 2)
			must(t, other.Rollback(t.Context()))
			h.record(t, 2)
			if outcome := mail.Outcome(h.email(t, o, ids[0]).Outcome); outcome != mail.OutcomeDelivered {
				t.Errorf("the message is %s", outcome.Status())
			}
			if n := h.count(t, "SELECT count(*) FROM sends"); n != 0 {
				t.Errorf("%d messages are still to be sent", n)
			}
		})
	}
}

// TestALockedMessageHoldsUpItsOwnEventsOnly: a message that another transaction holds for long is waited for alone.
func TestALockedMessageHoldsUpItsOwnEventsOnly(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(storetest.URL(t))
	must(t, err)
	settings := address.Query()
	settings.Set("lock_timeout", "20ms")
	address.RawQuery = settings.Encode()
	h := newHouseOn(t, storetest.Open(t, address.String()))
	o := h.tenant(t)
	ids := h.accept(t, o, 20)
	h.noSends(t)
	held, err := h.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM emails WHERE id = $1 FOR UPDATE", ids[3])
	must(t, err)
	for _, id := range ids {
		h.notify(t, deliveryEvent(id, firstRecipient))
	}
	h.clock.advance(time.Second)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.worker.Events.Run(ctx) })
	defer running.Wait()
	defer stop()
	delivered := func() int {
		return h.count(t, "SELECT count(*) FROM emails WHERE outcome = $1", int16(mail.OutcomeDelivered))
	}
	eventually(t, "the others are delivered", func() bool { return delivered() == 19 })
	eventually(t, "it is put back", func() bool {
		return h.count(t, "SELECT count(*) FROM notifications WHERE due_at > $1 AND attempt = 1", h.clock.Now()) == 1
	})
	must(t, held.Rollback(t.Context()))
	h.clock.advance(time.Hour)
	eventually(t, "it is delivered too", func() bool { return delivered() == 20 })
}
