package sns_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/sns"
)

const issuerURL = "http://crt.r2m01.amazontrust.com/r2m01.cer"

// found makes an authority of a root and an issuer, whose certificate can be fetched.
func (a *amazon) found() {
	a.t.Helper()
	var err error
	a.rootKey, err = rsa.GenerateKey(rand.Reader, 2048)
	must(a.t, err)
	a.issuerKey, err = rsa.GenerateKey(rand.Reader, 2048)
	must(a.t, err)
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign, NotBefore: a.now.Add(-48 * time.Hour), NotAfter: a.now.Add(240 * time.Hour),
		}
	}
	sign := func(template, parent *x509.Certificate, key *rsa.PublicKey, by *rsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
		must(a.t, err)
		parsed, err := x509.ParseCertificate(der)
		must(a.t, err)
		return parsed
	}
	root := authority("Amazon Root CA 1")
	a.root = sign(root, root, &a.rootKey.PublicKey, a.rootKey)
	a.issuer = sign(authority("Amazon RSA 2048 M01"), a.root, &a.issuerKey.PublicKey, a.rootKey)
	a.serve(issuerURL, a.issuer.Raw)
}

func (a *amazon) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

func (a *amazon) certify(key any, from, to time.Time) []byte {
	return a.certifyNamed(key, from, to, "sns.amazonaws.com")
}

func (a *amazon) certifyNamed(key any, from, to time.Time, names ...string) []byte {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: from, NotAfter: to,
		IssuingCertificateURL: []string{issuerURL},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.issuer, key, a.issuerKey)
	must(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A certificate counts when it was issued to SNS for the region of the topic, by an authority that is trusted.
func TestCertificateNamesAndChains(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	from, to := a.now.Add(-time.Hour), a.now.Add(time.Hour)
	self := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, self, self, &a.key.PublicKey, a.key)
	must(t, err)
	elsewhere := &x509.Certificate{
		SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: from, NotAfter: to,
		IssuingCertificateURL: []string{"http://evil.example/ca.cer"},
	}
	stray, err := x509.CreateCertificate(rand.Reader, elsewhere, a.issuer, &a.key.PublicKey, a.issuerKey)
	must(t, err)
	for name, test := range map[string]struct {
		certificate []byte
		genuine     bool
	}{
		"all regions":       {a.certifyNamed(&a.key.PublicKey, from, to, "sns.amazonaws.com"), true},
		"region opted into": {a.certifyNamed(&a.key.PublicKey, from, to, "sns-signing.us-east-2.amazonaws.com", "sns.us-east-2.amazonaws.com"), true},
		"another region":    {a.certifyNamed(&a.key.PublicKey, from, to, "sns-signing.eu-west-1.amazonaws.com"), false},
		"another service":   {a.certifyNamed(&a.key.PublicKey, from, to, "s3.amazonaws.com"), false},
		"of its own":        {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), false},
		"issuer elsewhere":  {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stray}), false},
	} {
		address := "https://sns.us-east-2.amazonaws.com/" + strings.ReplaceAll(name, " ", "-") + ".pem"
		a.serve(address, test.certificate)
		_, err := a.verify.Verify(t.Context(), a.notification("2", set("SigningCertURL", address)))
		if (err == nil) != test.genuine || err != nil && !errors.Is(err, sns.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every partition has hosts and certificate names of its own.
func TestCertificatesOfOtherPartitions(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	for there, test := range map[string]struct{ host, name string }{
		"arn:aws-cn:sns:cn-north-1:123456789012:MyTopic":        {"sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"},
		"arn:aws-us-gov:sns:us-gov-east-1:123456789012:MyTopic": {"sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"},
		"arn:aws-eusc:sns:eusc-de-east-1:123456789012:MyTopic":  {"sns.eusc-de-east-1.amazonaws.eu", "sns-signing.eusc-de-east-1.amazonaws.eu"},
	} {
		verifier := sns.New(sns.Config{Topics: []string{there}, Transport: a, Roots: a.roots(), Now: func() time.Time { return a.now }})
		address := "https://" + test.host + "/a.pem"
		a.serve(address, a.certifyNamed(&a.key.PublicKey, a.now.Add(-time.Hour), a.now.Add(time.Hour), test.name))
		body := a.notification("2", func(members map[string]string) {
			members["TopicArn"], members["SigningCertURL"] = there, address
			members["Signature"] = a.sign("2", "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy subject\n"+
				"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n"+there+"\nType\nNotification\n")
		})
		if _, err := verifier.Verify(t.Context(), body); err != nil {
			t.Errorf("%s: %v", there, err)
		}
	}
}
