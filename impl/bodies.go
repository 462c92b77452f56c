package impl

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
)

const (
	// DefaultBodies is how many bytes the bodies of requests under way take up together, at most.
	DefaultBodies = 128 << 20
	// smallBody is the largest body of ordinary mail. An eighth of the bytes is kept for bodies up to it, so that they pass
	// while large ones have taken all the rest.
	smallBody  = 256 << 10
	smallShare = 8
	// lingering and lingeringBytes bound what is thrown away of a body that is not taken on.
	lingering      = 5 * time.Second
	lingeringBytes = 20 << 20
)

// bodies counts the bytes of the requests under way, from before a body is read until its request is answered: the
// messages that are made of it are in memory as long.
type bodies struct {
	limit int64
	taken atomic.Int64
}

// held is what one request has taken.
type held struct {
	from *bodies
	size int64
}

// take sets bytes aside, or answers 503 at once: a request that waited for memory would hold its connection, and what it
// waits for are others that may be just as slow.
func (b *bodies) take(size int64) (*held, error) {
	limit := b.limit
	if size > smallBody {
		limit -= limit / smallShare
	}
	if b.taken.Add(size) > limit {
		b.taken.Add(-size)
		full := overloaded()
		full.unread = true
		return nil, full
	}
	return &held{b, size}, nil
}

// shrink gives back what the body turned out not to need.
func (h *held) shrink(size int64) {
	if size < h.size {
		h.from.taken.Add(size - h.size)
		h.size = size
	}
}

// add takes what a request turns out to need beyond its body: what is rendered can be much more than what was sent.
func (h *held) add(size int64) error {
	if h.from.taken.Add(size) > h.from.limit {
		h.from.taken.Add(-size)
		return overloaded()
	}
	h.size += size
	return nil
}

type heldKey struct{}

// heldOf is what the request has taken; nil where it has no body.
func heldOf(ctx context.Context) *held {
	found, _ := ctx.Value(heldKey{}).(*held)
	return found
}

func overloaded() *problem {
	return &problem{
		code: api.ProblemCodeOverloaded, detail: "This server has as many large requests in hand as it takes on; try again.",
		retryAfter: 1,
	}
}

func (h *held) release() { h.shrink(0) }

// sizeOf is what a body can take: what its request says, or all that it may.
func sizeOf(r *http.Request, limit int64) int64 {
	if r.ContentLength >= 0 {
		return min(r.ContentLength, limit)
	}
	return limit
}

// letPass is called before an answer to a request whose body was not read, and what it returns after it. Clients that read
// no answer before they have written all of a request would find their connection reset and no answer at all; so what still
// comes is thrown away for a while, as nginx does (lingering_close).
func letPass(c echo.Context) func() {
	control := http.NewResponseController(c.Response())
	if err := control.EnableFullDuplex(); err != nil || c.Request().Header.Get("Expect") != "" {
		// Who asks before sending is told not to; and HTTP/2 knows how to refuse a body.
		return func() {}
	}
	return func() {
		if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(lingering)) != nil {
			return
		}
		// Whatever ends it: the client has its answer, and the connection is closed when more is to come.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Request().Body, lingeringBytes))
	}
}

// BodiesInFlight is how many bytes are set aside for the bodies of requests under way.
func (server *Server) BodiesInFlight() int64 {
	return server.bodies.taken.Load() + server.posted.taken.Load()
}
