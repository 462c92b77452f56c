package httpserver

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	// DefaultBodyBudget is how many bytes the bodies of requests under way take up together, at most.
	DefaultBodyBudget = 128 << 20
	// smallBody is the largest body of ordinary mail. An eighth of the bytes is kept for bodies up to it, so that they pass
	// while large ones have taken all the rest.
	smallBody  = 256 << 10
	smallShare = 8
)

// bodyBudget counts the bytes of the requests under way, from before a body is read until its request is answered: the
// messages that are made of it are in memory as long.
type bodyBudget struct {
	limit int64
	taken atomic.Int64
}

// bodyReservation is what one request has taken.
type bodyReservation struct {
	from *bodyBudget
	size int64
}

// reserve sets bytes aside, or answers 503 at once: a request that waited for memory would hold its connection, and what it
// waits for are others that may be just as slow.
func (b *bodyBudget) reserve(size int64) (*bodyReservation, error) {
	limit := b.limit
	if size > smallBody {
		limit -= limit / smallShare
	}
	if b.taken.Add(size) > limit {
		b.taken.Add(-size)
		full := bodyBudgetExceeded()
		full.BodyUnread = true
		return nil, full
	}
	return &bodyReservation{b, size}, nil
}

// shrinkTo gives back what the body turned out not to need.
func (h *bodyReservation) shrinkTo(size int64) {
	if size < h.size {
		h.from.taken.Add(size - h.size)
		h.size = size
	}
}

// grow takes what a request turns out to need beyond its body: what is rendered can be much more than what was sent.
func (h *bodyReservation) grow(size int64) error {
	if h.from.taken.Add(size) > h.from.limit {
		h.from.taken.Add(-size)
		return bodyBudgetExceeded()
	}
	h.size += size
	return nil
}

type bodyReservationKey struct{}

// reservationFromContext returns what the request has taken; nil where it has no body.
func reservationFromContext(ctx context.Context) *bodyReservation {
	found, _ := ctx.Value(bodyReservationKey{}).(*bodyReservation)
	return found
}

func bodyBudgetExceeded() *problem.Problem {
	return &problem.Problem{
		Code: api.ProblemCodeOverloaded, Detail: "This server has as many large requests in hand as it takes on; try again.",
		RetryAfter: 1,
	}
}

func (h *bodyReservation) release() { h.shrinkTo(0) }

// sizeOf is what a body can take: what its request says, or all that it may.
func sizeOf(r *http.Request, limit int64) int64 {
	if r.ContentLength >= 0 {
		return min(r.ContentLength, limit)
	}
	return limit
}

// BodyBytesInFlight returns how many bytes are set aside for the bodies of requests in flight.
func (server *Server) BodyBytesInFlight() int64 { return server.bodies.taken.Load() }

// GrowReservation takes what the request of ctx turns out to need beyond its body.
func GrowReservation(ctx context.Context, bytes int64) error {
	if reservation := reservationFromContext(ctx); reservation != nil {
		return reservation.grow(bytes)
	}
	return nil
}

// BodyBudget bounds the bodies of a route outside the spec by themselves, so that its strangers take nothing from callers.
type BodyBudget struct{ budget bodyBudget }

// NewBodyBudget returns a budget of limit bytes.
func NewBodyBudget(limit int64) *BodyBudget { return &BodyBudget{bodyBudget{limit: limit}} }

// Reserve sets aside what the body of a request can take, at most limit, until release is called.
func (b *BodyBudget) Reserve(r *http.Request, limit int64) (release func(), err error) {
	reservation, err := b.budget.reserve(sizeOf(r, limit))
	if err != nil {
		return nil, err
	}
	return reservation.release, nil
}

// InFlight returns how many bytes are set aside.
func (b *BodyBudget) InFlight() int64 { return b.budget.taken.Load() }
