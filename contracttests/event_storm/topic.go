package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

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
	key *rsa.PrivateKey
	// certificateURL is where the certificate is served.
	certificateURL string
	certificate    []byte
	client         *http.Client
}

func newTopic() (*topic, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the key of the simulated SNS: %w", err)
	}
	certificate, err := certify(key)
	if err != nil {
		return nil, err
	}
	return &topic{
		key: key, certificate: certificate,
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: posters}},
	}, nil
}

// sign signs as SNS does with signature version 2: over names and values, in the order of the names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
func (t *topic) sign(n *notification) ([]byte, error) {
	at := stamp(time.Now())
	text := strings.Join([]string{
		"Message", n.event, "MessageId", n.id, "Timestamp", at, "TopicArn", topicARN, "Type", "Notification", "",
	}, "\n")
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, t.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign a notification: %w", err)
	}
	body, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": n.id, "TopicArn": topicARN, "Message": n.event, "Timestamp": at,
		"SignatureVersion": "2", "Signature": base64.StdEncoding.EncodeToString(signature), "SigningCertURL": t.certificateURL,
		"UnsubscribeURL": t.certificateURL,
	})
	if err != nil {
		return nil, fmt.Errorf("write a notification: %w", err)
	}
	return body, nil
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
