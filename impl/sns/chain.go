package sns

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxIssuers is the maximum number of intermediate certificates that are fetched.
const maxIssuers = 4

// checkChain makes sure that a certificate was issued to SNS by an authority that we trust, as AWS asks of those who verify
// signatures. SNS serves its certificate alone; the address of its issuer is in it (RFC 5280, 4.2.2.1).
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
func (v *Verifier) checkChain(ctx context.Context, topic string, certificate *x509.Certificate) error {
	wanted := certificateNames(topic)
	if !slices.ContainsFunc(namesOf(certificate), func(name string) bool { return slices.Contains(wanted, name) }) {
		return forged("its certificate was not issued to SNS in the region of the topic")
	}
	options := x509.VerifyOptions{
		Roots: v.config.Roots, Intermediates: x509.NewCertPool(), CurrentTime: v.config.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	last := certificate
	for range maxIssuers {
		_, err := certificate.Verify(options)
		if err == nil {
			return nil
		}
		var unknown x509.UnknownAuthorityError
		if !errors.As(err, &unknown) {
			return forged("the chain of its certificate is not valid")
		}
		if last, err = v.issuer(ctx, last); err != nil {
			return err
		}
		if last == nil {
			break
		}
		options.Intermediates.AddCert(last)
	}
	return forged("its certificate was not issued by an authority that is trusted")
}

// namesOf are the DNS names of a certificate, and without any the name of its subject.
func namesOf(certificate *x509.Certificate) []string {
	if len(certificate.DNSNames) > 0 {
		return certificate.DNSNames
	}
	return []string{certificate.Subject.CommonName}
}

// issuer fetches the certificate of the issuer from Amazon's authority, and returns nil where another place is named. What
// is fetched over plain HTTP proves itself: it counts only as a link to a root.
func (v *Verifier) issuer(ctx context.Context, certificate *x509.Certificate) (*x509.Certificate, error) {
	for _, address := range certificate.IssuingCertificateURL {
		target, err := url.Parse(address)
		if err != nil || target.Port() != "" || target.User != nil ||
			!strings.HasSuffix(target.Host, ".amazontrust.com") || target.Scheme != "http" && target.Scheme != "https" {
			continue
		}
		body, err := v.get(ctx, address, maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("%w: fetch the issuer of the certificate: %w", ErrUnavailable, err)
		}
		if block, _ := pem.Decode(body); block != nil {
			body = block.Bytes
		}
		found, err := x509.ParseCertificate(body)
		if err != nil {
			return nil, forged("the issuer of its certificate cannot be read")
		}
		return found, nil
	}
	return nil, nil //nolint:nilnil // there is none to fetch
}
