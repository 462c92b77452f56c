package main

import (
	"context"
	"errors"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// suspend makes a worker and an API process stand still (SIGSTOP).
func suspend(ctx context.Context, s *stage, duration time.Duration) error {
	for _, one := range []*member{s.workers[0], s.apis[0]} {
		s.say("suspend %s", one.name)
		if err := one.process.Suspend(); err != nil {
			return err
		}
	}
	s.noteLeases(ctx)
	waited := backoff.Sleep(ctx, duration)
	s.say("resume both")
	return errors.Join(waited, s.workers[0].process.Resume(), s.apis[0].process.Resume())
}
