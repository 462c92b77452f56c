package ses

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxResponseBytes bounds how much of a response is read. The largest expected response is a few kilobytes.
const maxResponseBytes = 1 << 20

// wireProgress is how far the latest HTTP request of one call got. The HTTP client updates it from its own
// goroutines.
type wireProgress struct {
	started  atomic.Bool // a request was handed to the HTTP client
	writing  atomic.Bool // its headers were written
	unsent   atomic.Bool // writing it failed, so SES never got all of it
	answered atomic.Bool // response headers came back
}

// maybeSent reports whether SES may have the whole request. A request counts as sent once its writing began, unless
// the HTTP client reported a failure to write: our deadline can expire before the response arrives.
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

// trackWire returns a context that records the progress of its SES calls in the returned wireProgress.
func trackWire(ctx context.Context) (context.Context, *wireProgress) {
	a := &wireProgress{}
	return context.WithValue(ctx, wireProgressKey{}, a), a
}

// transport is the HTTP client of SES calls only. Credential lookups use other clients: their requests must not
// count as requests that reached SES.
type transport struct{ next aws.HTTPClient }

func (t *transport) Do(req *http.Request) (*http.Response, error) {
	a, ok := req.Context().Value(wireProgressKey{}).(*wireProgress)
	if ok {
		a.reset()
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), a.trace()))
	}
	resp, err := t.next.Do(req)
	if err != nil {
		return nil, err // unwrapped: the SDK checks for the HTTP client's own errors
	}
	if ok {
		a.answered.Store(true)
	}
	resp.Body = limitedBody{Reader: io.LimitReader(resp.Body, maxResponseBytes), Closer: resp.Body}
	return resp, nil
}

func (a *wireProgress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// The HTTP client itself retries a request of which nothing was written. Each try begins by asking for a
		// connection.
		GetConn:      func(string) { a.reset() },
		WroteHeaders: func() { a.writing.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { a.unsent.Store(info.Err != nil) },
	}
}

type limitedBody struct {
	io.Reader
	io.Closer
}
