package intake

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

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
	// taken is set once the request has taken its emails of the organization's limit per second.
	taken bool
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

// organization is whose turn the submission takes. All messages of a request are of one organization.
func (submitted *submission) organization() uuid.UUID {
	if len(submitted.messages) == 0 {
		return uuid.Nil
	}
	return submitted.messages[0].OrganizationID
}

// organizationsOf returns the organizations of a group, each once.
func organizationsOf(group []*submission) (organizations []uuid.UUID) {
	for _, submitted := range group {
		if organization := submitted.organization(); !slices.Contains(organizations, organization) {
			organizations = append(organizations, organization)
		}
	}
	return organizations
}

func (submitted *submission) finish(err error) {
	submitted.err = err
	close(submitted.done)
}

// commitQueue is where submissions wait for their transactions. Organizations take turns, so that one that sends much
// lengthens its own wait only; each organization's submissions keep their order.
type commitQueue struct {
	groupSize, transactions, capacity int
	store                             func(queue *commitQueue, group []*submission)
	rests                             *rests
	// reserveFirst: see insertAndReserve.
	reserveFirst atomic.Bool

	mutex    sync.Mutex
	waiting  map[uuid.UUID]*lane
	turns    []uuid.UUID // the organizations that wait, the next one first
	messages int         // of those that wait
	storing  int         // messages in transactions
	running  int         // transactions
}

// lane holds the submissions of one organization that wait.
type lane struct {
	submissions []*submission
	messages    int
}

func newCommitQueue(config Config, store func(queue *commitQueue, group []*submission), rests *rests) *commitQueue {
	return &commitQueue{
		groupSize: config.GroupSize, transactions: config.MaxTransactions, capacity: config.QueueSize, store: store, rests: rests,
		waiting: make(map[uuid.UUID]*lane),
	}
}

// submit returns when the transaction of the submission has ended, or when its ctx ended before that began.
func (q *commitQueue) submit(submitted *submission) error {
	if err := submitted.ctx.Err(); err != nil {
		return err
	}
	if !q.enqueue(submitted) {
		return ErrOverloaded
	}
	select {
	case <-submitted.done:
	case <-submitted.ctx.Done():
		if left := q.withdraw(submitted); left && errors.Is(submitted.ctx.Err(), context.DeadlineExceeded) {
			return ErrOverloaded // the deadline has passed in the queue
		} else if left {
			return submitted.ctx.Err()
		}
		<-submitted.done
	}
	return submitted.err
}

// enqueue puts the submission behind the others of its organization, and starts a transaction when fewer than allowed are
// running. It reports whether there was space: an empty queue accepts a submission of any size.
func (q *commitQueue) enqueue(submitted *submission) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	organization := submitted.organization()
	q.rests.came(organization)
	own := q.waiting[organization]
	if own == nil {
		own = &lane{}
	}
	if !q.hasSpace(own, len(submitted.messages)) {
		return false
	}
	if len(own.submissions) == 0 {
		q.waiting[organization] = own
		q.turns = append(q.turns, organization)
	}
	own.submissions = append(own.submissions, submitted)
	own.messages += len(submitted.messages)
	q.messages += len(submitted.messages)
	q.begin()
	return true
}

// begin begins another transaction if one may run. The mutex must be held.
func (q *commitQueue) begin() {
	if q.running < q.transactions {
		q.running++
		go q.run()
	}
}

// hasSpace reports whether so many messages of an organization may wait. Beyond the capacity there is as much space once
// more for organizations that hold less than their share, so that those that fill the queue do not shut the others out.
func (q *commitQueue) hasSpace(own *lane, messages int) bool {
	switch {
	case q.messages == 0 || q.messages+messages <= q.capacity:
		return true
	case q.messages >= 2*q.capacity:
		return false
	}
	return own.messages == 0 || own.messages+messages <= q.capacity/(2*len(q.turns))
}

// withdraw removes the submission from the queue, and reports whether it was still there.
func (q *commitQueue) withdraw(submitted *submission) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	organization := submitted.organization()
	own := q.waiting[organization]
	if own == nil {
		return false
	}
	place := slices.Index(own.submissions, submitted)
	if place < 0 {
		return false
	}
	own.submissions = slices.Delete(own.submissions, place, place+1)
	q.taken(own, submitted)
	if len(own.submissions) == 0 {
		delete(q.waiting, organization)
		q.turns = slices.DeleteFunc(q.turns, func(other uuid.UUID) bool { return other == organization })
	}
	return true
}

// taken counts a submission that waits no more.
func (q *commitQueue) taken(own *lane, submitted *submission) {
	own.messages -= len(submitted.messages)
	q.messages -= len(submitted.messages)
}

// run runs one transaction after the other until the queue is empty, but for organizations that rest.
func (q *commitQueue) run() {
	for {
		group := q.nextGroup()
		if len(group) == 0 {
			return
		}
		began := time.Now()
		q.store(q, group)
		q.rests.begin(group, time.Since(began))
		q.finishGroup(group)
	}
}

// resume runs a transaction for what waited while its organization rested.
func (q *commitQueue) resume() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.turns) > 0 {
		q.begin()
	}
}

// nextGroup takes one submission after the other, in turn over the organizations, as long as they fit into one group.
func (q *commitQueue) nextGroup() []*submission {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	var group []*submission
	messages, bytes, resting := 0, 0, 0
	var rest time.Duration
	for resting < len(q.turns) {
		organization := q.turns[resting]
		if left := q.rests.left(organization); left > 0 {
			if resting++; resting == 1 || left < rest {
				rest = left
			}
			continue
		}
		own := q.waiting[organization]
		next := own.submissions[0]
		messages += len(next.messages)
		bytes += next.bytes()
		if len(group) > 0 && (messages > q.groupSize || bytes > maxGroupBytes) {
			break
		}
		group = append(group, next)
		own.submissions = own.submissions[1:]
		q.taken(own, next)
		q.storing += len(next.messages)
		q.turns = slices.Delete(q.turns, resting, resting+1)
		if len(own.submissions) > 0 {
			q.turns = append(q.turns, organization)
		} else {
			delete(q.waiting, organization)
		}
	}
	if len(group) == 0 {
		q.running--
		if resting > 0 {
			time.AfterFunc(rest, q.resume)
		}
	}
	return group
}

func (q *commitQueue) finishGroup(group []*submission) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for _, submitted := range group {
		q.storing -= len(submitted.messages)
	}
}

// full reports whether enqueue would refuse the smallest submission of any organization.
func (q *commitQueue) full() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.messages > 0 && q.messages >= 2*q.capacity
}

// depth returns how many messages wait or are being stored.
func (q *commitQueue) depth() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.messages + q.storing
}
