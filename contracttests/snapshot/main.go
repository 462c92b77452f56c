// Command snapshot shows what claims of due messages cost beside a snapshot that is held all the while, as a backup holds
// one: no row that ends is removed until it is gone. It works through many due messages, without content and without SES,
// on a Postgres of its own:
//
//		go run ./contracttests/snapshot -messages 300000
//
//	  - main.go: settings, the course of a run, the table and the verdict
//	  - database.go: the database, the snapshot, the messages
//
// It prints a line for each part of the messages, and exits with 1 when the mean claim of the last part takes more than
// 10 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/voostack/mailstack/impl/sending"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const maxMeanClaim = 10 * time.Millisecond

type settings struct {
	messages, parts, organizations, workers int
	rate                                    float64
}

func main() {
	var set settings
	flag.IntVar(&set.messages, "messages", 300_000, "messages in all")
	flag.IntVar(&set.parts, "parts", 6, "lines of the table")
	flag.IntVar(&set.organizations, "organizations", 3, "organizations with messages")
	flag.IntVar(&set.workers, "workers", 1, "workers at the same time")
	flag.Float64Var(&set.rate, "rate", 1000, "quota of the account in recipients per second; the messages cost none of it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings, out io.Writer) (err error) {
	d, err := open(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	times := &claims{}
	working, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for range set.workers {
		sender, err := newSender(d.store, set.rate, times)
		if err != nil {
			return err
		}
		workers.Go(func() { _ = sender.Run(working) }) // what it could not store is still due
	}
	_, _ = fmt.Fprintf(out, "%12s %10s %8s %12s %12s %12s\n", "messages", "per second", "claims", "mean claim", "median", "slowest")
	var mean time.Duration
	for part := range set.parts {
		count := set.messages / set.parts
		began := time.Now()
		if err := d.work(ctx, count); err != nil {
			return err
		}
		took := times.take()
		if len(took) == 0 {
			return errors.New("no claim was made")
		}
		slices.Sort(took)
		var sum time.Duration
		for _, one := range took {
			sum += one
		}
		mean = sum / time.Duration(len(took))
		_, _ = fmt.Fprintf(out, "%12d %10.0f %8d %12s %12s %12s\n", (part+1)*count, float64(count)/time.Since(began).Seconds(), len(took),
			mean.Round(time.Microsecond), took[len(took)/2].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
	}
	walk, err := d.survey(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "snapshot: messages=%d mean_claim=%s survey=%s\n", set.messages, mean.Round(time.Microsecond), walk.Round(time.Microsecond))
	if mean > maxMeanClaim {
		return fmt.Errorf("the mean claim of the last part took %s, more than %s", mean, maxMeanClaim)
	}
	return nil
}

// claims collects how long claims took.
type claims struct {
	mu   sync.Mutex
	took []time.Duration
}

func (c *claims) Claimed(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
}

func (*claims) Settled(string, string, bool) {}
func (*claims) Sent(time.Duration)           {}

func (c *claims) take() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	took := c.took
	c.took = nil
	return took
}

// none is a SES that no message reaches, since they have no content.
type none struct{}

func (none) Send(context.Context, ses.Message) (string, error) { return "", errors.New("not expected") }

func newSender(s *store.Store, rate float64, observer sending.Observer) (*sending.Sender, error) {
	return sending.New(sending.Config{
		Store: s, SES: none{}, Observer: observer,
		FetchQuota: func(context.Context) (ses.Quota, error) { return ses.Quota{MaxPerSecond: rate, Max24Hour: -1}, nil },
	})
}
