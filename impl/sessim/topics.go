package sessim

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/voostack/mailstack/impl/snssim"
)

// calls counts the calls of each operation, successful or not.
type calls struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (c *calls) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	c.counts[name]++
}

// Calls returns the API operations that were called, such as ses:SendEmail and sqs:ReceiveMessage.
func (s *Simulator) Calls() []string {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	names := make([]string, 0, len(s.calls.counts))
	for name := range s.calls.counts {
		names = append(names, name)
	}
	return names
}

// Topics returns the SNS and SQS of the account.
func (s *Simulator) Topics() *snssim.Simulator { return s.topics }

// beforeTopics applies the faults to calls of the other services, and requires a signature.
func (s *Simulator) beforeTopics(r *http.Request, call string) error {
	s.calls.add(call)
	_, operation, _ := strings.Cut(call, ":")
	err := s.faults.before(r.Context(), operation, s.closed)
	if errors.Is(err, errCut) {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	if err == nil {
		err = checkSignature(r)
	}
	var refusal *apiError
	if errors.As(err, &refusal) {
		status, code := translated(call, refusal)
		return &snssim.Refusal{Status: status, Code: code, Message: refusal.message}
	}
	return err
}

// translated returns status and code of a refusal as the other services word it. SNS and STS have the errors of the query
// protocol; only SQS has an error of its own for throttling.
//   - https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html#API_ReceiveMessage_Errors
func translated(call string, refusal *apiError) (status int, code string) {
	queue := strings.HasPrefix(call, "sqs:")
	switch {
	case refusal.code == codeThrottled && queue:
		return http.StatusBadRequest, "RequestThrottled"
	case refusal.code == codeThrottled:
		return http.StatusBadRequest, "ThrottlingException"
	case refusal.code == codeUnknownClient && !queue:
		return http.StatusForbidden, "InvalidClientTokenId"
	}
	return refusal.status, refusal.code
}

// recordTopics journals a change of the topics and queues.
func (s *Simulator) recordTopics(change snssim.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(entry{At: s.now().UTC(), Topics: &change})
}

// publishFor publishes an event of a configuration set, if the topic lets SES do so.
func (s *Simulator) publishFor(set, topic, event string) {
	if err := s.topics.CanPublish(topic, s.configurationSetARN(set)); err != nil {
		s.log.Warn("event lost: SES cannot publish to the topic", slog.Any("error", err))
		return
	}
	s.topics.Publish(topic, event)
}

// publishAgain publishes the events that an earlier simulator left, as far as their topics exist.
func (s *Simulator) publishAgain() error {
	s.mu.Lock()
	unposted := s.state.unposted
	s.mu.Unlock()
	waiting, due := []snssim.Published{}, []snssim.Published{}
	for _, one := range unposted {
		if s.topics.Knows(one.Topic) {
			due = append(due, one)
		} else {
			waiting = append(waiting, one)
		}
	}
	for _, one := range due {
		s.topics.Publish(one.Topic, one.Text)
	}
	if len(due) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(entry{At: s.now().UTC(), Unposted: &waiting})
}

func (s *Simulator) configurationSetARN(name string) string {
	return "arn:aws:ses:" + s.region + ":" + snssim.Account + ":configuration-set/" + name
}
