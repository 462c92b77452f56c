package snssim

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	targetSQS     = "AmazonSQS."
	defaultRetain = "345600"
)

func noQueue() error {
	return refuse("QueueDoesNotExist", "The specified queue does not exist.")
}

// queueCall is the body of an SQS call, with the API's field names.
type queueCall struct {
	QueueName, QueueUrl string
	Attributes          map[string]string
	AttributeNames      []string
	// MessageSystemAttributeNames has replaced AttributeNames for receiving.
	MessageSystemAttributeNames []string
	ReceiptHandle               string
	Entries                     []struct{ Id, ReceiptHandle string }
	MaxNumberOfMessages         *int
	WaitTimeSeconds             *int
	VisibilityTimeout           *int
	base                        string
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

// olderCode returns the code that an error had in the query protocol, which a header still names. In JSON, an error of the
// sender has status 400.
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html
//   - https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
func olderCode(code string) string {
	switch code {
	case "QueueDoesNotExist":
		return "AWS.SimpleQueueService.NonExistentQueue"
	case "QueueNameExists":
		return "QueueAlreadyExists"
	case "BatchEntryIdsNotDistinct", "EmptyBatchRequest", "InvalidBatchEntryId", "TooManyEntriesInBatchRequest":
		return "AWS.SimpleQueueService." + code
	}
	return code
}

func (s *Simulator) serveSQS(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), targetSQS)
	var request queueCall
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	if err == nil {
		err = s.before(r, "sqs:"+action)
	}
	if err == nil && json.Unmarshal(body, &request) != nil {
		err = &Refusal{http.StatusBadRequest, "MalformedHttpRequestException", "The request is not valid JSON for this operation."}
	}
	do, ok := s.queueCalls()[action]
	if err == nil && !ok {
		err = &Refusal{http.StatusNotFound, "UnknownOperationException", "The operation is not simulated."}
	}
	request.base = "http://" + r.Host
	var answered answer
	if err == nil {
		answered, err = do(r.Context(), request)
	}
	if err != nil {
		refusal := s.refusal(err)
		fault := ";Sender"
		if refusal.Status >= http.StatusInternalServerError {
			fault = ";Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", olderCode(refusal.Code)+fault)
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
	w.Header().Set("X-Amzn-RequestId", newID())
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		s.config.Log.Debug("write a response", slog.Any("error", err))
	}
}

func refuse(code, message string) error { return &Refusal{http.StatusBadRequest, code, message} }

// named returns the queue with the call's URL. The caller holds mu.
func (s *Simulator) named(c queueCall) (*queue, error) {
	q, ok := s.queues[nameOfARN(c.QueueUrl)]
	if !ok {
		return nil, noQueue()
	}
	return q, nil
}

// createQueue returns the existing queue if its attributes are the requested ones.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
func (s *Simulator) createQueue(_ context.Context, c queueCall) (answer, error) {
	if c.QueueName == "" || len(c.QueueName) > 80 || strings.ContainsFunc(c.QueueName, notName) {
		return nil, refuse("InvalidParameterValue", "The name of the queue is invalid.")
	}
	if err := checkQueueAttributes(c.Attributes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.queues[c.QueueName]; ok {
		for name, value := range c.Attributes {
			if known.attributes[name] != value {
				return nil, refuse("QueueNameExists", "A queue of this name has other attributes.")
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

// getQueueAttributes counts a message as hidden while a receiver has it.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
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
	hidden := q.hidden(s.config.Now())
	all["ApproximateNumberOfMessages"] = strconv.Itoa(len(q.held) - hidden)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(hidden)
	found := map[string]string{}
	for _, name := range c.AttributeNames {
		if name != "All" && !slices.Contains(queueAttributeNames(), name) {
			return nil, refuse("InvalidAttributeName", "Unknown Attribute "+name+".")
		}
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
	if err := checkQueueAttributes(c.Attributes); err != nil {
		return nil, err
	}
	attributes := maps.Clone(q.attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	maps.Copy(attributes, c.Attributes)
	return answer{}, s.commit(Change{Queue: &Queue{Name: q.name, Attributes: attributes}})
}
