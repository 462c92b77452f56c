package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
)

const (
	// beforeMonthEnd is how long before the end of the month Postgres's clock starts: the processes start meanwhile.
	beforeMonthEnd = 75 * time.Second
	partitionsMade = 20 * time.Second
	monthsAhead    = 6
)

// untilMonthEnd returns by how much a clock has to be ahead to be shortly before the end of a month of 30 days. At that
// moment the retention of bodies, which is 30 days, ends for the month before.
func untilMonthEnd(now time.Time) time.Duration {
	end := time.Date(now.UTC().Year(), now.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	for end.AddDate(0, 0, -1).Day() != 30 || end.Sub(now) < beforeMonthEnd {
		end = end.AddDate(0, 1, 0)
	}
	return end.Sub(now) - beforeMonthEnd
}

// endMonth opens a pg_dump, waits for the end of the month and for its workers to make a partition per table, and closes
// the dump, after which they drop what has expired.
func endMonth(ctx context.Context, s *stage, open time.Duration) error {
	dump, err := s.openDump(ctx)
	if err != nil {
		return err
	}
	now, err := s.now(ctx)
	if err != nil {
		return errors.Join(err, dump.close())
	}
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	made, expired := end.AddDate(0, monthsAhead, 0).Format("_2006_01"), "contents"+end.AddDate(0, -2, 0).Format("_2006_01")
	s.say("a dump is open; the month ends in %s", end.Sub(now).Round(time.Second))
	if end.Sub(now) > beforeMonthEnd {
		return errors.Join(errors.New("void: the month ended before the load began"), dump.close())
	}
	work := func() error {
		if err := backoff.Sleep(ctx, end.Sub(now)+open/2); err != nil {
			return err
		}
		s.say("the month has ended; restart a worker, which then does its daily jobs")
		if err := s.restart(ctx, s.workers[0]); err != nil {
			return err
		}
		made := "SELECT abs(5 - count(*)) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r' AND relname LIKE '%" + made + "'"
		if err := s.awaitNone(ctx, "the new month's partitions are not made beside the dump", made); err != nil {
			return err
		}
		s.say("five partitions were made beside the dump")
		return backoff.Sleep(ctx, open/2)
	}
	if err := errors.Join(work(), dump.close()); err != nil {
		return err
	}
	s.say("the dump is complete; restart the other worker")
	if err := s.restart(ctx, s.workers[1]); err != nil {
		return err
	}
	dropped := "SELECT count(*) FROM pg_class WHERE relname = '" + expired + "'"
	if err := s.awaitNone(ctx, expired+" is not dropped", dropped); err != nil {
		return err
	}
	s.say("%s was dropped", expired)
	return nil
}

// awaitNone returns when the query counts nothing.
func (s *stage) awaitNone(ctx context.Context, otherwise, query string) error {
	ctx, cancel := context.WithTimeout(ctx, partitionsMade)
	defer cancel()
	for {
		var left int
		err := s.database.Pool().QueryRow(ctx, query).Scan(&left)
		if err == nil && left == 0 {
			return nil
		}
		if backoff.Sleep(ctx, look) != nil {
			return fmt.Errorf("%s: %d, %w", otherwise, left, errors.Join(err, ctx.Err()))
		}
	}
}

// now returns the time by Postgres.
func (s *stage) now(ctx context.Context) (now time.Time, err error) {
	if err := s.database.Pool().QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return now, fmt.Errorf("read Postgres's clock: %w", err)
	}
	return now.UTC(), nil
}

// dump is a pg_dump whose output is read when it is closed. Until then it waits to write, and holds its snapshot and a
// lock of every table.
type dump struct {
	command *exec.Cmd
	output  io.ReadCloser
}

func (s *stage) openDump(ctx context.Context) (*dump, error) {
	command := exec.CommandContext(ctx, s.ground.Postgres.Program("pg_dump"), "--dbname="+s.ground.Postgres.DSN(devdb.Database))
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read from pg_dump: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start pg_dump: %w", err)
	}
	d := &dump{command, output}
	const lastLock = `SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'pg_dump' AND state = 'idle in transaction' AND relation = 'webhooks'::regclass`
	for harness.Count(ctx, s.database, lastLock) == 0 {
		if err := backoff.Sleep(ctx, look); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// close reads the dump to its end, and returns an error unless pg_dump succeeded.
func (d *dump) close() error {
	size, err := io.Copy(io.Discard, d.output)
	if err = errors.Join(err, d.command.Wait()); err != nil {
		return fmt.Errorf("pg_dump failed after %d bytes: %w", size, err)
	}
	return nil
}
