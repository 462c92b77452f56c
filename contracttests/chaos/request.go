package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

const batchOf = 10

// request is repeated byte for byte until it has a final response.
type request struct {
	organization *organization
	path, key    string
	body         []byte
	messages     int
}

type email struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Cc      string `json:"cc,omitempty"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// newRequest makes a request with a single message or a batch. The subject is the key and the position, so that the
// database shows which key each message came from. Some messages have two recipients, but none of an organization
// that must reach its limit exactly.
func newRequest(from *organization, key string, number int) (request, error) {
	made := request{organization: from, key: key, path: "/v1/emails", messages: 1}
	if number%20 == 7 {
		made.path, made.messages = "/v1/emails/batch", batchOf
	}
	items := make([]email, made.messages)
	for i := range items {
		items[i] = email{
			From: "hello@" + from.Domain, To: "you+" + key + "." + strconv.Itoa(i) + "@example.com",
			Subject: key + " " + strconv.Itoa(i), Text: "Is everything still here?",
		}
		if from.limit == 0 && number%10 == 3 {
			items[i].Cc = "others@example.com"
		}
	}
	var err error
	if made.messages == 1 {
		made.body, err = json.Marshal(items[0])
	} else {
		made.body, err = json.Marshal(map[string]any{"emails": items})
	}
	return made, err
}

// answer is the response to a request.
type answer struct {
	status     int
	retryAfter string
	said       []byte
	// ids are the ids of the accepted messages.
	ids      []string
	rejected int
}

func (r request) send(ctx context.Context, client *http.Client, url string) (got answer, err error) {
	made, err := http.NewRequestWithContext(ctx, http.MethodPost, url+r.path, bytes.NewReader(r.body))
	if err != nil {
		return got, fmt.Errorf("make a request: %w", err)
	}
	made.Header.Set("Content-Type", "application/json")
	made.Header.Set("Authorization", "Bearer "+r.organization.Key)
	made.Header.Set("Idempotency-Key", r.key)
	response, err := client.Do(made)
	if err != nil {
		return got, fmt.Errorf("send: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	got.status, got.retryAfter = response.StatusCode, response.Header.Get("Retry-After")
	if got.said, err = io.ReadAll(response.Body); err != nil {
		return got, fmt.Errorf("read the response: %w", err)
	}
	if got.status != http.StatusAccepted {
		return got, nil
	}
	var told struct {
		ID      string `json:"id"`
		Results []struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		} `json:"results"`
	}
	if err := json.Unmarshal(got.said, &told); err != nil {
		return got, fmt.Errorf("read the response: %w", err)
	}
	if r.messages == 1 {
		got.ids = []string{told.ID}
		return got, nil
	}
	for _, result := range told.Results {
		if result.Status == "queued" {
			got.ids = append(got.ids, result.ID)
		} else {
			got.rejected++
		}
	}
	return got, nil
}
