package httpserver

import (
	"context"
	"slices"
	"sync"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// largeBody is the size from which a body takes a turn. A smaller one costs less than waiting for it would.
const largeBody = 16 << 10

// turns shares what requests of a kind take among organizations: decoding, validating and rendering a large body takes a turn,
// and so does a read. When turns are wanted by several organizations, they go round, so that one with many requests makes the
// others wait for one of its requests and not for all of them.
type turns struct {
	mutex sync.Mutex
	free  int
	// waiting holds the requests of each holder, oldest first; order holds the holders, the next one first.
	waiting map[any][]chan struct{}
	order   []any
}

func newTurns(atOnce int) *turns { return &turns{free: atOnce, waiting: map[any][]chan struct{}{}} }

// take returns when it is the turn of a request; release ends the turn, and may be called more than once. It returns a 503
// problem if ctx ends before.
func (t *turns) take(ctx context.Context, holder any) (release func(), err error) {
	t.mutex.Lock()
	if t.free > 0 {
		t.free--
		t.mutex.Unlock()
		return sync.OnceFunc(t.pass), nil
	}
	granted := make(chan struct{})
	if len(t.waiting[holder]) == 0 {
		t.order = append(t.order, holder)
	}
	t.waiting[holder] = append(t.waiting[holder], granted)
	t.mutex.Unlock()
	select {
	case <-granted:
		return sync.OnceFunc(t.pass), nil
	case <-ctx.Done():
		if !t.leave(holder, granted) {
			t.pass() // it was granted meanwhile
		}
		return nil, &problem.Problem{
			Code: api.ProblemCodeOverloaded, Detail: "More requests wait than this server takes on; try again.", RetryAfter: 1,
		}
	}
}

// pass ends a turn: the next one begins, if a request waits.
func (t *turns) pass() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	holder := t.order[0]
	t.order = t.order[1:]
	queue := t.waiting[holder]
	close(queue[0])
	if len(queue) == 1 {
		delete(t.waiting, holder)
		return
	}
	t.waiting[holder] = queue[1:]
	t.order = append(t.order, holder)
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

type turnKey struct{}

// endTurn ends the turn of the request of ctx, if it has one: from then on it waits for others.
func endTurn(ctx context.Context) {
	if release, found := ctx.Value(turnKey{}).(func()); found {
		release()
	}
}
