package sessim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// errCut makes the connection end without an answer.
var errCut = errors.New("cut the connection")

// Often says how often a fault strikes: below 1 with this probability, from 1 on the next so many
// calls, and on every call when negative.
type Often float64

// Faults are what goes wrong on purpose, in the order of the members; at most one strikes a call,
// besides the delay. They stay until they are used up, replaced or cleared.
type Faults struct {
	// Operations names the operations that are struck, those of SNS, SQS and STS too; "*": all; empty: SendEmail.
	Operations []string `json:"operations"`
	// DelayMs delays every call by milliseconds, at most a minute.
	DelayMs int `json:"delayMs"`
	// Hang leaves a call without an answer until its client gives up.
	Hang Often `json:"hang"`
	// DropRequest cuts the connection with nothing done.
	DropRequest Often `json:"dropRequest"`
	// Forbid answers that the credentials are not known.
	Forbid Often `json:"forbid"`
	// Throttle answers "Maximum sending rate exceeded".
	Throttle Often `json:"throttle"`
	// Status5xx answers 503 with nothing done.
	Status5xx Often `json:"status5xx"`
	// DropAnswer takes the message, and then cuts the connection. It strikes accepted sends only.
	DropAnswer Often `json:"dropAnswer"`
	// Seed makes the probabilities repeatable.
	Seed uint64 `json:"seed"`
}

type faults struct {
	mu      sync.Mutex
	active  bool
	current Faults
	random  *rand.Rand
	cleared chan struct{} // closed when the faults are replaced
}

// SetFaults replaces the faults. Calls that hang are answered.
func (s *Simulator) SetFaults(f Faults) { s.faults.set(f, true) }

// ClearFaults ends all faults. Calls that hang are answered.
func (s *Simulator) ClearFaults() { s.faults.set(Faults{}, false) }

// Faults returns what is left of the faults.
func (s *Simulator) Faults() Faults {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.current
}

func (f *faults) set(faults Faults, active bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cleared != nil {
		close(f.cleared)
	}
	f.cleared = make(chan struct{})
	f.active, f.current = active, faults
	f.random = rand.New(rand.NewPCG(faults.Seed, faults.Seed)) //nolint:gosec // faults are to be repeatable
}

// strikes decides one fault and uses it up. The caller holds mu.
func (f *faults) strikes(often *Often) bool {
	switch {
	case *often < 0:
		return true
	case *often >= 1:
		*often--
		if *often < 1 {
			*often = 0 // what is left of a count is no probability
		}
		return true
	case *often > 0:
		return f.random.Float64() < float64(*often)
	}
	return false
}

// before lets the faults strike that come before the work of an operation.
func (f *faults) before(ctx context.Context, operation string, closed <-chan struct{}) error {
	f.mu.Lock()
	operations := f.current.Operations
	if len(operations) == 0 {
		operations = []string{opSendEmail}
	}
	if !f.active || !slices.Contains(operations, operation) && !slices.Contains(operations, "*") {
		f.mu.Unlock()
		return nil
	}
	delay := time.Duration(min(max(f.current.DelayMs, 0), 60_000)) * time.Millisecond
	cleared := f.cleared
	hang := f.strikes(&f.current.Hang)
	err := error(nil)
	if !hang {
		err = f.draw()
	}
	f.mu.Unlock()
	if hang {
		return wait(ctx, nil, cleared, closed)
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		if cut := wait(ctx, timer.C, nil, closed); cut != nil {
			return cut
		}
	}
	return err
}

// draw decides the fault of a call that does not hang. The caller holds mu.
func (f *faults) draw() error {
	switch {
	case f.strikes(&f.current.DropRequest):
		return errCut
	case f.strikes(&f.current.Forbid):
		return &apiError{
			http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.",
		}
	case f.strikes(&f.current.Throttle):
		return rateExceeded()
	case f.strikes(&f.current.Status5xx):
		return &apiError{http.StatusServiceUnavailable, "ServiceUnavailableException", "Service is temporarily unavailable."}
	}
	return nil
}

func (f *faults) dropAnswer() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active && f.strikes(&f.current.DropAnswer)
}

// wait waits for a timer, for the end of the faults, or until there is nobody left to answer.
func wait(ctx context.Context, timer <-chan time.Time, cleared, closed <-chan struct{}) error {
	select {
	case <-timer:
		return nil
	case <-cleared:
		return nil
	case <-ctx.Done():
		return errCut
	case <-closed:
		return errCut
	}
}
