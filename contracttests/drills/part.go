package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
)

const (
	// calm is how long the load goes on before and after what a part does.
	calm       = 4 * time.Second
	stuckAfter = 2 * time.Minute
)

// part is a drill.
type part struct {
	letter, name string
	// duration is how long do takes unless the settings say otherwise.
	duration time.Duration
	// balanced sends the clients through HAProxy instead of to the API processes by turns.
	balanced bool
	// environment is for the API processes.
	environment []string
	postgres    devdb.Options
	// ahead is by how much Postgres's clock is ahead, nil: not at all. offsets are the same for the clocks of the workers.
	ahead   func(now time.Time) time.Duration
	offsets []string
	// prepare is called before any process runs. Nil means nothing is done.
	prepare func(ctx context.Context, s *stage) error
	do      func(ctx context.Context, s *stage, duration time.Duration) error
	bounds  bounds
}

func parts() []part {
	streaming := devdb.Options{Settings: []string{"wal_level=replica", "max_wal_senders=4"}}
	return []part{
		{
			letter: "a", name: "rolling restarts", duration: 10 * time.Minute, balanced: true,
			environment: []string{"MAILSTACK_LAME_DUCK=5s"}, do: restartAll, bounds: bounds{flawless: true},
		},
		{
			letter: "b", name: "end of a month", duration: 20 * time.Second, ahead: untilMonthEnd, do: endMonth,
			bounds: bounds{flawless: true},
		},
		{
			letter: "c", name: "failover", duration: 3 * time.Second, postgres: streaming, prepare: addStandby, do: failOver,
			bounds: bounds{onlyUnavailable: true, returns: true, resumes: true},
		},
		{letter: "d", name: "read-only", duration: 20 * time.Second, do: readOnly, bounds: bounds{resumes: true}},
		{letter: "e", name: "suspended", duration: 90 * time.Second, balanced: true, do: suspend},
		{
			letter: "f", name: "wrong clocks", duration: 90 * time.Second, do: wrongClocks,
			ahead: func(time.Time) time.Duration { return 2 * time.Hour }, offsets: []string{"1h", "-1h"},
		},
	}
}

// play runs the part under load and returns its figures.
func (p part) play(ctx context.Context, set settings, progress io.Writer) (found figures, err error) {
	if p.ahead != nil {
		if p.postgres.Environment, err = fakeClock(p.ahead(time.Now())); err != nil {
			return found, err
		}
	}
	ground, err := harness.NewWith(ctx, set.binary, p.postgres)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, ground.KeepLogs(set.logs), ground.Close()) }()
	s := &stage{ground: ground, began: time.Now(), progress: progress}
	s.say("%s: %s", p.letter, p.name)
	if err := s.open(ctx, p); err != nil {
		return found, err
	}
	defer func() { s.database.Close() }()
	c, err := s.clients(ctx, p.balanced)
	if err != nil {
		return found, err
	}
	load, finished := context.WithCancel(ctx)
	defer finished()
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		c.send(ctx, load, set.rate)
	}()
	err = errors.Join(backoff.Sleep(ctx, calm), p.do(ctx, s, set.duration), backoff.Sleep(ctx, calm))
	finished()
	if err != nil {
		return found, err
	}
	<-sending
	s.say("the load has ended: %d messages accepted", len(c.told))
	if _, err := harness.AwaitSent(ctx, s.database, time.Now().Add(stuckAfter)); err != nil {
		return found, err
	}
	if err := s.checkAlive(); err != nil {
		return found, err
	}
	found, err = s.account(ctx, c)
	if err != nil {
		return found, fmt.Errorf("account for the messages: %w", err)
	}
	return found, nil
}
