package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
)

const upWithin = 30 * time.Second

// balancer is HAProxy in front of the API processes.
type balancer struct {
	url, stats    string
	configuration string
}

// newBalancer chooses the addresses of a balancer that start starts.
func newBalancer(ctx context.Context, servers []string) (balancer, error) {
	front, err := harness.FreeAddress(ctx)
	if err != nil {
		return balancer{}, err
	}
	stats, err := harness.FreeAddress(ctx)
	if err != nil {
		return balancer{}, err
	}
	var list strings.Builder
	for i, server := range servers {
		_, _ = fmt.Fprintf(&list, "  server api-%d %s check\n", i+1, server) // a strings.Builder never fails
	}
	return balancer{url: "http://" + front, stats: "http://" + stats + "/;csv", configuration: fmt.Sprintf(configuration, front, list.String(), stats)}, nil
}

// The health check fails within the lame-duck time of a process that ends, so that none is asked that has closed its
// port; a slow response to it is no failure. Requests are not repeated by HAProxy, which would hide that one failed.
const configuration = `defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 30s
  timeout check 3s
  timeout http-keep-alive 60s
  retries 0
listen api
  bind %s
  balance roundrobin
  option httpchk GET /readyz
  default-server inter 500ms fall 2 rise 1
%slisten stats
  bind %s
  stats enable
  stats uri /
`

func (b balancer) start(ctx context.Context, ground *harness.Harness) error {
	file := filepath.Join(ground.Folder, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.configuration), 0o600); err != nil {
		return fmt.Errorf("write the configuration of HAProxy: %w", err)
	}
	_, err := ground.StartProgram(ctx, "haproxy", "haproxy", devdb.Database, nil, "-f", file, "-db")
	return err
}

// awaitAll returns when HAProxy finds every API process ready.
func (b balancer) awaitAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	for {
		down, err := b.down(ctx)
		if err == nil && len(down) == 0 {
			return nil
		}
		if backoff.Sleep(ctx, look) != nil {
			return fmt.Errorf("HAProxy finds %q not ready: %w", down, errors.Join(err, ctx.Err()))
		}
	}
}

// down returns the servers that HAProxy does not use.
func (b balancer) down(ctx context.Context) (names []string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.stats, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask HAProxy: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask HAProxy: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	table, err := csv.NewReader(response.Body).ReadAll()
	if err != nil || len(table) == 0 {
		return nil, fmt.Errorf("read HAProxy's statistics: %w", err)
	}
	status := slices.Index(table[0], "status")
	for _, row := range table[1:] {
		if strings.HasPrefix(row[1], "api-") && row[status] != "UP" {
			names = append(names, row[1]+" "+row[status])
		}
	}
	return names, nil
}
