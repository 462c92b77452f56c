package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// mails are what the inbox shows: plain, long, and with what reaches for other hosts.
func mails() []map[string]any {
	return []map[string]any{
		{"subject": "Hello", "text": "Only text."},
		{
			"subject": "A subject that is much longer than the window of a phone is wide, and that names AVeryLongWordWithoutAnyBreakInItAtAllOfAllThings",
			"html":    `<h1>Hello</h1><p>See <a href="https://example.com/">there</a>.</p>`, "text": "Hello", "fromName": "Äcme & Sons",
		},
		{"subject": "Pictures", "html": `<p>One: <img alt="a picture" src="https://example.com/picture.png"></p>`},
	}
}

// sendMail sends mails to the inbox and returns the ids that the inbox gives them.
func sendMail(ctx context.Context, set settings) ([]string, error) {
	for _, mail := range mails() {
		mail["from"], mail["to"] = "hello@mail.test", "Reader <reader@example.com>"
		body, err := json.Marshal(mail)
		if err != nil {
			return nil, fmt.Errorf("write a mail: %w", err)
		}
		if _, err := ask(ctx, set, http.MethodPost, "/v1/emails", body); err != nil {
			return nil, err
		}
	}
	for {
		answer, err := ask(ctx, set, http.MethodGet, "/dev/inbox.json", nil)
		if err != nil {
			return nil, err
		}
		var shown struct{ Data []struct{ ID string } }
		if err := json.Unmarshal(answer, &shown); err != nil {
			return nil, fmt.Errorf("read the inbox: %w", err)
		}
		if len(shown.Data) == len(mails()) {
			var ids []string
			for _, one := range shown.Data {
				ids = append(ids, one.ID)
			}
			return ids, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for mail in the inbox: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// allPages returns the paths of every page.
func allPages(ctx context.Context, set settings, messages []string) ([]string, error) {
	paths := []string{"/docs/", "/docs/webhooks", "/docs/versioning", "/problems", "/dev/inbox"}
	index, err := ask(ctx, set, http.MethodGet, "/problems", nil)
	if err != nil {
		return nil, err
	}
	for _, link := range regexp.MustCompile(`href="(/problems/[a-z-]+)"`).FindAllSubmatch(index, -1) {
		paths = append(paths, string(link[1]))
	}
	for _, id := range messages {
		page, err := ask(ctx, set, http.MethodGet, "/dev/inbox/"+id, nil)
		if err != nil {
			return nil, err
		}
		for _, link := range regexp.MustCompile(`href="(/dev/inbox/[^"?]+\?view=[a-z]+)"`).FindAllSubmatch(page, -1) {
			paths = append(paths, string(link[1]))
		}
	}
	return paths, nil
}

// ask sends a request with the key and returns the answer's body.
func ask(ctx context.Context, set settings, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, set.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+set.key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %d %s %w", method, path, answer.StatusCode, content, err)
	}
	return content, nil
}
