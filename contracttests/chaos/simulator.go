package main

import (
	"context"
	"net/http"

	"github.com/voostack/mailstack/contracttests/harness"
)

// simulator is the control API of the simulated SES.
type simulator struct{ harness.Simulator }

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
	return s.Call(ctx, http.MethodPost, "/_sim/faults", wrong, nil)
}

func (s simulator) clear(ctx context.Context) error {
	return s.Call(ctx, http.MethodDelete, "/_sim/faults", nil, nil)
}

func (s simulator) answers(ctx context.Context) (counted answers, err error) {
	err = s.Call(ctx, http.MethodGet, "/_sim/answers", nil, &counted)
	return counted, err
}

// journal tells how many times SES took each message.
func (s simulator) journal(ctx context.Context) (map[string]int, error) {
	times := map[string]int{}
	err := s.Journal(ctx, 0, func(record harness.Record) { times[record.MessageID]++ })
	return times, err
}
