package impl

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sns"
)

// Notifications is where Amazon SNS posts what SES reports.
type Notifications struct {
	// Path of the route, such as /internal/ses/events.
	Path string
	// Verifier tells genuine messages from others. nil: there is no such route.
	Verifier *sns.Verifier
}

// postedBytes is what the bodies of notifications take up together, apart from those of requests with a key: whoever
// knows the route can fill it. SNS posts again.
const postedBytes = 16 << 20

// receiveNotification takes what SNS posts, as text/plain. What is genuine is stored as it came before it is answered:
// SNS tries a few times within a minute, and then forgets. A repetition is answered likewise and changes nothing.
func (server *Server) receiveNotification(c echo.Context) error {
	request := c.Request()
	taken, err := server.posted.take(sizeOf(request, sns.MaxBytes))
	if err != nil {
		return err
	}
	defer taken.release()
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), request.Body, sns.MaxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &problem{code: api.ProblemCodePayloadTooLarge, detail: "A notification has at most 512 KiB."}
	case err != nil:
		return &problem{code: api.ProblemCodeValidationFailed, detail: "The body cannot be read."}
	}
	verifier := server.config.Notifications.Verifier
	message, err := verifier.Verify(request.Context(), body)
	if err != nil {
		return server.refuseNotification(c, message, err)
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
			return server.refuseNotification(c, message, err)
		}
	default:
		server.log(c).WarnContext(request.Context(), "a subscription of SNS has ended: no more events come from this topic",
			slog.String("topic", message.TopicArn))
	}
	return c.NoContent(http.StatusOK)
}

// refuseNotification tells what is wrong, also in the log: whoever sets a topic up looks there. Nothing of a message
// that was not verified is repeated but its topic, and that only where it looks like one.
func (server *Server) refuseNotification(c echo.Context, message sns.Message, err error) error {
	server.log(c).WarnContext(c.Request().Context(), "a message of SNS was refused",
		slog.String("topic", sns.LoggableTopicARN(message.TopicArn)), slog.String("error", err.Error()))
	if errors.Is(err, sns.ErrUnavailable) {
		return unavailable("Amazon SNS is not available; try again after the given time.")
	}
	return &problem{code: api.ProblemCodeValidationFailed, detail: clip("The notification is refused: " + err.Error() + ".")}
}
