package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sqsconsumer"
	"github.com/voostack/mailstack/impl/store"
)

const (
	successAddress = "success@simulator.amazonses.com"
	probePoll      = 200 * time.Millisecond
	// clocksDiffer is by how much the clock of the process that stores the event may be behind ours.
	clocksDiffer = 5 * time.Minute
)

// tryMessage sends a message that belongs to nobody: its tag names a probe, and the workers drop its events once they are
// stored.
func (d *doctor) tryMessage(ctx context.Context) (stepResult, error) {
	from, err := d.sender(ctx)
	if err != nil {
		return stepResult{}, err
	}
	id := d.process.NewID()
	d.probe, d.sentAt = id.String(), d.process.Now()
	_, err = d.ses.Send(ctx, ses.Message{
		ID: id, Probe: true, From: from, To: []string{successAddress}, Subject: "MailStack doctor",
		Text: "Sent by `mailstack doctor` to see its event come back.",
	})
	if err != nil {
		return stepResult{}, withHint(err, "%s", sendAdvice(ses.ClassOf(err)))
	}
	return stepResult{detail: "SES took it, from " + from}, nil
}

func (d *doctor) sender(ctx context.Context) (string, error) {
	if d.From != "" {
		address, err := mail.ParseAddress(d.From)
		if err != nil {
			return "", withHint(fmt.Errorf("--from: %w", err), "give a bare address of a verified domain")
		}
		return address.Bare(), nil
	}
	domain, err := d.database.Queries().DomainVerifiedAny(ctx)
	if store.IsNoRows(err) {
		return "", withHint(errors.New("no domain is verified yet"),
			"register one (POST /v1/domains), publish its records and verify it; or give --from an address that SES knows")
	}
	if err != nil {
		return "", fmt.Errorf("look for a verified domain: %w", err)
	}
	return "doctor@" + domain, nil
}

func sendAdvice(class ses.Class) string {
	switch class {
	case ses.DomainNotReady:
		return "the sender's domain is not verified with SES in this region: verify it, or give another by --from"
	case ses.Misconfigured:
		return "give the credentials the permissions that `mailstack ses policy` prints"
	case ses.Paused, ses.QuotaExceeded, ses.Throttled:
		return "look at the account's dashboard in the SES console"
	}
	return "try again; SES gave no clear answer"
}

// tryEvent waits until a notification about the probe is stored.
func (d *doctor) tryEvent(ctx context.Context) (stepResult, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Wait)
	var collecting sync.WaitGroup
	defer collecting.Wait()
	defer cancel()
	helpAt := d.sentAt.Add(d.Wait / 3)
	helped := false
	for {
		found, err := d.database.Queries().NotificationGetByProbe(ctx, db.NotificationGetByProbeParams{
			Since: d.sentAt.Add(-clocksDiffer), Probe: d.probe,
		})
		if err == nil && found {
			return d.arrived(helped), nil
		}
		if err != nil && ctx.Err() == nil {
			return stepResult{}, fmt.Errorf("look for the event: %w", err)
		}
		if !helped && d.EventsQueue != "" && d.process.Now().After(helpAt) {
			helped = true
			collecting.Go(func() { d.collect(ctx) })
		}
		if backoff.Sleep(ctx, probePoll) != nil {
			return stepResult{}, withHint(fmt.Errorf("none was stored within %s", d.Wait), "%s", d.eventAdvice())
		}
	}
}

func (d *doctor) arrived(helped bool) stepResult {
	found := stepResult{detail: "stored after " + d.process.Now().Sub(d.sentAt).Round(10*time.Millisecond).String()}
	if helped {
		found.warning = "it waited in the queue until the doctor collected too: does any `mailstack serve` or `mailstack worker` run with MAILSTACK_EVENTS_QUEUE?"
	}
	return found
}

// collect does what a worker does, beside the workers if there are any, until ctx ends. It ends itself when it fails: then
// no event comes, and the hop fails.
func (d *doctor) collect(ctx context.Context) {
	collector := sqsconsumer.New(sqsconsumer.Config{
		Queue: d.aws.Queue(d.EventsQueue), Store: d.database, Topics: d.EventsTopics, Now: d.process.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	for ctx.Err() == nil {
		if _, err := collector.ReceiveOnce(ctx); err != nil {
			return
		}
	}
}

func (d *doctor) eventAdvice() string {
	if d.EventsQueue != "" {
		return "run `mailstack ses setup` again, which mends the policies of topic and queue, and look for messages in the queue of dead letters"
	}
	return "is `mailstack serve` running with MAILSTACK_EVENTS_TOPICS, and does SNS reach its endpoint? Its log names what it refuses; `mailstack ses setup` mends the policy of the topic"
}
