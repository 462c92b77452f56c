package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"
)

// serveTLS serves a receiver of webhooks. Every such server has the same certificate, so that processes can trust each
// other's.
func serveTLS(handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	// Deliveries that are given up leave broken connections.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	return server
}

// answersAfter is a receiver that answers late.
func answersAfter(delay time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-request.Context().Done():
		case <-timer.C:
			w.WriteHeader(http.StatusOK)
		}
	})
}
