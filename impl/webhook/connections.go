package webhook

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// maxIdlePerHost is as many as an organization whose endpoints share a host has deliveries in flight at most.
	maxIdlePerHost = 256
	maxIdle        = 1024
	// maxIdleTime is shorter than servers usually keep a connection.
	maxIdleTime = 15 * time.Second
	// maxAge is how long connections are kept. A change in the DNS takes effect within it.
	maxAge = time.Minute
)

// connections keeps connections to endpoints for later attempts, for at most a minute: a new TLS connection costs several
// times as much as the request. The address is checked whenever one is made, so that a kept one leads to an allowed address.
type connections struct {
	config Config

	mutex sync.Mutex
	made  time.Time
	// transports are keyed by scheme, which decides the allowed addresses.
	transports map[string]*http.Transport
}

// transport returns the transport for a scheme, http or https.
func (c *connections) transport(scheme string) *http.Transport {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := c.config.Now(); c.transports == nil || now.Sub(c.made).Abs() >= maxAge {
		for _, old := range c.transports {
			old.CloseIdleConnections() // those in use are closed after their attempt
		}
		c.made, c.transports = now, map[string]*http.Transport{"http": c.newTransport("http"), "https": c.newTransport("https")}
	}
	return c.transports[scheme]
}

// newTransport uses no proxy, which would connect in our place, and accepts no compressed response, which could be
// larger than it looks.
func (c *connections) newTransport(scheme string) *http.Transport {
	dialer := &net.Dialer{
		Resolver: c.config.Resolver,
		// Control is called with the resolved address of every connection: nothing can change it in between.
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !c.config.Policy.allows(scheme, to.Addr()) {
				return errForbidden
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.config.Roots},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        maxIdleTime,
	}
}
