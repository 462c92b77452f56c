package main

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

// simulator is the control API of the simulated SES.
type simulator struct{ url string }

// faults are those of the control API that are used here: below 1 a share of the calls, from 1 on a number of them, below 0
// all.
type faults struct {
	DelayMs     int     `json:"delayMs,omitempty"`
	Hang        float64 `json:"hang,omitempty"`
	DropRequest float64 `json:"dropRequest,omitempty"`
	Throttle    float64 `json:"throttle,omitempty"`
	Status5xx   float64 `json:"status5xx,omitempty"`
	DropAnswer  float64 `json:"dropAnswer,omitempty"`
	Seed        uint64  `json:"seed"`
}

// answers counts what senders were not told since the simulator was started.
type answers struct {
	Dropped     int64 `json:"dropped"`
	GivenUp     int64 `json:"givenUp"`
	Unpublished int64 `json:"unpublished"`
}

func (s simulator) set(ctx context.Context, wrong faults) error {
	return s.call(ctx, http.MethodPost, "/_sim/faults", wrong, nil)
}

func (s simulator) clear(ctx context.Context) error {
	return s.call(ctx, http.MethodDelete, "/_sim/faults", nil, nil)
}

func (s simulator) answers(ctx context.Context) (counted answers, err error) {
	err = s.call(ctx, http.MethodGet, "/_sim/answers", nil, &counted)
	return counted, err
}

// identity makes a domain known, and thereby verified: the simulator has no resolver.
func (s simulator) identity(ctx context.Context, domain string) error {
	return s.call(ctx, http.MethodPost, "/v2/email/identities", map[string]string{"EmailIdentity": domain}, nil)
}

// journal tells how many times SES took each message.
func (s simulator) journal(ctx context.Context) (map[string]int, error) {
	times := map[string]int{}
	for after := int64(0); ; {
		var page struct {
			Data []struct {
				Sequence  int64  `json:"sequence"`
				MessageID string `json:"messageId"`
			} `json:"data"`
		}
		if err := s.call(ctx, http.MethodGet, fmt.Sprintf("/_sim/journal?after=%d&limit=10000", after), nil, &page); err != nil {
			return nil, err
		}
		if len(page.Data) == 0 {
			return times, nil
		}
		for _, record := range page.Data {
			times[record.MessageID]++
			after = record.Sequence
		}
	}
}

func (s simulator) call(ctx context.Context, method, path string, in, out any) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("write a request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, &body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	// The simulator wants a signature to be there, whatever it says.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=rig, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read what the simulator answers: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the simulator answers %s: %s", answer.Status, said)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(said, out)
}
