package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	channelNotifications = "notifications"
	defaultMatchers      = 16
	matchPoll            = time.Second
	matchTimeout         = 15 * time.Second
	// matchLifetime is how long an event is kept whose message is not there: it may come before our own commit.
	matchLifetime = 7 * 24 * time.Hour
	// rememberedFor is how long the id of a settled notification is kept. SNS repeats for an hour at most; a repetition
	// that comes later meets facts that are stored already.
	rememberedFor = 48 * time.Hour
	forgetAtOnce  = 5000
)

// tally counts the events that were dropped since the process began.
type tally struct{ unreadable, foreign, expired atomic.Int64 }

func (d *Dispatcher) claimNotifications(ctx context.Context, claim workqueue.ClaimRequest) ([]db.NotificationClaimRow, error) {
	rows, err := d.config.Store.Queries().NotificationClaim(ctx, db.NotificationClaimParams{
		Now: claim.Now, LeasedUntil: claim.LeasedUntil, Total: claim.Total,
	})
	if err != nil {
		return nil, fmt.Errorf("claim notifications: %w", err)
	}
	return rows, nil
}

// handleNotification turns a notification into facts about a message. Doing so twice, also at the same time, is doing
// so once.
func (d *Dispatcher) handleNotification(ctx context.Context, row db.NotificationClaimRow) {
	work, cancel := context.WithTimeout(ctx, matchTimeout)
	defer cancel()
	event, err := ses.ParseEvent([]byte(row.Body))
	if err != nil {
		d.drop(work, row, &d.dropped.unreadable, "unreadable")
		return
	}
	if event.Probe != uuid.Nil {
		d.settleProbe(work, row, event.Probe)
		return
	}
	found, err := d.match(work, row.MessageID, event)
	age := d.config.Now().Sub(row.ReceivedAt)
	switch {
	case err != nil:
		d.config.Log.WarnContext(ctx, "an event of SES could not be stored", "notification", row.MessageID, "error", err)
		d.putBack(ctx, row)
	case found:
		if d.config.Observer != nil && !event.At.IsZero() {
			d.config.Observer.Learned(d.config.Now().Sub(event.At))
		}
	case event.MessageID == uuid.Nil:
		d.drop(work, row, &d.dropped.foreign, "not ours")
	case age >= matchLifetime:
		d.drop(work, row, &d.dropped.expired, "about an unknown message")
	default:
		d.putBack(ctx, row)
	}
}

// settleProbe ends the work of what is about no message of anybody. Whoever sent the probe finds it by its id.
func (d *Dispatcher) settleProbe(ctx context.Context, row db.NotificationClaimRow, probe uuid.UUID) {
	err := d.config.Store.Queries().NotificationSettleProbe(ctx, db.NotificationSettleProbeParams{
		MessageID: row.MessageID, Probe: probe.String(),
	})
	if err != nil {
		d.config.Log.WarnContext(ctx, "a notification could not be settled", "notification", row.MessageID, "error", err)
	}
}

// match stores what an event says of its message, and ends the work of the notification. It reports whether there is
// such a message.
func (d *Dispatcher) match(ctx context.Context, notification string, event ses.Event) (found bool, err error) {
	err = d.config.Store.Pipeline(ctx, func(tx *db.Queries) error {
		found = false
		if err := endSending(ctx, tx, event); err != nil {
			return err
		}
		target, err := targetOf(ctx, tx, event)
		if store.IsNoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find the message of an event: %w", err)
		}
		found = true
		if err := d.learn(ctx, tx, target, event); err != nil {
			return err
		}
		if err := tx.NotificationSettle(ctx, notification); err != nil {
			return fmt.Errorf("end the work of a notification: %w", err)
		}
		return nil
	})
	return found, err
}

// targetOf finds the message by our tag, and without one by SES's id.
func targetOf(ctx context.Context, tx *db.Queries, event ses.Event) (db.EventTargetRow, error) {
	if event.MessageID != uuid.Nil {
		return tx.EventTarget(ctx, event.MessageID)
	}
	row, err := tx.EventTargetByProvider(ctx, event.ProviderMessageID)
	return db.EventTargetRow(row), err
}

// learn stores the facts that are new, and what follows from them. The message is locked, so that nobody else learns
// about it meanwhile.
func (d *Dispatcher) learn(ctx context.Context, tx *db.Queries, target db.EventTargetRow, event ses.Event) error {
	if event.At.IsZero() {
		event.At = d.config.Now()
	}
	recipients, err := tx.RecipientList(ctx, db.RecipientListParams{OrganizationID: target.OrganizationID, EmailID: target.ID})
	if err != nil {
		return fmt.Errorf("read the recipients: %w", err)
	}
	facts, err := unknown(ctx, tx, target, factsOf(event, recipients))
	if err != nil || len(facts) == 0 {
		return err
	}
	if err := nameProvider(ctx, tx, target, event); err != nil {
		return err
	}
	if err := insertFacts(ctx, tx, target, facts); err != nil {
		return err
	}
	if highest(facts) > mail.OutcomeQueued {
		if err := mark(ctx, tx, target, event, facts); err != nil {
			return err
		}
	}
	return d.suppress(ctx, tx, target, facts)
}

// nameProvider stores the id of SES before the facts: their webhooks show it, and SES may be faster than our own commit.
func nameProvider(ctx context.Context, tx *db.Queries, target db.EventTargetRow, event ses.Event) error {
	if target.ProviderMessageID != nil || event.ProviderMessageID == "" {
		return nil
	}
	err := tx.EventNameProvider(ctx, db.EventNameProviderParams{
		ID: target.ID, OrganizationID: target.OrganizationID, ProviderMessageID: event.ProviderMessageID,
	})
	if err != nil {
		return fmt.Errorf("store the provider's id: %w", err)
	}
	return nil
}

// unknown leaves out the facts that are stored.
func unknown(ctx context.Context, tx *db.Queries, target db.EventTargetRow, facts []reported) ([]reported, error) {
	keys := make([]string, len(facts))
	for i, fact := range facts {
		keys[i] = fact.key
	}
	known, err := tx.EventKnown(ctx, db.EventKnownParams{OrganizationID: target.OrganizationID, EmailID: target.ID, FactKeys: keys})
	if err != nil {
		return nil, fmt.Errorf("read the known facts: %w", err)
	}
	return slices.DeleteFunc(facts, func(fact reported) bool { return slices.Contains(known, fact.key) }), nil
}

func insertFacts(ctx context.Context, tx *db.Queries, target db.EventTargetRow, facts []reported) error {
	var rows db.EventInsertParams
	for _, fact := range facts {
		data, err := json.Marshal(fact.data)
		if err != nil {
			return fmt.Errorf("encode the data of an event: %w", err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make the id of an event: %w", err)
		}
		rows.EmailIds = append(rows.EmailIds, target.ID)
		rows.FactKeys = append(rows.FactKeys, fact.key)
		rows.Ids = append(rows.Ids, id)
		rows.OrganizationIds = append(rows.OrganizationIds, target.OrganizationID)
		rows.Types = append(rows.Types, fact.factType)
		rows.Data = append(rows.Data, data)
		rows.OccurredAt = append(rows.OccurredAt, fact.at.Truncate(time.Microsecond))
	}
	if err := tx.EventInsert(ctx, rows); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

// mark stores what the facts mean for the recipients and the message.
func mark(ctx context.Context, tx *db.Queries, target db.EventTargetRow, event ses.Event, facts []reported) error {
	marks := db.EventMarkRecipientsParams{EmailID: target.ID, OrganizationID: target.OrganizationID}
	for _, fact := range facts {
		for _, position := range fact.positions {
			marks.Positions = append(marks.Positions, position)
			marks.Outcomes = append(marks.Outcomes, int16(fact.outcome()))
		}
	}
	if err := tx.EventMarkRecipients(ctx, marks); err != nil {
		return fmt.Errorf("mark recipients: %w", err)
	}
	reached := max(mail.Outcome(target.Outcome), highest(facts))
	reason, err := reasonOf(ctx, tx, target, reached)
	if err != nil {
		return err
	}
	email := db.EventMarkEmailParams{
		ID: target.ID, OrganizationID: target.OrganizationID, Outcome: int16(reached),
		ErrorMessage: reason,
	}
	if !event.SentAt.IsZero() {
		email.SentAt = &event.SentAt
	}
	if err := tx.EventMarkEmail(ctx, email); err != nil {
		return fmt.Errorf("mark a message: %w", err)
	}
	return nil
}

// reasonOf is why a message has the outcome that it has: what the earliest fact of that outcome says, whatever order
// facts were learned in. What went well needs no reason.
func reasonOf(ctx context.Context, tx *db.Queries, target db.EventTargetRow, reached mail.Outcome) (string, error) {
	if reached < mail.OutcomeRejected {
		return "", nil
	}
	failures, err := tx.EventFailures(ctx, db.EventFailuresParams{OrganizationID: target.OrganizationID, EmailID: target.ID})
	if err != nil {
		return "", fmt.Errorf("read why a message failed: %w", err)
	}
	for _, failure := range failures {
		if mail.OutcomeOfFact(failure.Type, failure.FactKey) == reached {
			return failure.Reason, nil
		}
	}
	return "", nil
}

// suppress puts addresses that bounced for good, or complained, on the list of the organization.
func (d *Dispatcher) suppress(ctx context.Context, tx *db.Queries, target db.EventTargetRow, facts []reported) error {
	var rows db.SuppressionInsertParams
	for _, fact := range facts {
		if fact.suppress == "" {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make the id of a suppression: %w", err)
		}
		rows.Ids = append(rows.Ids, id)
		rows.OrganizationIds = append(rows.OrganizationIds, target.OrganizationID)
		rows.AddressKeys = append(rows.AddressKeys, fact.addressKey)
		rows.Reasons = append(rows.Reasons, fact.suppress)
		rows.Details = append(rows.Details, fact.data.Reason)
		rows.EmailIds = append(rows.EmailIds, target.ID)
		rows.CreatedAt = append(rows.CreatedAt, d.config.Now())
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if _, err := tx.SuppressionInsert(ctx, rows); err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	return nil
}

// drop ends the work of a notification that leads nowhere, and tells how many there were.
func (d *Dispatcher) drop(ctx context.Context, row db.NotificationClaimRow, counter *atomic.Int64, why string) {
	if err := d.config.Store.Queries().NotificationSettle(ctx, row.MessageID); err != nil {
		d.config.Log.WarnContext(ctx, "a notification could not be settled", "notification", row.MessageID, "error", err)
		return
	}
	count := counter.Add(1)
	if d.loud.allows("dropped "+why, d.config.Now()) {
		d.config.Log.WarnContext(ctx, "events of SES were dropped", "why", why, "since_start", count)
	}
}

// putBack puts a notification back. When it fails, the lease runs out, to the same effect.
func (d *Dispatcher) putBack(ctx context.Context, row db.NotificationClaimRow) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := d.config.Store.Queries().NotificationPostpone(ctx, db.NotificationPostponeParams{
		MessageID: row.MessageID, Attempt: row.Attempt,
		DueAt: d.config.Now().Add(backoff.After(row.Attempt, d.config.Random())),
	})
	if err != nil {
		d.config.Log.WarnContext(ctx, "a notification could not be postponed", "notification", row.MessageID, "error", err)
	}
}

// ForgetNotifications drops the notifications that were settled long ago.
func (d *Dispatcher) ForgetNotifications(ctx context.Context) error {
	for {
		dropped, err := d.config.Store.Queries().NotificationForget(ctx, db.NotificationForgetParams{
			Before: d.config.Now().Add(-rememberedFor), Total: forgetAtOnce,
		})
		if err != nil {
			return fmt.Errorf("drop settled notifications: %w", err)
		}
		if dropped < forgetAtOnce {
			return nil
		}
	}
}
