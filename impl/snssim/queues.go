package snssim

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS clients check bodies with MD5
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	targetSQS     = "AmazonSQS."
	longestPoll   = 20 * time.Second
	mostReceived  = 10
	defaultRetain = "345600"
)

func noQueue() error {
	return &Refusal{http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist."}
}

// queueCall is the body of an SQS call, with the API's field names.
type queueCall struct {
	QueueName, QueueUrl string
	Attributes          map[string]string
	AttributeNames      []string
	ReceiptHandle       string
	Entries             []struct{ Id, ReceiptHandle string }
	MaxNumberOfMessages *int
	WaitTimeSeconds     *int
	VisibilityTimeout   *int
	base                string
}

type answer map[string]any

func (s *Simulator) queueCalls() map[string]func(context.Context, queueCall) (answer, error) {
	return map[string]func(context.Context, queueCall) (answer, error){
		"CreateQueue":        s.createQueue,
		"GetQueueUrl":        s.getQueueURL,
		"GetQueueAttributes": s.getQueueAttributes,
		"SetQueueAttributes": s.setQueueAttributes,
		"ReceiveMessage":     s.receive,
		"DeleteMessage":      s.delete,
		"DeleteMessageBatch": s.deleteBatch,
	}
}

func (s *Simulator) serveSQS(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), targetSQS)
	var request queueCall
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	if err == nil {
		err = s.before(r, "sqs:"+action)
	}
	if err == nil && json.Unmarshal(body, &request) != nil {
		err = &Refusal{http.StatusBadRequest, "SerializationException", "The request is not valid JSON for this operation."}
	}
	do, ok := s.queueCalls()[action]
	if err == nil && !ok {
		err = &Refusal{http.StatusBadRequest, "UnsupportedOperation", "The operation is not simulated."}
	}
	request.base = "http://" + r.Host
	var answered answer
	if err == nil {
		answered, err = do(r.Context(), request)
	}
	if err != nil {
		refusal := s.refusal(err)
		s.writeJSON(w, refusal.Status, answer{"__type": "com.amazonaws.sqs#" + refusal.Code, "message": refusal.Message})
		return
	}
	s.writeJSON(w, http.StatusOK, answered)
}

func (s *Simulator) writeJSON(w http.ResponseWriter, status int, what answer) {
	data, err := json.Marshal(what)
	if err != nil {
		s.config.Log.Error("encode a response", slog.Any("error", err))
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		s.config.Log.Debug("write a response", slog.Any("error", err))
	}
}

// named returns the queue with the call's URL. The caller holds mu.
func (s *Simulator) named(c queueCall) (*queue, error) {
	q, ok := s.queues[nameOfARN(c.QueueUrl)]
	if !ok {
		return nil, noQueue()
	}
	return q, nil
}

// createQueue returns the existing queue if its attributes are the requested ones.
func (s *Simulator) createQueue(_ context.Context, c queueCall) (answer, error) {
	if c.QueueName == "" || len(c.QueueName) > 80 || strings.ContainsFunc(c.QueueName, notName) {
		return nil, &Refusal{http.StatusBadRequest, "InvalidParameterValue", "The name of the queue is invalid."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.queues[c.QueueName]; ok {
		for name, value := range c.Attributes {
			if known.attributes[name] != value {
				return nil, &Refusal{http.StatusBadRequest, "QueueNameExists", "A queue of this name has other attributes."}
			}
		}
	} else if err := s.commit(Change{Queue: &Queue{Name: c.QueueName, Attributes: c.Attributes}}); err != nil {
		return nil, err
	}
	return answer{"QueueUrl": c.base + "/" + Account + "/" + c.QueueName}, nil
}

func (s *Simulator) getQueueURL(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.queues[c.QueueName]; !ok {
		return nil, noQueue()
	}
	return answer{"QueueUrl": c.base + "/" + Account + "/" + c.QueueName}, nil
}

func (s *Simulator) getQueueAttributes(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	all := map[string]string{"VisibilityTimeout": "30", "MessageRetentionPeriod": defaultRetain, "ReceiveMessageWaitTimeSeconds": "0"}
	maps.Copy(all, q.attributes)
	all[attributeARN] = s.queueARN(q.name)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(len(q.held))
	found := map[string]string{}
	for _, name := range c.AttributeNames {
		for key, value := range all {
			if name == "All" || name == key {
				found[key] = value
			}
		}
	}
	return answer{"Attributes": found}, nil
}

func (s *Simulator) setQueueAttributes(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	attributes := maps.Clone(q.attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	maps.Copy(attributes, c.Attributes)
	return answer{}, s.commit(Change{Queue: &Queue{Name: q.name, Attributes: attributes}})
}

// receive receives messages, and waits for the first one as long as the call asks for.
func (s *Simulator) receive(ctx context.Context, c queueCall) (answer, error) {
	most := between(c.MaxNumberOfMessages, 1, 1, mostReceived)
	until := time.Now().Add(time.Duration(between(c.WaitTimeSeconds, 0, 0, int(longestPoll/time.Second))) * time.Second)
	for {
		taken, arrived, wait, err := s.take(c, most)
		if err != nil {
			return nil, err
		}
		remaining := time.Until(until)
		if len(taken) > 0 || remaining <= 0 {
			return received(taken), nil
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

func received(taken []*item) answer {
	messages := make([]map[string]any, 0, len(taken))
	for _, one := range taken {
		sum := md5.Sum([]byte(one.body))
		messages = append(messages, map[string]any{
			"MessageId": one.id, "ReceiptHandle": one.receipt, "Body": one.body, "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(one.received), "SentTimestamp": fmt.Sprint(one.sent.UnixMilli()),
			},
		})
	}
	return answer{"Messages": messages}
}

func (s *Simulator) delete(_ context.Context, c queueCall) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	q.remove(c.ReceiptHandle)
	return answer{}, nil
}

func (s *Simulator) deleteBatch(_ context.Context, c queueCall) (answer, error) {
	if len(c.Entries) == 0 || len(c.Entries) > mostReceived {
		return nil, &Refusal{http.StatusBadRequest, "TooManyEntriesInBatchRequest", "A batch has 1 to 10 entries."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.named(c)
	if err != nil {
		return nil, err
	}
	done := make([]map[string]string, 0, len(c.Entries))
	for _, entry := range c.Entries {
		q.remove(entry.ReceiptHandle)
		done = append(done, map[string]string{"Id": entry.Id})
	}
	return answer{"Successful": done, "Failed": []any{}}, nil
}

func between(given *int, otherwise, least, most int) int {
	if given == nil {
		return otherwise
	}
	return min(max(*given, least), most)
}
