// Package domains registers, reads, verifies and removes the sending domains of an organization.
package domains

import (
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/httpserver"
)

// Operations are the operations on domains.
type Operations struct {
	Domains *domain.Service
	HTTP    *httpserver.Server
}
