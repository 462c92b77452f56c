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

const (
	codeUnknownClient = "UnrecognizedClientException"
	codeThrottled     = "TooManyRequestsException"
)

// errCut closes the connection without a response.
var errCut = errors.New("cut the connection")

// Often is how often a fault strikes: below 1 it is a probability; from 1 on, that many calls; negative means every
// call.
type Often float64

// Faults are the faults to inject, tried in the order of the members. At most one strikes a call, besides the
// delay. They last until they are used up, replaced or cleared.
type Faults struct {
	// Operations names the affected operations, also of SNS, SQS and STS. "*" means all, empty means
	// SendEmail.
	Operations []string `json:"operations"`
	// DelayMs delays every call by that many milliseconds, at most a minute.
	DelayMs int `json:"delayMs"`
	// Hang sends no response until the client gives up.
	Hang Often `json:"hang"`
	// DropRequest closes the connection without doing anything.
	DropRequest Often `json:"dropRequest"`
	// Forbid responds that the credentials are unknown.
	Forbid Often `json:"forbid"`
	// FailMailFrom responds that the MAIL FROM domain of the sender is not verified.
	FailMailFrom Often `json:"failMailFrom"`
	// Throttle responds "Maximum sending rate exceeded".
	Throttle Often `json:"throttle"`
	// Status5xx responds 503 without doing anything.
	Status5xx Often `json:"status5xx"`
	// DropAnswer accepts the message and then closes the connection. It strikes accepted sends only.
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

// SetFaults replaces the faults. Calls that hang continue.
func (s *Simulator) SetFaults(f Faults) { s.faults.set(f, true) }

// ClearFaults ends all faults. Calls that hang continue.
func (s *Simulator) ClearFaults() { s.faults.set(Faults{}, false) }

// Faults returns the faults that are left.
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

// strikes reports whether a fault strikes this call, and uses up one of its count. The caller holds mu.
func (f *faults) strikes(often *Often) bool {
	switch {
	case *often < 0:
		return true
	case *often >= 1:
		*often--
		if *often < 1 {
			*often = 0 // the rest of a count is no probability
		}
		return true
	case *often > 0:
		return f.random.Float64() < float64(*often)
	}
	return false
}

// before applies the faults that strike before an operation does its work.
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

// draw returns the fault of a call that does not hang. The caller holds mu.
func (f *faults) draw() error {
	switch {
	case f.strikes(&f.current.DropRequest):
		return errCut
	case f.strikes(&f.current.Forbid):
		return &apiError{
			http.StatusForbidden, codeUnknownClient, "The security token included in the request is invalid.",
		}
	case f.strikes(&f.current.FailMailFrom):
		return mailFromNotVerified("")
	case f.strikes(&f.current.Throttle):
		return rateExceeded()
	case f.strikes(&f.current.Status5xx):
		return &apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "Service is temporarily unavailable."}
	}
	return nil
}

func (f *faults) dropAnswer() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active && f.strikes(&f.current.DropAnswer)
}

// wait waits for the timer or the end of the faults. It returns errCut when the client or the simulator is gone.
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
