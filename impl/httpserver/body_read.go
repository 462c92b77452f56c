package httpserver

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
)

// BodyPace is how fast a body must arrive. Its zero value means the defaults.
type BodyPace struct {
	// Grace is the time until progress is asked for. Zero means 5 seconds.
	Grace time.Duration
	// BytesPerSecond is the least average rate after the grace. Zero means 4 KiB.
	BytesPerSecond int64
	// Timeout bounds the whole arrival. Zero means 60 seconds: enough for the largest body over a slow connection.
	Timeout time.Duration
}

const (
	defaultBodyGrace   = 5 * time.Second
	defaultBodyRate    = 4 << 10
	defaultBodyTimeout = time.Minute
	// firstRead is the size of the buffer for a body that is not smaller. It doubles as the body arrives: a length that is
	// only declared takes no memory.
	firstRead = 16 << 10
)

func (pace BodyPace) orDefaults() BodyPace {
	if pace.Grace <= 0 {
		pace.Grace = defaultBodyGrace
	}
	if pace.BytesPerSecond <= 0 {
		pace.BytesPerSecond = defaultBodyRate
	}
	if pace.Timeout <= 0 {
		pace.Timeout = defaultBodyTimeout
	}
	return pace
}

// deadline returns until when the next byte must arrive, given how many have.
func (pace BodyPace) deadline(began time.Time, received int) time.Time {
	earned := time.Duration(received) * time.Second / time.Duration(pace.BytesPerSecond)
	return began.Add(min(pace.Grace+earned, pace.Timeout))
}

// errBodyTooLarge is returned for a body beyond its limit.
var errBodyTooLarge = errors.New("the body is too large")

// readBody reads the body of a request of at most limit bytes. Its buffer counts against the reservation as it grows. A body
// that falls behind the pace is a 408 problem, one that ends early a 400 problem.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, reservation *bodyReservation, pace BodyPace) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errBodyTooLarge
	}
	// One byte more than the limit shows that a body of unknown length is too large.
	most := limit + 1
	if r.ContentLength >= 0 {
		most = r.ContentLength
	}
	control, began := http.NewResponseController(w), time.Now()
	var raw []byte
	for int64(len(raw)) < most {
		if len(raw) == cap(raw) {
			var err error
			if raw, err = enlarge(raw, most, reservation); err != nil {
				return nil, err
			}
		}
		// A writer without deadlines is one without a connection.
		_ = control.SetReadDeadline(pace.deadline(began, len(raw)))
		n, err := r.Body.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		switch {
		case errors.Is(err, io.EOF) && (r.ContentLength < 0 || int64(len(raw)) == most):
			most = int64(len(raw))
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &problem.Problem{
				Code: api.ProblemCodeRequestTimeout, Detail: "The body made too little progress; send it without pauses.",
			}
		case err != nil:
			return nil, &problem.Problem{Code: api.ProblemCodeMalformedJSON, Detail: "The body ended before it was complete."}
		}
	}
	if int64(len(raw)) > limit {
		return nil, errBodyTooLarge
	}
	// The server reads the connection while the handler works, to notice that the client has gone: a deadline that stayed
	// would end the request. After an error it stays, for what the server discards of the body.
	_ = control.SetReadDeadline(time.Time{})
	return raw, nil
}

// enlarge doubles the buffer, to at most most bytes.
func enlarge(raw []byte, most int64, reservation *bodyReservation) ([]byte, error) {
	size := min(max(2*int64(cap(raw)), firstRead), most)
	if err := reservation.grow(size - int64(cap(raw))); err != nil {
		return nil, unread(err)
	}
	larger := make([]byte, len(raw), size)
	copy(larger, raw)
	return larger, nil
}

// unread marks the problem of a request whose body has not been read to its end.
func unread(err error) error {
	if known, found := errors.AsType[*problem.Problem](err); found {
		known.BodyUnread = true
	}
	return err
}

// BodyBudget is a separate budget for a route outside the spec, so that strangers who post to it take no memory from API
// callers. Each address has its share.
type BodyBudget struct {
	budget *bodyBudget
	pace   BodyPace
}

// NewBodyBudget returns a budget of limit bytes, whose bodies must keep the pace.
func NewBodyBudget(limit int64, pace BodyPace) *BodyBudget {
	return &BodyBudget{newBodyBudget(limit), pace.orDefaults()}
}

// Read reads the body of a request, of at most limit bytes; release gives them back. It returns a problem if the body is too
// large, too slow or incomplete, or if the budget is full.
func (b *BodyBudget) Read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	reservation, err := b.budget.open(auth.HostOf(r.RemoteAddr), min(r.ContentLength, limit))
	if err != nil {
		return nil, nil, err
	}
	body, err = readBody(w, r, limit, reservation, b.pace)
	if err != nil {
		reservation.release()
		return nil, nil, err
	}
	return body, reservation.release, nil
}

// IsBodyTooLarge reports whether err of Read means that the body is beyond its limit.
func IsBodyTooLarge(err error) bool { return errors.Is(err, errBodyTooLarge) }

// InFlight returns how many bytes the bodies of requests in flight take up.
func (b *BodyBudget) InFlight() int64 { return b.budget.inFlight() }
