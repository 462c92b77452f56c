package harness

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Signer signs notifications as Amazon SNS does.
type Signer struct {
	Key *rsa.PrivateKey
	// Topic is the ARN of the topic, CertificateURL where the certificate of the key is served.
	Topic, CertificateURL string
}

// NewSigner returns a signer with a new key.
func NewSigner(topic string) (*Signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the key of the simulated SNS: %w", err)
	}
	return &Signer{Key: key, Topic: topic}, nil
}

// Sign returns a signed notification with a message. It signs as signature version 2 demands: over names and values, in the
// order of the names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
func (s *Signer) Sign(id, message string, now time.Time) ([]byte, error) {
	at := now.UTC().Format("2006-01-02T15:04:05.000Z")
	text := strings.Join([]string{
		"Message", message, "MessageId", id, "Timestamp", at, "TopicArn", s.Topic, "Type", "Notification", "",
	}, "\n")
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, s.Key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign a notification: %w", err)
	}
	body, err := json.Marshal(map[string]string{
		"Type": "Notification", "MessageId": id, "TopicArn": s.Topic, "Message": message, "Timestamp": at,
		"SignatureVersion": "2", "Signature": base64.StdEncoding.EncodeToString(signature), "SigningCertURL": s.CertificateURL,
		"UnsubscribeURL": s.CertificateURL,
	})
	if err != nil {
		return nil, fmt.Errorf("write a notification: %w", err)
	}
	return body, nil
}

// Certify returns a self-signed certificate for 127.0.0.1.
func Certify(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "harness"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
