// Command run generates clients from openapi.yaml in several languages and runs one scenario with each, against a
// server that it starts. It is `make sdk`; arguments name the languages, and no arguments mean all of them.
//
// scenario.json holds the steps. A runner (the folders beside this one) takes each step by the typed method of its
// generated client and prints the contents of the typed response, one line of JSON per step; it judges nothing. This
// program compares the lines with the scenario, and the requests that reached the server with the operations of the
// steps. For each language the server also posts events to a webhook in this program. The runner receives the
// deliveries, decodes them into the generated types and verifies them with its language's public library of Standard
// Webhooks.
//
//	openapi.yaml → bin/sdk/<language> (generated client + runner) → recording proxy → mailstack dev
//	                                                              → a server from the future (future.go)
//	mailstack dev → a receiver (deliveries.go) → scenario.json of the runner
//
// The files:
//
//   - main.go: the course of a run, and the result of each language
//   - languages.go: every language; dialects.go: the ones with a client from each dialect of OpenAPI
//   - language.go: how a language is checked, built and run; parse.go: languages without a runtime here
//   - scenario.go: the steps; judge.go: what a runner printed against them; record.go: what it called against them
//   - server.go: the server and its organizations; future.go: responses of a later version
//   - deliveries.go: the webhook's deliveries
//
// It prints one line per language with the number of steps passed. Anything less than all, a missing tool included, is
// exit code 1. Clients in languages that have no runtime here take no steps: every generated file is parsed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// runLimit bounds one language's run of the scenario.
const runLimit = 6 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "sdk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, out io.Writer) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the project: %w", err)
	}
	chosen, err := choose(languages(root), names)
	if err != nil {
		return err
	}
	routes, err := documentedRoutes()
	if err != nil {
		return err
	}
	if err := fence(filepath.Join(root, "bin", "sdk")); err != nil {
		return err
	}
	binary := filepath.Join(root, "bin", "sdk", "mailstack")
	building := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	building.Stderr = os.Stderr
	if err := building.Run(); err != nil {
		return fmt.Errorf("build mailstack: %w", err)
	}
	data, remove, err := newData()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	started, err := startServer(ctx, binary, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, started.process.Stop()) }()
	return (&workshop{root: root, server: started, routes: routes, out: out}).all(ctx, chosen)
}

// fence keeps the Go files in the build folders, some of them from npm, out of this module's ./... pattern.
func fence(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the build folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module sdk\n"), 0o600); err != nil {
		return fmt.Errorf("fence the build folder: %w", err)
	}
	return nil
}

func choose(known []language, names []string) ([]language, error) {
	if len(names) == 0 {
		return known, nil
	}
	var chosen []language
	for _, name := range names {
		i := slices.IndexFunc(known, func(one language) bool { return one.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no language %q", name)
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

// workshop builds and runs the languages.
type workshop struct {
	root   string
	server *server
	routes []route
	out    io.Writer
	// maven is locked while Maven runs: two runs at once could corrupt its download cache.
	maven sync.Mutex
}

// all builds two languages at a time, since half of the work is waiting for downloads, and prints a line for each.
func (w *workshop) all(ctx context.Context, chosen []language) error {
	var (
		waiting sync.WaitGroup
		slots   = make(chan struct{}, 2)
		failed  = make([]bool, len(chosen))
	)
	for i, one := range chosen {
		waiting.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			result, err := w.one(ctx, one)
			if err != nil {
				result.failures = append(result.failures, err.Error())
			}
			failed[i] = !result.ok()
			var lines strings.Builder
			fmt.Fprintf(&lines, "%s: %s\n", one.name, result)
			for _, failure := range result.failures {
				fmt.Fprintf(&lines, "  %s\n", strings.ReplaceAll(failure, "\n", "\n  "))
			}
			_, _ = io.WriteString(w.out, lines.String()) // one whole result at a time
		})
	}
	waiting.Wait()
	if slices.Contains(failed, true) {
		return errors.New("not every language passed")
	}
	return nil
}

// one runs the scenario in a language, or parses what was generated for one that has no runtime here.
func (w *workshop) one(ctx context.Context, one language) (verdict, error) {
	if one.parse != nil {
		return w.parse(ctx, one)
	}
	return w.run(ctx, one)
}

// run runs the scenario in a language, as an organization of its own.
func (w *workshop) run(ctx context.Context, one language) (verdict, error) {
	requestID := "sdk-" + one.name
	scenarioFile := filepath.Join(w.root, "contracttests", "sdk", "scenario.json")
	values := map[string]string{"domain": one.name + ".test", "exhaustedDomain": exhaustedDomain, "requestId": requestID}
	steps, err := loadScenario(scenarioFile, values)
	if err != nil {
		return verdict{steps: 1}, err
	}
	unproven := verdict{steps: len(steps.Steps)}
	build := filepath.Join(w.root, "bin", "sdk", one.name)
	source := filepath.Join(w.root, "contracttests", "sdk", one.folder)
	if err := one.build(ctx, source, build, w.server.environment(), &w.maven); err != nil {
		return unproven, err
	}
	key, err := w.server.organization(ctx, one.name)
	if err != nil {
		return unproven, err
	}
	// Deliver as late as possible: a signature is valid for five minutes, and a build may take longer.
	delivered, err := deliver(ctx, w.server, one.name)
	if err != nil {
		return unproven, fmt.Errorf("receive webhooks: %w", err)
	}
	maps.Copy(values, delivered)
	if steps, err = loadScenario(scenarioFile, values); err != nil {
		return unproven, err
	}
	file := filepath.Join(build, "scenario.json")
	if err := steps.write(file); err != nil {
		return unproven, err
	}
	calls := &recorder{routes: w.routes}
	target, err := url.Parse(w.server.url)
	if err != nil {
		return unproven, fmt.Errorf("read the server's address: %w", err)
	}
	proxy := httptest.NewServer(calls.before(&httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		request.SetURL(target)
		request.Out.Header.Set("X-Request-Id", requestID)
	}}))
	defer proxy.Close()
	ahead := httptest.NewServer(calls.before(future(requestID)))
	defer ahead.Close()

	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	output, runErr := one.runScenario(ctx, build, append(os.Environ(),
		"MAILSTACK_SCENARIO="+file, "MAILSTACK_URL="+proxy.URL, "MAILSTACK_FUTURE_URL="+ahead.URL,
		"MAILSTACK_API_KEY="+key, "MAILSTACK_EXHAUSTED_API_KEY="+w.server.exhaustedKey,
	))
	found, err := findings(output)
	if err != nil {
		return unproven, errors.Join(runErr, err)
	}
	return judge(steps, found), errors.Join(runErr, calls.check(steps.operations()))
}

// findings decodes the lines that a runner printed.
func findings(output []byte) ([]finding, error) {
	var found []finding
	for line := range bytes.Lines(output) {
		var one finding
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("the runner printed %q: %w", line, err)
		}
		found = append(found, one)
	}
	return found, nil
}
