package webhook

import (
	"encoding/base64"
	"fmt"
	"io"

	"github.com/google/uuid"
)

const (
	// keyBytes is the length of a signing key; Standard Webhooks requires 24 to 64.
	keyBytes     = 32
	secretPrefix = "whsec_"
)

// SigningKey signs deliveries.
type SigningKey []byte

// NewSigningKey returns a new signing key.
func NewSigningKey(random io.Reader) (SigningKey, error) {
	key := make(SigningKey, keyBytes)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return key, nil
}

// Reveal returns the key in the form in which its owner sees it, once.
func (k SigningKey) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(k) }

// String returns a masked key, to keep the key out of logs.
func (k SigningKey) String() string { return secretPrefix + "••••" }

// SecretAAD returns the additional data that binds a sealed key to its webhook.
func SecretAAD(webhookID uuid.UUID) []byte {
	return []byte("signing key of webhook " + webhookID.String())
}
