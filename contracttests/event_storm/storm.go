package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// posters is the number of posts in flight at once.
	posters   = 16
	batchSize = 100
	look      = 250 * time.Millisecond
)

// send sends all messages in batches, through both processes.
func (w *world) send(ctx context.Context, messages []*message) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for batch := range slices.Chunk(messages, batchSize) {
		through := w.servers[batch[0].number/batchSize%processes]
		group.Go(func() error { return w.sendBatch(ctx, through, batch) })
	}
	return group.Wait()
}

func (w *world) sendBatch(ctx context.Context, through *server, batch []*message) error {
	emails := make([]map[string]string, len(batch))
	for i, one := range batch {
		emails[i] = map[string]string{"from": sender, "to": one.recipients[0], "subject": fmt.Sprintf("Number %d", one.number), "text": "Hello"}
		if len(one.recipients) > 1 {
			emails[i]["cc"] = one.recipients[1]
		}
		if len(one.recipients) > 2 {
			emails[i]["bcc"] = one.recipients[2]
		}
	}
	var answer struct {
		Results []struct {
			Index      int
			ID, Status string
		}
	}
	if err := w.call(ctx, through, http.MethodPost, "/v1/emails/batch", map[string]any{"emails": emails}, &answer); err != nil {
		return err
	}
	if len(answer.Results) != len(batch) {
		return fmt.Errorf("%d results for %d messages", len(answer.Results), len(batch))
	}
	for i, result := range answer.Results {
		if result.Status != "queued" {
			return fmt.Errorf("a message is %s", result.Status)
		}
		batch[i].id = result.ID
	}
	return nil
}

// awaitSent waits until SES has all messages and the database shows it, then copies SES's record of each.
func (w *world) awaitSent(ctx context.Context, messages []*message) error {
	if err := w.await(ctx, "SELECT count(*) FROM sends"); err != nil {
		return err
	}
	byID := make(map[string]*message, len(messages))
	for _, one := range messages {
		byID[one.id] = one
	}
	records := w.simulator.Records(0, most)
	if len(records) != len(messages) {
		return fmt.Errorf("SES has %d messages of %d", len(records), len(messages))
	}
	for _, record := range records {
		one, found := byID[record.MessageID]
		if !found {
			return errors.New("SES has a message that was not sent")
		}
		one.providerID, one.sentAt = record.ProviderID, record.ReceivedAt.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// storm makes the posts, kills the first process when half of them are accepted, and starts it again.
func (w *world) storm(ctx context.Context, posts []post) error {
	for _, one := range posts {
		if one.what.signed == nil {
			one.what.prepare(w.topic)
		}
	}
	var taken atomic.Int64
	half := make(chan struct{})
	group, posting := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-posting.Done():
			return posting.Err()
		case <-half:
		}
		w.servers[0].Kill()
		// The new process outlives the posts.
		return w.servers[0].start(ctx)
	})
	next := make(chan post)
	group.Go(func() error {
		defer close(next)
		for _, one := range posts {
			select {
			case <-posting.Done():
				return posting.Err()
			case next <- one:
			}
		}
		return nil
	})
	for range posters {
		group.Go(func() error {
			for one := range next {
				if err := w.topic.deliver(posting, one, w.servers); err != nil {
					return err
				}
				if taken.Add(1) == int64(len(posts)+1)/2 {
					close(half)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// awaitQuiet waits until no event is left to match and no delivery is left to make.
func (w *world) awaitQuiet(ctx context.Context) error {
	return w.await(ctx, `SELECT (SELECT count(*) FROM notifications WHERE due_at IS NOT NULL)
		+ (SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL) + (SELECT count(*) FROM sends)`)
}

// await waits until a counting statement returns zero.
func (w *world) await(ctx context.Context, statement string) error {
	for {
		var left int64
		if err := w.store.Pool().QueryRow(ctx, statement).Scan(&left); err != nil {
			return fmt.Errorf("count what is left: %w", err)
		}
		if left == 0 {
			return nil
		}
		if err := backoff.Sleep(ctx, look); err != nil {
			return fmt.Errorf("%d are left: %w", left, err)
		}
	}
}
