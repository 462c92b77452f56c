package sessim

import (
	"context"
	"sync/atomic"
)

// Answers counts the responses that senders did not get since the process began, for tests that account for
// duplicates.
type Answers struct {
	// UnderWay counts the calls of SendEmail in flight.
	UnderWay int64 `json:"underWay"`
	// Dropped counts the messages that were accepted without sending the response.
	Dropped int64 `json:"dropped"`
	// GivenUp counts the calls of SendEmail whose client disconnected before the response.
	GivenUp int64 `json:"givenUp"`
	// Unpublished counts the events that the subscribed web server has not accepted yet.
	Unpublished int64 `json:"unpublished"`
}

type answers struct{ underWay, dropped, givenUp atomic.Int64 }

// Answers returns the current counts.
func (s *Simulator) Answers() Answers {
	return Answers{
		UnderWay: s.answers.underWay.Load(), Dropped: s.answers.dropped.Load(), GivenUp: s.answers.givenUp.Load(),
		Unpublished: int64(s.topics.Unpublished()),
	}
}

// count records the start of a call. The function it returns records the end.
func (s *Simulator) count(ctx context.Context, operation string) (ended func()) {
	if operation != opSendEmail {
		return func() {}
	}
	s.answers.underWay.Add(1)
	return func() {
		s.answers.underWay.Add(-1)
		if ctx.Err() != nil {
			s.answers.givenUp.Add(1)
		}
	}
}
