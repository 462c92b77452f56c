package sesevents

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/workqueue"
)

// fate is what becomes of a notification.
type fate int

const (
	recorded fate = iota
	probe
	unreadable
	// foreign means that the message is not ours, expired that it has not come to exist for matchWindow, early that it may.
	foreign
	expired
	early
	// broken means that reading it panicked.
	broken
	// busy means that another transaction has its message: it stays due.
	busy
)

// group is the notifications of one transaction, and what it found.
type group struct {
	now           time.Time
	notifications []notification
	targets       []*target // in the order of their ids
	facts         []fact    // each once
	// busyIDs and busyProviderIDs are of the messages that other transactions have.
	busyIDs         map[uuid.UUID]bool
	busyProviderIDs map[string]bool
}

type notification struct {
	db.NotificationTakeRow
	event ses.Event
	fate  fate
	why   string // it is broken
}

// target is a message that an event is about. It is locked.
type target struct {
	id, organizationID uuid.UUID
	outcome            mail.Outcome
	providerID         string
	hasSentAt          bool
	recipients         []db.Recipient

	// What the events of the group change.
	newProviderID string
	reached       mail.Outcome
	sentAt        time.Time
	found         mail.Outcome
	reachedBy     map[int16]mail.Outcome // by the position of a recipient
}

// fact is an event of a message.
type fact struct {
	emailEvent
	target *target
}

// staysDue reports whether a notification stays due as it is, because its message is busy and has not been for long.
func (g *group) staysDue(one notification) bool {
	return one.fate == busy && g.now.Sub(one.DueAt) < busyLimit
}

// firstBusy returns when the first of the notifications that stay due is, because their messages are busy, and how many they
// are.
func (g *group) firstBusy() (dueAt time.Time, count int) {
	for _, one := range g.notifications {
		if !g.staysDue(one) {
			continue
		}
		if count++; count == 1 {
			dueAt = one.DueAt
		}
	}
	return dueAt, count
}

// bytes returns the size of the bodies.
func (g *group) bytes() int {
	total := 0
	for _, one := range g.notifications {
		total += len(one.Body)
	}
	return total
}

// record stores a group in a transaction of three round trips: take the notifications, find and lock their messages, store
// what follows. The group has what was taken also if storing it fails.
func (r *Recorder) record(
	ctx context.Context, take func(ctx context.Context, tx *db.Queries) ([]db.NotificationTakeRow, error),
) (*group, error) {
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	g := &group{}
	err := r.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		*g = group{now: r.config.Now()}
		rows, err := take(ctx, tx)
		if err != nil {
			return fmt.Errorf("take notifications: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		g.read(rows)
		if err := g.lockTargets(ctx, tx); err != nil {
			return err
		}
		g.match()
		if err := g.storeFacts(ctx, tx); err != nil {
			return err
		}
		return r.settle(ctx, tx, g)
	})
	if err == nil {
		r.tell(ctx, g)
	}
	return g, err
}

// read parses the notifications.
func (g *group) read(rows []db.NotificationTakeRow) {
	g.notifications = make([]notification, len(rows))
	for i, row := range rows {
		one := &g.notifications[i]
		one.NotificationTakeRow = row
		one.guard(func() {
			var err error
			one.event, err = ses.ParseEvent([]byte(row.Body))
			switch {
			case err != nil:
				one.fate = unreadable
			case one.event.Probe != uuid.Nil:
				one.fate = probe
			}
		})
	}
}

// guard runs the part of the work that depends on what a notification says, so that a panic ends its own work only.
func (n *notification) guard(do func()) {
	defer func() {
		if v := recover(); v != nil {
			n.fate, n.why = broken, "reading it panicked: "+workqueue.PanicText(v)
		}
	}()
	do()
}

// lockTargets finds and locks the messages of the events: by our tag, or by SES's id where there is none. It also ends the
// work of sending the messages that SES accepted, as their events imply. That is right whichever process holds their
// leases: from then on, a result of an attempt in flight changes nothing. Only an acceptance is still stored, and it is
// known already. It waits for no other transaction: events often come while the result of their message is being stored, and
// the events of all organizations would wait for that.
func (g *group) lockTargets(ctx context.Context, tx *db.Queries) error {
	var named db.EmailLockForEventsParams
	for i := range g.notifications {
		one := &g.notifications[i]
		switch {
		case one.fate != recorded:
		case one.event.MessageID == uuid.Nil:
			// SES's id is stored only when the work of sending ends.
			named.ProviderMessageIds = append(named.ProviderMessageIds, one.event.ProviderMessageID)
		default:
			named.Ids = append(named.Ids, one.event.MessageID)
			one.guard(func() {
				if highestOutcome(emailEventsFrom(one.event, nil)) > mail.OutcomeSendFailed {
					named.Accepted = append(named.Accepted, one.event.MessageID)
				}
			})
		}
	}
	if len(named.Ids)+len(named.ProviderMessageIds) == 0 {
		return nil
	}
	rows, err := tx.EmailLockForEvents(ctx, named)
	if err != nil {
		return fmt.Errorf("find the messages of events: %w", err)
	}
	g.addTargets(rows)
	return nil
}

// addTargets makes the targets of rows, of which each has a recipient.
func (g *group) addTargets(rows []db.EmailLockForEventsRow) {
	var last *target
	g.busyIDs, g.busyProviderIDs = map[uuid.UUID]bool{}, map[string]bool{}
	for _, row := range rows {
		if row.IsBusy {
			g.busyIDs[row.ID], g.busyProviderIDs[row.ProviderMessageID] = true, row.ProviderMessageID != ""
			continue
		}
		if last == nil || last.id != row.ID {
			last = &target{
				id: row.ID, organizationID: row.OrganizationID, outcome: mail.Outcome(row.Outcome), hasSentAt: row.HasSentAt,
				providerID: row.ProviderMessageID,
			}
			last.reached = last.outcome
			g.targets = append(g.targets, last)
		}
		if row.Position >= 0 {
			last.recipients = append(last.recipients, db.Recipient{
				Position: row.Position, Address: row.Address, AddressKey: row.AddressKey, Outcome: row.RecipientOutcome,
			})
		}
	}
}

// match collects what the events say about their messages. Events without our tag come last: SES's id of their message may
// have come with one that has it.
func (g *group) match() {
	byID := make(map[uuid.UUID]*target, len(g.targets))
	for _, one := range g.targets {
		byID[one.id] = one
	}
	seen := map[factID]bool{}
	for i := range g.notifications {
		if one := &g.notifications[i]; one.fate == recorded && one.event.MessageID != uuid.Nil {
			g.collect(one, byID[one.event.MessageID], seen)
		}
	}
	for i := range g.notifications {
		if one := &g.notifications[i]; one.fate == recorded && one.event.MessageID == uuid.Nil {
			g.collect(one, g.byProviderID(one.event.ProviderMessageID), seen)
		}
	}
}

func (g *group) byProviderID(id string) *target {
	place := slices.IndexFunc(g.targets, func(one *target) bool { return cmp.Or(one.providerID, one.newProviderID) == id })
	if place < 0 {
		return nil
	}
	return g.targets[place]
}

// factID identifies a fact.
type factID struct {
	email uuid.UUID
	key   string
}

// collect collects what an event says about its message, or decides what becomes of an event without one.
func (g *group) collect(one *notification, about *target, seen map[factID]bool) {
	if about == nil {
		switch {
		case g.busyIDs[one.event.MessageID], one.event.MessageID == uuid.Nil && g.busyProviderIDs[one.event.ProviderMessageID]:
			one.fate = busy
		case one.event.MessageID == uuid.Nil:
			one.fate = foreign
		case g.now.Sub(one.ReceivedAt) >= matchWindow:
			one.fate = expired
		default:
			one.fate = early
		}
		return
	}
	event := one.event
	if event.At.IsZero() {
		event.At = g.now
	}
	var found []emailEvent
	one.guard(func() { found = emailEventsFrom(event, about.recipients) })
	if len(found) > 0 && about.providerID == "" && about.newProviderID == "" {
		about.newProviderID = event.ProviderMessageID
	}
	for _, each := range found {
		if id := (factID{about.id, each.key}); !seen[id] {
			seen[id] = true
			g.facts = append(g.facts, fact{each, about})
			about.add(each, event.SentAt)
		}
	}
}

// add takes in an event.
func (t *target) add(found emailEvent, sentAt time.Time) {
	outcome := found.outcome()
	if outcome == mail.OutcomeQueued {
		return
	}
	t.reached = mail.Higher(t.reached, outcome)
	t.found = mail.Higher(t.found, outcome)
	if !t.hasSentAt && t.sentAt.IsZero() {
		t.sentAt = sentAt
	}
	for _, position := range found.positions {
		if t.reachedBy == nil {
			t.reachedBy = map[int16]mail.Outcome{}
		}
		t.reachedBy[position] = mail.Higher(t.reachedBy[position], outcome)
	}
}
