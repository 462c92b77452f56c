// Command samples runs the samples of the published document, as they are, against a running `mailstack dev`. It is
// `make samples`. The samples name the ids and addresses of the document's examples. A proxy between them and the server makes
// what each request needs, and puts the real ids in their place:
//
//	sample → proxy, which knows the examples → mailstack dev
//
// A sample counts as executed when its request was exactly the one of the document, once, and the answer was a success that the
// document lists. The samples of one language run one after another, in one process where the language can.
//
// It prints a line per language, curl: 39/39 executed, and a total. Anything less than all is exit code 1. C# is parsed only.
//
// The files:
//
//   - main.go: the course of a run, and the printed lines
//   - document.go: the operations with their examples and samples
//   - languages.go: how the samples of each language are run
//   - proxy.go: from the request of a sample to one that succeeds
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

type settings struct {
	// document is the published document, runners the folder of programs that run samples, folder the place for them all.
	document, runners, folder string
	// url and key are the server's.
	url, key string
	// parser is a Python that has tree-sitter, and modules the folder with TypeScript.
	parser, modules string
	only            string
	out             io.Writer
}

func main() {
	set := settings{out: os.Stdout, url: os.Getenv("MAILSTACK_URL"), key: os.Getenv("MAILSTACK_API_KEY")}
	flag.StringVar(&set.document, "document", "gen/openapi/openapi.json", "the published document")
	flag.StringVar(&set.runners, "runners", "contracttests/samples/runners", "the programs that run samples")
	flag.StringVar(&set.folder, "folder", "bin/samples", "where the samples are written")
	flag.StringVar(&set.parser, "parser", "python3", "a Python that has tree-sitter")
	flag.StringVar(&set.modules, "modules", "contracttests/samples/node_modules", "the folder with TypeScript")
	flag.StringVar(&set.only, "only", "", "the languages, separated by commas; all if empty")
	limit := flag.Duration("limit", 10*time.Minute, "time for everything")
	flag.Parse()
	harness.Main("samples", *limit, func(ctx context.Context) error { return run(ctx, set) })
}

func run(ctx context.Context, set settings) error {
	found, err := readOperations(set.document)
	if err != nil {
		return err
	}
	between := &proxy{url: set.url, key: set.key, operations: found, client: &http.Client{Timeout: time.Minute}}
	if err := between.prepare(ctx); err != nil {
		return err
	}
	server := httptest.NewServer(between)
	defer server.Close()
	var failures []error
	executed, wanted := 0, 0
	for _, in := range languages(set) {
		if set.only != "" && !strings.Contains(","+set.only+",", ","+in.label+",") {
			continue
		}
		problem := in.run(ctx, set, found, server.URL)
		succeeded, faults := between.take()
		if in.parsed {
			if problem == nil {
				_, _ = fmt.Fprintf(set.out, "%s: %d/%d parsed\n", in.label, len(found), len(found))
			}
			failures = append(failures, problem)
			continue
		}
		executed, wanted = executed+len(succeeded), wanted+len(found)
		_, _ = fmt.Fprintf(set.out, "%s: %d/%d executed\n", in.label, len(succeeded), len(found))
		if len(succeeded) < len(found) || len(faults) > 0 || problem != nil {
			failures = append(failures, fmt.Errorf("%s: %w", in.label, errors.Join(append(faults, problem, missing(found, succeeded))...)))
		}
	}
	_, _ = fmt.Fprintf(set.out, "samples: %d/%d executed\n", executed, wanted)
	return errors.Join(failures...)
}

// missing names the operations that did not succeed.
func missing(all []*operation, succeeded map[string]bool) error {
	var names []string
	for _, op := range all {
		if !succeeded[op.id] {
			names = append(names, op.id)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not executed: %s", strings.Join(names, ", "))
}

// run writes the samples of the language and runs them.
func (l language) run(ctx context.Context, set settings, all []*operation, url string) error {
	folder, err := filepath.Abs(filepath.Join(set.folder, l.folder))
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("empty the folder: %w", err)
	}
	for _, op := range all {
		name, source := l.file(op)
		if source == "" {
			return fmt.Errorf("%s has no sample", op.id)
		}
		if err := write(filepath.Join(folder, name), source); err != nil {
			return err
		}
	}
	commands, err := l.prepare(folder, all)
	if err != nil {
		return err
	}
	for _, arguments := range commands {
		command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
		command.Dir = folder
		command.Env = append(os.Environ(), "MAILSTACK_URL="+url, "MAILSTACK_API_KEY="+set.key, "GOWORK=off", "GOFLAGS=")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("run %s: %w\n%s", filepath.Base(arguments[0]), err, lastOf(output))
		}
	}
	return nil
}

// lastOf returns the end of a program's output, where it says why it failed.
func lastOf(output []byte) []byte {
	const most = 4000
	return output[max(0, len(output)-most):]
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return nil
}
