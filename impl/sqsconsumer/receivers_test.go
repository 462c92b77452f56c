package sqsconsumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/voostack/mailstack/impl/awsevents"
)

// manyReceivers is how many receive at once from a queue that is never empty.
const manyReceivers = 10

// busyQueue always has ten messages. After some calls it waits until many receive at once. Then the process is asked to stop.
type busyQueue struct {
	mutex                sync.Mutex
	calls, waiting, most int
	received, deleted    int
	stop                 func()
}

func (q *busyQueue) Receive(ctx context.Context) ([]awsevents.QueueMessage, error) {
	if q.enter() {
		<-ctx.Done()
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting--
	messages := make([]awsevents.QueueMessage, awsevents.MaxReceived)
	for i := range messages {
		q.received++
		messages[i] = awsevents.QueueMessage{ID: fmt.Sprint(q.received), Body: anEvent()}
	}
	return messages, nil
}

// enter counts a call, and reports whether it is to wait for others.
func (q *busyQueue) enter() (wait bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.calls++
	q.waiting++
	q.most = max(q.most, q.waiting)
	if q.waiting == manyReceivers {
		q.stop()
	}
	return q.calls > manyReceivers
}

func (q *busyQueue) Delete(_ context.Context, messages []awsevents.QueueMessage) error {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.deleted += len(messages)
	return nil
}

// TestMoreReceiveWhileThereIsMore: ten receive from a queue that is never empty, and what they received
// is stored and deleted, also after the process is asked to stop.
func TestMoreReceiveWhileThereIsMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	queue := &busyQueue{stop: stop}
	w.must(w.collector(queue).Run(ctx))
	if queue.most != manyReceivers {
		t.Errorf("%d received at once", queue.most)
	}
	if stored := len(w.stored()); stored != queue.received || queue.deleted != queue.received {
		t.Errorf("%d received, %d stored, %d deleted", queue.received, stored, queue.deleted)
	}
}
