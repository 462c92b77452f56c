package httpserver

import (
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// lingerTimeout and lingerBytes bound what is thrown away of a body that is not taken.
	lingerTimeout = 5 * time.Second
	lingerBytes   = 20 << 20
)

// lingeringClose is called before an answer to a request whose body was not read, and what it returns after it. Clients that read
// no answer before they have written all of a request would find their connection reset and no answer at all; so what still
// comes is thrown away for a while, as nginx does (lingering_close).
func lingeringClose(c echo.Context) func() {
	control := http.NewResponseController(c.Response())
	if err := control.EnableFullDuplex(); err != nil || c.Request().Header.Get("Expect") != "" {
		// Who asks before sending is told not to; and HTTP/2 knows how to refuse a body.
		return func() {}
	}
	return func() {
		if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
			return
		}
		// Whatever ends it: the client has its answer, and the connection is closed when more is to come.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Request().Body, lingerBytes))
	}
}
