package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"

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
}

// claimMail claims a group and loads it in the same transaction, so that a group that cannot be loaded was never
// claimed. It claims nothing while SES has had enough, and while outcomes cannot be stored: a lease could run out
// under an outcome that waits, and the message would be sent twice.
func (d *Dispatcher) claimMail(ctx context.Context, claim due.Claim) ([]message, error) {
	if d.settler.behind() || d.throttle.engaged(claim.Now) || d.blocked.engaged(claim.Now) {
		return nil, nil
	}
	var group []message
	err := d.config.Store.Tx(ctx, func(tx *db.Queries) error {
		group = nil
		claimed, err := tx.SendClaim(ctx, db.SendClaimParams{
			Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed, PerLane: claim.PerLane, Total: claim.Total,
		})
		if err != nil {
			return fmt.Errorf("claim messages: %w", err)
		}
		if len(claimed) == 0 {
			return nil
		}
		group, err = load(ctx, tx, claimed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return group, nil
}

func load(ctx context.Context, tx *db.Queries, claimed []db.SendClaimRow) ([]message, error) {
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
			result = d.unclear(m.send.Attempt, handedOver)
		}
	}()
	if stop, decided := d.before(ctx, m); decided {
		return stop
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
