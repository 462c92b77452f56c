package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/due"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
)

// message is one claimed message and what its sending needs.
type message struct {
	send db.SendClaimRow
	// loaded is nil when the message is gone: retention dropped it.
	loaded     *db.SendLoadRow
	recipients []db.SendRecipientsRow
	// decided is set when there is a reason not to send it.
	decided *outcome
}

// cost is what the message takes of the account's quota.
func (m message) cost() float64 {
	if m.decided != nil {
		return 0
	}
	return float64(max(1, len(m.recipients)))
}

// claimMail claims a group and loads it in the same transaction, so that a group that cannot be loaded was never
// claimed. It claims nothing while SES has had enough, and while outcomes cannot be stored: a lease could run out
// under an outcome that waits, and the message would be sent twice.
func (d *Dispatcher) claimMail(ctx context.Context, claim due.Claim) ([]message, error) {
	if d.settler.behind() {
		return nil, nil
	}
	if wait := max(d.throttle.left(claim.Now), d.blocked.left(claim.Now), d.governor.held(claim.Now)); wait > 0 {
		d.lookIn(wait)
		return nil, nil
	}
	// A claim that has begun is finished although the process is told to stop: whether one that is cut off was committed
	// nobody knows, and its messages would wait for the end of their lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	abandoned := d.abandonedUntil(ctx, claim.Now)
	var group []message
	var given grant
	var stock, rest float64
	putOff := 0
	err := d.config.Store.Pipeline(ctx, func(tx *db.Queries) error {
		group, putOff, stock, rest = nil, 0, 0, 0
		var err error
		if given, err = d.governor.admit(ctx, tx, claim.Now, claim.Total); err != nil || given.messages == 0 {
			return err
		}
		claimed, err := tx.SendClaim(ctx, db.SendClaimParams{
			Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed, PerLane: claim.PerLane, Total: given.messages,
			AbandonedUntil: abandoned,
		})
		if err != nil {
			return fmt.Errorf("claim messages: %w", err)
		}
		claimed, putOff = withoutPutOff(claimed)
		if len(claimed) == 0 {
			return nil
		}
		if group, err = d.load(ctx, tx, claimed); err != nil {
			return err
		}
		fits, recipients := given.fitting(group)
		if err := putBack(ctx, tx, group[fits:]); err != nil {
			return err
		}
		group = group[:fits]
		stock, rest, err = given.take(ctx, tx, recipients)
		return err
	})
	switch {
	case errors.Is(err, errNoQuota):
		if err := d.ReadQuota(ctx); err != nil {
			return nil, err
		}
		return d.claimMail(ctx, claim)
	case err != nil:
		return nil, err
	case putOff > 0:
		// There may be more behind them.
		d.mail.Wake()
	}
	d.granted(ctx, claim.Now, given, len(group), stock, rest)
	return group, nil
}

// granted notes what a claim took, and when there will be more.
func (d *Dispatcher) granted(ctx context.Context, now time.Time, given grant, sent int, stock, rest float64) {
	if d.governor.read == nil {
		return
	}
	if sent > 0 {
		d.governor.took(now, stock, given.row != nil)
	}
	switch {
	case given.row == nil || (given.messages > 0 && (sent == 0 || stock+rest >= 1)):
	case given.row.DayLeft < 1:
		if d.quiet.allows("daily quota", now) {
			d.config.Log.ErrorContext(ctx, "the daily quota of the SES account is used up: mail waits until SES allows more")
		}
		d.hold(now, quotaPause)
	default:
		missing := 1 - min(given.budget(), stock+rest)
		d.hold(now, min(time.Second, max(due.Shorten(pace, d.config.Random()), time.Duration(missing/given.row.Rate*float64(time.Second)))))
	}
}

func (d *Dispatcher) hold(now time.Time, wait time.Duration) {
	d.governor.hold(now.Add(wait))
	d.lookIn(wait)
}

// lookIn has an idle dispatcher look for mail in a while, before it would do so by itself.
func (d *Dispatcher) lookIn(wait time.Duration) { d.governor.alarm(wait, d.mail.Wake) }

// withoutPutOff leaves out what was abandoned and is put off, and orders the rest by their turns.
func withoutPutOff(claimed []db.SendClaimRow) (ours []db.SendClaimRow, putOff int) {
	ours = slices.DeleteFunc(claimed, func(row db.SendClaimRow) bool { return row.PutOff })
	slices.SortFunc(ours, func(a, b db.SendClaimRow) int { return cmp.Compare(a.Place, b.Place) })
	return ours, len(claimed) - len(ours)
}

// putBack gives back messages that the quota does not allow now.
func putBack(ctx context.Context, tx *db.Queries, group []message) error {
	if len(group) == 0 {
		return nil
	}
	var rows db.SendPutBackParams
	for _, m := range group {
		rows.EmailIds = append(rows.EmailIds, m.send.EmailID)
		rows.DueAt = append(rows.DueAt, m.send.WasDueAt)
	}
	if err := tx.SendPutBack(ctx, rows); err != nil {
		return fmt.Errorf("put messages back: %w", err)
	}
	return nil
}

func (d *Dispatcher) load(ctx context.Context, tx *db.Queries, claimed []db.SendClaimRow) ([]message, error) {
	group := make([]message, len(claimed))
	index := make(map[uuid.UUID]*message, len(claimed))
	ids := make([]uuid.UUID, len(claimed))
	organizations := make([]uuid.UUID, len(claimed))
	for i, send := range claimed {
		group[i].send = send
		index[send.EmailID] = &group[i]
		ids[i], organizations[i] = send.EmailID, send.OrganizationID
	}
	rows, err := tx.SendLoad(ctx, db.SendLoadParams{Ids: ids, OrganizationIds: organizations})
	if err != nil {
		return nil, fmt.Errorf("load messages: %w", err)
	}
	for i := range rows {
		index[rows[i].Email.ID].loaded = &rows[i]
	}
	recipients, err := tx.SendRecipients(ctx, db.SendRecipientsParams{EmailIds: ids, OrganizationIds: organizations})
	if err != nil {
		return nil, fmt.Errorf("load recipients: %w", err)
	}
	for _, recipient := range recipients {
		m := index[recipient.EmailID]
		m.recipients = append(m.recipients, recipient)
	}
	for i := range group {
		group[i].decided = d.before(ctx, &group[i])
	}
	return group, nil
}

// handleMail makes one attempt and stores what came of it.
func (d *Dispatcher) handleMail(ctx context.Context, m message) {
	one := &settlement{send: m.send, outcome: d.attempt(ctx, &m)}
	if m.loaded != nil {
		one.domainID = m.loaded.Email.DomainID
	}
	for _, recipient := range m.recipients {
		one.positions = append(one.positions, recipient.Position)
	}
	// What happened must be stored whether or not there was time left for the attempt.
	d.settler.settle(context.WithoutCancel(ctx), one)
}

// attempt sends the message unless there is a reason not to. A panic in one message is that message's failure.
func (d *Dispatcher) attempt(ctx context.Context, m *message) (result outcome) {
	handedOver := false
	defer func() {
		if v := recover(); v != nil {
			d.config.Log.ErrorContext(ctx, "sending a message panicked", "message_id", m.send.EmailID,
				"panic", due.PanicText(v), "stack", string(debug.Stack()))
			result = d.unclear(ctx, m.send.Attempt, handedOver)
		}
	}()
	if m.decided != nil {
		return *m.decided
	}
	if ctx.Err() != nil {
		// There is no time left for an attempt: the process is stopping.
		return outcome{kind: postponed, dueAt: d.config.Now()}
	}
	content := compose(m)
	handedOver = true
	providerMessageID, err := d.config.SES.Send(ctx, content)
	return d.after(ctx, m.send, providerMessageID, err)
}

func compose(m *message) ses.Message {
	email := &m.loaded.Email
	composed := ses.Message{
		ID:       email.ID,
		From:     email.FromEmail,
		FromName: email.FromName,
		Subject:  email.Subject,
		HTML:     m.loaded.HTML,
		Text:     m.loaded.Text,
		Tags:     email.Tags,
	}
	for _, recipient := range m.recipients {
		written := write(recipient.Name, recipient.Address)
		switch recipient.Kind {
		case "to":
			composed.To = append(composed.To, written)
		case "cc":
			composed.Cc = append(composed.Cc, written)
		default:
			composed.Bcc = append(composed.Bcc, written)
		}
	}
	// Acceptance has parsed it; an empty list is an error that means that there is none.
	replyTo, _ := mail.ParseList(email.ReplyTo)
	for _, address := range replyTo {
		composed.ReplyTo = append(composed.ReplyTo, address.String())
	}
	return composed
}

// write puts a display name and a bare address into the form for a header. An address that cannot be read is left to
// SES to judge.
func write(name, address string) string {
	parsed, err := mail.ParseAddress(address)
	if err != nil {
		return address
	}
	parsed.Name = name
	return parsed.String()
}
