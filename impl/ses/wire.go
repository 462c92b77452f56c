package ses

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxResponseBytes bounds what is read of an answer. The largest that we ask for is a few kilobytes.
const maxResponseBytes = 1 << 20

// wireProgress is how far the latest HTTP request of one call got. The HTTP client reports it from
// goroutines of its own.
type wireProgress struct {
	started  atomic.Bool // a request was handed to the HTTP client
	writing  atomic.Bool // its headers were written
	unsent   atomic.Bool // writing it failed, so that it never was whole
	answered atomic.Bool // headers of an answer came back
}

// maybeSent reports whether SES may hold the whole request. A request whose writing began, and of
// which no failure to write was reported, counts as sent: an answer can be overtaken by our deadline.
func (a *wireProgress) maybeSent() bool {
	return a.answered.Load() || (a.writing.Load() && !a.unsent.Load())
}

func (a *wireProgress) reset() {
	a.started.Store(true)
	a.writing.Store(false)
	a.unsent.Store(false)
	a.answered.Store(false)
}

type wireProgressKey struct{}

// trackWire returns a context whose calls to SES are followed by the returned attempt.
func trackWire(ctx context.Context) (context.Context, *wireProgress) {
	a := &wireProgress{}
	return context.WithValue(ctx, wireProgressKey{}, a), a
}

// transport is the HTTP client of the SES calls alone: credential look-ups go through others, and
// must not be mistaken for a request that reached SES.
type transport struct{ next aws.HTTPClient }

func (t *transport) Do(req *http.Request) (*http.Response, error) {
	a, ok := req.Context().Value(wireProgressKey{}).(*wireProgress)
	if ok {
		a.reset()
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), a.trace()))
	}
	resp, err := t.next.Do(req)
	if err != nil {
		return nil, err // unwrapped: the SDK looks for the HTTP client's own errors
	}
	if ok {
		a.answered.Store(true)
	}
	resp.Body = limitedBody{Reader: io.LimitReader(resp.Body, maxResponseBytes), Closer: resp.Body}
	return resp, nil
}

func (a *wireProgress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// The HTTP client itself repeats a request of which nothing was written; each try begins
		// by asking for a connection.
		GetConn:      func(string) { a.reset() },
		WroteHeaders: func() { a.writing.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { a.unsent.Store(info.Err != nil) },
	}
}

type limitedBody struct {
	io.Reader
	io.Closer
}
