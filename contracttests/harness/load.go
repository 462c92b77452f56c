package harness

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// Load is the result of several connections that sent as fast as responses arrived.
type Load struct {
	Requests, Refused int
	Elapsed           time.Duration
	// latencies are sorted.
	latencies []time.Duration
}

// PerSecond returns the accepted requests per second.
func (l Load) PerSecond() float64 { return float64(l.Requests) / l.Elapsed.Seconds() }

// Percentile returns the latency within which the given percentage of requests completed.
func (l Load) Percentile(of float64) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[min(len(l.latencies)-1, int(of/100*float64(len(l.latencies))))]
}

// Request is the head of a JSON POST. A connection sends it again and again, with another body each time.
type Request struct {
	Path, Key string
	// Wanted is the status of success. Zero means 202.
	Wanted int
}

func (r Request) append(to, body []byte) []byte {
	to = append(to, "POST "+r.Path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+r.Key+
		"\r\nContent-Type: application/json\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(body)), 10)
	return append(append(to, "\r\n\r\n"...), body...)
}

// Drive sends requests over the given number of connections for the given duration, and counts the responses that are
// wanted. next makes each body from the number of the request; a connection ends with an empty one. After any other response the connection waits for as long as
// Retry-After says. Drive writes HTTP by itself: the standard client would take more of the machine than the server
// that is measured.
func Drive(
	ctx context.Context, address string, connections int, duration time.Duration, request Request,
	next func(to []byte, number int) []byte,
) (Load, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	loads, failures := make([]Load, connections), make([]error, connections)
	begun := time.Now()
	var running sync.WaitGroup
	for i := range connections {
		running.Go(func() {
			loads[i], failures[i] = drive(ctx, address, request, func(to []byte, number int) []byte {
				return next(to, number*connections+i)
			})
		})
	}
	running.Wait()
	total := Load{Elapsed: time.Since(begun)}
	for _, one := range loads {
		total.Requests += one.Requests
		total.Refused += one.Refused
		total.latencies = append(total.latencies, one.latencies...)
	}
	slices.Sort(total.latencies)
	return total, errors.Join(failures...)
}

func drive(ctx context.Context, address string, request Request, next func([]byte, int) []byte) (done Load, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return done, fmt.Errorf("connect to the server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	reader := bufio.NewReader(conn)
	var body, wire []byte
	for number := 0; ctx.Err() == nil; number++ {
		if body = next(body[:0], number); len(body) == 0 {
			return done, nil
		}
		wire = request.append(wire[:0], body)
		begun := time.Now()
		if _, err := conn.Write(wire); err != nil {
			return done, fmt.Errorf("send: %w", err)
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return done, fmt.Errorf("read the response: %w", err)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return done, fmt.Errorf("read the response: %w", err)
		}
		if answer.StatusCode != cmp.Or(request.Wanted, http.StatusAccepted) {
			done.Refused++
			wait(ctx, answer.Header.Get("Retry-After"))
			continue
		}
		done.Requests++
		done.latencies = append(done.latencies, time.Since(begun))
	}
	return done, nil
}

// wait waits for as long as Retry-After says.
func wait(ctx context.Context, seconds string) {
	after, err := strconv.Atoi(seconds)
	if err != nil {
		return
	}
	_ = backoff.Sleep(ctx, time.Duration(after)*time.Second) // the caller checks the context
}
