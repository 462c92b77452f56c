package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// hold opens a connection, writes a start, then drips bytes at an interval (none if it is zero), until the server responds
// or closes, or ctx ends.
func (a *attacker) hold(ctx context.Context, start, drip string, interval time.Duration) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.Address)
	if err != nil {
		a.note("connect")
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, start); err != nil && ctx.Err() == nil {
		a.note("closed")
		return err
	}
	go func() {
		for interval > 0 && backoff.Sleep(ctx, interval) == nil {
			if _, err := io.WriteString(conn, drip); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		a.note("closed")
	default:
		a.note(response.Status[:3])
		_ = response.Body.Close()
	}
	return errRefused
}

// announced is the head of a send whose body has size bytes, and the beginning of the body.
func announced(key string, size int) string {
	return fmt.Sprintf("POST /v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", key, size)
}

// declaredBodies announces 11 bodies of 10 MiB and 72 of 256 KiB, and sends a byte of each.
func declaredBodies(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	return func(ctx context.Context) {
		const large, small = 11, 72
		repeat(ctx, large+small, func(ctx context.Context, number int) error {
			size := 10 * mebibyte
			if number%(large+small) >= large {
				size = mebibyte / 4
			}
			return a.hold(ctx, announced(tenant.Key, size), "", 0)
		})
	}, err
}

// slowBodies sends bodies of 10 MiB at 1 KiB a second.
func slowBodies(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	return func(ctx context.Context) {
		repeat(ctx, 2*flood, func(ctx context.Context, _ int) error {
			return a.hold(ctx, announced(tenant.Key, 10*mebibyte), strings.Repeat(" ", 1024), time.Second)
		})
	}, err
}

// stoppedBodies sends 9 of 10 MiB as fast as it can, and then nothing.
func stoppedBodies(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	filling := strings.Repeat(" ", 9*mebibyte)
	return func(ctx context.Context) {
		repeat(ctx, flood, func(ctx context.Context, _ int) error {
			return a.hold(ctx, announced(tenant.Key, 10*mebibyte)+filling, "", 0)
		})
	}, err
}

// unfinishedHeaders opens 100 connections whose headers never end.
func unfinishedHeaders(_ context.Context, a *attacker) (strike, error) {
	return func(ctx context.Context) {
		repeat(ctx, 100, func(ctx context.Context, _ int) error {
			return a.hold(ctx, "POST /v1/emails HTTP/1.1\r\nHost: x\r\n", "X-Filling: x\r\n", time.Second)
		})
	}, nil
}

// idleConnections opens 1,000 connections that ask nothing.
func idleConnections(_ context.Context, a *attacker) (strike, error) {
	return func(ctx context.Context) {
		repeat(ctx, 1000, func(ctx context.Context, _ int) error { return a.hold(ctx, "", "", 0) })
	}, nil
}
