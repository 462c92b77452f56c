package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/command/operator"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/sqsconsumer"
	"github.com/voostack/mailstack/impl/store"
)

type redrive struct {
	operator.Flags
	components.SESFlags
	components.EventsFlags
	components.EventsRouteFlags
}

// Help is shown by --help.
func (*redrive) Help() string {
	return `Reads the dead-letter queue of the subscriptions of the topics in MAILSTACK_EVENTS_TOPICS, or of the queue MAILSTACK_EVENTS_QUEUE, and stores each event before deleting it; the workers do the rest. What an endpoint could not take must have SNS's signature, as at the endpoint. What cannot be stored stays in the dead-letter queue. It is safe to repeat, and while "mailstack serve" runs.`
}

// Run drains every dead-letter queue.
func (c *redrive) Run(ctx context.Context, process *components.Process) error {
	if !c.Expected() {
		return components.Usagef("set MAILSTACK_EVENTS_TOPICS or MAILSTACK_EVENTS_QUEUE, as for `mailstack serve`")
	}
	if err := c.EventsFlags.Check(); err != nil {
		return err
	}
	_, client, err := components.AWSClients(ctx, c.SESFlags)
	if err != nil {
		return err
	}
	return c.WithDatabase(ctx, func(database *store.Store) error {
		config := sqsconsumer.Config{
			Store: database, Topics: c.EventsTopics, Now: process.Now, Log: slog.New(slog.NewTextHandler(process.Stderr, nil)),
		}
		if c.EventsQueue != "" {
			dead, err := client.DeadLettersOf(ctx, client.Queue(c.EventsQueue))
			if err != nil {
				return fmt.Errorf("find the dead-letter queue of %s: %w", c.EventsQueue, err)
			}
			return drain(ctx, process, dead, config)
		}
		config.Verifier = sns.New(sns.Config{
			Topics: c.EventsTopics, TrustedHost: c.EventsTrustedHost, Now: process.Now, Log: config.Log,
		})
		return c.drainSubscriptions(ctx, process, client, config)
	})
}

func (c *redrive) drainSubscriptions(
	ctx context.Context, process *components.Process, client *awsevents.Client, config sqsconsumer.Config,
) error {
	drained := map[string]bool{}
	for _, topic := range c.EventsTopics {
		subscriptions, err := client.Subscriptions(ctx, topic)
		if err != nil {
			return err
		}
		for _, one := range subscriptions {
			if !one.HTTP() || !one.Confirmed {
				continue
			}
			delivery, err := client.Delivery(ctx, one)
			if err != nil {
				return err
			}
			if delivery.DeadLetter == "" || drained[delivery.DeadLetter] {
				continue
			}
			drained[delivery.DeadLetter] = true
			dead, err := client.QueueOfARN(ctx, delivery.DeadLetter)
			if err != nil {
				return err
			}
			if err := drain(ctx, process, dead, config); err != nil {
				return err
			}
		}
	}
	if len(drained) == 0 {
		return errors.New("no confirmed subscription of the topics has a dead-letter queue: `mailstack ses setup` makes one")
	}
	return nil
}

func drain(ctx context.Context, process *components.Process, dead *awsevents.Queue, config sqsconsumer.Config) error {
	config.Queue = dead.Impatient()
	stored, left, err := sqsconsumer.New(config).Drain(ctx)
	if err != nil {
		return fmt.Errorf("redrive %s after %d events: %w", dead.URL, stored, err)
	}
	return process.Printf("%s: stored %d events, left %d messages that cannot be stored\n", dead.URL, stored, left)
}
