package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/gen/api"
)

const (
	startLimit      = 60 * time.Second
	exhaustedDomain = "exhausted.test"
)

// server is a running `mailstack dev` with a data folder of its own.
type server struct {
	binary, data string
	url          string
	exhaustedKey string

	process *harness.Process
}

// startServer returns when the server responds.
func startServer(ctx context.Context, binary, data string) (_ *server, err error) {
	s := &server{binary: binary, data: data}
	output, written := io.Pipe()
	s.process, err = harness.Launch(ctx, harness.Command{
		Name: "mailstack dev", Program: binary, Arguments: []string{"dev"}, Environment: s.environment("MAILSTACK_ADDR=127.0.0.1:0"),
		Stdout: written, Stderr: os.Stderr, OnEnd: written.Close,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.process.Stop())
		}
	}()
	giveUp := time.AfterFunc(startLimit, s.process.Kill)
	lines := bufio.NewScanner(output)
	for s.url == "" && lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "export MAILSTACK_URL="); found {
			s.url = value
		}
	}
	giveUp.Stop()
	go func() { _, _ = io.Copy(io.Discard, output) }() // later output is not needed
	if s.url == "" {
		return nil, fmt.Errorf("mailstack did not start within %s", startLimit)
	}
	return s, s.exhaust(ctx)
}

// environment returns our own environment without the variables that would lead mailstack to another database.
func (s *server) environment(more ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAILSTACK_") && !strings.HasPrefix(variable, "DATABASE_URL=") {
			kept = append(kept, variable)
		}
	}
	return append(append(kept, "MAILSTACK_DATA_DIR="+s.data), more...)
}

// command runs one of the operator's commands and returns what it prints.
func (s *server) command(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, s.binary, arguments...)
	command.Env = s.environment()
	output, err := command.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("mailstack %s: %w", strings.Join(arguments, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// organization makes an organization and returns a key of it with every scope.
func (s *server) organization(ctx context.Context, name string) (key string, err error) {
	if _, err := s.command(ctx, "org", "create", name); err != nil {
		return "", err
	}
	return s.command(ctx, "key", "create", "--org", name, "--name", "first")
}

// exhaust makes the organization with a verified domain and no allowance.
func (s *server) exhaust(ctx context.Context) error {
	var err error
	if s.exhaustedKey, err = s.organization(ctx, "exhausted"); err != nil {
		return err
	}
	if _, err := s.command(ctx, "billing", "set", "--org", "exhausted", "--allowance", "0"); err != nil {
		return err
	}
	client, err := s.client(s.exhaustedKey)
	if err != nil {
		return err
	}
	_, err = s.verifiedDomain(ctx, client, exhaustedDomain)
	return err
}

// client returns a client that calls the server with the key.
func (s *server) client(key string) (*api.ClientWithResponses, error) {
	client, err := api.NewClientWithResponses(s.url, api.WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+key)
		return nil
	}))
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	return client, nil
}

// verifiedDomain registers a domain and verifies it, which `dev` makes possible at once.
func (s *server) verifiedDomain(ctx context.Context, client *api.ClientWithResponses, name string) (*api.Domain, error) {
	created, err := client.CreateDomainWithResponse(ctx, nil, api.CreateDomainRequest{Domain: name})
	if err != nil || created.JSON201 == nil {
		return nil, fmt.Errorf("register %s: %w", name, unexpected(err, created))
	}
	verified, err := client.VerifyDomainWithResponse(ctx, created.JSON201.ID)
	if err != nil || verified.JSON200 == nil || verified.JSON200.Status != api.DomainStatusVerified {
		return nil, fmt.Errorf("verify %s: %w", name, unexpected(err, verified))
	}
	return verified.JSON200, nil
}

// newData makes a data folder; done removes it.
func newData() (folder string, done func() error, err error) {
	parent, err := os.MkdirTemp("", "mailstack-sdk-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	return filepath.Join(parent, "data"), func() error { return os.RemoveAll(parent) }, nil
}
