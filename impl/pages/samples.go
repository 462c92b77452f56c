package pages

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// sample is a request in one language. It takes the server and the key from the environment.
type sample struct{ Language, Code string }

func languages() []string { return []string{"curl", "JavaScript", "Python", "Go"} }

// request is what a sample sends.
type request struct {
	method, path, body string
	secured            bool
	// headers are those that a client has to think of, as name and value.
	headers [][2]string
}

// samples returns the operation's first example in every language.
func samples(op *operation) []sample {
	sent := request{method: op.Method, path: op.Path, secured: op.Secured}
	for _, one := range op.Parameters {
		switch one.In {
		case "path":
			sent.path = strings.ReplaceAll(sent.path, "{"+one.Name+"}", url.PathEscape(one.Example))
		case "header":
			if one.Example == "" {
				continue
			}
			sent.headers = append(sent.headers, [2]string{one.Name, one.Example})
		}
	}
	if op.Body != nil && len(op.Body.Examples) > 0 {
		sent.body = op.Body.Examples[0].Code
		sent.headers = append(sent.headers, [2]string{"Content-Type", op.Body.Type})
	}
	return []sample{
		{"curl", sent.curl()}, {"JavaScript", sent.javaScript()}, {"Python", sent.python()}, {"Go", sent.golang()},
	}
}

func (r request) curl() string {
	var code strings.Builder
	code.WriteString("curl -sS ")
	if r.method != "GET" && (r.method != "POST" || r.body == "") {
		code.WriteString("-X " + r.method + " ")
	}
	fmt.Fprintf(&code, `"$MAILSTACK_URL%s"`, r.path)
	if r.secured {
		code.WriteString(" \\\n  -H \"Authorization: Bearer $MAILSTACK_API_KEY\"")
	}
	for _, header := range r.headers {
		fmt.Fprintf(&code, " \\\n  -H %s", shellQuoted(header[0]+": "+header[1]))
	}
	if r.body != "" {
		code.WriteString(" \\\n  -d " + shellQuoted(r.body))
	}
	return code.String()
}

func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (r request) javaScript() string {
	var code strings.Builder
	fmt.Fprintf(&code, "const answer = await fetch(process.env.MAILSTACK_URL + %s, {\n", strconv.Quote(r.path))
	fmt.Fprintf(&code, "  method: %q,\n", r.method)
	if r.secured || len(r.headers) > 0 {
		code.WriteString("  headers: {\n")
		if r.secured {
			code.WriteString("    Authorization: `Bearer ${process.env.MAILSTACK_API_KEY}`,\n")
		}
		for _, header := range r.headers {
			fmt.Fprintf(&code, "    %q: %q,\n", header[0], header[1])
		}
		code.WriteString("  },\n")
	}
	if r.body != "" {
		fmt.Fprintf(&code, "  body: JSON.stringify(%s),\n", strings.ReplaceAll(r.body, "\n", "\n  "))
	}
	code.WriteString("});\nconsole.log(answer.status, await answer.text());")
	return code.String()
}

func (r request) python() string {
	var code strings.Builder
	code.WriteString("import os, urllib.request\n\nrequest = urllib.request.Request(\n")
	fmt.Fprintf(&code, "    os.environ[\"MAILSTACK_URL\"] + %s,\n    method=%q,\n", strconv.Quote(r.path), r.method)
	if r.secured || len(r.headers) > 0 {
		code.WriteString("    headers={\n")
		if r.secured {
			code.WriteString("        \"Authorization\": \"Bearer \" + os.environ[\"MAILSTACK_API_KEY\"],\n")
		}
		for _, header := range r.headers {
			fmt.Fprintf(&code, "        %q: %q,\n", header[0], header[1])
		}
		code.WriteString("    },\n")
	}
	if r.body != "" {
		fmt.Fprintf(&code, "    data=r\"\"\"%s\"\"\".encode(),\n", r.body)
	}
	code.WriteString(")\nwith urllib.request.urlopen(request) as answer:\n    print(answer.status, answer.read().decode())")
	return code.String()
}

func (r request) golang() string {
	var code strings.Builder
	body := "http.NoBody"
	if r.body != "" {
		body = "strings.NewReader(`" + r.body + "`)"
	}
	fmt.Fprintf(&code, "request, err := http.NewRequest(%q, os.Getenv(\"MAILSTACK_URL\")+%s, %s)\n", r.method, strconv.Quote(r.path), body)
	code.WriteString("if err != nil {\n\tlog.Fatal(err)\n}\n")
	if r.secured {
		code.WriteString("request.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"MAILSTACK_API_KEY\"))\n")
	}
	for _, header := range r.headers {
		fmt.Fprintf(&code, "request.Header.Set(%q, %q)\n", header[0], header[1])
	}
	code.WriteString("answer, err := http.DefaultClient.Do(request)\nif err != nil {\n\tlog.Fatal(err)\n}\n" +
		"defer answer.Body.Close()\nio.Copy(os.Stdout, answer.Body)")
	return code.String()
}
