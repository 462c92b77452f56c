package main

import (
	"context"
	"time"
)

const rounds = 10

// restartAll restarts every process one after another, ten times over or for as long as the duration allows.
func restartAll(ctx context.Context, s *stage, duration time.Duration) error {
	end := time.Now().Add(duration)
	for round := 1; round <= rounds && time.Now().Before(end); round++ {
		s.say("rolling restart %d", round)
		for _, one := range s.members() {
			if err := s.restart(ctx, one); err != nil {
				return err
			}
			if err := s.balancer.awaitAll(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
