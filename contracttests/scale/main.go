// Command scale shows that lists stay fast when tables grow. It fills one database with many rows and another with
// 10,000, both on a Postgres of its own, and requests over HTTP the first and the last page of every list: without
// filters, with every filter, frequent and rare, and with filters together:
//
//	go run ./contracttests/scale -rows 1000000
//
// It reads the lists and their filters from openapi.yaml: one without a case here is an error.
//
//   - main.go: settings, the course of a run, the table and the verdict
//   - database.go: a database with a server in front of it
//   - fill.go, fill.sql: the rows; the oldest and some in the middle first, while the way to the last page is short
//   - lists.go: the cases, compared with the spec
//   - measure.go: the pages and their times
//
// The requests of the four pages of a case (first and last, few rows and many) follow each other, so that other load on
// the machine slows all four; the lower quartile of each counts. A case with a ratio over the limit is measured once
// more, with three times as many requests, and the second result counts.
//
// It exits with 1 when a last page takes more than 1.5 times as long as the first one, or a page more than 1.5 times as
// long as the same page among 10,000 rows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/voostack/mailstack/impl/devdb"
)

const (
	fewRows = 10_000
	// mostRows leaves half a second between two rows.
	mostRows   = 20_000_000
	mostRatio  = 1.5
	caseColumn = 74
)

type settings struct {
	rows, repetitions int
	document          string
}

func main() {
	var set settings
	flag.IntVar(&set.rows, "rows", 1_000_000, "rows in every table of a list")
	flag.IntVar(&set.repetitions, "repetitions", 101, "requests per page")
	flag.StringVar(&set.document, "document", "openapi.yaml", "path of the spec")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings, out io.Writer) (err error) {
	if set.rows < fewRows || set.rows > mostRows || set.repetitions < 1 {
		return fmt.Errorf("rows must be from %d to %d, repetitions at least 1", fewRows, mostRows)
	}
	document, err := os.ReadFile(set.document)
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	cases, err := casesOf(document)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "mailstack-scale-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	postgres, err := devdb.Start(ctx, devdb.Options{DataDir: filepath.Join(folder, "postgres")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, postgres.Stop()) }()

	began := time.Now()
	few, err := open(ctx, postgres, document, fewRows, cases)
	if err != nil {
		return err
	}
	defer few.close()
	many, err := open(ctx, postgres, document, set.rows, cases)
	if err != nil {
		return err
	}
	defer many.close()
	if _, err := fmt.Fprintf(out, "filled tables of %d and of %d rows in %.0f s\n\n", few.rows, many.rows, time.Since(began).Seconds()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return judge(ctx, out, set.repetitions, few, many, cases)
}

// judge measures every case, and prints a line for each and the verdict.
func judge(ctx context.Context, out io.Writer, repetitions int, few, many *database, cases []listCase) error {
	_, err := fmt.Fprintf(out, "%-*s %8s %8s %6s   %8s %8s   %6s %6s\n%-*s %8s %8s %6s   %8s %8s   %6s %6s\n",
		caseColumn, fmt.Sprintf("%d rows", many.rows), "first", "last", "last/", "of few", "of few", "first/", "last/",
		caseColumn, "", "ms", "ms", "first", "first ms", "last ms", "few", "few")
	failures := 0
	for _, asked := range cases {
		times, problem := measure(ctx, repetitions, few, many, asked)
		if problem == nil && times.worst() > mostRatio {
			times, problem = measure(ctx, 3*repetitions, few, many, asked)
		}
		if problem != nil {
			return fmt.Errorf("%s: %w", asked.title, problem)
		}
		mark := ""
		if times.worst() > mostRatio {
			failures++
			mark = "  TOO SLOW"
		}
		_, printed := fmt.Fprintf(out, "%-*s %8.2f %8.2f %6.2f   %8.2f %8.2f   %6.2f %6.2f%s\n", caseColumn, asked.title,
			times.first, times.last, times.last/times.first, times.fewFirst, times.fewLast,
			times.first/times.fewFirst, times.last/times.fewLast, mark)
		err = errors.Join(err, printed)
	}
	_, printed := fmt.Fprintf(out, "\nrows=%d against=%d cases=%d over_%.1f=%d\n", many.rows, few.rows, len(cases), mostRatio, failures)
	if err = errors.Join(err, printed); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if failures > 0 {
		return errors.New("a list gets slower as its table grows")
	}
	return nil
}
