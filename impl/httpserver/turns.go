package httpserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
)

// largeBody is the size from which a body takes a turn. A smaller one costs less than waiting for it would.
const largeBody = 16 << 10

// maxWaiting is how many requests of an organization may wait for a turn of a kind. Each holds a connection and a goroutine,
// tens of kilobytes, until its timeout; the rate limit alone would let one organization have tens of thousands of them.
const maxWaiting = 1024

// turns shares what requests of a kind take among organizations: decoding and validating a large body takes a turn, and so do
// rendering templates and reading. When turns are wanted by several organizations, they go round, so that one with many
// requests makes the others wait for one of its requests and not for all of them. No organization has more than half of the
// turns, because a request of another that comes then would still wait.
type turns struct {
	// least and most bound atOnce, which falls while pressure says that the processors are wanted by others, and grows again
	// when it does not. Nil means that it stays as it is.
	least, most int
	pressure    func() (high, isNew bool)

	mutex  sync.Mutex
	atOnce int
	taken  int
	held   map[any]int
	// waiting holds the requests of each holder, oldest first; order holds the holders, the next one first.
	waiting map[any][]chan struct{}
	order   []any
}

func newTurns(atOnce int) *turns {
	return &turns{least: atOnce, most: atOnce, atOnce: atOnce, held: map[any]int{}, waiting: map[any][]chan struct{}{}}
}

// take returns when it is the turn of a request; release ends the turn, and may be called more than once. It returns a 503
// problem if ctx ends before, or if maxWaiting requests of the holder wait already.
func (t *turns) take(ctx context.Context, holder any) (release func(), err error) {
	release = sync.OnceFunc(func() { t.release(holder) })
	t.mutex.Lock()
	t.adapt()
	if t.mayTake(holder) {
		t.taken++
		t.held[holder]++
		t.mutex.Unlock()
		return release, nil
	}
	if len(t.waiting[holder]) >= maxWaiting {
		t.mutex.Unlock()
		return nil, errTooManyWait()
	}
	granted := make(chan struct{})
	if len(t.waiting[holder]) == 0 {
		t.order = append(t.order, holder)
	}
	t.waiting[holder] = append(t.waiting[holder], granted)
	t.mutex.Unlock()
	select {
	case <-granted:
		return release, nil
	case <-ctx.Done():
		if !t.leave(holder, granted) {
			release() // it was granted meanwhile
		}
		return nil, errTooManyWait()
	}
}

func errTooManyWait() error {
	return &problem.Problem{
		Code: api.ProblemCodeOverloaded, Detail: "More requests wait than this server takes on; try again.", RetryAfter: 1,
	}
}

// mayTake reports whether another turn of a holder may begin. The mutex must be held.
func (t *turns) mayTake(holder any) bool {
	return t.taken < t.atOnce && t.held[holder] < max(1, t.atOnce/2)
}

// adapt lets one turn fewer or more be taken at once, as the pressure on the processors asks. The mutex must be held.
func (t *turns) adapt() {
	if t.pressure == nil {
		return
	}
	switch high, isNew := t.pressure(); {
	case !isNew:
	case high:
		t.atOnce = max(t.least, t.atOnce-1)
	case t.atOnce < t.most:
		t.atOnce++
		t.beginNext()
	}
}

// release ends a turn, and begins the next of the first holder that may have one.
func (t *turns) release(holder any) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.taken--
	if t.held[holder]--; t.held[holder] == 0 {
		delete(t.held, holder)
	}
	t.beginNext()
}

// beginNext begins the next turn of the first holder that may have one. The mutex must be held.
func (t *turns) beginNext() {
	at := slices.IndexFunc(t.order, t.mayTake)
	if at < 0 {
		return
	}
	next := t.order[at]
	t.order = slices.Delete(t.order, at, at+1)
	t.taken++
	t.held[next]++
	queue := t.waiting[next]
	close(queue[0])
	if len(queue) == 1 {
		delete(t.waiting, next)
		return
	}
	t.waiting[next] = queue[1:]
	t.order = append(t.order, next)
}

// leave gives up waiting. It reports false if the turn was granted.
func (t *turns) leave(holder any, granted chan struct{}) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	queue := t.waiting[holder]
	at := slices.Index(queue, granted)
	if at < 0 {
		return false
	}
	if queue = slices.Delete(slices.Clone(queue), at, at+1); len(queue) > 0 {
		t.waiting[holder] = queue
		return true
	}
	delete(t.waiting, holder)
	t.order = slices.DeleteFunc(t.order, func(one any) bool { return one == holder })
	return true
}

// turn is the turn of one request: it may take and end one several times.
type turn struct {
	among    *turns
	holder   any
	response *echo.Response
	limit    time.Duration
	release  func()
}

// begin returns when the request has a turn, or a problem if it waited for too long.
func (t *turn) begin(ctx context.Context) error {
	if t.release != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	release, err := t.among.take(ctx, t.holder)
	if err != nil {
		return err
	}
	t.release = release
	// A client that does not read its response holds no turn.
	t.response.Before(t.end)
	return nil
}

func (t *turn) end() {
	if t.release != nil {
		t.release()
		t.release = nil
	}
}

// turnOf returns the turn of a request, which it does not take yet.
func (server *Server) turnOf(c echo.Context, among *turns) *turn {
	return &turn{
		among: among, holder: auth.CallerFromContext(c.Request().Context()).OrganizationID,
		response: c.Response(), limit: server.config.RequestTimeout,
	}
}

type turnKey struct{}

// TakeTurn waits until it is the turn of the request of ctx to take processor time, as rendering a template does. A turn that
// it has is kept; it ends when messages are accepted, and before the response is written. TakeTurn returns a 503 problem if
// the request waits for too long.
func TakeTurn(ctx context.Context) error {
	if t, found := ctx.Value(turnKey{}).(*turn); found {
		return t.begin(ctx)
	}
	return nil
}

// endTurn ends the turn of the request of ctx, if it has one: from then on it waits for others.
func endTurn(ctx context.Context) {
	if t, found := ctx.Value(turnKey{}).(*turn); found {
		t.end()
	}
}
