package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
)

// errForbidden means that the policy does not allow connecting to the address.
var errForbidden = errors.New("the address is not globally routable")

// failureText tells people why no response came. It never contains an address: what a name resolves to inside the
// operator's network must not leak to organizations.
func failureText(err error) string {
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.Is(err, errForbidden):
		return "The host has an address that is not globally routable; it was not connected to."
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "The host name does not exist."
	case errors.As(err, &lookup):
		return "The host name could not be looked up."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "The certificate has expired or is not yet valid."
	case errors.As(err, &certificate):
		return "The certificate is not valid for the host, or not signed by a known authority."
	case errors.As(err, &alert), errors.As(err, &record):
		return "No TLS connection could be made."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "No answer came in time."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The connection was refused."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "The connection was closed before an answer came."
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "The host cannot be reached."
	}
	return "No valid HTTP answer came."
}
