package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

const startLimit = 60 * time.Second

// server is a running `mailstack dev`.
type server struct {
	*harness.Process
	data      string
	url, key  string
	simulator string
	client    *http.Client
}

// start returns when the server has printed its URL and key.
func start(ctx context.Context, binary, data string) (*server, error) {
	output, printed := io.Pipe()
	process, err := harness.Launch(ctx, harness.Command{
		Name: "mailstack dev", Program: binary, Arguments: []string{"dev"}, Stdout: printed, Stderr: os.Stderr, OnEnd: printed.Close,
		Environment: append(os.Environ(), "MAILSTACK_ADDR=127.0.0.1:0", "MAILSTACK_DATA_DIR="+data),
	})
	if err != nil {
		return nil, err
	}
	s := &server{
		Process: process, data: data,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	giveUp := time.AfterFunc(startLimit, s.Kill)
	lines := bufio.NewScanner(output)
	for (s.url == "" || s.key == "") && lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "export MAILSTACK_URL="); found {
			s.url = value
		}
		if value, found := strings.CutPrefix(lines.Text(), "export MAILSTACK_API_KEY="); found {
			s.key = value
		}
	}
	giveUp.Stop()
	go func() { _, _ = io.Copy(io.Discard, output) }() // later output is not needed
	if s.url == "" || s.key == "" {
		return nil, errors.Join(fmt.Errorf("mailstack did not start within %s", startLimit), s.Stop())
	}
	at, err := os.ReadFile(filepath.Join(data, "simulator-url"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the simulated SES: %w", err), s.Stop())
	}
	s.simulator = strings.TrimSpace(string(at))
	return s, nil
}

// delay makes the simulated SES slow, so that the kill hits messages in flight. It lasts as long as the process.
func (s *server) delay(ctx context.Context, by time.Duration) error {
	_, err := s.call(ctx, http.MethodPost, s.simulator+"/_sim/faults", map[string]any{"delayMs": by.Milliseconds()}, nil)
	return err
}

// sendAndKill sends all emails at once and kills the process as soon as enough are accepted. It returns the ids of
// all 202 responses, including those that arrived while the process died.
func (s *server) sendAndKill(ctx context.Context, set settings) []string {
	var (
		mutex    sync.Mutex
		accepted []string
		sending  sync.WaitGroup
	)
	for i := range set.sends {
		sending.Go(func() {
			var answer struct {
				ID string `json:"id"`
			}
			status, err := s.call(ctx, http.MethodPost, s.url+"/v1/emails", map[string]string{
				"from": "hello@mail.test", "to": fmt.Sprintf("you+%d@example.com", i), "subject": "Crash", "text": "Still here?",
			}, &answer)
			if err != nil || status != http.StatusAccepted {
				return // the process died meanwhile and promised nothing
			}
			mutex.Lock()
			defer mutex.Unlock()
			accepted = append(accepted, answer.ID)
			if len(accepted) == set.killAfter {
				go s.Kill()
			}
		})
	}
	sending.Wait()
	s.Kill()
	return accepted
}

// call makes one request with JSON in and out; nil means no body.
func (s *server) call(ctx context.Context, method, url string, in, out any) (status int, err error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, fmt.Errorf("write a request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, url, &body)
	if err != nil {
		return 0, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(url, s.url) {
		request.Header.Set("Authorization", "Bearer "+s.key)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("send the request: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, fmt.Errorf("read the response: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return response.StatusCode, fmt.Errorf("%s %s: %s", method, response.Status, answer)
	}
	if out == nil {
		return response.StatusCode, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return 0, fmt.Errorf("read the response: %w", err)
	}
	return response.StatusCode, nil
}
