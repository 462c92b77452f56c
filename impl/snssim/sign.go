package snssim

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
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"time"
)

const certificateAge = 10 * 365 * 24 * time.Hour

const (
	typeNotification = "Notification"
	typeSubscription = "SubscriptionConfirmation"
)

// message is an SNS message as subscribers get it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
type message struct {
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

// signer holds the signing key of all topics.
type signer struct {
	key         *rsa.PrivateKey
	certificate []byte
	// path is where the certificate is served. As with SNS, each certificate has its own path: a restarted
	// simulator has another key, and a verifier that cached the old certificate must not use it for the new one.
	path string
}

func newSigner(now time.Time) (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
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
	return &signer{
		key: key, certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		path: "/SimpleNotificationService-" + hex.EncodeToString(sum[:16]) + ".pem",
	}, nil
}

// sign signs what SNS signs: the fields in the order of their names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
func (s *signer) sign(m *message) error {
	parts := []string{"Message", m.Message, "MessageId", m.MessageId}
	if m.Type != typeNotification {
		parts = append(parts, "SubscribeURL", m.SubscribeURL)
	}
	parts = append(parts, "Timestamp", m.Timestamp)
	if m.Type != typeNotification {
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

func (s *Simulator) serveCertificate(w http.ResponseWriter, r *http.Request) {
	keys, err := s.keys()
	if err != nil {
		s.config.Log.Error("serve the certificate", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if r.URL.Path != keys.path {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	if _, err := w.Write(keys.certificate); err != nil {
		s.config.Log.Debug("write the certificate", slog.Any("error", err))
	}
}
