package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const simulatorPatience = 10 * time.Second

// Simulator is the control API of a run's simulated SES.
type Simulator struct{ URL string }

// Record is a message that SES accepted. The journal may hold the same message more than once.
type Record struct {
	Sequence   int64     `json:"sequence"`
	MessageID  string    `json:"messageId"`
	ReceivedAt time.Time `json:"receivedAt"`
}

// Register makes a domain known and thereby verified: the simulator has no resolver.
func (s Simulator) Register(ctx context.Context, domain string) error {
	return s.Call(ctx, http.MethodPost, "/v2/email/identities", map[string]string{"EmailIdentity": domain}, nil)
}

// Journal calls visit for each message that SES accepted after the given sequence number, oldest first.
func (s Simulator) Journal(ctx context.Context, after int64, visit func(Record)) error {
	for {
		var page struct {
			Data []Record `json:"data"`
		}
		path := fmt.Sprintf("/_sim/journal?after=%d&limit=10000", after)
		if err := s.Call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return err
		}
		if len(page.Data) == 0 {
			return nil
		}
		for _, record := range page.Data {
			visit(record)
			after = record.Sequence
		}
	}
}

// Answers counts withheld responses, calls given up and unpublished events, since the start of the simulator.
type Answers struct {
	Dropped     int64 `json:"dropped"`
	GivenUp     int64 `json:"givenUp"`
	Unpublished int64 `json:"unpublished"`
}

// Answers returns what the simulator counts.
func (s Simulator) Answers(ctx context.Context) (counted Answers, err error) {
	err = s.Call(ctx, http.MethodGet, "/_sim/answers", nil, &counted)
	return counted, err
}

// Times returns how many times SES accepted each message.
func (s Simulator) Times(ctx context.Context) (map[string]int, error) {
	times := map[string]int{}
	err := s.Journal(ctx, 0, func(record Record) { times[record.MessageID]++ })
	return times, err
}

// Call makes a request. It sends in as JSON unless in is nil, and decodes the response into out unless out is nil.
func (s Simulator) Call(ctx context.Context, method, path string, in, out any) (err error) {
	ctx, cancel := context.WithTimeout(ctx, simulatorPatience)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, &body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	// The simulator requires a signature but does not verify it.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=harness, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("call the simulator: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read the simulator's response: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the simulator responded with %s: %s", answer.Status, said)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(said, out)
}
