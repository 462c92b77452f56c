package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
)

const (
	topicARN   = "arn:aws:sns:us-east-1:000000000000:mailstack"
	eventsPath = "/internal/ses/events"
	// tries bounds the attempts of a post; together they take longer than a process takes to start again.
	tries     = 60
	firstWait = 50 * time.Millisecond
	lastWait  = time.Second
)

// topic is a simulated Amazon SNS with one topic.
type topic struct {
	signer *harness.Signer
	// certificate is served at the signer's URL.
	certificate []byte
	client      *http.Client
}

func newTopic() (*topic, error) {
	signer, err := harness.NewSigner(topicARN)
	if err != nil {
		return nil, err
	}
	certificate, err := harness.Certify(signer.Key)
	if err != nil {
		return nil, err
	}
	return &topic{
		signer: signer, certificate: certificate,
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: posters}},
	}, nil
}

func (t *topic) sign(n *notification) ([]byte, error) {
	return t.signer.Sign(n.id, n.event, time.Now())
}

// deliver posts the notification until one of the processes accepts it.
func (t *topic) deliver(ctx context.Context, p post, servers []*server) error {
	body, err := p.what.signed()
	if err != nil {
		return err
	}
	wait := firstWait
	for try := range tries {
		status, failure := t.try(ctx, servers[(p.first+try)%len(servers)].url()+eventsPath, body)
		switch {
		case failure == nil && status == http.StatusOK:
			return nil
		case failure == nil && status < http.StatusInternalServerError:
			return fmt.Errorf("a notification was refused with %d", status)
		}
		if err := backoff.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, lastWait)
	}
	return errors.New("a notification was not accepted in time")
}

func (t *topic) try(ctx context.Context, url string, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	response, err := t.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
