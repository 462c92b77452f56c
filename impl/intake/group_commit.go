package intake

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/voostack/mailstack/impl/idempotency"
)

// submission is one request: its messages, and their results in the same order.
type submission struct {
	messages []Message
	results  []Result
	err      error
	// key is nil without an idempotency key. With one, prior is the error that follows from an earlier request
	// with that key (see idempotency.Acquire), leader an earlier submission of the group with that key, and
	// response the saved response of this one.
	key      *Idempotency
	prior    error
	leader   *submission
	response *idempotency.Response
	// ctx is the request's.
	ctx context.Context
	// traceparent is the trace that the sending of its messages continues. Empty means none.
	traceparent string
	// done is closed when results or err are set.
	done chan struct{}
}

// bytes returns the size of the bodies: about what the submission takes in memory and on disk.
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

// commitQueue is a queue of submissions that wait for a transaction, in the order in which they came.
type commitQueue struct {
	groupSize, transactions, capacity int
	store                             func(lane *commitQueue, group []*submission)
	// reserveFirst is set when transactions reserve before they insert; see insertAndReserve.
	reserveFirst atomic.Bool

	mutex    sync.Mutex
	waiting  []*submission
	messages int // messages that wait
	storing  int // messages in transactions
	running  int // transactions
}

func newCommitQueue(config Config, store func(lane *commitQueue, group []*submission)) *commitQueue {
	return &commitQueue{groupSize: config.GroupSize, transactions: config.MaxTransactions, capacity: config.QueueSize, store: store}
}

// submit returns when the transaction of the submission has ended, or when its ctx ended before that began.
func (l *commitQueue) submit(submitted *submission) error {
	if err := submitted.ctx.Err(); err != nil {
		return err
	}
	if !l.enqueue(submitted) {
		return ErrOverloaded
	}
	select {
	case <-submitted.done:
	case <-submitted.ctx.Done():
		if left := l.withdraw(submitted); left && errors.Is(submitted.ctx.Err(), context.DeadlineExceeded) {
			return ErrOverloaded // the deadline has passed in the queue
		} else if left {
			return submitted.ctx.Err()
		}
		<-submitted.done
	}
	return submitted.err
}

// enqueue puts the submission at the end of the queue, and starts a transaction when fewer than allowed are
// running. It reports whether there was space: an empty queue accepts a submission of any size.
func (l *commitQueue) enqueue(submitted *submission) bool {
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

// withdraw removes the submission from the queue, and reports whether it was still there.
func (l *commitQueue) withdraw(submitted *submission) bool {
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

// run runs one transaction after the other until the queue is empty.
func (l *commitQueue) run() {
	for {
		group := l.nextGroup()
		if len(group) == 0 {
			return
		}
		l.store(l, group)
		l.finishGroup(group)
	}
}

// nextGroup takes the first submission of the queue and as many after it as fit into the same group.
func (l *commitQueue) nextGroup() []*submission {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	count, messages, bytes := 0, 0, 0
	for _, submitted := range l.waiting {
		messages += len(submitted.messages)
		bytes += submitted.bytes()
		if count > 0 && (messages > l.groupSize || bytes > maxGroupBytes) {
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

func (l *commitQueue) finishGroup(group []*submission) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, submitted := range group {
		l.storing -= len(submitted.messages)
	}
}

// full reports whether enqueue would refuse even the smallest submission.
func (l *commitQueue) full() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.waiting) > 0 && l.messages >= l.capacity
}

// depth returns how many messages wait or are being stored.
func (l *commitQueue) depth() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.messages + l.storing
}
