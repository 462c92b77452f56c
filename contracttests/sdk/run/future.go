package main

import (
	"fmt"
	"net/http"
	"strings"
)

// Responses and deliveries of a later version: members, enum values and a status that today's spec does not have.
const (
	futureEmail = `{
  "id": %q, "fromEmail": "hello@mail.test", "fromName": null, "toEmail": "sam@example.com,ada@example.com",
  "cc": null, "bcc": null, "replyTo": null, "subject": "From the future", "status": "Teleported",
  "providerMessageId": null, "errorMessage": null, "tags": null,
  "recipients": [
    {"email": "sam@example.com", "kind": "hologram", "status": "Teleported", "distance": {"unit": "parsec", "value": 4.2}},
    {"email": "ada@example.com", "kind": "to", "status": "Delivered", "distance": null}
  ],
  "queuedAt": "2036-06-18T10:00:00Z", "sentAt": null, "createdAt": "2036-06-18T10:00:00Z",
  "warpFactor": 9, "route": ["earth", null, {"planet": "mars"}]
}`
	futureProblem = `{
  "type": "/problems/teleport-forbidden", "title": "Teleporting is forbidden.", "status": 451,
  "detail": "Not across this border.", "code": "teleport-forbidden", "requestId": %q,
  "errors": [{"pointer": "/to", "detail": "is abroad", "border": 7}], "embassy": {"open": false}
}`
	futureEvent = `{
  "id": "0197b2c4-8d43-7f7c-8a51-4c3d2e1f0a91", "type": "email.teleported", "createdAt": "2036-06-18T10:00:05.001Z",
  "data": {
    "id": "0197b2c4-5a10-7cc3-9d4e-000000000200", "fromEmail": "hello@mail.test", "toEmail": "sam@example.com",
    "subject": "From the future", "tags": null, "status": "Teleported", "errorMessage": null, "providerMessageId": null,
    "details": {"distance": {"unit": "parsec", "value": 4.2}, "stops": ["moon", null]}, "warpFactor": 9
  },
  "universe": {"number": 2, "name": null}
}`
)

// future responds to every id with a message, except for the one that ends in 451.
func future(requestID string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		id := request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
		w.Header().Set("X-Request-Id", requestID)
		if strings.HasSuffix(id, "451") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnavailableForLegalReasons)
			_, _ = fmt.Fprintf(w, futureProblem, requestID) // a runner that hangs up fails by itself
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, futureEmail, id)
	})
}
