package deliveries

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

// leaseSlack is how much earlier than a lease that is given now one may end that is not committed yet: processes do not
// commit in the order in which they read the clock.
const leaseSlack = time.Second

// leaseFloors remembers, for each webhook, from which end on leases may be open: without it, a claim that counts them walks
// past the leases of all deliveries that have ended since the oldest snapshot in use began.
type leaseFloors struct {
	mutex  sync.Mutex
	floors map[uuid.UUID]time.Time
}

// of returns the floors of webhooks, now where nothing is known: a lease that has ended is not counted.
func (l *leaseFloors) of(webhooks []uuid.UUID, now time.Time) []time.Time {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	floors := make([]time.Time, len(webhooks))
	for i, id := range webhooks {
		floors[i] = now
		if floor, known := l.floors[id]; known && floor.After(now) {
			floors[i] = floor
		}
	}
	return floors
}

// set stores floors. It forgets what says no more than the time: nothing lasts longer than a lease.
func (l *leaseFloors) set(floors map[uuid.UUID]time.Time, now time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for id, floor := range l.floors {
		if _, known := floors[id]; !known && floor.After(now) {
			floors[id] = floor
		}
	}
	l.floors = floors
}

// surveyLanes returns the webhooks that have deliveries to make, and when the first of each is due.
func (d *Deliverer) surveyLanes(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	rows, err := d.config.Store.Queries().DeliveryLanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for webhooks with deliveries: %w", err)
	}
	lanes := make(map[uuid.UUID]time.Time, len(rows))
	for _, row := range rows {
		lanes[row.WebhookID] = row.DueAt
	}
	return lanes, nil
}

// heads is the [workqueue.HeadsFunc] of deliveries. It also raises the floors of leases.
func (d *Deliverer) heads(ctx context.Context, lanes []uuid.UUID, floors []time.Time) (map[uuid.UUID]time.Time, error) {
	now := d.config.Now()
	rows, err := d.config.Store.Queries().DeliveryHeads(ctx, db.DeliveryHeadsParams{
		WebhookIds: lanes, Floors: floors, LeaseFloors: d.leases.of(lanes, now), LastLease: now.Add(workqueue.DefaultLease - leaseSlack),
	})
	if err != nil {
		return nil, fmt.Errorf("look for the first deliveries of webhooks: %w", err)
	}
	due, leases := make(map[uuid.UUID]time.Time, len(rows)), make(map[uuid.UUID]time.Time, len(rows))
	for _, row := range rows {
		due[row.WebhookID], leases[row.WebhookID] = row.DueAt, row.LeasedUntil
	}
	d.leases.set(leases, now)
	return due, nil
}

// notified takes in a notification. One that names no webhooks may be about any: the next claim looks for all.
func (d *Deliverer) notified(payload string) {
	if payload == "" {
		d.lanes.Forget()
	}
	d.lanes.Notified(payload)
	d.queue.Wake()
}

// notePutBack lowers the floors of webhooks to the deliveries that were put back, and tells the other processes of those
// that are due at once: this one is stopping.
func (d *Deliverer) notePutBack(group []*settlement) {
	now := d.config.Now()
	for _, one := range group {
		if one.state != statePending {
			continue
		}
		d.lanes.Lower(one.row.WebhookID, one.dueAt)
		if !one.dueAt.After(now) {
			d.config.Store.NotifyLanes(store.DeliveriesChannel, one.dueAt, one.row.WebhookID)
		}
	}
}
