package httpserver

import (
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// lingerTimeout and lingerBytes bound for how long and how much of an unread body is discarded.
	lingerTimeout = 5 * time.Second
	lingerBytes   = 20 << 20
)

// lingeringClose is called before the response to a request whose body was not read, and the function it returns
// after that response. A client that reads no response before it has written the whole request would find its
// connection reset and get no response at all. So the rest of the body is discarded for a while, as nginx does
// (lingering_close).
func lingeringClose(c echo.Context) func() {
	control := http.NewResponseController(c.Response())
	if err := control.EnableFullDuplex(); err != nil || c.Request().Header.Get("Expect") != "" {
		// With Expect the client waits for our response before it sends a body, and HTTP/2 can refuse a body.
		return func() {}
	}
	return func() {
		if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
			return
		}
		// An error changes nothing: the client has its response, and the connection is closed if more is to come.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Request().Body, lingerBytes))
	}
}
