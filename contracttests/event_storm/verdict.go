package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// shown bounds the printed deviations of each kind.
const shown = 5

// verdict counts the results and the deviations.
type verdict struct {
	facts, suppressions, deliveries int

	wrongStatus, missingEvents, unknownEvents, missingDeliveries, unknownDeliveries, wrongDeliveries, wrongSuppressions int
	idsPerEvent, duplicated                                                                                             int

	mu    sync.Mutex
	notes []string
}

func (v *verdict) String() string {
	return fmt.Sprintf("facts=%d suppressions=%d deliveries=%d wrong_status=%d missing_events=%d unknown_events=%d "+
		"missing_deliveries=%d unknown_deliveries=%d wrong_deliveries=%d wrong_suppressions=%d ids_per_event=%d duplicated_deliveries=%d",
		v.facts, v.suppressions, v.deliveries, v.wrongStatus, v.missingEvents, v.unknownEvents,
		v.missingDeliveries, v.unknownDeliveries, v.wrongDeliveries, v.wrongSuppressions, v.idsPerEvent, v.duplicated)
}

func (v *verdict) err() error {
	wrong := v.wrongStatus + v.missingEvents + v.unknownEvents + v.missingDeliveries + v.unknownDeliveries + v.wrongDeliveries +
		v.wrongSuppressions
	if wrong == 0 && v.idsPerEvent == 1 {
		return nil
	}
	return errors.New("the results differ from the expected ones:\n" + strings.Join(v.notes, "\n"))
}

// note counts a deviation, and keeps the first few for printing.
func (v *verdict) note(counter *int, format string, arguments ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*counter++
	if *counter <= shown {
		v.notes = append(v.notes, fmt.Sprintf(format, arguments...))
	}
}

// event is an event as the API shows it.
type event struct {
	ID, Type   string
	Recipient  *string
	OccurredAt time.Time
}

// account reads everything from the API and compares it with the expected results.
func (w *world) account(ctx context.Context, messages []*message) (*verdict, error) {
	v := &verdict{duplicated: w.receiver.duplicated()}
	var mu sync.Mutex
	ids := map[string]bool{}
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, one := range messages {
		v.facts += len(one.facts)
		group.Go(func() error {
			through := w.servers[one.number%processes]
			if err := w.checkStatus(asking, through, v, one); err != nil {
				return err
			}
			told, err := w.checkEvents(asking, through, v, one)
			mu.Lock()
			defer mu.Unlock()
			for _, id := range told {
				ids[id] = true
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	w.checkReceiver(v, ids)
	return v, w.checkSuppressions(ctx, v, messages)
}

func (w *world) checkStatus(ctx context.Context, through *server, v *verdict, one *message) error {
	var seen struct {
		Status     string
		Recipients []struct{ Email, Status string }
	}
	if err := w.call(ctx, through, http.MethodGet, "/v1/emails/"+one.id, nil, &seen); err != nil {
		return err
	}
	if want := one.status(""); seen.Status != want {
		v.note(&v.wrongStatus, "message %s is %s, not %s", one.id, seen.Status, want)
	}
	if len(seen.Recipients) != len(one.recipients) {
		v.note(&v.wrongStatus, "message %s has %d recipients", one.id, len(seen.Recipients))
	}
	for _, recipient := range seen.Recipients {
		if want := one.status(recipient.Email); recipient.Status != want {
			v.note(&v.wrongStatus, "a recipient of message %s is %s, not %s", one.id, recipient.Status, want)
		}
	}
	return nil
}

// checkEvents compares the expected events of a message with those in the API, and returns the ids that webhooks
// must have received.
func (w *world) checkEvents(ctx context.Context, through *server, v *verdict, one *message) (told []string, err error) {
	seen, err := pages[event](ctx, w, through, "/v1/emails/"+one.id+"/events")
	if err != nil {
		return nil, err
	}
	expected := slices.Clone(one.facts)
	for _, got := range seen {
		i := slices.IndexFunc(expected, got.is)
		if i < 0 {
			v.note(&v.unknownEvents, "message %s has an unknown or repeated event %s %s", one.id, got.Type, got.ID)
			continue
		}
		if expected[i].told() {
			told = append(told, got.ID)
			w.checkDelivery(v, one, got)
		}
		expected = slices.Delete(expected, i, i+1)
	}
	for _, missing := range expected {
		v.note(&v.missingEvents, "message %s has no event %s", one.id, missing.kind)
	}
	return told, nil
}

// is reports whether an event is the expected one. The time of email.sent comes from our worker or from SES,
// whichever is first.
func (e event) is(f fact) bool {
	recipient := ""
	if e.Recipient != nil {
		recipient = *e.Recipient
	}
	return e.Type == f.kind && recipient == f.recipient && (f.kind == "email.sent" || e.OccurredAt.Equal(f.at))
}

func (w *world) checkDelivery(v *verdict, one *message, of event) {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	got, found := w.receiver.events[of.ID]
	if !found || got.taken == 0 {
		v.note(&v.missingDeliveries, "no webhook was told of %s %s", of.Type, of.ID)
		return
	}
	recipient := ""
	if of.Recipient != nil {
		recipient = *of.Recipient
	}
	at, err := time.Parse(time.RFC3339, got.createdAt)
	if err != nil || !at.Equal(of.OccurredAt) || got.kind != of.Type || got.email != one.id || got.recipient != recipient {
		v.note(&v.wrongDeliveries, "a webhook was told something else of %s", of.ID)
	}
}

// checkReceiver finds unexpected deliveries, and events that were delivered under several ids.
func (w *world) checkReceiver(v *verdict, expected map[string]bool) {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	for _, err := range w.receiver.wrong {
		v.note(&v.wrongDeliveries, "%v", err)
	}
	ids := map[string]int{}
	for id, got := range w.receiver.events {
		v.deliveries += got.taken
		ids[strings.Join([]string{got.kind, got.email, got.recipient, got.createdAt}, "\n")]++
		if !expected[id] {
			v.note(&v.unknownDeliveries, "a webhook was told of an unknown event %s", id)
		}
		if !belongs(got.hook, got.kind) {
			v.note(&v.wrongDeliveries, "%s was told to a webhook that does not subscribe to it", got.kind)
		}
	}
	for _, count := range ids {
		v.idsPerEvent = max(v.idsPerEvent, count)
	}
}

func (w *world) checkSuppressions(ctx context.Context, v *verdict, messages []*message) error {
	expected := map[string][]string{}
	for _, one := range messages {
		one.suppressed(expected)
	}
	v.suppressions = len(expected)
	seen, err := pages[struct{ Address, Reason string }](ctx, w, w.servers[0], "/v1/suppressions")
	if err != nil {
		return err
	}
	for _, got := range seen {
		reasons, found := expected[got.Address]
		if !found || !slices.Contains(reasons, got.Reason) {
			v.note(&v.wrongSuppressions, "%s is suppressed for %s", got.Address, got.Reason)
		}
		delete(expected, got.Address)
	}
	for address := range expected {
		v.note(&v.wrongSuppressions, "%s is not suppressed", address)
	}
	return nil
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, w *world, through *server, path string) ([]T, error) {
	var all []T
	query := url.Values{"limit": {"100"}}
	for {
		var page struct {
			Data       []T
			NextCursor *string
		}
		if err := w.call(ctx, through, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.NextCursor == nil {
			return all, nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}
