package sqsconsumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/snssim"
	"github.com/voostack/mailstack/impl/sqsconsumer"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const (
	region      = "eu-west-1"
	testTimeout = 2 * time.Minute
)

// world is a database, a topic and a queue.
type world struct {
	t        *testing.T
	topics   *snssim.Simulator
	queue    *awsevents.Queue
	account  ses.Config
	topic    string
	database string
	store    *store.Store
	clock    atomic.Int64 // by how much the clock of SQS is ahead
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, database: storetest.URL(t)}
	w.store = storetest.Open(t, w.database)
	w.topics = snssim.New(snssim.Config{
		Region: region, Now: func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) },
		Log: slog.New(slog.DiscardHandler),
	})
	server := httptest.NewServer(w.topics)
	t.Cleanup(server.Close)
	t.Cleanup(func() { w.topics.Close() })
	w.account = ses.Config{Region: region, Endpoint: server.URL, StaticAccessKey: "test", StaticSecretKey: "test"}
	client, err := awsevents.New(t.Context(), w.account)
	w.must(err)
	caller, err := client.Caller(t.Context())
	w.must(err)
	w.topic, _, err = client.EnsureTopic(t.Context(), caller, "mailstack", "mailstack")
	w.must(err)
	queue, arn, _, err := client.EnsureQueue(t.Context(), "events", w.topic)
	w.must(err)
	_, confirmed, err := client.EnsureSubscription(t.Context(), w.topic, "sqs", arn, "")
	w.must(err)
	if !confirmed {
		t.Fatal("the queue is not subscribed")
	}
	w.queue = queue
	return w
}

// giveUpAfter sends messages to the dead-letter queue sooner than after EnsureQueue's thousand attempts.
func (w *world) giveUpAfter(attempts int) {
	w.t.Helper()
	loaded, err := w.account.Load(w.t.Context())
	w.must(err)
	loaded.BaseEndpoint = aws.String(w.account.Endpoint)
	_, err = sqs.NewFromConfig(loaded).SetQueueAttributes(w.t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(w.queue.URL), Attributes: map[string]string{"RedrivePolicy": fmt.Sprintf(
			`{"deadLetterTargetArn":"arn:aws:sqs:%s:000000000000:events-dead","maxReceiveCount":%d}`, region, attempts)},
	})
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) collector(queue sqsconsumer.Queue, topics ...string) *sqsconsumer.Consumer {
	return sqsconsumer.New(sqsconsumer.Config{Queue: queue, Store: w.store, Topics: topics, Log: slog.New(slog.DiscardHandler)})
}

func anEvent() string {
	return `{"eventType":"Delivery","mail":{"messageId":"` + uuid.NewString() + `"},"delivery":{"recipients":["a@example.com"]}}`
}

// stored returns the ids and bodies of the stored notifications.
func (w *world) stored() map[string]string {
	w.t.Helper()
	rows, err := w.store.Pool().Query(w.t.Context(), "SELECT message_id, body FROM notifications")
	w.must(err)
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var id, body string
		w.must(rows.Scan(&id, &body))
		found[id] = body
	}
	w.must(rows.Err())
	return found
}

func (w *world) holds(queue string, count int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s holds %d messages", queue, count), func() bool { return w.topics.Held(queue) == count })
}

func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			w.t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// later moves SQS's clock past the visibility timeout, so that received messages are delivered again.
func (w *world) later() { w.clock.Add(int64(2 * time.Minute)) }

// forgetful is a queue whose first deletions fail, as if the process had died before them.
type forgetful struct {
	sqsconsumer.Queue
	deaths atomic.Int64
}

func (f *forgetful) Delete(ctx context.Context, messages []awsevents.QueueMessage) error {
	if f.deaths.Add(-1) >= 0 {
		return errors.New("dead")
	}
	return f.Queue.Delete(ctx, messages)
}

func TestEnvelopesAndRawEventsAreStoredOnceAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	enveloped, raw := anEvent(), anEvent()
	w.topics.Publish(w.topic, enveloped)
	w.topics.Send("events", raw)
	w.holds("events", 2)
	dying := &forgetful{Queue: w.queue}
	dying.deaths.Store(1)
	if _, err := w.collector(dying, w.topic).ReceiveOnce(t.Context()); err == nil {
		t.Error("a failed deletion is no error")
	}
	w.holds("events", 2)
	first := w.stored()
	w.later()
	count, err := w.collector(w.queue, w.topic).ReceiveOnce(t.Context())
	w.must(err)
	if count != 2 || len(first) != 2 || len(w.stored()) != 2 {
		t.Errorf("%d came again; stored at first %d, then %d", count, len(first), len(w.stored()))
	}
	w.holds("events", 0)
	for _, body := range w.stored() {
		if body != enveloped && body != raw {
			t.Errorf("stored %s", body)
		}
	}
}

// SNS delivers at least once: one notification may become two messages in the queue.
func TestANotificationThatIsSentTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	envelope, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": "the-one", "TopicArn": w.topic, "Message": anEvent(),
	})
	w.must(err)
	for range 3 {
		w.topics.Send("events", string(envelope))
	}
	count, err := w.collector(w.queue).ReceiveOnce(t.Context())
	w.must(err)
	if stored := w.stored(); count != 3 || len(stored) != 1 || stored["the-one"] == "" {
		t.Errorf("of %d stored %v", count, stored)
	}
	w.holds("events", 0)
}

func TestWhatCannotBeReadGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.giveUpAfter(5)
	poison := []string{
		"", "{", "hello", `{"Type":"Notification"}`, `{"eventType":"Delivery"}`, strings.Repeat("x", 600<<10),
		`{"Type":"SubscriptionConfirmation","MessageId":"a","TopicArn":"` + w.topic + `"}`,
		`{"Type":"Notification","MessageId":"b","TopicArn":"arn:aws:sns:eu-west-1:000000000000:other","Message":"{}"}`,
	}
	for _, body := range poison {
		w.topics.Send("events", body)
	}
	w.topics.Publish(w.topic, anEvent())
	w.holds("events", len(poison)+1)
	collector := w.collector(w.queue, w.topic)
	count, err := collector.ReceiveOnce(t.Context())
	w.must(err)
	if count != 1 || len(w.stored()) != 1 || collector.Unreadable() != int64(len(poison)) {
		t.Errorf("stored %d, unreadable %d", count, collector.Unreadable())
	}
	for w.topics.Held("events-dead") == 0 && collector.Unreadable() < 1000 {
		w.later()
		w.topics.Publish(w.topic, anEvent()) // or it would wait for something to read
		w.eventually("it is there", func() bool { return w.topics.Held("events")+w.topics.Held("events-dead") > len(poison) })
		_, err := collector.ReceiveOnce(t.Context())
		w.must(err)
	}
	w.holds("events-dead", len(poison))
	w.holds("events", 0)
}

// Two processes consume one queue, and each fails to delete half of what it stored.
func TestTwoCollectorsStoreEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 300
	for range total {
		w.topics.Publish(w.topic, anEvent())
	}
	w.holds("events", total)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for range 2 {
		dying := &forgetful{Queue: w.queue}
		dying.deaths.Store(4)
		running.Go(func() {
			if err := w.collector(dying, w.topic).Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	// The clock goes so slowly that a slow machine stores and deletes messages before they become visible again.
	w.eventually("everything is stored and deleted", func() bool {
		w.clock.Add(int64(100 * time.Millisecond))
		return w.topics.Held("events") == 0
	})
	stop()
	running.Wait()
	if stored := len(w.stored()); stored != total {
		t.Errorf("stored %d of %d", stored, total)
	}
}

// While the database is unavailable nothing is received, so no message gets closer to the dead-letter queue.
func TestNothingIsReceivedWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counting := &counted{Queue: w.queue}
	closed := storetest.Open(t, w.database)
	closed.Close()
	var failures atomic.Int64
	log := slog.New(slog.NewTextHandler(counter{&failures}, nil))
	for range 100 {
		w.topics.Publish(w.topic, anEvent())
	}
	w.holds("events", 100)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- sqsconsumer.New(sqsconsumer.Config{Queue: counting, Store: closed, Log: log}).Run(ctx)
	}()
	w.eventually("all have tried twice", func() bool { return failures.Load() >= 8 })
	stop()
	w.must(<-ended)
	if calls := counting.calls.Load(); calls != 0 {
		t.Errorf("received %d times", calls)
	}
	w.holds("events", 100)
}

// counter counts the lines of a log.
type counter struct{ lines *atomic.Int64 }

func (c counter) Write(line []byte) (int, error) {
	c.lines.Add(1)
	return len(line), nil
}

type counted struct {
	sqsconsumer.Queue
	calls atomic.Int64
}

func (c *counted) Receive(ctx context.Context) ([]awsevents.QueueMessage, error) {
	c.calls.Add(1)
	return c.Queue.Receive(ctx)
}

// A process that is asked to stop stores and deletes what it has received.
func TestShutdownFinishesWhatWasReceived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topics.Publish(w.topic, anEvent())
	w.holds("events", 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	count, err := w.collector(&stopping{Queue: w.queue, stop: stop}).ReceiveOnce(ctx)
	if err != nil || count != 1 || len(w.stored()) != 1 {
		t.Errorf("stored %d: %v", count, err)
	}
	w.holds("events", 0)
}

// stopping asks the process to stop once it has received messages.
type stopping struct {
	sqsconsumer.Queue
	stop func()
}

func (s *stopping) Receive(ctx context.Context) ([]awsevents.QueueMessage, error) {
	messages, err := s.Queue.Receive(ctx)
	s.stop()
	return messages, err
}
