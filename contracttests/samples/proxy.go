package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
)

const (
	// exampleDomain is the domain of the document's examples, verifiedDomain the one that `mailstack dev` has verified.
	exampleDomain  = "yourdomain.com"
	verifiedDomain = "mail.test"
)

// proxy passes the requests of samples on, with resources that exist.
type proxy struct {
	url, key   string
	operations []*operation
	client     *http.Client
	// message is the id of a message, which cannot be removed and serves all.
	message string

	mutex     sync.Mutex
	made      int
	succeeded map[string]bool
	faults    []error
}

// prepare sends the message that samples read.
func (p *proxy) prepare(ctx context.Context) error {
	var queued struct {
		ID string `json:"id"`
	}
	err := p.call(ctx, http.MethodPost, "/v1/emails", map[string]any{
		"from": "hello@" + verifiedDomain, "to": "user@example.com", "subject": "Welcome", "text": "Hi",
	}, &queued)
	p.message, p.succeeded = queued.ID, map[string]bool{}
	return err
}

// take returns the operations that succeeded since it was last called, and what went wrong.
func (p *proxy) take() (succeeded map[string]bool, faults []error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	succeeded, faults = p.succeeded, p.faults
	p.succeeded, p.faults = map[string]bool{}, nil
	return succeeded, faults
}

// ServeHTTP serves one request at a time.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if err := p.serve(w, r); err != nil {
		p.faults = append(p.faults, fmt.Errorf("%s %s: %w", r.Method, r.URL, err))
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request) error {
	i := slices.IndexFunc(p.operations, func(op *operation) bool { return op.method == r.Method && op.asked() == r.URL.EscapedPath() })
	if i < 0 || r.URL.RawQuery != "" {
		return fmt.Errorf("the document's examples ask for nothing like it")
	}
	op := p.operations[i]
	body, err := p.body(op, r.Body)
	if err != nil {
		return err
	}
	names, remove, err := p.furnish(r.Context(), op)
	if err != nil {
		return err
	}
	path := op.path
	for name, value := range names {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header = r.Header.Clone()
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("pass the request on: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !slices.Contains(op.statuses, response.StatusCode) {
		p.faults = append(p.faults, fmt.Errorf("%s: %d %s", op.id, response.StatusCode, text))
	} else if p.succeeded[op.id] {
		p.faults = append(p.faults, fmt.Errorf("%s: asked for more than once", op.id))
	} else {
		p.succeeded[op.id] = true
	}
	remove(op, text)
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	_, err = w.Write(text)
	return err //nolint:wrapcheck // the sample has gone
}

// body returns the body of a request with names that are new. It has to be an example of the document.
func (p *proxy) body(op *operation, from io.Reader) ([]byte, error) {
	given, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(op.bodies) == 0 {
		if len(given) > 0 {
			return nil, fmt.Errorf("the body %s is not in the document", given)
		}
		return nil, nil
	}
	var value any
	if err := json.Unmarshal(given, &value); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if !slices.ContainsFunc(op.bodies, func(shown any) bool { return reflect.DeepEqual(shown, value) }) {
		return nil, fmt.Errorf("the body %s is no example of the document", given)
	}
	if members, isObject := value.(map[string]any); isObject {
		if _, named := members["name"]; named {
			members["name"] = p.name()
		}
		if _, named := members["domain"]; named {
			members["domain"] = p.name() + ".test"
		}
	}
	written, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write the body: %w", err)
	}
	return bytes.ReplaceAll(written, []byte("@"+exampleDomain), []byte("@"+verifiedDomain)), nil
}

// name returns a name that is new.
func (p *proxy) name() string {
	p.made++
	return fmt.Sprintf("sample-%d", p.made)
}

// furnish makes what the path of an operation names. Remove removes it, and what the operation made, where there are limits.
func (p *proxy) furnish(ctx context.Context, op *operation) (names map[string]string, remove func(*operation, []byte), err error) {
	_, below, _ := strings.Cut(op.path, "/v1/")
	collection, _, _ := strings.Cut(below, "/")
	id := ""
	if len(op.examples) > 0 {
		if id, err = p.create(ctx, collection); err != nil {
			return nil, nil, err
		}
	}
	names = map[string]string{"id": id, "address": id, "version": "1"}
	if strings.Contains(op.path, "{deliveryId}") {
		var delivery struct {
			ID string `json:"id"`
		}
		err = p.call(ctx, http.MethodPost, "/v1/webhooks/"+id+"/test", nil, &delivery)
		names["deliveryId"] = delivery.ID
	}
	return names, func(op *operation, answer []byte) { p.remove(ctx, collection, id, op, answer) }, err
}

func (p *proxy) create(ctx context.Context, collection string) (string, error) {
	if collection == "emails" {
		return p.message, nil
	}
	if collection == "suppressions" {
		address := p.name() + "@example.com"
		return address, p.call(ctx, http.MethodPost, "/v1/suppressions", map[string]any{"addresses": []string{address}}, nil)
	}
	body := map[string]map[string]any{
		"domains":   {"domain": p.name() + ".test"},
		"api-keys":  {"name": p.name(), "scopes": []string{"emails:send"}},
		"webhooks":  {"url": "https://hooks." + verifiedDomain + "/events", "events": []string{"email.bounced"}},
		"templates": {"name": p.name(), "subject": "Welcome", "html": "<p>Hi {{name}}</p>", "text": "Hi {{name}}"},
	}[collection]
	var made struct {
		ID  string `json:"id"`
		Key struct {
			ID string `json:"id"`
		} `json:"key"`
	}
	err := p.call(ctx, http.MethodPost, "/v1/"+collection, body, &made)
	return made.ID + made.Key.ID, err
}

// remove removes a webhook that was made: an organization may have 20.
func (p *proxy) remove(ctx context.Context, collection, id string, op *operation, answer []byte) {
	if collection != "webhooks" || op.method == http.MethodDelete {
		return
	}
	var made struct {
		ID string `json:"id"`
	}
	if id == "" && op.method == http.MethodPost && json.Unmarshal(answer, &made) == nil {
		id = made.ID
	}
	if id == "" {
		return
	}
	if err := p.call(ctx, http.MethodDelete, "/v1/webhooks/"+id, nil, nil); err != nil {
		p.faults = append(p.faults, err)
	}
}

// call makes a request of this program's own.
func (p *proxy) call(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		written, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write a body: %w", err)
		}
		sent = bytes.NewReader(written)
	}
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, sent)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+p.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	return nil
}
