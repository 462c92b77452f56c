package httpserver

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	// DefaultBodyBudget is the most bytes that the bodies of requests in flight take up together.
	DefaultBodyBudget = 128 << 20
	// smallBody is the largest body of ordinary mail. An eighth of the budget is reserved for bodies up to it, so
	// that they pass while large ones fill the rest.
	smallBody  = 256 << 10
	smallShare = 8
)

// bodyBudget counts the bytes of requests in flight. They count from before a body is read until the request is
// handled, because the messages made from the body are in memory as long.
type bodyBudget struct {
	limit int64
	taken atomic.Int64
}

// bodyReservation is the part of a budget that one request holds.
type bodyReservation struct {
	from *bodyBudget
	size int64
}

// reserve sets bytes aside, or returns a 503 problem at once. A request that waited for memory would hold its
// connection, and the requests it waits for may be just as slow.
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

// shrinkTo returns the bytes beyond size to the budget.
func (h *bodyReservation) shrinkTo(size int64) {
	if size < h.size {
		h.from.taken.Add(size - h.size)
		h.size = size
	}
}

// grow reserves bytes beyond the body, because rendered messages can be much larger than the request.
func (h *bodyReservation) grow(size int64) error {
	if h.from.taken.Add(size) > h.from.limit {
		h.from.taken.Add(-size)
		return bodyBudgetExceeded()
	}
	h.size += size
	return nil
}

type bodyReservationKey struct{}

// reservationFromContext returns the reservation of the request, or nil if the request has no body.
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

// sizeOf returns how many bytes a body may take: its declared length, at most limit, or limit if none is declared.
func sizeOf(r *http.Request, limit int64) int64 {
	if r.ContentLength >= 0 {
		return min(r.ContentLength, limit)
	}
	return limit
}

// BodyBytesInFlight returns how many bytes are set aside for the bodies of requests in flight.
func (server *Server) BodyBytesInFlight() int64 { return server.bodies.taken.Load() }

// GrowReservation reserves bytes beyond the body of the request of ctx. It returns a 503 problem if the budget is
// full.
func GrowReservation(ctx context.Context, bytes int64) error {
	if reservation := reservationFromContext(ctx); reservation != nil {
		return reservation.grow(bytes)
	}
	return nil
}

// BodyBudget is a separate budget for a route outside the spec, so that strangers who post to it take no memory
// from API callers.
type BodyBudget struct{ budget bodyBudget }

// NewBodyBudget returns a budget of limit bytes.
func NewBodyBudget(limit int64) *BodyBudget { return &BodyBudget{bodyBudget{limit: limit}} }

// Reserve sets bytes aside for the body of a request, at most limit, until release is called.
func (b *BodyBudget) Reserve(r *http.Request, limit int64) (release func(), err error) {
	reservation, err := b.budget.reserve(sizeOf(r, limit))
	if err != nil {
		return nil, err
	}
	return reservation.release, nil
}

// InFlight returns how many bytes are set aside.
func (b *BodyBudget) InFlight() int64 { return b.budget.taken.Load() }
