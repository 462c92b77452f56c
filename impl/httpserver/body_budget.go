package httpserver

import (
	"context"
	"sync"

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

// bodyBudget counts the bytes of requests in flight. They count from their arrival until the request is handled, because
// the messages made from the body are in memory as long.
//
// A holder (an organization, or a stranger's address) never holds more than what is still free. So one holder alone gets
// half of the budget, n of them get a share of 1/(n+1) each, and as much stays free for the next one, without any list of
// who wants what (dynamic thresholds; Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
// switches", 1998).
type bodyBudget struct {
	limit int64

	mutex sync.Mutex
	taken int64
	held  map[any]int64
}

func newBodyBudget(limit int64) *bodyBudget { return &bodyBudget{limit: limit, held: map[any]int64{}} }

// bodyReservation is the part of a budget that one request holds.
type bodyReservation struct {
	from   *bodyBudget
	holder any
	size   int64
}

// open returns an empty reservation for a request that declares a body of size bytes, or -1 for an unknown size. It
// returns a 503 problem if a body of that size does not fit now. A request that waited for memory would hold its connection,
// and the requests it waits for may be just as slow.
func (b *bodyBudget) open(holder any, size int64) (*bodyReservation, error) {
	opened := &bodyReservation{from: b, holder: holder}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if !opened.fits(max(0, size)) {
		full := bodyBudgetExceeded()
		full.BodyUnread = true
		return nil, full
	}
	return opened, nil
}

// fits reports whether the reservation may grow. The mutex must be held.
func (h *bodyReservation) fits(bytes int64) bool {
	limit := h.from.limit
	if h.size+bytes > smallBody {
		limit -= limit / smallShare
	}
	return h.from.taken+bytes <= limit && h.from.held[h.holder]+bytes <= h.from.limit-h.from.taken
}

// grow reserves more bytes, or returns a 503 problem.
func (h *bodyReservation) grow(bytes int64) error {
	h.from.mutex.Lock()
	defer h.from.mutex.Unlock()
	if !h.fits(bytes) {
		return bodyBudgetExceeded()
	}
	h.add(bytes)
	return nil
}

func (h *bodyReservation) release() {
	h.from.mutex.Lock()
	defer h.from.mutex.Unlock()
	h.add(-h.size)
}

// add changes what is held. The mutex must be held.
func (h *bodyReservation) add(bytes int64) {
	h.size += bytes
	h.from.taken += bytes
	if left := h.from.held[h.holder] + bytes; left > 0 {
		h.from.held[h.holder] = left
	} else {
		delete(h.from.held, h.holder)
	}
}

func (b *bodyBudget) inFlight() int64 {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.taken
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

// BodyBytesInFlight returns how many bytes the bodies of requests in flight take up.
func (server *Server) BodyBytesInFlight() int64 { return server.bodies.inFlight() }

// GrowReservation reserves bytes beyond the body of the request of ctx, because rendered messages can be much larger than
// the request. It returns a 503 problem if the budget is full.
func GrowReservation(ctx context.Context, bytes int64) error {
	if reservation := reservationFromContext(ctx); reservation != nil {
		return reservation.grow(bytes)
	}
	return nil
}
