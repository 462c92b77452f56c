// Package collect takes what SES reported out of a queue of Amazon SQS: the other way in beside the route to which SNS
// posts, for those who have no public URL.
//
// A message is deleted from the queue only when it is stored, under the id that SNS gave it, so that it can come as often
// as it likes, also to two processes at once and after one of them died. Who may send to the queue is said by its policy;
// signatures are not looked at, topics are where any are named.
//
// What cannot be read, or comes from another topic, is left in the queue, and so to its dead letters: it may be the
// configuration that is wrong and not the message. While the database is away nothing is received, so that no message
// gets there for having been tried in vain.
package sqsconsumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// receivers receive at the same time; each waits for AWS twice for ten messages.
	receivers = 4
	// finishTimeout bounds what is done with received messages when the process is told to stop.
	finishTimeout = 15 * time.Second
	minRetryDelay = time.Second
	// maxRetryDelay is short, as the next attempt of a message that SES may have taken waits a minute for its event.
	maxRetryDelay = 5 * time.Second
	logInterval   = time.Minute
)

// Queue is that of the events; *awsevents.Queue is one.
type Queue interface {
	// Receive waits for messages, for a while; none is no error.
	Receive(ctx context.Context) ([]awsevents.QueueMessage, error)
	Delete(ctx context.Context, messages []awsevents.QueueMessage) error
}

// Config of a Collector. Queue, Store and Log are required.
type Config struct {
	Queue Queue
	Store *store.Store
	// Topics are the ARNs of those from which events are taken. None: all that the policy of the queue lets in.
	Topics []string
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger
}

// Consumer empties a queue into the database.
type Consumer struct {
	config     Config
	unreadable atomic.Int64
	loggedAt   atomic.Int64 // in nanoseconds since 1970
}

// New returns a Collector.
func New(config Config) *Consumer {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Consumer{config: config}
}

// Unreadable counts the messages that were left in the queue, each time they came.
func (c *Consumer) Unreadable() int64 { return c.unreadable.Load() }

// Run collects until ctx ends. What was received by then is stored and deleted.
func (c *Consumer) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for range receivers {
		running.Go(func() { c.pollUntilDone(ctx) })
	}
	running.Wait()
	return nil
}

// pollUntilDone backs off from failures. At first, and after each, it asks the database before it receives.
func (c *Consumer) pollUntilDone(ctx context.Context) {
	failures, doubtful := int32(0), true
	for ctx.Err() == nil {
		err := c.poll(ctx, doubtful)
		doubtful = err != nil
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		wait := backoff.Exponential(minRetryDelay, maxRetryDelay, failures, rand.Float64()) //nolint:gosec // spreads retries
		c.config.Log.WarnContext(ctx, "events cannot be collected from the queue", slog.Any("error", err),
			slog.String("retry_in", wait.String()))
		_ = backoff.Sleep(ctx, wait) // the loop looks at ctx
	}
}

func (c *Consumer) poll(ctx context.Context, doubtful bool) error {
	if doubtful {
		if err := c.config.Store.Ping(ctx); err != nil {
			return fmt.Errorf("ask the database: %w", err)
		}
	}
	_, err := c.ReceiveOnce(ctx)
	return err
}

// ReceiveOnce receives once, stores what came and deletes it, and returns how many messages were stored or known already.
func (c *Consumer) ReceiveOnce(ctx context.Context) (int, error) {
	messages, err := c.config.Queue.Receive(ctx)
	if err != nil {
		return 0, err
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	readable, rows := c.read(finish, messages)
	if len(readable) == 0 {
		return 0, nil
	}
	if _, err := c.config.Store.Queries().NotificationInsertMany(finish, rows); err != nil {
		return 0, fmt.Errorf("store notifications: %w", err)
	}
	return len(readable), c.config.Queue.Delete(finish, readable)
}

// read sorts out what can be stored.
func (c *Consumer) read(ctx context.Context, messages []awsevents.QueueMessage) ([]awsevents.QueueMessage, db.NotificationInsertManyParams) {
	rows := db.NotificationInsertManyParams{Now: c.config.Now()}
	var readable []awsevents.QueueMessage
	for _, message := range messages {
		id, body, err := c.unwrap(message)
		if err != nil {
			c.logSkipped(ctx, message, err)
			continue
		}
		readable = append(readable, message)
		rows.MessageIds = append(rows.MessageIds, id)
		rows.Bodies = append(rows.Bodies, strings.ReplaceAll(strings.ToValidUTF8(body, ""), "\x00", ""))
	}
	return readable, rows
}

// unwrap takes an event out of the envelope of SNS, whose id it keeps. Where the subscription delivers events raw, they
// have that of the queue.
func (c *Consumer) unwrap(message awsevents.QueueMessage) (id, body string, err error) {
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

// logSkipped says now and then what is left in the queue.
func (c *Consumer) logSkipped(ctx context.Context, message awsevents.QueueMessage, why error) {
	count, now := c.unreadable.Add(1), c.config.Now().UnixNano()
	last := c.loggedAt.Load()
	if now-last < int64(logInterval) || !c.loggedAt.CompareAndSwap(last, now) {
		return
	}
	c.config.Log.WarnContext(ctx, "a message is left in the queue of events", slog.String("id", message.ID),
		slog.Any("why", why), slog.Int64("since_start", count))
}
