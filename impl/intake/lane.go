package intake

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/voostack/mailstack/impl/idempotency"
)

// submission is one request: its messages stand in order and are answered in order.
type submission struct {
	messages []Message
	results  []Result
	err      error
	// claim is nil without an idempotency key. Under one, the submission may meet what was there before it, or follow one
	// of its group; answer is what is kept of its own.
	claim   *Claim
	met     error
	follows *submission
	answer  *idempotency.Answer
	// ctx is the request's.
	ctx context.Context
	// traceparent is what the sending of its messages continues, if anything.
	traceparent string
	// done is closed when results or err say what became of it.
	done chan struct{}
}

// bytes is about what the submission takes in memory and on disk.
func (submitted *submission) bytes() int {
	total := 0
	for i := range submitted.messages {
		total += len(submitted.messages[i].HTML) + len(submitted.messages[i].Text)
	}
	return total
}

func (submitted *submission) finish(err error) {
	submitted.err = err
	close(submitted.done)
}

// lane is a queue of submissions in front of their transactions, in the order in which they came.
type lane struct {
	group, transactions, capacity int
	store                         func(lane *lane, group []*submission)
	// reserveFirst: see keep.
	reserveFirst atomic.Bool

	mutex    sync.Mutex
	waiting  []*submission
	messages int // of those that wait
	storing  int // messages in transactions
	running  int // transactions
}

func newLane(config Config, store func(lane *lane, group []*submission)) *lane {
	return &lane{group: config.Group, transactions: config.Transactions, capacity: config.Waiting, store: store}
}

// pass returns when a transaction has taken care of the submission, or when its client went before its turn.
func (l *lane) pass(submitted *submission) error {
	if err := submitted.ctx.Err(); err != nil {
		return err
	}
	if !l.join(submitted) {
		return ErrOverloaded
	}
	select {
	case <-submitted.done:
	case <-submitted.ctx.Done():
		if left := l.leave(submitted); left && errors.Is(submitted.ctx.Err(), context.DeadlineExceeded) {
			return ErrOverloaded // it has waited for all of the time that it had
		} else if left {
			return submitted.ctx.Err()
		}
		<-submitted.done
	}
	return submitted.err
}

// join puts the submission at the end of the queue, and starts a transaction when none would take it. However large it
// is, it fits when nobody waits.
func (l *lane) join(submitted *submission) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.waiting) > 0 && l.messages+len(submitted.messages) > l.capacity {
		return false
	}
	l.waiting = append(l.waiting, submitted)
	l.messages += len(submitted.messages)
	if l.running < l.transactions {
		l.running++
		go l.run()
	}
	return true
}

// leave takes the submission out of the queue, if its turn has not come.
func (l *lane) leave(submitted *submission) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	place := slices.Index(l.waiting, submitted)
	if place < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, place, place+1)
	l.messages -= len(submitted.messages)
	return true
}

// run makes one transaction after the other until nobody waits.
func (l *lane) run() {
	for {
		group := l.next()
		if len(group) == 0 {
			return
		}
		l.store(l, group)
		l.stored(group)
	}
}

// next takes the first of the queue and as many of those behind it as fit into a group with it.
func (l *lane) next() []*submission {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	count, messages, bytes := 0, 0, 0
	for _, submitted := range l.waiting {
		messages += len(submitted.messages)
		bytes += submitted.bytes()
		if count > 0 && (messages > l.group || bytes > groupBytes) {
			break
		}
		count++
		l.messages -= len(submitted.messages)
		l.storing += len(submitted.messages)
	}
	group := slices.Clone(l.waiting[:count])
	l.waiting = slices.Delete(l.waiting, 0, count)
	if count == 0 {
		l.running--
	}
	return group
}

func (l *lane) stored(group []*submission) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, submitted := range group {
		l.storing -= len(submitted.messages)
	}
}

// full tells whether whoever comes now would be turned away.
func (l *lane) full() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.waiting) > 0 && l.messages >= l.capacity
}

// load is how many messages wait or are being stored.
func (l *lane) load() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.messages + l.storing
}
