package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/workqueue"
)

// found counts what happened to the accepted messages.
type found struct {
	sent, duplicated, inFlight int
	took                       time.Duration
}

func (s *server) account(ctx context.Context, accepted []string, killed time.Time, limit time.Duration) (found, error) {
	var result found
	var err error
	if result.inFlight, err = s.inFlightAt(ctx, killed); err != nil {
		return result, err
	}
	deadline, cancel := context.WithDeadline(ctx, killed.Add(limit))
	defer cancel()
	waiting, err := s.awaitSent(deadline, accepted)
	if err != nil {
		return result, err
	}
	result.took = time.Since(killed)
	journal, err := s.journal(ctx)
	if err != nil {
		return result, err
	}
	for _, times := range journal {
		result.duplicated += times - 1
	}
	unsent := make(map[string]bool, len(waiting))
	for _, id := range waiting {
		unsent[id] = true
	}
	for _, id := range accepted {
		if !unsent[id] && journal[id] > 0 {
			result.sent++
		}
	}
	return result, nil
}

// inFlightAt counts the leases of the killed process. Leases taken before the kill end at most one lease after it;
// leases of the new process end later. No process takes over the former until they end.
func (s *server) inFlightAt(ctx context.Context, killed time.Time) (count int, err error) {
	url, err := os.ReadFile(filepath.Join(s.data, "database-url"))
	if err != nil {
		return 0, fmt.Errorf("find the database: %w", err)
	}
	conn, err := pgx.Connect(ctx, strings.TrimSpace(string(url)))
	if err != nil {
		return 0, fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, "SELECT count(*) FROM sends WHERE leased_until <= $1", killed.Add(workqueue.DefaultLease)).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count the messages in flight: %w", err)
	}
	return count, nil
}

// awaitSent returns the ids that are still not Sent when ctx ends.
func (s *server) awaitSent(ctx context.Context, waiting []string) ([]string, error) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		var still []string
		for _, id := range waiting {
			var email struct {
				Status            string  `json:"status"`
				ProviderMessageID *string `json:"providerMessageId"`
			}
			_, err := s.call(ctx, http.MethodGet, s.url+"/v1/emails/"+id, nil, &email)
			if errors.Is(err, context.DeadlineExceeded) {
				return waiting, nil
			}
			if err != nil {
				return nil, err
			}
			if email.Status != "Sent" || email.ProviderMessageID == nil {
				still = append(still, id)
			}
		}
		if waiting = still; len(waiting) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return waiting, nil
			}
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// journal returns how many times the simulated SES accepted each message.
func (s *server) journal(ctx context.Context) (map[string]int, error) {
	times := make(map[string]int)
	for after := int64(0); ; {
		var page struct {
			Data []struct {
				Sequence  int64  `json:"sequence"`
				MessageID string `json:"messageId"`
			} `json:"data"`
		}
		url := fmt.Sprintf("%s/_sim/journal?after=%d&limit=1000", s.simulator, after)
		if _, err := s.call(ctx, http.MethodGet, url, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Data) == 0 {
			return times, nil
		}
		for _, record := range page.Data {
			times[record.MessageID]++
			after = record.Sequence
		}
	}
}
