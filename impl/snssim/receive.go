package snssim

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS clients check bodies with MD5
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	longestPoll   = 20 * time.Second
	longestHidden = 12 * time.Hour
	mostReceived  = 10
	codeReceipt   = "ReceiptHandleIsInvalid"
)

// receive receives messages, and waits for the first one as long as the call asks for.
func (s *Simulator) receive(ctx context.Context, c queueCall) (answer, error) {
	if err := c.checkReceive(); err != nil {
		return nil, err
	}
	most := given(c.MaxNumberOfMessages, 1)
	until := time.Now().Add(time.Duration(given(c.WaitTimeSeconds, 0)) * time.Second)
	for {
		taken, arrived, wait, err := s.take(c, most)
		if err != nil {
			return nil, err
		}
		remaining := time.Until(until)
		if len(taken) > 0 || remaining <= 0 {
			return received(taken, slices.Concat(c.AttributeNames, c.MessageSystemAttributeNames)), nil
		}
		timer := time.NewTimer(min(wait, remaining))
		select {
		case <-arrived:
		case <-timer.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler) // the client has disconnected
		case <-s.context.Done():
			panic(http.ErrAbortHandler)
		}
		timer.Stop()
	}
}

// checkReceive takes what the API reference allows.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
func (c queueCall) checkReceive() error {
	for name, one := range map[string]struct{ value, least, most int }{
		"MaxNumberOfMessages": {given(c.MaxNumberOfMessages, 1), 1, mostReceived},
		"WaitTimeSeconds":     {given(c.WaitTimeSeconds, 0), 0, int(longestPoll / time.Second)},
		"VisibilityTimeout":   {given(c.VisibilityTimeout, 0), 0, int(longestHidden / time.Second)},
	} {
		if one.value < one.least || one.value > one.most {
			return refuse("InvalidParameterValue", fmt.Sprintf("%s must be between %d and %d.", name, one.least, one.most))
		}
	}
	return nil
}

// checkBatch checks the entries of a batch.
func (c queueCall) checkBatch() error {
	switch {
	case len(c.Entries) == 0:
		return refuse("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(c.Entries) > mostReceived:
		return refuse("TooManyEntriesInBatchRequest", "A batch has at most 10 entries.")
	}
	seen := map[string]bool{}
	for _, entry := range c.Entries {
		if entry.Id == "" || len(entry.Id) > 80 || strings.ContainsFunc(entry.Id, notName) {
			return refuse("InvalidBatchEntryId", "An id has up to 80 letters, digits, hyphens and underscores.")
		}
		if seen[entry.Id] {
			return refuse("BatchEntryIdsNotDistinct", "Two entries have the same id.")
		}
		seen[entry.Id] = true
	}
	return nil
}

// take receives what is visible now, and returns how long to wait if that is nothing.
func (s *Simulator) take(c queueCall, most int) (taken []*item, arrived <-chan struct{}, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, nil, 0, err
	}
	now := s.config.Now()
	visibility := q.seconds("VisibilityTimeout", defaultVisibility)
	if c.VisibilityTimeout != nil {
		visibility = time.Duration(*c.VisibilityTimeout) * time.Second
	}
	s.redrive(q, now)
	taken = q.take(now, most, visibility)
	wait = longestPoll
	if next := q.nextVisible(); !next.IsZero() {
		wait = max(next.Sub(now), time.Millisecond)
	}
	return taken, q.arrived, wait, nil
}

// received returns messages with the attributes that were asked for.
func received(taken []*item, names []string) answer {
	messages := make([]map[string]any, 0, len(taken))
	for _, one := range taken {
		sum := md5.Sum([]byte(one.body))
		message := map[string]any{
			"MessageId": one.id, "ReceiptHandle": one.receipt, "Body": one.body, "MD5OfBody": hex.EncodeToString(sum[:]),
		}
		attributes := map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(one.received), "SentTimestamp": strconv.FormatInt(one.sent.UnixMilli(), 10),
		}
		maps.DeleteFunc(attributes, func(name, _ string) bool { return !slices.Contains(names, name) && !slices.Contains(names, "All") })
		if len(attributes) > 0 {
			message["Attributes"] = attributes
		}
		messages = append(messages, message)
	}
	if len(messages) == 0 {
		return answer{}
	}
	return answer{"Messages": messages}
}

// handle matches the receipts that are given out here. SQS refuses a receipt that cannot be one of its own; an old one is none of
// its errors.
var handle = regexp.MustCompile(`^[0-9a-f]{64}$`)

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
func (s *Simulator) delete(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	if !handle.MatchString(c.ReceiptHandle) {
		return nil, refuse(codeReceipt, "The receipt handle is not valid.")
	}
	q.remove(c.ReceiptHandle)
	return answer{}, nil
}

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
func (s *Simulator) deleteBatch(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	if err := c.checkBatch(); err != nil {
		return nil, err
	}
	done, failed := []any{}, []any{}
	for _, entry := range c.Entries {
		if !handle.MatchString(entry.ReceiptHandle) {
			failed = append(failed, map[string]any{"Id": entry.Id, "SenderFault": true, "Code": codeReceipt})
			continue
		}
		q.remove(entry.ReceiptHandle)
		done = append(done, map[string]string{"Id": entry.Id})
	}
	return answer{"Successful": done, "Failed": failed}, nil
}

func given(value *int, otherwise int) int {
	if value == nil {
		return otherwise
	}
	return *value
}
