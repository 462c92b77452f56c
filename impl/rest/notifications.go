package rest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/sns"
)

// Notifications is where Amazon SNS posts what SES reports.
type Notifications struct {
	// Path of the route, such as /internal/ses/events.
	Path string
	// Verifier tells genuine messages from others. nil: there is no such route.
	Verifier *sns.Verifier
}

// notificationBodyBudget is what the bodies of notifications take up together, apart from those of requests with a key: whoever
// knows the route can fill it. SNS posts again.
const notificationBodyBudget = 16 << 20

// notificationRoutes is the route for SNS, if there is a verifier.
func (server *Server) notificationRoutes() []httpserver.Route {
	at := server.config.Notifications
	if at.Verifier == nil {
		return nil
	}
	return []httpserver.Route{{
		Method: http.MethodPost, Path: at.Path, Handle: server.receiveNotification, Operation: "receiveNotification",
	}}
}

func (server *Server) log(w http.ResponseWriter, r *http.Request) *slog.Logger {
	return server.config.Log.With(slog.String("requestId", w.Header().Get(httpserver.RequestIDHeader)),
		slog.String("method", r.Method), slog.String("route", server.config.Notifications.Path))
}

// receiveNotification takes what SNS posts, as text/plain. What is genuine is stored as it came before it is answered:
// SNS tries a few times within a minute, and then forgets. A repetition is answered likewise and changes nothing.
func (server *Server) receiveNotification(w http.ResponseWriter, request *http.Request) error {
	release, err := server.notificationBodies.Reserve(request, sns.MaxBytes)
	if err != nil {
		return err
	}
	defer release()
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, sns.MaxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &problem.Problem{Code: api.ProblemCodePayloadTooLarge, Detail: "A notification has at most 512 KiB."}
	case err != nil:
		return &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: "The body cannot be read."}
	}
	verifier := server.config.Notifications.Verifier
	message, err := verifier.Verify(request.Context(), body)
	if err != nil {
		return server.refuseNotification(w, request, message, err)
	}
	switch message.Type {
	case sns.TypeNotification:
		_, err := server.config.Store.Queries().NotificationInsert(request.Context(), db.NotificationInsertParams{
			MessageID: message.MessageId, Body: strings.ReplaceAll(message.Message, "\x00", ""), Now: server.config.Now(),
		})
		if err != nil {
			return fmt.Errorf("store a notification: %w", err)
		}
	case sns.TypeSubscriptionConfirmation:
		if err := verifier.Confirm(request.Context(), message); err != nil {
			return server.refuseNotification(w, request, message, err)
		}
	default:
		server.log(w, request).WarnContext(request.Context(), "a subscription of SNS has ended: no more events come from this topic",
			slog.String("topic", message.TopicArn))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// refuseNotification tells what is wrong, also in the log: whoever sets a topic up looks there. Nothing of a message
// that was not verified is repeated but its topic, and that only where it looks like one.
func (server *Server) refuseNotification(w http.ResponseWriter, r *http.Request, message sns.Message, err error) error {
	server.log(w, r).WarnContext(r.Context(), "a message of SNS was refused",
		slog.String("topic", sns.LoggableTopicARN(message.TopicArn)), slog.String("error", err.Error()))
	if errors.Is(err, sns.ErrUnavailable) {
		return problem.Unavailable("Amazon SNS is not available; try again after the given time.")
	}
	return &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate("The notification is refused: " + err.Error() + ".")}
}
