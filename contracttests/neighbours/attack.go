package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

// targetVariable holds what attackers need to know, as JSON.
const targetVariable = "NEIGHBOURS_TARGET"

type target struct{ Address, Database, Simulator string }

// lowestPriority keeps the attackers from taking the processor of those whom they attack by themselves.
const lowestPriority = 19

// prepareLimit bounds the preparation of an attack.
const prepareLimit = 2 * time.Minute

// attacker is what an attack works with.
type attacker struct {
	target
	store     *store.Store
	simulator harness.Simulator
	client    *http.Client

	mutex sync.Mutex
	got   map[string]int
}

// strike is the running part of an attack; it ends when its context does.
type strike func(ctx context.Context)

// attack prepares the named attacks, says so in a line, and runs them until ctx ends.
func attack(ctx context.Context, names string, output io.Writer) (err error) {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowestPriority); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	a := &attacker{got: map[string]int{}}
	if err := json.Unmarshal([]byte(os.Getenv(targetVariable)), &a.target); err != nil {
		return fmt.Errorf("read %s: %w", targetVariable, err)
	}
	a.simulator = harness.Simulator{URL: a.Simulator}
	a.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	if a.store, err = store.Open(ctx, store.Config{URL: a.Database, MaxConns: 8, Name: "attackers"}); err != nil {
		return err
	}
	defer a.store.Close()
	var strikes []strike
	for _, one := range attacks() {
		if !slices.Contains(strings.Split(names, ","), one.name) {
			continue
		}
		preparing, cancel := context.WithTimeout(ctx, prepareLimit)
		begin, err := one.prepare(preparing, a)
		cancel()
		if err != nil {
			return fmt.Errorf("prepare %s: %w", one.name, err)
		}
		strikes = append(strikes, begin)
	}
	clear(a.got)
	if _, err := fmt.Fprintln(output, "begun"); err != nil {
		return fmt.Errorf("say that the attacks have begun: %w", err)
	}
	var running sync.WaitGroup
	for _, one := range strikes {
		running.Go(func() { one(ctx) })
	}
	running.Wait()
	_, err = fmt.Fprintln(output, a.summary())
	return err
}

// note counts a response, or an error, by its status.
func (a *attacker) note(status string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.got[status]++
}

func (a *attacker) summary() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(a.got)) {
		parts = append(parts, status+"×"+strconv.Itoa(a.got[status]))
	}
	return strings.Join(parts, " ")
}

func (a *attacker) tenant(ctx context.Context) (harness.Tenant, error) {
	return newTenant(ctx, a.store, a.simulator)
}

// repeat calls work over and over on some goroutines until ctx ends. An error makes a goroutine pause, so that a refused
// attacker does not only spin.
func repeat(ctx context.Context, goroutines int, work func(ctx context.Context, number int) error) {
	var running sync.WaitGroup
	for i := range goroutines {
		running.Go(func() {
			for number := i; ctx.Err() == nil; number += goroutines {
				if work(ctx, number) != nil {
					_ = backoff.Sleep(ctx, pauseAfterRefusal) // the loop checks the context
				}
			}
		})
	}
	running.Wait()
}

const pauseAfterRefusal = 50 * time.Millisecond

// errRefused is returned for a response that is no success.
var errRefused = errors.New("refused")
