package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// fakeClock returns the environment in which a program that reads the clock through libc finds it ahead. Go does not.
func fakeClock(ahead time.Duration) ([]string, error) {
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(found) == 0 {
		return nil, errors.Join(errors.New("libfaketime is missing: install it with `apt-get install libfaketime`"), err)
	}
	return []string{
		"LD_PRELOAD=" + found[0], fmt.Sprintf("FAKETIME=%+d", int64(ahead.Seconds())), "NO_FAKE_STAT=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
	}, nil
}

// wrongClocks lets time pass by clocks that differ, and restarts each worker meanwhile.
func wrongClocks(ctx context.Context, s *stage, duration time.Duration) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	s.say("Postgres is %s ahead of this machine", time.Until(now).Round(time.Second))
	for _, one := range s.workers {
		if err := backoff.Sleep(ctx, duration/3); err != nil {
			return err
		}
		s.say("kill %s, with %v", one.name, one.environment[len(one.environment)-1])
		s.noteLeases(ctx)
		one.process.Kill()
		if err := s.start(ctx, one); err != nil {
			return err
		}
	}
	return backoff.Sleep(ctx, duration/3)
}
