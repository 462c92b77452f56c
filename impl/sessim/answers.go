package sessim

import (
	"context"
	"sync/atomic"
)

// Answers counts what senders were not told since the process began: whoever accounts for doubled messages needs to know.
type Answers struct {
	// UnderWay are the calls of SendEmail that are not answered yet.
	UnderWay int64 `json:"underWay"`
	// Dropped are the messages that were taken, with the answer kept back.
	Dropped int64 `json:"dropped"`
	// GivenUp are the calls of SendEmail whose sender went away before the answer.
	GivenUp int64 `json:"givenUp"`
	// Unpublished are the events that were not taken yet by the web server to which they are posted.
	Unpublished int64 `json:"unpublished"`
}

type answers struct{ underWay, dropped, givenUp atomic.Int64 }

// Answers returns the counts of this moment.
func (s *Simulator) Answers() Answers {
	return Answers{
		UnderWay: s.answers.underWay.Load(), Dropped: s.answers.dropped.Load(), GivenUp: s.answers.givenUp.Load(),
		Unpublished: int64(s.topics.Unpublished()),
	}
}

// count notes that a call of an operation has come. The function that it returns notes its end.
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
