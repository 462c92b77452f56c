package sns

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxCertificate = 64 << 10
	// maxCachedKeys bounds the cached certificates; SNS uses one per region at a time.
	maxCachedKeys = 32
	// certificateTTL is how long a fetched certificate is cached.
	certificateTTL = 24 * time.Hour
	// negativeTTL is how long a failure to fetch a certificate is cached.
	negativeTTL = 5 * time.Second
)

// cachedKey is the public key of a certificate.
type cachedKey struct {
	key     *rsa.PublicKey
	expires time.Time
}

// key returns the public key of the certificate at a URL of SNS. At most one is fetched at a time.
func (v *Verifier) key(ctx context.Context, topic, raw string) (*rsa.PublicKey, error) {
	target, err := v.trusted(topic, raw)
	if err != nil {
		return nil, err
	}
	if target.RawQuery != "" || target.ForceQuery || !v.certificate.MatchString(target.EscapedPath()) {
		return nil, forged("the URL of its certificate is not one of SNS")
	}
	address := target.String()
	if key, err := v.cached(address); key != nil || err != nil {
		return key, err
	}
	select {
	case v.fetch <- struct{}{}:
		defer func() { <-v.fetch }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if key, err := v.cached(address); key != nil || err != nil {
		return key, err
	}
	found, err := v.download(ctx, topic, address)
	v.cache(address, found, err)
	return found.key, err
}

// cached returns the key of a cached certificate, or an error if fetching it failed within negativeTTL.
func (v *Verifier) cached(address string) (*rsa.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.config.Now()
	if found, ok := v.known[address]; ok && now.Before(found.expires) {
		return found.key, nil
	}
	if until, ok := v.failed[address]; ok && now.Before(until) {
		return nil, fmt.Errorf("%w: the certificate could not be fetched a moment ago", ErrUnavailable)
	}
	return nil, nil
}

func (v *Verifier) cache(address string, found cachedKey, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxCachedKeys {
		clear(v.known)
	}
	if len(v.failed) >= maxCachedKeys {
		clear(v.failed)
	}
	delete(v.failed, address)
	switch {
	case err == nil:
		v.known[address] = found
	case errors.Is(err, ErrUnavailable):
		v.failed[address] = v.config.Now().Add(negativeTTL)
	}
}

func (v *Verifier) download(ctx context.Context, topic, address string) (cachedKey, error) {
	body, err := v.get(ctx, address, maxCertificate)
	if err != nil {
		return cachedKey{}, fmt.Errorf("%w: fetch the certificate: %w", ErrUnavailable, err)
	}
	block, _ := pem.Decode(body)
	if block == nil || block.Type != "CERTIFICATE" {
		return cachedKey{}, forged("its certificate is none")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return cachedKey{}, forged("its certificate cannot be read")
	}
	now := v.config.Now()
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return cachedKey{}, forged("its certificate is not valid at this time")
	}
	// The simulator's certificates are its own; plain HTTP is for it alone.
	if strings.HasPrefix(address, "https:") {
		if err := v.checkChain(ctx, topic, certificate); err != nil {
			return cachedKey{}, err
		}
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return cachedKey{}, forged("its certificate has no RSA key")
	}
	expires := now.Add(certificateTTL)
	if certificate.NotAfter.Before(expires) {
		expires = certificate.NotAfter
	}
	return cachedKey{key: key, expires: expires}, nil
}

// Confirm confirms a subscription by fetching the message's SubscribeURL. The message must have passed Verify.
func (v *Verifier) Confirm(ctx context.Context, message Message) error {
	target, err := v.trusted(message.TopicArn, message.SubscribeURL)
	if err != nil {
		return err
	}
	if _, err := v.get(ctx, target.String(), maxCertificate); err != nil {
		return fmt.Errorf("%w: confirm the subscription: %w", ErrUnavailable, err)
	}
	v.config.Log.InfoContext(ctx, "SNS subscription confirmed", "topic", message.TopicArn)
	return nil
}

// get fetches a response body of at most limit bytes.
func (v *Verifier) get(ctx context.Context, address string, limit int64) (body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask SNS: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("SNS answers %d", response.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read what SNS answers: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, errors.New("SNS answers too much")
	}
	return body, nil
}
