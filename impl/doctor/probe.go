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
	// clocksDiffer bounds how far the clock of the process that stores the event may be behind ours.
	clocksDiffer = 5 * time.Minute
)

// tryMessage sends a message that belongs to no organization: its tag names a probe, and the workers drop its events
// once they are stored.
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
	return stepResult{detail: "SES accepted it, from " + from}, nil
}

func (d *doctor) sender(ctx context.Context) (string, error) {
	if d.From != "" {
		address, err := mail.ParseAddress(d.From)
		if err != nil {
			return "", withHint(fmt.Errorf("--from: %w", err), "use a bare address of a verified domain")
		}
		return address.Bare(), nil
	}
	domain, err := d.database.Queries().DomainVerifiedAny(ctx)
	if store.IsNoRows(err) {
		return "", withHint(errors.New("no domain is verified yet"),
			"register one (POST /v1/domains), publish its records and verify it; or set --from to an address that is verified in SES")
	}
	if err != nil {
		return "", fmt.Errorf("look for a verified domain: %w", err)
	}
	return "doctor@" + domain, nil
}

func sendAdvice(class ses.Class) string {
	switch class {
	case ses.DomainNotReady:
		return "the sender's domain is not verified with SES in this region: verify it, or set another sender with --from"
	case ses.Misconfigured:
		return "grant the credentials the permissions that `mailstack ses policy` prints"
	case ses.Paused, ses.QuotaExceeded, ses.Throttled:
		return "check the account dashboard in the SES console"
	}
	return "try again: SES gave no clear response"
}

// tryEvent waits until a notification of the probe is stored.
func (d *doctor) tryEvent(ctx context.Context) (stepResult, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Wait)
	var collecting sync.WaitGroup
	defer collecting.Wait()
	defer cancel()
	helpAt := d.sentAt.Add(d.Wait / 3)
	helped := false
	failed := make(chan error, 1)
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
			collecting.Go(func() { failed <- d.collect(ctx) })
		}
		if backoff.Sleep(ctx, probePoll) != nil {
			err := fmt.Errorf("no event was stored within %s", d.Wait)
			select {
			case receiving := <-failed:
				if receiving != nil {
					err = fmt.Errorf("%w, and receiving from the queue failed: %w", err, receiving)
				}
			default:
			}
			return stepResult{}, withHint(err, "%s", d.eventAdvice())
		}
	}
}

func (d *doctor) arrived(helped bool) stepResult {
	found := stepResult{detail: "stored after " + d.process.Now().Sub(d.sentAt).Round(10*time.Millisecond).String()}
	if helped {
		found.warning = "the event waited in the queue until the doctor collected too: check that a `mailstack serve` or `mailstack worker` runs with MAILSTACK_EVENTS_QUEUE"
	}
	return found
}

// collect receives from the queue as a worker does, beside any workers, until ctx ends or an error occurs.
func (d *doctor) collect(ctx context.Context) error {
	collector := sqsconsumer.New(sqsconsumer.Config{
		Queue: d.aws.Queue(d.EventsQueue), Store: d.database, Topics: d.EventsTopics, Now: d.process.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	for ctx.Err() == nil {
		if _, err := collector.ReceiveOnce(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (d *doctor) eventAdvice() string {
	if d.EventsQueue != "" {
		return "run `mailstack ses setup` again, which repairs the policies of topic and queue, and check the dead-letter queue for messages"
	}
	return "check that `mailstack serve` runs with MAILSTACK_EVENTS_TOPICS and that SNS reaches its endpoint; its log names what it refuses; `mailstack ses setup` repairs the policy of the topic"
}
