package sesevents

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

func (r *Recorder) claim(ctx context.Context, claim workqueue.ClaimRequest) ([]db.NotificationClaimRow, error) {
	rows, err := r.config.Store.Queries().NotificationClaim(ctx, db.NotificationClaimParams{
		Now: claim.Now, LeasedUntil: claim.LeasedUntil, MaxRows: claim.Total,
	})
	if err != nil {
		return nil, fmt.Errorf("claim notifications: %w", err)
	}
	return rows, nil
}

// handle turns a notification into email events. Doing so twice, also at the same time, is doing so once.
func (r *Recorder) handle(ctx context.Context, row db.NotificationClaimRow) {
	work, cancel := context.WithTimeout(ctx, matchTimeout)
	defer cancel()
	event, err := ses.ParseEvent([]byte(row.Body))
	if err != nil {
		r.discard(work, row, &r.discarded.unreadable, "unreadable")
		return
	}
	if event.Probe != uuid.Nil {
		r.settleProbe(work, row, event.Probe)
		return
	}
	found, err := r.match(work, row.MessageID, event)
	age := r.config.Now().Sub(row.ReceivedAt)
	switch {
	case store.IsStatementError(err) && age >= matchWindow:
		r.setAside(ctx, row, err)
	case err != nil:
		r.config.Log.WarnContext(ctx, "an event of SES could not be stored", "notification", row.MessageID, "error", err)
		r.postpone(ctx, row)
	case found:
		if r.config.Observer != nil && !event.At.IsZero() {
			r.config.Observer.EventStored(r.config.Now().Sub(event.At))
		}
	case event.MessageID == uuid.Nil:
		r.discard(work, row, &r.discarded.foreign, "not ours")
	case age >= matchWindow:
		r.discard(work, row, &r.discarded.expired, "about an unknown message")
	default:
		r.postpone(ctx, row)
	}
}

// settleProbe ends the work of a notification about a probe, which belongs to no message. Its sender ("mailstack
// doctor") finds the notification by the id of the probe.
func (r *Recorder) settleProbe(ctx context.Context, row db.NotificationClaimRow, probe uuid.UUID) {
	err := r.config.Store.Queries().NotificationSettleProbe(ctx, db.NotificationSettleProbeParams{
		MessageID: row.MessageID, Probe: probe.String(),
	})
	if err != nil {
		r.config.Log.WarnContext(ctx, "a notification could not be settled", "notification", row.MessageID, "error", err)
	}
}

// match stores what an event of SES says about its message, and ends the work of the notification. found reports
// whether the message exists.
func (r *Recorder) match(ctx context.Context, notification string, event ses.Event) (found bool, err error) {
	err = r.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		found = false
		if err := finishIfAccepted(ctx, tx, event); err != nil {
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
		if err := r.recordEvents(ctx, tx, target, event); err != nil {
			return err
		}
		if err := tx.NotificationSettle(ctx, notification); err != nil {
			return fmt.Errorf("end the work of a notification: %w", err)
		}
		return nil
	})
	return found, err
}

// targetOf finds the message by our tag, or by SES's id when there is no tag, and locks it.
func targetOf(ctx context.Context, tx *db.Queries, event ses.Event) (db.EmailLockForEventRow, error) {
	if event.MessageID != uuid.Nil {
		return tx.EmailLockForEvent(ctx, event.MessageID)
	}
	row, err := tx.EmailLockForEventByProviderID(ctx, event.ProviderMessageID)
	return db.EmailLockForEventRow(row), err
}

// recordEvents stores the email events that are new, and what follows from them. The message is locked, so that no
// other transaction records events about it meanwhile.
func (r *Recorder) recordEvents(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, event ses.Event) error {
	if event.At.IsZero() {
		event.At = r.config.Now()
	}
	recipients, err := tx.RecipientList(ctx, db.RecipientListParams{OrganizationID: target.OrganizationID, EmailID: target.ID})
	if err != nil {
		return fmt.Errorf("read the recipients: %w", err)
	}
	facts, err := onlyNew(ctx, tx, target, emailEventsFrom(event, recipients))
	if err != nil || len(facts) == 0 {
		return err
	}
	if err := storeProviderID(ctx, tx, target, event); err != nil {
		return err
	}
	if err := insertEmailEvents(ctx, tx, target, facts); err != nil {
		return err
	}
	if highestOutcome(facts) > mail.OutcomeQueued {
		if err := raiseStatus(ctx, tx, target, event, facts); err != nil {
			return err
		}
	}
	if err := countAgainstSender(ctx, tx, target, facts, r.config.Now()); err != nil {
		return err
	}
	return r.suppress(ctx, tx, target, facts)
}

// storeProviderID stores the id of SES before the events: their webhooks show it, and SES may be faster than our
// own commit.
func storeProviderID(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, event ses.Event) error {
	if target.ProviderMessageID != nil || event.ProviderMessageID == "" {
		return nil
	}
	err := tx.EmailSetProviderID(ctx, db.EmailSetProviderIDParams{
		ID: target.ID, OrganizationID: target.OrganizationID, ProviderMessageID: event.ProviderMessageID,
	})
	if err != nil {
		return fmt.Errorf("store the provider's id: %w", err)
	}
	return nil
}

// onlyNew returns the events that are not stored yet.
func onlyNew(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, facts []emailEvent) ([]emailEvent, error) {
	keys := make([]string, len(facts))
	for i, fact := range facts {
		keys[i] = fact.key
	}
	known, err := tx.EventListKnown(ctx, db.EventListKnownParams{OrganizationID: target.OrganizationID, EmailID: target.ID, FactKeys: keys})
	if err != nil {
		return nil, fmt.Errorf("read the known facts: %w", err)
	}
	return slices.DeleteFunc(facts, func(fact emailEvent) bool { return slices.Contains(known, fact.key) }), nil
}

func insertEmailEvents(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, facts []emailEvent) error {
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
		rows.Types = append(rows.Types, fact.eventType)
		rows.Data = append(rows.Data, data)
		rows.OccurredAt = append(rows.OccurredAt, fact.at.Truncate(time.Microsecond))
	}
	if err := tx.EventInsert(ctx, rows); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

// raiseStatus stores what the events mean for the outcomes of the recipients and the message.
func raiseStatus(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, event ses.Event, facts []emailEvent) error {
	marks := db.RecipientRaiseOutcomeParams{EmailID: target.ID, OrganizationID: target.OrganizationID}
	for _, fact := range facts {
		for _, position := range fact.positions {
			marks.Positions = append(marks.Positions, position)
			marks.Outcomes = append(marks.Outcomes, int16(fact.outcome()))
		}
	}
	if err := tx.RecipientRaiseOutcome(ctx, marks); err != nil {
		return fmt.Errorf("mark recipients: %w", err)
	}
	reached := mail.Higher(mail.Outcome(target.Outcome), highestOutcome(facts))
	reason, err := reasonOf(ctx, tx, target, reached)
	if err != nil {
		return err
	}
	email := db.EmailRaiseOutcomeParams{
		ID: target.ID, OrganizationID: target.OrganizationID, Outcome: int16(reached),
		ErrorMessage: reason,
	}
	if !event.SentAt.IsZero() {
		email.SentAt = &event.SentAt
	}
	if err := tx.EmailRaiseOutcome(ctx, email); err != nil {
		return fmt.Errorf("mark a message: %w", err)
	}
	return nil
}

// reasonOf returns why a message has its outcome: the reason of the earliest event with that outcome, in whatever
// order the events arrived. What was sent or delivered has none.
func reasonOf(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, reached mail.Outcome) (string, error) {
	if !reached.HasReason() {
		return "", nil
	}
	failures, err := tx.EventListFailures(ctx, db.EventListFailuresParams{OrganizationID: target.OrganizationID, EmailID: target.ID})
	if err != nil {
		return "", fmt.Errorf("read why a message failed: %w", err)
	}
	for _, failure := range failures {
		if mail.OutcomeOfEvent(failure.Type, failure.FactKey) == reached {
			return failure.Reason, nil
		}
	}
	return "", nil
}

// suppress puts addresses that bounced for good, or complained, on the suppression list of the organization.
func (r *Recorder) suppress(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, facts []emailEvent) error {
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
		rows.CreatedAt = append(rows.CreatedAt, r.config.Now())
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if _, err := tx.SuppressionInsert(ctx, rows); err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	return nil
}

// discard ends the work of a notification that cannot be read or matched, counts it, and logs how many there were.
func (r *Recorder) discard(ctx context.Context, row db.NotificationClaimRow, counter *atomic.Int64, why string) {
	if err := r.config.Store.Queries().NotificationSettle(ctx, row.MessageID); err != nil {
		r.config.Log.WarnContext(ctx, "a notification could not be settled", "notification", row.MessageID, "error", err)
		return
	}
	count := counter.Add(1)
	if r.discardLogs.Allow("dropped "+why, r.config.Now()) {
		r.config.Log.WarnContext(ctx, "events of SES were dropped", "why", why, "since_start", count)
	}
}

// setAside ends the work of a notification that Postgres has refused for as long as an event is awaited, and keeps it for an
// operator to look at.
func (r *Recorder) setAside(ctx context.Context, row db.NotificationClaimRow, refusal error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := r.config.Store.Queries().NotificationSetAside(ctx, db.NotificationSetAsideParams{
		MessageID: row.MessageID, Body: row.Body, ReceivedAt: row.ReceivedAt, Refusal: ses.StorableText(refusal.Error()), Now: r.config.Now(),
	})
	if err != nil {
		r.config.Log.WarnContext(ctx, "a notification could not be set aside", "notification", row.MessageID, "error", err)
		r.postpone(ctx, row)
		return
	}
	r.config.Log.ErrorContext(ctx, "an event of SES was set aside: it could not be stored for seven days", "notification", row.MessageID, "error", refusal)
}

// postpone puts a notification back. When it fails, the lease expires, to the same effect.
func (r *Recorder) postpone(ctx context.Context, row db.NotificationClaimRow) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	err := r.config.Store.Queries().NotificationPostpone(ctx, db.NotificationPostponeParams{
		MessageID: row.MessageID, Attempt: row.Attempt,
		DueAt: r.config.Now().Add(backoff.After(row.Attempt, r.config.Random())),
	})
	if err != nil {
		r.config.Log.WarnContext(ctx, "a notification could not be postponed", "notification", row.MessageID, "error", err)
	}
}

// DeleteExpired deletes the settled notifications that are older than notificationRetention, and what was set aside longer
// than setAsideRetention ago.
func (r *Recorder) DeleteExpired(ctx context.Context) error {
	if err := r.config.Store.Queries().SetAsideDeleteExpired(ctx, r.config.Now().Add(-setAsideRetention)); err != nil {
		return fmt.Errorf("drop what was set aside: %w", err)
	}
	for {
		dropped, err := r.config.Store.Queries().NotificationDeleteExpired(ctx, db.NotificationDeleteExpiredParams{
			Before: r.config.Now().Add(-notificationRetention), MaxRows: notificationBatchSize,
		})
		if err != nil {
			return fmt.Errorf("drop settled notifications: %w", err)
		}
		if dropped < notificationBatchSize {
			return nil
		}
	}
}

// finishIfAccepted ends the work of sending a message when an event of SES implies that SES accepted it. That is
// right whichever process holds its lease: from then on, a result of an attempt in flight changes nothing. Only an
// acceptance is still stored, and it is known already. The due row is locked before the message, in the lock order
// of package sending.
func finishIfAccepted(ctx context.Context, tx *db.Queries, event ses.Event) error {
	// An event without our tag matches by SES's id, which is stored only when the work of sending ends.
	if event.MessageID == uuid.Nil || highestOutcome(emailEventsFrom(event, nil)) <= mail.OutcomeSendFailed {
		return nil
	}
	if err := tx.SendComplete(ctx, []uuid.UUID{event.MessageID}); err != nil {
		return fmt.Errorf("end the work of a message that SES took: %w", err)
	}
	return nil
}
