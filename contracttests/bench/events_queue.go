package main

import (
	"context"
	"crypto/md5" //nolint:gosec // G501: SQS names the digest of a body, for transmission errors
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// queuedEvents is the number of events in the queue.
	queuedEvents = 20_000
	// mostReceived is how many messages SQS returns at most.
	mostReceived = 10
	// emptyWait is how long the queue lets a receiver wait for nothing.
	emptyWait = time.Second
)

// queuedEvents measures a worker that takes events out of a queue and records them.
func (w *world) queuedEvents(ctx context.Context, simulator simulator) (row eventRow, err error) {
	const name = "queued"
	database, err := w.messagesOf(ctx, name, queuedEvents, false)
	if err != nil {
		return row, err
	}
	defer database.Close()
	rows, err := database.Pool().Query(ctx, "SELECT id, to_email FROM emails")
	if err != nil {
		return row, fmt.Errorf("read the messages: %w", err)
	}
	defer rows.Close()
	events := &queue{hidden: map[string]queueMessage{}}
	for rows.Next() {
		var id uuid.UUID
		var address string
		if err := rows.Scan(&id, &address); err != nil {
			return row, fmt.Errorf("read a message: %w", err)
		}
		if err := events.add(deliveryOf(id.String(), address)); err != nil {
			return row, err
		}
	}
	if err := rows.Err(); err != nil {
		return row, fmt.Errorf("read the messages: %w", err)
	}
	amazon := httptest.NewServer(events)
	defer amazon.Close()
	return w.recording(ctx, database, name, queuedEvents, ownTime, "AWS_ENDPOINT_URL_SESV2="+simulator.URL,
		"AWS_ENDPOINT_URL_SQS="+amazon.URL, "MAILSTACK_EVENTS_QUEUE="+amazon.URL+"/000000000000/events")
}

// queue is an SQS queue that is full and gets nothing more. It answers in no time and spends little, which a real one
// does not, so that the worker is measured. What is received and not deleted comes again.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
type queue struct {
	mutex    sync.Mutex
	messages []queueMessage
	hidden   map[string]queueMessage // by their receipts
}

type queueMessage struct{ MessageId, ReceiptHandle, MD5OfBody, Body string }

// add adds an event as SNS delivers it.
func (q *queue) add(event string) error {
	body, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": uuid.NewString(), "TopicArn": eventsTopic, "Message": event,
		"Timestamp": "2026-01-01T12:00:00.000Z", "SignatureVersion": "2", "Signature": "", "SigningCertURL": "https://sns.us-east-1.amazonaws.com/a.pem",
	})
	if err != nil {
		return fmt.Errorf("write a notification: %w", err)
	}
	sum := md5.Sum(body)
	id := uuid.NewString()
	q.messages = append(q.messages, queueMessage{id, id, hex.EncodeToString(sum[:]), string(body)})
	return nil
}

func (q *queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	var answer any
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
		answer = struct{ Messages []queueMessage }{q.receive(r.Context())}
	} else {
		var given struct {
			Entries []struct{ ReceiptHandle string }
		}
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		q.mutex.Lock()
		for _, one := range given.Entries {
			delete(q.hidden, one.ReceiptHandle)
		}
		q.mutex.Unlock()
		answer = struct{}{}
	}
	_ = json.NewEncoder(w).Encode(answer) // what is lost comes again
}

// receive takes messages. When there are none, it waits, and then shows again what is hidden.
func (q *queue) receive(ctx context.Context) []queueMessage {
	found := q.take()
	if len(found) > 0 {
		return found
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(emptyWait):
	}
	q.mutex.Lock()
	for _, one := range q.hidden {
		q.messages = append(q.messages, one)
	}
	q.mutex.Unlock()
	return q.take()
}

func (q *queue) take() []queueMessage {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	count := min(mostReceived, len(q.messages))
	found := q.messages[:count]
	q.messages = q.messages[count:]
	for _, one := range found {
		q.hidden[one.ReceiptHandle] = one
	}
	return found
}
