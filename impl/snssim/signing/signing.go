// Package signing signs messages as Amazon SNS does.
package signing

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SNS signature version 1 is defined with SHA-1
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const certificateAge = 10 * 365 * 24 * time.Hour

// The types of messages.
const (
	TypeNotification = "Notification"
	TypeSubscription = "SubscriptionConfirmation"
)

// Message is an SNS message as subscribers get it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
type Message struct {
	Type             string
	MessageId        string
	Token            string `json:",omitempty"`
	TopicArn         string
	Message          string
	SubscribeURL     string `json:",omitempty"`
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	UnsubscribeURL   string `json:",omitempty"`
}

// Signer holds the signing key of all topics.
type Signer struct {
	key         *rsa.PrivateKey
	Certificate []byte
	// Path is where the certificate is served. As with SNS, each certificate has its own path: a restarted
	// simulator has another key, and a verifier that cached the old certificate must not use it for the new one.
	Path string
}

// New returns a signer with a key of that many bits, and a certificate of its own. SNS has 2048.
func New(now time.Time, bits int) (*Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("make the key of the simulated SNS: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateAge),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the simulated SNS: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Signer{
		key: key, Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Path: "/SimpleNotificationService-" + hex.EncodeToString(sum[:16]) + ".pem",
	}, nil
}

// Sign signs what SNS signs: the fields in the order of their names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
func (s *Signer) Sign(m *Message) error {
	parts := []string{"Message", m.Message, "MessageId", m.MessageId}
	if m.Type != TypeNotification {
		parts = append(parts, "SubscribeURL", m.SubscribeURL)
	}
	parts = append(parts, "Timestamp", m.Timestamp)
	if m.Type != TypeNotification {
		parts = append(parts, "Token", m.Token)
	}
	parts = append(parts, "TopicArn", m.TopicArn, "Type", m.Type, "")
	text := []byte(strings.Join(parts, "\n"))
	first, second := sha1.Sum(text), sha256.Sum256(text)
	hash, sum := crypto.SHA1, first[:]
	if m.SignatureVersion == "2" {
		hash, sum = crypto.SHA256, second[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, s.key, hash, sum)
	if err != nil {
		return fmt.Errorf("sign a message of the simulated SNS: %w", err)
	}
	m.Signature = base64.StdEncoding.EncodeToString(signature)
	return nil
}
