package webhook

import (
	"encoding/base64"
	"fmt"
	"io"

	"github.com/google/uuid"
)

const (
	// keyBytes is the length of a signing key; Standard Webhooks asks for 24 to 64.
	keyBytes     = 32
	secretPrefix = "whsec_"
)

// Key signs deliveries.
type Key []byte

// NewKey makes a signing key.
func NewKey(random io.Reader) (Key, error) {
	key := make(Key, keyBytes)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return key, nil
}

// Reveal writes the key as its owner is shown it, once.
func (k Key) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(k) }

// String keeps a key out of logs.
func (k Key) String() string { return secretPrefix + "••••" }

// Purpose binds a sealed key to its webhook.
func Purpose(webhookID uuid.UUID) []byte {
	return []byte("signing key of webhook " + webhookID.String())
}
