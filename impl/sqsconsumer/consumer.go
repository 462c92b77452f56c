// Package sqsconsumer moves SES events from an Amazon SQS queue into the database. It is the alternative to the
// route to which SNS posts, for installations without a public URL.
//
// A message is deleted from the queue only after it is stored, under the id that SNS gave it. It may therefore
// arrive any number of times, at two processes at once, or after one of them died. The queue's policy decides who
// may send to it; signatures are not checked, and topics are checked if any are configured.
//
// A dead-letter queue is drained in the same way: of a web server's subscription with the signatures checked, since the messages
// are what SNS would have posted.
//
// A message that is unreadable, or comes from another topic, stays in the queue and ends in its dead-letter queue:
// the configuration may be wrong rather than the message. While the database is unavailable nothing is received, so
// that failed attempts do not push messages there.
package sqsconsumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/notifications"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// minReceivers is how many goroutines receive at once, each of which waits for AWS twice per ten messages, and maxReceivers
	// how many they become while there is more than they have received: as many connections as the SDK keeps. What they
	// receive at the same time is stored together.
	minReceivers, maxReceivers = 4, 10
	// finishTimeout bounds storing and deleting received messages after the process was asked to stop.
	finishTimeout = 15 * time.Second
	minRetryDelay = time.Second
	// maxRetryDelay is short because a message that SES may have accepted waits only a minute for its event before
	// it is retried.
	maxRetryDelay = 5 * time.Second
	logInterval   = time.Minute
)

// Queue is the queue of events; *awsevents.Queue implements it.
type Queue interface {
	// Receive waits a while for messages. Receiving none is no error.
	Receive(ctx context.Context) ([]awsevents.QueueMessage, error)
	Delete(ctx context.Context, messages []awsevents.QueueMessage) error
}

// Config configures a Consumer. Queue, Store and Log are required.
type Config struct {
	Queue Queue
	Store *store.Store
	// Topics are the ARNs of the accepted topics. Empty means every topic that the queue's policy lets in.
	Topics []string
	// Verifier checks signature and topic of every message. Nil means that the queue's policy decides who may send.
	Verifier *sns.Verifier
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger
}

// Consumer moves the messages of a queue into the database.
type Consumer struct {
	config     Config
	inserter   *notifications.Inserter
	unreadable atomic.Int64
	loggedAt   atomic.Int64 // in nanoseconds since 1970
}

// New returns a Consumer.
func New(config Config) *Consumer {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Consumer{config: config, inserter: notifications.NewInserter(config.Store, config.Now)}
}

// Unreadable counts the messages left in the queue, once for each time one was received.
func (c *Consumer) Unreadable() int64 { return c.unreadable.Load() }

// Run consumes the queue until ctx ends. Messages received by then are still stored and deleted.
func (c *Consumer) Run(ctx context.Context) error {
	var running sync.WaitGroup
	var helpers atomic.Int64
	for range minReceivers {
		running.Go(func() { c.pollUntilDone(ctx, func() { c.help(ctx, &running, &helpers) }) })
	}
	running.Wait()
	return nil
}

// help starts a helper that receives as long as there is more, unless there are enough.
func (c *Consumer) help(ctx context.Context, running *sync.WaitGroup, helpers *atomic.Int64) {
	if helpers.Add(1) > maxReceivers-minReceivers {
		helpers.Add(-1)
		return
	}
	running.Go(func() {
		defer helpers.Add(-1)
		for ctx.Err() == nil {
			more, err := c.receive(ctx)
			if err != nil || !more {
				return // the others find out about an error, and log it
			}
			c.help(ctx, running, helpers)
		}
	})
}

// pollUntilDone polls until ctx ends, and backs off after failures. Before the first poll and after each failure it
// pings the database. It calls more after a poll that left messages in the queue.
func (c *Consumer) pollUntilDone(ctx context.Context, more func()) {
	failures, doubtful := int32(0), true
	for ctx.Err() == nil {
		left, err := c.poll(ctx, doubtful)
		if left {
			more()
		}
		doubtful = err != nil
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		wait := backoff.Exponential(minRetryDelay, maxRetryDelay, failures, rand.Float64()) //nolint:gosec // spreads retries
		c.config.Log.WarnContext(ctx, "consuming the event queue failed", slog.Any("error", err),
			slog.String("retry_in", wait.String()))
		_ = backoff.Sleep(ctx, wait) // the loop checks ctx
	}
}

func (c *Consumer) poll(ctx context.Context, doubtful bool) (more bool, err error) {
	if doubtful {
		if err := c.config.Store.Ping(ctx); err != nil {
			return false, fmt.Errorf("ask the database: %w", err)
		}
	}
	return c.receive(ctx)
}

// receive receives once, then stores and deletes the messages. It reports whether there are probably more.
func (c *Consumer) receive(ctx context.Context) (more bool, err error) {
	messages, err := c.config.Queue.Receive(ctx)
	if err != nil {
		return false, err
	}
	_, err = c.store(ctx, messages)
	return err == nil && len(messages) == awsevents.MaxReceived, err
}

// ReceiveOnce receives once, then stores and deletes the messages. It returns how many were stored or known
// already.
func (c *Consumer) ReceiveOnce(ctx context.Context) (int, error) {
	messages, err := c.config.Queue.Receive(ctx)
	if err != nil {
		return 0, err
	}
	return c.store(ctx, messages)
}

// Drain receives until nothing is left but messages that cannot be stored. It returns how many were stored or known already, and
// how many are left in the queue.
func (c *Consumer) Drain(ctx context.Context) (stored, left int, err error) {
	seen := map[string]bool{}
	for {
		messages, err := c.config.Queue.Receive(ctx)
		if err != nil {
			return stored, left, err
		}
		// What was seen before could not be stored: the queue delivers it again once its visibility timeout is over.
		messages = slices.DeleteFunc(messages, func(one awsevents.QueueMessage) bool { return seen[one.ID] })
		if len(messages) == 0 {
			return stored, left, nil
		}
		count, err := c.store(ctx, messages)
		stored += count
		if err != nil {
			return stored, left, err
		}
		left += len(messages) - count
		for _, one := range messages {
			seen[one.ID] = true
		}
	}
}

func (c *Consumer) store(ctx context.Context, messages []awsevents.QueueMessage) (int, error) {
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	readable, rows, err := c.read(finish, messages)
	if err != nil {
		return 0, err
	}
	if len(readable) == 0 {
		return 0, nil
	}
	if err := c.inserter.Insert(finish, rows...); err != nil {
		return 0, err
	}
	return len(readable), c.config.Queue.Delete(finish, readable)
}

// read returns the messages that can be stored, and their notifications.
func (c *Consumer) read(
	ctx context.Context, messages []awsevents.QueueMessage,
) (readable []awsevents.QueueMessage, rows []notifications.Notification, err error) {
	for _, message := range messages {
		id, body, err := c.unwrap(ctx, message)
		if errors.Is(err, sns.ErrUnavailable) {
			return nil, nil, fmt.Errorf("verify a message: %w", err)
		}
		if err != nil {
			c.logSkipped(ctx, message, err)
			continue
		}
		readable = append(readable, message)
		rows = append(rows, notifications.Notification{ID: id, Body: body})
	}
	return readable, rows, nil
}

// unwrap takes an event out of its SNS envelope and returns SNS's id of it. An event that the subscription delivers
// raw gets SQS's id instead.
func (c *Consumer) unwrap(ctx context.Context, message awsevents.QueueMessage) (id, body string, err error) {
	if c.config.Verifier != nil {
		return c.verify(ctx, message)
	}
	envelope, err := sns.Parse([]byte(message.Body))
	if err == nil {
		switch {
		case envelope.Type != sns.TypeNotification:
			return "", "", fmt.Errorf("it is a %s", envelope.Type)
		case len(c.config.Topics) > 0 && !slices.Contains(c.config.Topics, envelope.TopicArn):
			return "", "", fmt.Errorf("%s is not one of the topics that are listened to", sns.LoggableTopicARN(envelope.TopicArn))
		}
		return envelope.MessageId, envelope.Message, nil
	}
	if len(message.Body) > sns.MaxBytes {
		return "", "", errors.New("it is too large")
	}
	if _, err := ses.ParseEvent([]byte(message.Body)); err != nil {
		return "", "", errors.New("it is neither a notification of SNS nor an event of SES")
	}
	return message.ID, message.Body, nil
}

func (c *Consumer) verify(ctx context.Context, message awsevents.QueueMessage) (id, body string, err error) {
	verified, err := c.config.Verifier.Verify(ctx, []byte(message.Body))
	if err == nil && verified.Type != sns.TypeNotification {
		err = fmt.Errorf("it is a %s", verified.Type)
	}
	return verified.MessageId, verified.Message, err
}

// logSkipped counts a message that is left in the queue, and logs at most one of them per logInterval.
func (c *Consumer) logSkipped(ctx context.Context, message awsevents.QueueMessage, why error) {
	count, now := c.unreadable.Add(1), c.config.Now().UnixNano()
	last := c.loggedAt.Load()
	if now-last < int64(logInterval) || !c.loggedAt.CompareAndSwap(last, now) {
		return
	}
	c.config.Log.WarnContext(ctx, "unreadable message left in the event queue", slog.String("id", message.ID),
		slog.Any("why", why), slog.Int64("since_start", count))
}
