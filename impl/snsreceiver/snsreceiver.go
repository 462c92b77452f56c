// Package snsreceiver serves the route to which Amazon SNS posts the events of SES. It is the alternative to
// package sqsconsumer for installations with a public URL.
package snsreceiver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/notifications"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/store"
)

// Config holds the parts of a [Receiver]. All fields are required.
type Config struct {
	// Path of the route, such as /internal/ses/events.
	Path string
	// Verifier checks that messages are genuine.
	Verifier *sns.Verifier
	Store    *store.Store
	Now      func() time.Time
	Log      *slog.Logger
}

// Receiver stores the notifications that are posted to its route.
type Receiver struct {
	config   Config
	bodies   *httpserver.BodyBudget
	inserter *notifications.Inserter
}

// New returns a Receiver.
func New(config Config) *Receiver {
	return &Receiver{
		config:   config,
		bodies:   httpserver.NewBodyBudget(bodyBudget, httpserver.BodyPace{Timeout: bodyTimeout}),
		inserter: notifications.NewInserter(config.Store, config.Now),
	}
}

// Routes returns the routes that SNS posts to.
func (receiver *Receiver) Routes() []httpserver.Route {
	return []httpserver.Route{{
		Method: http.MethodPost, Path: receiver.config.Path, Handle: receiver.receive, Operation: "receiveNotification",
	}}
}

// BodyBytesInFlight returns how many bytes are set aside for the bodies of notifications.
func (receiver *Receiver) BodyBytesInFlight() int64 { return receiver.bodies.InFlight() }

// bodyBudget limits the memory for the bodies of notifications, apart from the bodies of API requests: any
// stranger who knows the route can fill it, and bodyTimeout bounds for how long. SNS posts again.
const (
	bodyBudget  = 16 << 20
	bodyTimeout = 10 * time.Second
)

func (receiver *Receiver) log(w http.ResponseWriter, r *http.Request) *slog.Logger {
	return receiver.config.Log.With(slog.String("requestId", w.Header().Get(httpserver.RequestIDHeader)),
		slog.String("method", r.Method), slog.String("route", receiver.config.Path))
}

// receive handles what SNS posts, as text/plain. It stores a genuine notification, together with others that come at the
// same time, before it responds, because SNS gives up after a few attempts within a minute. A repetition gets the same
// response and changes nothing.
func (receiver *Receiver) receive(w http.ResponseWriter, request *http.Request) error {
	body, release, err := receiver.bodies.Read(w, request, sns.MaxBytes)
	if httpserver.IsBodyTooLarge(err) {
		return &problem.Problem{Code: api.ProblemCodePayloadTooLarge, Detail: "A notification has at most 512 KiB."}
	}
	if err != nil {
		return err
	}
	defer release()
	verifier := receiver.config.Verifier
	message, err := verifier.Verify(request.Context(), body)
	if err != nil {
		return receiver.refuse(w, request, message, err)
	}
	switch message.Type {
	case sns.TypeNotification:
		return receiver.store(w, request, message)
	case sns.TypeSubscriptionConfirmation:
		if err := verifier.Confirm(request.Context(), message); err != nil {
			return receiver.refuse(w, request, message, err)
		}
	default:
		receiver.log(w, request).WarnContext(request.Context(), "SNS subscription ended; no more events will come from this topic",
			slog.String("topic", message.TopicArn))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (receiver *Receiver) store(w http.ResponseWriter, request *http.Request, message sns.Message) error {
	one := notifications.Notification{ID: message.MessageId, Body: message.Message}
	if err := receiver.inserter.Insert(request.Context(), one); err != nil {
		return fmt.Errorf("store a notification: %w", err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// refuse returns why a message is refused, and logs it for the operator who sets up a topic. Of an unverified
// message it logs only the topic, and only if it looks like one.
func (receiver *Receiver) refuse(w http.ResponseWriter, r *http.Request, message sns.Message, err error) error {
	receiver.log(w, r).WarnContext(r.Context(), "SNS message refused",
		slog.String("topic", sns.LoggableTopicARN(message.TopicArn)), slog.String("error", err.Error()))
	if errors.Is(err, sns.ErrUnavailable) {
		return problem.Unavailable("Amazon SNS is not available; try again after the given time.")
	}
	return &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate("The notification is refused: " + err.Error() + ".")}
}
