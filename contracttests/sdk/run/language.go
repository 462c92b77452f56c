package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// language is a generated client and the runner that takes the scenario's steps with it. The runner's folder is
// copied to the build folder, where all commands run.
type language struct {
	name string
	// folder is the runner's folder, beside this program.
	folder string
	// tools are the required programs; a missing one is a failure.
	tools []string
	// sources is the suffix of the runner's source files.
	sources string
	// raw matches code that bypasses the generated client.
	raw *regexp.Regexp
	// prepare installs the pinned dependencies, generates the client and builds the runner.
	prepare []command
	run     command
	// parse is in the place of run, of a runner and of its sources, where the language has no runtime here. It parses the
	// generated files and prints their number.
	parse command
}

// command is a program and its arguments; it runs in the build folder.
type command []string

// rawAnywhere matches other programs and sockets, which could bypass any client.
var rawAnywhere = regexp.MustCompile(`subprocess|child_process|os/exec|ProcessBuilder|Runtime\.getRuntime|\bcurl\b|[sS]ocket`)

// missing returns the tools that are not installed.
func (l language) missing() []string {
	var missing []string
	for _, tool := range l.tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	return missing
}

// checkSources returns an error for a runner that makes requests of its own.
func (l language) checkSources(folder string) error {
	checked := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, l.sources) {
			return err
		}
		checked++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, forbidden := range []*regexp.Regexp{l.raw, rawAnywhere} {
			if found := forbidden.Find(text); found != nil {
				return fmt.Errorf("%s bypasses the generated client: %q", filepath.Base(path), found)
			}
		}
		return nil
	})
	if err == nil && checked == 0 {
		err = fmt.Errorf("there is no *%s in %s", l.sources, folder)
	}
	return err
}

// build rebuilds the runner in the build folder.
func (l language) build(ctx context.Context, source, build string, environment []string, maven sync.Locker) error {
	if missing := l.missing(); len(missing) > 0 {
		return fmt.Errorf("not installed: %s", strings.Join(missing, ", "))
	}
	if l.parse == nil {
		if err := l.checkSources(source); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(build); err != nil {
		return fmt.Errorf("clear the build folder: %w", err)
	}
	if err := os.CopyFS(build, os.DirFS(source)); err != nil {
		return fmt.Errorf("copy the runner: %w", err)
	}
	for _, one := range l.prepare {
		if err := one.do(ctx, build, environment, maven); err != nil {
			return err
		}
	}
	return nil
}

func (c command) do(ctx context.Context, folder string, environment []string, maven sync.Locker) error {
	if c[0] == "mvn" {
		maven.Lock()
		defer maven.Unlock()
	}
	if output, err := c.in(ctx, folder, environment).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, output)
	}
	return nil
}

// runScenario runs the runner and returns its output.
func (l language) runScenario(ctx context.Context, build string, environment []string) ([]byte, error) {
	return l.run.output(ctx, build, environment)
}

// output runs the command and returns what it prints.
func (c command) output(ctx context.Context, folder string, environment []string) ([]byte, error) {
	command := c.in(ctx, folder, environment)
	var failure bytes.Buffer
	command.Stderr = &failure
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, failure.String())
	}
	return output, err
}

func (c command) in(ctx context.Context, folder string, environment []string) *exec.Cmd {
	name := c[0]
	if strings.HasPrefix(name, "./") {
		name = filepath.Join(folder, name)
	}
	made := exec.CommandContext(ctx, name, c[1:]...)
	made.Dir, made.Env = folder, environment
	return made
}
