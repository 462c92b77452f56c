package main

import (
	"context"
	"net/http"

	"github.com/voostack/mailstack/contracttests/harness"
)

// simulator is the control API of the simulated SES.
type simulator struct{ harness.Simulator }

// faults is the part of the control API that chaos uses. A value from 1 on is a number of calls, one below 1 a
// share of them, and a negative one means all calls.
type faults struct {
	DelayMs     int     `json:"delayMs,omitempty"`
	Hang        float64 `json:"hang,omitempty"`
	DropRequest float64 `json:"dropRequest,omitempty"`
	Throttle    float64 `json:"throttle,omitempty"`
	Status5xx   float64 `json:"status5xx,omitempty"`
	DropAnswer  float64 `json:"dropAnswer,omitempty"`
	Seed        uint64  `json:"seed"`
}

func (s simulator) set(ctx context.Context, wrong faults) error {
	return s.Call(ctx, http.MethodPost, "/_sim/faults", wrong, nil)
}

func (s simulator) clear(ctx context.Context) error {
	return s.Call(ctx, http.MethodDelete, "/_sim/faults", nil, nil)
}
